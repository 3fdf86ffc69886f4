"""trackerlib/data/vot.py: polygons and rectangles beside their images."""

import json

import numpy as np
import pytest
from made import frame, write_image

from trackerlib.data.sequence import FrameError
from trackerlib.data.vot import read_vot


def write(folder, rows):
    for number, _ in enumerate(rows, start=1):
        write_image(folder / f"{number:08d}.jpg", frame(number))
    (folder / "groundtruth.txt").write_text("\n".join(rows))
    return folder


def test_polygons_become_the_boxes_around_them(tmp_path):
    sequence = read_vot(write(tmp_path, ["10,5,30,8,28,20,9,18", "nan," * 7 + "nan"]))
    np.testing.assert_array_equal(sequence.boxes[0], [9, 5, 21, 15])
    assert np.isnan(sequence.boxes[1]).all()


def test_boxes_that_are_not_positive_are_a_warning(tmp_path):
    rows = ["-5,2,30,20", "nan,nan,nan,nan", "1,2,30,20", "1,2,0,20", "nan,2,30,20", "1,2,30,20"]
    sequence = read_vot(write(tmp_path / "Bag", rows))
    path = tmp_path / "Bag" / "groundtruth.txt"
    assert sequence.warnings == (f"Bag: {path.name}: no positive box in frames 1 to 2, 4 to 5",)
    assert read_vot(write(tmp_path / "Whole", rows[2:3])).warnings == ()


def test_rectangles_are_taken_as_they_are(tmp_path):
    sequence = read_vot(write(tmp_path, ["1.5,2,30,20", "2,2,30,20"]))
    np.testing.assert_array_equal(sequence.boxes, [[1.5, 2, 30, 20], [2, 2, 30, 20]])
    np.testing.assert_array_equal(sequence.frame_numbers, [1, 2])


def test_a_missing_image_keeps_its_place(tmp_path):
    folder = write(tmp_path, ["1,2,30,20"] * 3)
    (folder / "00000002.jpg").unlink()
    got = list(read_vot(folder).read())
    assert [isinstance(one, FrameError) for one in got] == [False, True, False]


def test_rows_and_images_must_agree(tmp_path):
    folder = write(tmp_path, ["1,2,30,20"] * 3)
    (folder / "00000003.jpg").unlink()
    with pytest.raises(ValueError, match=r"groundtruth.txt: expected 2 rows.*got 3"):
        read_vot(folder)
    (folder / "groundtruth.txt").write_text("1,2,3,4,5,6\n" * 2)
    with pytest.raises(ValueError, match="row 1: expected 4 or 8 numbers"):
        read_vot(folder)


def test_the_real_sequence_equals_its_published_rectangles(shared):
    sequence = read_vot(shared / "vot" / "bag")
    published = json.loads((shared / "annotations" / "vot_otb_rects.json").read_text())
    np.testing.assert_allclose(sequence.boxes, published["vot2015/bag"]["gt"], atol=1e-9)
    assert len(sequence) == 196 and sequence.frames[195].ndim == 3
