"""trackerlib/data/otb.py: the benchmark's folder format and its quirks."""

import json

import cv2
import numpy as np
import pytest
from made import frame, write_image, write_sequence

from trackerlib.boxes import xywh_to_otb
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
