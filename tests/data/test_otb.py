"""trackerlib/data/otb.py: the benchmark's folder format and its quirks."""

import json

import cv2
import numpy as np
import pytest
from made import frame, write_image, write_sequence

from trackerlib.boxes import xywh_to_otb
from trackerlib.data.manifest import check_target
from trackerlib.data.otb import list_targets, read_otb, read_sequence
from trackerlib.data.sequence import FrameError

SIZES = {  # of the real sequences whose published annotation has none
    "Deer": [704, 400],
    "Dog": [352, 240],
    "KiteSurf": [480, 270],
    "MountainBike": [640, 360],
    "Subway": [352, 288],
    "Vase": [320, 240],
}
ROWS = "1,2,20,10\n3\t4\t20\t10\n5 6, 20 \t10\r\n"


def test_a_folder_of_ones_own(tmp_path):
    folder = write_sequence(tmp_path / "Mine", ROWS, start=7)
    (folder / "attrs.txt").write_text("OCC, FM ,IV\n")
    (folder / "visibility.txt").write_text("1\n0.5\n0\n")
    sequence = read_sequence(folder)
    assert (sequence.name, sequence.attributes) == ("Mine", ("OCC", "FM", "IV"))
    np.testing.assert_array_equal(sequence.boxes, [[0, 1, 20, 10], [2, 3, 20, 10], [4, 5, 20, 10]])
    np.testing.assert_array_equal(sequence.frame_numbers, [7, 8, 9])
    np.testing.assert_array_equal(sequence.visibility, [1, 0.5, 0])
    np.testing.assert_allclose(sequence.frames[2], frame(9), atol=2)


def test_without_attributes_and_visibility(tmp_path):
    sequence = read_sequence(write_sequence(tmp_path / "Mine", ROWS))
    assert sequence.attributes == () and sequence.visibility is None


def test_a_missing_image_keeps_its_place(tmp_path):
    folder = write_sequence(tmp_path / "Mine", ROWS)
    (folder / "img" / "0002.jpg").unlink()
    got = list(read_sequence(folder).read())
    assert [isinstance(one, FrameError) for one in got] == [False, True, False]
    assert "Mine, frame 2" in str(got[1]) and "0002.jpg" in str(got[1])
    np.testing.assert_allclose(got[2], frame(3), atol=2)


@pytest.mark.parametrize(
    ("frames", "said"), [(2, "from 1 to 2, got 3"), (5, "from 1 to 5, got 3")]
)
def test_one_row_per_image(tmp_path, frames, said):
    folder = write_sequence(tmp_path / "Mine", ROWS, frames=frames)
    with pytest.raises(ValueError, match=f"groundtruth_rect.txt: expected {frames} rows.*{said}"):
        read_sequence(folder)


def test_one_visibility_per_image(tmp_path):
    folder = write_sequence(tmp_path / "Mine", ROWS)
    (folder / "visibility.txt").write_text("1\n1\n")
    with pytest.raises(ValueError, match=r"visibility.txt: expected 3 rows.*got 2"):
        read_sequence(folder)


def test_boxes_that_are_not_seen_are_kept_as_they_are(tmp_path):
    rows = "1,2,20,10\nNaN,NaN,NaN,NaN\n0,0,0,0\n-8,2,-1,10\n"
    sequence = read_sequence(write_sequence(tmp_path / "Mine", rows))
    boxes, path = sequence.boxes, tmp_path / "Mine" / "groundtruth_rect.txt"
    assert sequence.warnings == (f"Mine: {path.name}: no positive box in frames 2 to 4",)
    assert np.isnan(boxes[1]).all()
    np.testing.assert_array_equal(boxes[2:], [[-1, -1, 0, 0], [-9, 1, -1, 10]])


@pytest.mark.parametrize(
    ("rows", "said"),
    [("", "empty file"), ("1,2,20,10\n1,2\n3,4,5,6\n", "row 2: expected 4 numbers")],
)
def test_broken_ground_truths(tmp_path, rows, said):
    folder = write_sequence(tmp_path / "Mine", rows, frames=3)
    with pytest.raises(ValueError, match=f"groundtruth_rect.txt.*{said}"):
        read_sequence(folder)


def test_folders_without_ground_truth_or_images(tmp_path):
    folder = write_sequence(tmp_path / "Mine", ROWS)
    (folder / "groundtruth_rect.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"groundtruth_rect\.txt"):
        read_sequence(folder)
    with pytest.raises(FileNotFoundError, match="found none"):
        read_sequence(tmp_path)


@pytest.mark.parametrize("spelt", ["Pair-1", "Pair.1", "pair_1"])
def test_two_targets_and_their_aliases(tmp_path, tiny_manifest, spelt):
    for target in (1, 2):
        text, name = tiny_manifest[f"Pair-{target}"], f"groundtruth_rect.{target}.txt"
        write_sequence(tmp_path / "Pair", text, name=name)
    (sequence,) = read_otb(tmp_path, [spelt])
    assert sequence.name == "Pair-1" and sequence.initial_omits == ((1, 2),)
    assert sequence.benchmark == "OTB"
    assert [one.name for one in read_otb(tmp_path)] == ["Pair-1", "Pair-2"]
    assert [one.name for one in read_otb(tmp_path, ["pair"])] == ["Pair-1", "Pair-2"]
    np.testing.assert_array_equal(read_otb(tmp_path)[1].boxes[0], [8, 1, 20, 10])


def test_a_copied_folder_under_the_targets_own_name(tmp_path, tiny_manifest):
    write_sequence(tmp_path / "pair_2", tiny_manifest["Pair-2"])
    (sequence,) = read_otb(tmp_path)
    assert sequence.name == "Pair-2"
    np.testing.assert_array_equal(sequence.boxes[0], [8, 1, 20, 10])


def test_frame_range_and_attributes_of_a_target_are_the_benchmarks(tmp_path, tiny_manifest):
    folder = write_sequence(tmp_path / "Long", tiny_manifest["Long"], start=1, frames=50)
    (folder / "img" / "._0001.jpg").touch()
    (sequence,) = read_otb(tmp_path)
    np.testing.assert_array_equal(sequence.frame_numbers, np.arange(3, 48))
    np.testing.assert_allclose(sequence.frames[0], frame(3), atol=2)
    assert sequence.attributes == ("OCC",)
    said = f"Long: {tmp_path / 'Long' / 'img'}: 50 images, of which the benchmark uses 3 to 47"
    assert sequence.warnings == (said,)


def test_missing_and_unknown_names(tmp_path, tiny_manifest):
    write_sequence(tmp_path / "Mine", ROWS)
    with pytest.raises(FileNotFoundError, match="no folder for Long"):
        read_otb(tmp_path, ["Mine", "Long"])
    with pytest.raises(ValueError, match=r"sequences in .* \(Mine\), got 'Yours'"):
        read_otb(tmp_path, ["Yours"])
    with pytest.raises(FileNotFoundError, match="expected a folder of OTB sequences"):
        list_targets(tmp_path / "nowhere")


def test_five_digit_names_and_grey_images(tmp_path):
    for number in range(1, 4):
        grey = cv2.cvtColor(frame(number), cv2.COLOR_RGB2GRAY)
        write_image(tmp_path / "Board5" / "img" / f"{number:05d}.png", grey)
    (tmp_path / "Board5" / "groundtruth_rect.txt").write_text(ROWS)
    sequence = read_sequence(tmp_path / "Board5")
    assert all(one.shape == (48, 64, 3) for one in sequence.read())


def test_every_real_sequence_equals_its_published_annotation(shared):
    annotations = json.loads((shared / "annotations" / "otb100.json").read_text())["sequences"]
    sequences = read_otb(shared / "otb")
    assert len(sequences) == 20 and sum(map(len, sequences)) == 4092
    for sequence in sequences:
        published = annotations[sequence.name]
        np.testing.assert_array_equal(xywh_to_otb(sequence.boxes), published["gt"])
        assert sequence.frame_numbers[0] == published["start"]
        height, width, _ = sequence.frames[len(sequence) - 1].shape
        assert [width, height] == (published["image_size"] or SIZES[sequence.name])


OWN = "".join(f"{21 + 2 * i},41,30,30\n" for i in range(30))


@pytest.mark.parametrize("name", ["long", "LONG", "Long", "pair", "pair_1", "Pair"])
def test_a_folder_of_ones_own_may_have_the_name_of_a_benchmarks(tmp_path, tiny_manifest, name):
    write_sequence(tmp_path / name, OWN)
    for names in (None, [name]):
        (sequence,) = read_otb(tmp_path, names)
        assert (sequence.name, len(sequence), sequence.attributes) == (name, 30, ())
        assert sequence.benchmark is None
        (said,) = sequence.warnings
        assert f"{tmp_path / name} has the name of OTB's" in said and "one's own" in said


def test_ones_own_stands_beside_the_benchmarks(tmp_path, tiny_manifest):
    write_sequence(tmp_path / "Long", tiny_manifest["Long"], start=3)
    write_sequence(tmp_path / "LONG", OWN)
    assert [one.name for one in read_otb(tmp_path)] == ["LONG", "Long"]
    assert [len(*read_otb(tmp_path, [name])) for name in ("Long", "LONG", "long")] == [45, 30, 45]


def test_ones_own_is_not_the_benchmarks_target(tmp_path, tiny_manifest):
    write_sequence(tmp_path / "long", OWN)
    (target,) = list_targets(tmp_path, ["Long"], benchmark=True)
    assert target.folder is None and target.entry.name == "Long"


def test_the_number_of_rows_alone_is_not_the_benchmarks(tmp_path, tiny_manifest):
    write_sequence(tmp_path / "Long", "".join(f"{21 + 2 * i},41,30,30\n" for i in range(45)))
    (target,) = list_targets(tmp_path, ["Long"], benchmark=True)
    assert target.folder is None
    (sequence,) = read_otb(tmp_path)
    assert sequence.benchmark is None and len(sequence) == 45
    assert "one's own" in sequence.warnings[0]


@pytest.mark.parametrize("damage", ["short", "first", "junk", "none", "images"])
def test_a_damaged_folder_of_the_benchmark_is_still_the_benchmarks(
    tmp_path, tiny_manifest, damage
):
    folder = write_sequence(tmp_path / "Long", tiny_manifest["Long"], start=3)
    path, lines = folder / "groundtruth_rect.txt", tiny_manifest["Long"].splitlines(keepends=True)
    changed = {
        "short": lines[:30],
        "first": ["9,9,9,9\n", *lines[1:40]],
        "junk": ["junk"],
        "images": lines,
    }
    path.write_text("".join(changed.get(damage, [])))
    if damage == "none":
        path.unlink()
    (folder / "img" / "0007.jpg").unlink()
    for names in (None, ["long"]):
        (target,) = list_targets(tmp_path, names)
        assert target.entry and target.entry.name == "Long" and target.folder == folder


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm"])
def test_the_benchmarks_images_may_have_another_ending(tmp_path, tiny_manifest, ending):
    folder = write_sequence(tmp_path / "Long", tiny_manifest["Long"], start=3)
    for path in (folder / "img").iterdir():
        write_image(path.with_suffix(f".{ending}"), frame(int(path.stem)))
        path.unlink()
    (sequence,) = read_otb(tmp_path)
    names = [path.name for path in sequence.frames.paths]
    assert names == [f"{number:04d}.{ending}" for number in range(3, 48)]
    np.testing.assert_array_equal(sequence.frames[4], frame(7))
    entry = list_targets(tmp_path)[0].entry
    (problem,) = check_target(folder, entry)
    said = "45 of 45 images are not the benchmark's .jpg but"
    assert problem == f"Long: {folder / 'img'}: {said} {names[0]} to {names[-1]}"
    (folder / "img" / f"0009.{ending}").unlink()
    assert "1 of 45 images missing: 0009.jpg" in check_target(folder, entry)[0]


@pytest.mark.parametrize("labels", [["1", "2"], ["2", "10", "9"], ["left", "car"], ["01", "02"]])
def test_several_targets_of_ones_own(tmp_path, labels):
    for number, label in enumerate(labels):
        rows = "".join(f"{5 * number + 1},2,20,10\n" for _ in range(3))
        write_sequence(tmp_path / "street", rows, name=f"groundtruth_rect.{label}.txt")
    names = sorted((f"street-{label}" for label in labels), key=lambda name: (len(name), name))
    (tmp_path / "street" / f"visibility.{labels[1]}.txt").write_text("1\n0.5\n0\n")
    sequences = {one.name: one for one in read_otb(tmp_path)}
    assert list(sequences) == names == [one.name for one in read_otb(tmp_path, ["street"])]
    (second,) = read_otb(tmp_path, [f"street-{labels[1]}"])
    np.testing.assert_array_equal(second.boxes[:, 0], [5, 5, 5])
    assert second.visibility.tolist() == [1, 0.5, 0]
    assert sequences[f"street-{labels[0]}"].visibility is None


def test_one_name_of_two_sequences(tmp_path):
    for label in (1, 2):
        write_sequence(tmp_path / "street", ROWS, name=f"groundtruth_rect.{label}.txt")
    write_sequence(tmp_path / "street-2", ROWS)
    with pytest.raises(ValueError, match=r"one sequence of the name street-2.*rename"):
        read_otb(tmp_path)


def test_rows_for_the_images_that_are_there(tmp_path):
    folder = write_sequence(tmp_path / "walkway", OWN)
    for number in (10, 20):
        (folder / "img" / f"{number:04d}.jpg").unlink()
    lines = OWN.splitlines(keepends=True)
    path = folder / "groundtruth_rect.txt"
    path.write_text("".join(line for i, line in enumerate(lines, 1) if i not in (10, 20)))
    sequence = read_sequence(folder)
    assert len(sequence) == 28 and sequence.frame_numbers[[8, 9]].tolist() == [9, 11]
    np.testing.assert_array_equal(sequence.boxes[9], [20 + 2 * 10, 40, 30, 30])
    assert not any(isinstance(one, FrameError) for one in sequence.read())
    assert (
        "28 rows for the 28 images that are there; there is none numbered 10, 20"
        in (sequence.warnings[0])
    )
    path.write_text("".join(lines[:25]))
    with pytest.raises(ValueError, match=r"expected 30 rows.* or 28, one for each image.*got 25"):
        read_sequence(folder)


def test_images_beside_the_ground_truth(tmp_path):
    folder = write_sequence(tmp_path / "Mine", ROWS)
    for path in list((folder / "img").iterdir()):
        path.rename(folder / path.name)
    (folder / "img").rmdir()
    assert len(read_otb(tmp_path)[0]) == 3


def test_two_ground_truths_of_different_formats(tmp_path):
    folder = write_sequence(tmp_path / "Mine", ROWS)
    (folder / "groundtruth.txt").write_text(ROWS)
    (said,) = read_sequence(folder).warnings
    assert "groundtruth.txt is not read: groundtruth_rect.txt says" in said
