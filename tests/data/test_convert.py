"""Any format, written as OTB's."""

import os

import cv2
import numpy as np
import pytest
from faults import FAULTS, contents, disturbed
from made import frame, write_image, write_sequence

from trackerlib.__main__ import main
from trackerlib.data import open_dataset
from trackerlib.data.convert import write_otb


def mot(root):
    for number in range(1, 7):
        write_image(root / "street" / "img1" / f"{number:06d}.jpg", frame(number))
    (root / "street" / "gt").mkdir()
    rows = ["2,7,11.25,6,20,10,1,1,0.5", "4,7,12,6,20,10,1,1,1", "1,3,5,5,8,8", "2,3,5,5,8,8"]
    rows = [row if row.count(",") == 8 else f"{row},1,1,1" for row in rows]
    (root / "street" / "gt" / "gt.txt").write_text("\n".join(rows))
    return root


def same(one, other):
    assert one.name == other.name and len(one) == len(other)
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.frame_numbers, other.frame_numbers)
    if one.visibility is not None:
        np.testing.assert_array_equal(one.visibility, other.visibility)
    for index in range(len(one)):
        np.testing.assert_array_equal(one.frames[index], other.frames[index])


def test_what_is_written_reads_back_the_same(tmp_path, capsys):
    source = mot(tmp_path / "mot")
    assert main(["data", "convert", str(source), str(tmp_path / "otb")]) == 0
    assert "street-7  3 frames" in capsys.readouterr().out
    pairs = zip(
        open_dataset(source).sequences, open_dataset(tmp_path / "otb").sequences, strict=True
    )
    assert [same(*pair) for pair in pairs] == [None, None]
    rows = (tmp_path / "otb" / "street-7" / "groundtruth_rect.txt").read_text().splitlines()
    assert rows == ["11.25,6,20,10", "NaN,NaN,NaN,NaN", "12,6,20,10"]
    assert (tmp_path / "otb" / "street-7" / "visibility.txt").read_text() == "0.5\n0\n1\n"


@pytest.mark.parametrize("copy", [False, True])
def test_images_are_linked_or_copied(tmp_path, copy):
    (sequence, _) = open_dataset(mot(tmp_path / "mot")).sequences
    folder = write_otb(sequence, tmp_path / "otb", copy)
    first = folder / "img" / "000001.jpg"
    assert os.path.samefile(first, sequence.frames.paths[0]) != copy
    with pytest.raises(FileExistsError, match=r"expected no .*street-3 yet"):
        write_otb(sequence, tmp_path / "otb")
    assert sorted(path.name for path in (tmp_path / "otb").iterdir()) == ["street-3"]


def test_frames_of_a_video_become_images(tmp_path):
    path = tmp_path / "in" / "street.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(1, 5):
        writer.write(frame(number)[..., ::-1])
    writer.release()
    (tmp_path / "in" / "street.csv").write_text("frame,x,y,w,h\n2,1,2,20,10\n4,3,2,20,10\n")
    (sequence,) = open_dataset(tmp_path / "in").sequences
    write_otb(sequence, tmp_path / "otb")
    (again,) = open_dataset(tmp_path / "otb").sequences
    same(sequence, again)
    assert [path.name for path in again.frames.paths] == ["000002.png", "000003.png", "000004.png"]


def test_gaps_and_deep_images(tmp_path):
    folder = write_sequence(tmp_path / "in" / "Mine", "1,2,20,10\n" * 6)
    (folder / "img" / "0003.jpg").unlink()
    (sequence,) = open_dataset(tmp_path / "in").sequences
    write_otb(sequence, tmp_path / "otb")
    (again,) = open_dataset(tmp_path / "otb").sequences
    assert again.frame_numbers.tolist() == [1, 2, 3, 4, 5, 6]
    deep = write_sequence(tmp_path / "deep" / "Mine", "1,2,20,10\n" * 3, frames=0)
    for number in (1, 2, 3):
        image = np.linspace(0, 4000 * number, 48 * 64).reshape(48, 64).astype(np.uint16)
        (deep / "img").mkdir(exist_ok=True)
        cv2.imwrite(str(deep / "img" / f"{number:04d}.png"), image)
    (sequence,) = open_dataset(tmp_path / "deep").sequences
    write_otb(sequence, tmp_path / "flat")
    same(sequence, open_dataset(tmp_path / "flat").sequences[0])


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    (sequence, _) = open_dataset(mot(tmp_path / "mot")).sequences
    monkeypatch.setattr("trackerlib.data.convert._rows", lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_otb(sequence, tmp_path / "otb")
    assert list((tmp_path / "otb").iterdir()) == []


def test_real_clips_by_format_and_back(shared, tmp_path):
    names = "davis_bear,dtb_Gull1,uav_boat1"
    by_layout = open_dataset(shared / "train", names)
    by_name = open_dataset(shared / "train", names, "dtb70")
    assert not by_layout.problems and not by_name.problems
    for one, other in zip(by_layout.sequences, by_name.sequences, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        write_otb(one, tmp_path / "otb")
    for one in open_dataset(tmp_path / "otb").sequences:
        same(one, next(s for s in by_layout.sequences if s.name == one.name))


def test_a_real_polygon_becomes_the_box_around_it(shared, tmp_path):
    (bag,) = open_dataset(shared / "vot").sequences
    write_otb(bag, tmp_path / "otb")
    (again,) = open_dataset(tmp_path / "otb").sequences
    np.testing.assert_allclose(again.boxes, bag.boxes, atol=1e-9)
    assert len(again) == len(bag) > 100


@pytest.mark.parametrize("kind", FAULTS)
def test_whatever_stops_it_on_the_disk_a_sequence_is_whole_or_absent(kind, tmp_path):
    sequences = open_dataset(mot(tmp_path / "mot")).sequences

    def convert(root):
        for sequence in sequences:
            if not (root / sequence.name).exists():
                write_otb(sequence, root, copy=True)

    def found(root):
        return [one.name for one in open_dataset(root).sequences], contents(root)

    assert disturbed(kind, tmp_path, convert, result=found) > 10
