"""Exports of annotation tools, small and made: CVAT, Label Studio, VIA."""

import json

import numpy as np
import pytest
from made import images, opened, shows, video, write

from trackerlib.data import open_dataset

NAN = np.nan


def cvat_box(number, outside=0, occluded=0, left=10):
    return (
        f'<box frame="{number}" outside="{outside}" occluded="{occluded}" keyframe="1" '
        f'xtl="{left}" ytl="5.5" xbr="{left + 20}" ybr="15.5"/>'
    )


CVAT = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><source>clip.avi</source></task></meta>
<track id="0" label="car">{cvat_box(0)}{cvat_box(2, left=14)}{cvat_box(3, 1)}
{cvat_box(5, occluded=1)}</track>
<track id="1" label="a bike">{cvat_box(2)}{cvat_box(3, left=11)}{cvat_box(4, 1)}</track>
<track id="4" label="dog"><polygon frame="1" outside="0" points="1,2;9,3;4,8"/></track>
<track id="5" label="dog">{cvat_box(0)}</track>
</annotations>"""


@pytest.mark.parametrize("layout", ["video", "named by the file", "images"])
def test_cvat(tmp_path, layout):
    if layout == "images":
        write(tmp_path / "street" / "annotations.xml", CVAT)
        images(tmp_path / "street" / "images", range(6), "frame_{:06d}.png")
    else:
        write(tmp_path / "street.xml", CVAT)
        video(tmp_path / ("street.avi" if layout == "video" else "clip.avi"))
        write(tmp_path / "other.xml", "<project><version>1</version></project>")
    found = opened(tmp_path, name="cvat")
    assert list(found) == ["street-car", "street-a_bike", "street-dog4", "street-dog5"]
    car, bike, dog, _ = found.values()
    np.testing.assert_array_equal(car.boxes[0], [10, 5.5, 20, 10])
    np.testing.assert_array_equal(car.boxes[:, 0], [10, 12, 14, NAN, NAN, 10])
    np.testing.assert_array_equal(car.visibility, [1, 1, 1, 0, 0, NAN])
    np.testing.assert_array_equal(bike.boxes[:, 0], [10, 11, NAN, NAN])
    np.testing.assert_array_equal(dog.boxes[0], [1, 2, 8, 6])
    shows(bike, 0, 2 if layout == "images" else 3)
    assert "street-dog4" in opened(tmp_path, "street-dog4")


def test_cvat_with_a_document_type_is_refused(tmp_path):
    """Only there could XML declare entities, which may grow without end or name other files."""
    head, rest = CVAT.split("\n", 1)
    write(tmp_path / "street.xml", f"{head}\n<!DOCTYPE annotations>\n{rest}")
    video(tmp_path / "street.avi")
    with pytest.raises(FileNotFoundError, match=r"XML of CVAT, got: a document type, 'annot"):
        opened(tmp_path)


def test_cvat_without_its_video_or_tracks(tmp_path):
    path = write(tmp_path / "street.xml", CVAT)
    with pytest.raises(FileNotFoundError, match=r"of the name street or clip.avi, found no video"):
        open_dataset(tmp_path)
    video(tmp_path / "street.avi", 4)
    with pytest.raises(FileNotFoundError, match=r"of the 4 frames of the video, got some of fra"):
        open_dataset(tmp_path)
    path.write_text("<annotations><version>1.1</version><image/></annotations>")
    with pytest.raises(FileNotFoundError, match=r'export the task as "CVAT for video 1.1"'):
        open_dataset(tmp_path)


def key(number, enabled=True, x=10.0, rotation=0):
    box = {"x": x, "y": 50.0, "width": 25.0, "height": 25.0}
    return {"frame": number, "enabled": enabled, "rotation": rotation, "time": 0.1, **box}


def region(labels, *keys):
    return {"type": "videorectangle", "value": {"labels": labels, "sequence": list(keys)}}


def test_label_studio(tmp_path):
    results = [
        region(["Car"], key(1), key(3, x=30, enabled=False), key(5)),
        region(["Car"], key(2, rotation=90)),
        {"type": "choices", "value": {"choices": ["day"]}},
    ]
    task = {
        "data": {"video": "/data/upload/1/0a1b2c3d-my%20street.avi"},
        "annotations": [{"was_cancelled": True, "result": []}, {"result": results}],
    }
    write(tmp_path / "export.json", [task])
    write(tmp_path / "notes.json", {"annotations": 3})
    video(tmp_path / "my street.avi")
    found = opened(tmp_path, name="label-studio")
    assert list(found) == ["my street-Car1", "my street-Car2"]
    one, two = found.values()
    np.testing.assert_allclose(one.boxes[0], [6.4, 24, 16, 12])
    np.testing.assert_allclose(one.boxes[:, 0], [6.4, 12.8, 19.2, NAN, 6.4, 6.4])
    np.testing.assert_array_equal(one.visibility, [1, 1, 1, 0, 1, 1])
    np.testing.assert_allclose(two.boxes[0], [6.4 - 12, 24, 12, 16])  # about its corner
    assert len(two) == 5


def via_region(x, track=None):
    shape = {"name": "rect", "x": x, "y": 5, "width": 20, "height": 10}
    return {"shape_attributes": shape, "region_attributes": {"track": track} if track else {}}


def via_entries():
    entries = {
        f"{number:06d}.png{9}": {
            "filename": f"{number:06d}.png",
            "size": 9,
            "regions": [via_region(number, "a"), via_region(2 * number, "b")],
            "file_attributes": {},
        }
        for number in (1, 2, 4)
    }
    entries["000003.png9"] = {"filename": "000003.png", "size": 9, "regions": []}
    return entries


@pytest.mark.parametrize("kind", ["project", "json", "csv"])
def test_via_of_images(tmp_path, kind):
    images(tmp_path / "street")
    entries = via_entries()
    if kind == "csv":
        lines = ["filename,file_size,region_shape_attributes,region_attributes"]
        for entry in entries.values():
            for one in entry["regions"] or [{"shape_attributes": {}, "region_attributes": {}}]:
                cells = [json.dumps(one[k]).replace('"', '""') for k in one]
                lines.append(f'{entry["filename"]},9,"{cells[0]}","{cells[1]}"')
        write(tmp_path / "street.csv", "\n".join(lines))
    else:
        write(
            tmp_path / "street.json",
            entries if kind == "json" else {"_via_img_metadata": entries, "_via_settings": {}},
        )
    found = opened(tmp_path, name="via")
    assert list(found) == ["street-a", "street-b"]
    np.testing.assert_array_equal(found["street-b"].boxes[:, 0], [2, 4, NAN, 8])
    assert found["street-a"].visibility is None


def test_via_of_a_video(tmp_path):
    timed = {
        f"1_{i}": {"vid": "1", "z": [0.1 * i], "xy": [2, 10 + i, 5, 20, 10], "av": {"1": "0"}}
        for i in (1, 3)
    }
    timed["1_span"] = {"vid": "1", "z": [0, 1], "xy": [], "av": {}}
    project = {
        "project": {},
        "file": {"1": {"fid": "1", "fname": "clip.avi", "type": 4}},
        "view": {"1": {"fid_list": ["1"]}},
        "attribute": {"1": {"options": {"0": "ball"}}},
        "metadata": timed,
    }
    write(tmp_path / "street.json", project)
    video(tmp_path / "clip.avi")
    (sequence,) = opened(tmp_path, name="via").values()
    assert sequence.frame_numbers.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(sequence.boxes[:, 0], [11, NAN, 13])
    timed["1_again"] = timed["1_1"]
    write(tmp_path / "street.json", project)
    with pytest.raises(FileNotFoundError, match=r"one box of target 'ball' in clip.avi at 0.1 s"):
        open_dataset(tmp_path)


def test_cvat_rotates_about_the_centre_and_has_ellipses(tmp_path):
    shapes = (
        '<box frame="0" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.00"/>',
        '<ellipse frame="0" cx="20" cy="15" rx="10" ry="5"/>',
        '<ellipse frame="0" cx="20" cy="15" rx="10" ry="5" rotation="90.00"/>',
    )
    tracks = "".join(f'<track id="{n}" label="a">{one}</track>' for n, one in enumerate(shapes))
    write(tmp_path / "street.xml", f"<annotations><version>1.1</version>{tracks}</annotations>")
    video(tmp_path / "street.avi")
    boxes = [sequence.boxes[0] for sequence in opened(tmp_path).values()]
    np.testing.assert_allclose(boxes, [[15, 5, 10, 20], [10, 10, 20, 10], [15, 5, 10, 20]])


def test_cvat_of_a_project_is_refused(tmp_path):
    """Its tasks are of several videos, whose frames all count from 0."""
    task = "<task><source>clip.avi</source></task>"
    meta = f"<meta><project><tasks>{task}{task}</tasks></project></meta>"
    write(tmp_path / "street.xml", CVAT.replace("<meta>", meta + "<meta>"))
    video(tmp_path / "street.avi")
    with pytest.raises(FileNotFoundError, match="expected one task, got the 2 of a project"):
        opened(tmp_path)


def minimal(identity, name, *keys):
    value = {"labels": ["Car"], "framesCount": 6, "sequence": list(keys)}
    return {"video": f"/data/upload/1/0a1b2c3d-{name}", "id": identity, "box": [value]}


def test_label_studios_json_min(tmp_path):
    write(tmp_path / "export.json", [minimal(7, "street.avi", key(2), key(4, x=30))])
    video(tmp_path / "street.avi")
    (sequence,) = opened(tmp_path, name="label-studio").values()
    np.testing.assert_allclose(sequence.boxes[:, 0], [6.4, 12.8, 19.2, 19.2, 19.2])


def test_label_studios_video_is_found_among_other_texts(tmp_path):
    """Tasks that come from a list have its name, and whatever else the list told of them."""
    for number, name in enumerate(("one", "two")):
        task = {"id": number, "file_upload": "0a1b2c3d-tasks.json"}
        task |= {"data": {"site": "A. Street 5", "video": f"s3://bucket/{name}.avi?x=1"}}
        task |= {"annotations": [{"result": [region(["Car"], key(1, x=10.0 * number))]}]}
        write(tmp_path / f"{name}.json", [task])
        video(tmp_path / f"{name}.avi")
    found = opened(tmp_path)
    assert [(name, *one.boxes[0, :1]) for name, one in found.items()] == [("one", 0), ("two", 6.4)]


def test_label_studios_tasks_of_one_name_are_all_there(tmp_path):
    video(tmp_path / "street.avi")
    tasks = [minimal(n, "street.avi", key(1, x=10.0 * n)) for n in (7, 8)]
    write(tmp_path / "export.json", tasks)
    assert list(opened(tmp_path)) == ["street-7", "street-8"]
    write(tmp_path / "later.json", tasks)
    with pytest.raises(ValueError, match=r"one export of task 7, street, .* and later\.json"):
        open_dataset(tmp_path)


def test_label_studio_counts_frames_by_a_rate_of_its_own(tmp_path):
    """24 per second, unless its template says more: of a second at 10, frame 13 is the sixth."""
    one = region(["Car"], key(1), key(13, x=30))
    one["value"] |= {"framesCount": 24, "duration": 1.0}
    write(tmp_path / "street.json", [{"annotations": [{"result": [one]}]}])
    video(tmp_path / "street.avi", 10)
    (sequence,) = opened(tmp_path).values()
    np.testing.assert_allclose(sequence.boxes[[0, 5, 9], 0], [6.4, 19.2, 19.2])
    assert sequence.boxes[4, 0] < 19
    assert "labelled as 24 frames, spread over the 10 there" in sequence.warnings[-1]
    one["value"]["framesCount"] = 11  # a browser's count may be one off
    write(tmp_path / "street.json", [{"annotations": [{"result": [region(["Car"], key(3))]}]}])
    assert opened(tmp_path)["street"].frame_numbers[0] == 3


def test_shapes_and_check_boxes_of_via(tmp_path):
    images(tmp_path / "street")
    shapes = [
        {"name": "circle", "cx": 20, "cy": 15, "r": 5},
        {"name": "ellipse", "cx": 20, "cy": 15, "rx": 10, "ry": 5, "theta": np.pi / 2},
    ]
    regions = [
        {"shape_attributes": shape, "region_attributes": {"label": {label: True}}}
        for shape, label in zip(shapes, ("car", "dog"), strict=True)
    ]
    entry = {"filename": "000002.png", "size": 9, "regions": regions}
    write(tmp_path / "street.json", {"000002.png9": entry})
    found = opened(tmp_path)
    np.testing.assert_allclose(found["street-car"].boxes[0], [15, 10, 10, 10])
    np.testing.assert_allclose(found["street-dog"].boxes[0], [15, 5, 10, 20])


def test_via_3_as_csv(tmp_path):
    attributes = {"1": {"aname": "what", "options": {"0": "ball"}}}
    lines = [
        "# Exported using VGG Image Annotator",
        f"# ATTRIBUTE = {json.dumps(attributes)}",
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,"
        "metadata",
        '"1_a","[""clip.avi""]",0,"[0.1]","[2,11,5,20,10]","{""1"":""0""}"',
        '"1_b","[""clip.avi""]",0,"[0.1,0.4]","[]","{""1"":""_DEFAULT""}"',
        '"1_c","[""clip.avi""]",0,"[0.3]","[2,13,5,20,10]","{""1"":""0""}"',
    ]
    write(tmp_path / "street.csv", "\n".join(lines))
    video(tmp_path / "clip.avi")
    (sequence,) = opened(tmp_path, name="via").values()
    assert sequence.frame_numbers.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(sequence.boxes[:, 0], [11, NAN, 13])
