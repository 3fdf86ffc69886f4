"""Data sets of several targets and masks, small and made."""

import sys

import numpy as np
import pytest
from made import images, opened, shows, video, write, write_sequence
from PIL import Image

from trackerlib import arguments
from trackerlib.data import formats, open_dataset
from trackerlib.data.sequence import FrameError

NAN = np.nan


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
