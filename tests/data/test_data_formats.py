"""Data sets of several targets, masks and exports of annotation tools, small and made."""

import json
import sys

import cv2
import numpy as np
import pytest
from made import frame, write_image, write_sequence
from PIL import Image

from trackerlib import arguments
from trackerlib.data import formats, open_dataset
from trackerlib.data.sequence import FrameError

NAN = np.nan


def images(folder, numbers=range(1, 7), name="{:06d}.png", size=(48, 64)):
    for number in numbers:
        write_image(folder / name.format(number), frame(number, size))
    return folder


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def video(path, length=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(1, length + 1):
        writer.write(frame(number)[..., ::-1])
    writer.release()
    return path


def opened(root, split="all", name=None):
    """Sequences by name, and that naming the format gives the same."""
    dataset = open_dataset(root, split)
    assert not dataset.problems
    found = {sequence.name: sequence for sequence in dataset.sequences}
    if name:
        again = open_dataset(root, split, name).sequences
        assert list(found) == [sequence.name for sequence in again]
    for sequence in found.values():
        assert len(sequence.boxes) == len(sequence) == len(sequence.frame_numbers)
        assert np.isfinite(sequence.boxes[0]).all()
    return found


def shows(sequence, index, number):
    """Whether a sequence's frame is that of a number."""
    np.testing.assert_allclose(sequence.frames[index][5, 5], frame(number)[5, 5], atol=8)


def test_the_command_line_knows_every_format():
    assert tuple(formats.FORMATS) == arguments.FORMATS
    with pytest.raises(ValueError, match=r"a format among otb, dtb70.*, got 'xml'"):
        open_dataset("embedded", format="xml")


@pytest.mark.parametrize("chunk", ["", "TRAIN_0", "TEST"])
def test_trackingnet(tmp_path, chunk):
    images(tmp_path / chunk / "frames" / "a1-B_2", range(12), "{}.jpg")
    rows = "".join(f"{10 + i}.5,5,20,10\n" for i in range(1 if chunk == "TEST" else 12))
    write(tmp_path / chunk / "anno" / "a1-B_2.txt", rows)
    (sequence,) = opened(tmp_path, name="trackingnet").values()
    assert sequence.name == "a1-B_2" and len(sequence) == 12
    np.testing.assert_array_equal(sequence.boxes[0], [10.5, 5, 20, 10])
    assert np.isfinite(sequence.boxes[1:]).all() == (chunk != "TEST")
    shows(sequence, 10, 10)


def nfs(folder, rate, count, rows):
    images(folder / str(rate) / folder.name, range(1, count + 1), "{:05d}.jpg")
    text = "".join(
        f'0 {10 + i} 5 {30 + i} 15 {i} {int(i == 8)} {int(i == 16)} 0 "ball"\n' for i in rows
    )
    write(folder / str(rate) / f"{folder.name}.txt", text)


def test_nfs(tmp_path):
    nfs(tmp_path / "bee", 240, 24, range(24))
    (sequence,) = opened(tmp_path, name="nfs").values()
    np.testing.assert_array_equal(sequence.boxes[[1, 8]], [[11, 5, 20, 10], [NAN] * 4])
    np.testing.assert_array_equal(sequence.visibility[[0, 8, 16]], [1, 0, NAN])
    nfs(tmp_path / "bee", 30, 3, range(24))  # every eighth row
    found = opened(tmp_path)
    assert list(found) == ["bee-240", "bee-30"]
    np.testing.assert_array_equal(found["bee-30"].boxes[:, 0], [10, NAN, 26])
    nfs(tmp_path / "bee", 30, 3, range(5))
    assert "expected 3 rows" in open_dataset(tmp_path).missing["bee-30"]


def palette_mask(path, mask):
    image = Image.fromarray(mask.astype(np.uint8))
    if mask.max() < 255:
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.mark.parametrize("folder", ["480p/dogs", "dogs"])
def test_masks_of_davis(tmp_path, folder):
    images(tmp_path / "JPEGImages" / folder, range(5), "{:05d}.jpg")
    for number in range(5):
        mask = np.zeros((48, 64), int)
        mask[10:20, 5 + number : 15 + number] = 1
        if number in (1, 2, 4):
            mask[30:31, 40:43] = 2
        if number != 3:  # a frame that is not annotated
            palette_mask(tmp_path / "Annotations" / folder / f"{number:05d}.png", mask)
    found = opened(tmp_path, name="davis")
    assert list(found) == ["dogs-1", "dogs-2"]
    one, two = found.values()
    np.testing.assert_array_equal(one.boxes[:, 0], [5, 6, 7, NAN, 9])
    np.testing.assert_array_equal(one.visibility, [1, 1, 1, NAN, 1])
    np.testing.assert_array_equal(two.boxes[0], [40, 30, 3, 1])
    assert two.frame_numbers.tolist() == [1, 2, 3, 4]
    shows(two, 0, 1)
    assert list(opened(tmp_path, "dogs-2")) == ["dogs-2"]
    with pytest.raises(FileNotFoundError, match="expected one of the targets dogs-1, dogs-2"):
        open_dataset(tmp_path, "dogs-3")


def test_masks_of_one_target_and_absence(tmp_path):
    images(tmp_path / "JPEGImages" / "480p" / "bear", range(4), "{:05d}.jpg")
    for number in range(4):
        mask = np.zeros((48, 64), int)
        mask[10:20, 5:15] = 255 * (number != 2)
        palette_mask(tmp_path / "Annotations" / "480p" / "bear" / f"{number:05d}.png", mask)
    (sequence,) = opened(tmp_path).values()
    assert sequence.name == "bear"
    np.testing.assert_array_equal(sequence.visibility, [1, 1, 0, 1])
    assert sequence.warnings == ("bear: bear: no positive box in frames 2",)


@pytest.mark.parametrize("subset", ["", "train"])
def test_mot(tmp_path, subset):
    folder = tmp_path / subset / "MOT17-02"
    images(folder / "img1", range(1, 7), "{:06d}.jpg")
    rows = [
        *("2,7,11,6,20,10,1,1,0.5", "3,7,12,6,20,10,1,1,1", "5,7,14,6,20,10,1,1,0"),
        *("1,3,5,5,8,8,1,1,1", "2,3,5,5,8,8,1,1,1", "1,9,5,5,8,8,0,8,1", "2,9,5,5,8,8,0,8,1"),
    ]
    write(folder / "gt" / "gt.txt", "\n".join(rows))
    write(folder / "seqinfo.ini", "[Sequence]\nname=MOT17-02\nimDir=img1\n")
    found = opened(tmp_path, name="mot")
    assert list(found) == ["MOT17-02-3", "MOT17-02-7"]  # 9 does not count
    seven = found["MOT17-02-7"]
    assert seven.frame_numbers.tolist() == [2, 3, 4, 5]
    np.testing.assert_array_equal(seven.boxes[:3], [[10, 5, 20, 10], [11, 5, 20, 10], [NAN] * 4])
    np.testing.assert_array_equal(seven.visibility, [0.5, 1, 0, 0])
    shows(seven, 0, 2)
    write(folder / "gt" / "gt.txt", "1,3,5,5,8,8,1,1,1\n1,3,5,5,8,8,1,1,1\n")
    with pytest.raises(FileNotFoundError, match="one row for target 3 in frame 1"):
        open_dataset(tmp_path)
    write(folder / "gt" / "gt.txt", "1,3,5,5,8,8,1,1,1\n9,3,5,5,8,8,1,1,1\n")
    with pytest.raises(FileNotFoundError, match=r"1 to 6, got frame 9 of target 3"):
        open_dataset(tmp_path)


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


def test_a_folder_of_videos(tmp_path):
    for name in ("one", "two", "table", "unmarked"):
        video(tmp_path / f"{name}.avi")
    images(tmp_path / "pictures", range(3, 9))
    write(tmp_path / "one.txt", "10,5,20,10\n")
    for label in ("1", "2"):
        write(tmp_path / f"two.{label}.txt", f"{label},5,20,10\n" * 6)
    write(
        tmp_path / "table.csv",
        "frame,time,x,y,w,h,visibility,absent\n2,,1,5,20,10,0.5,\n3,,2,5,20,10,,1\n5,,4,5,20,10,,",
    )
    write(tmp_path / "pictures.csv", "frame,x,y,w,h,target\n4,1,5,20,10,a\n8,9,5,20,10,b\n")
    found = opened(tmp_path, name="videos")
    assert list(found) == ["one", "pictures-a", "pictures-b", "table", "two-1", "two-2"]
    np.testing.assert_array_equal(found["table"].boxes[:, 0], [1, NAN, NAN, 4, NAN])
    np.testing.assert_array_equal(found["table"].visibility, [0.5, 0, NAN, 1, NAN])
    assert found["pictures-a"].frame_numbers.tolist() == [4, 5, 6, 7, 8]
    assert np.isnan(found["one"].boxes[1:]).all()
    shows(found["table"], 1, 3)
    write(tmp_path / "one.txt", "10,5,20,10\n" * 4)
    write(tmp_path / "table.csv", "frame,x,y,w,h\n9,1,1,1,1\n")
    missing = open_dataset(tmp_path).missing
    assert "expected 6 rows" in missing["one"]
    assert "line 2: expected a frame from 1 to 6, got '9'" in missing["table"]


def test_names_of_otbs_in_other_formats_are_ones_own(tmp_path):
    for name in ("Dog", "Jogging"):
        video(tmp_path / f"{name}.avi")
        write(tmp_path / f"{name}.txt", "10,5,20,10\n")
    assert [s.benchmark for s in opened(tmp_path).values()] == [None, None]
    write_sequence(tmp_path / "dtb" / "Car4", "1,2,20,10\n" * 3)
    (sequence,) = open_dataset(tmp_path / "dtb", format="dtb70").sequences
    assert (sequence.name, sequence.benchmark, sequence.warnings) == ("Car4", None, ())
    np.testing.assert_array_equal(sequence.boxes[0], [0, 1, 20, 10])


def test_another_format_than_the_layouts(tmp_path):
    folder = images(tmp_path / "d" / "GOT-10k_Val_000001")
    write(folder / "groundtruth.txt", "1,2,20,10\n" * 6)
    assert len(open_dataset(tmp_path / "d", format="vot").sequences) == 1
    with pytest.raises(FileNotFoundError, match=r"\(split 'all'\)"):
        open_dataset(tmp_path / "d", format="mot")


def test_frames_of_a_target_that_cannot_be_read(tmp_path):
    folder = tmp_path / "MOT-1"
    images(folder / "img1", [1, 2, 4, 5], "{:06d}.jpg")
    write(folder / "gt" / "gt.txt", "".join(f"{n},1,5,5,8,8,1,1,1\n" for n in (2, 3, 4)))
    (sequence,) = opened(tmp_path).values()
    read = list(sequence.read())
    assert [isinstance(one, FrameError) for one in read] == [False, True, False]


def test_masks_without_pillow(tmp_path, monkeypatch):
    test_masks_of_one_target_and_absence(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="expected Pillow for masks"):
        open_dataset(tmp_path)
