"""TempleColor and UAV123 in their real layouts, small and made."""

import numpy as np
import pytest
from made import frame, write_image

from trackerlib.data import open_dataset
from trackerlib.data.sequence import FrameError

TABLE = r"""function seqs=configSeqs

seqUAV123_10fps = {struct('name','bike1','path','D:\data_seq\UAV123_10fps\bike1\','startFrame',1,'endFrame',3,'nz',6,'ext','jpg','init_rect',[0,0,0,0]),...
    struct('name','bird1_2','path','D:\data_seq\UAV123_10fps\bird1\','startFrame',5,'endFrame',6,'nz',6,'ext','jpg','init_rect',[0,0,0,0])};
seqUAV20L = {struct('name','bike1','path','D:\data_seq\UAV123\bike1\','startFrame',1,'endFrame',9,'nz',6,'ext','jpg','init_rect',[0,0,0,0])};
seqs=seqUAV123_10fps;
"""  # noqa: E501


@pytest.fixture
def uav123(tmp_path):
    (tmp_path / "configSeqs.m").write_text(TABLE)
    annotations = tmp_path / "anno" / "UAV123_10fps"
    annotations.mkdir(parents=True)
    (annotations / "bike1.txt").write_text("1,2,30,20\n2,2,30,20\n3,2,30,20\n")
    (annotations / "bird1_2.txt").write_text("5,6,10,12\nNaN,NaN,NaN,NaN\n")
    for folder, numbers in (("bike1", (1, 2, 3)), ("bird1", (4, 5, 6, 7))):
        for number in numbers:
            place = tmp_path / "data_seq" / "UAV123_10fps" / folder / f"{number:06d}.jpg"
            write_image(place, frame(number))
    return tmp_path


@pytest.fixture
def temple_color(tmp_path):
    for name, first in (("Airport_ce", 1), ("Ball_ce2", 4)):
        folder = tmp_path / name
        for number in range(1, 8):
            write_image(folder / "img" / f"{number:04d}.jpg", frame(number))
        (folder / f"{name}_frames.txt").write_text(f"{first},{first + 2}")
        (folder / f"{name}_gt.txt").write_text("3,4,10,12\n4,4,10,12\n5,4,10,12\n")
    return tmp_path


def test_parts_of_uav123s_videos_are_sequences(uav123):
    dataset = open_dataset(uav123)
    assert [s.name for s in dataset.sequences] == ["bike1", "bird1_2"] and not dataset.problems
    part = dataset.sequences[1]
    np.testing.assert_array_equal(part.frame_numbers, [5, 6])
    np.testing.assert_array_equal(part.boxes[0], [4, 5, 10, 12])
    assert np.isnan(part.boxes[1]).all()
    np.testing.assert_allclose(part.frames[0][0, 0], frame(5)[0, 0], atol=3)


def test_a_sequence_of_uav123_without_its_files_is_told(uav123):
    (uav123 / "anno" / "UAV123_10fps" / "bird1_2.txt").unlink()
    (uav123 / "data_seq" / "UAV123_10fps" / "bike1" / "000002.jpg").unlink()
    dataset = open_dataset(uav123)
    assert "bird1_2.txt" in dataset.missing["bird1_2"]
    read = list(dataset.sequences[0].read())
    assert [isinstance(one, FrameError) for one in read] == [False, True, False]
    (uav123 / "configSeqs.m").write_text("function seqs=configSeqs\n")
    with pytest.raises(ValueError, match="expected a set of sequences"):
        open_dataset(uav123)


def test_temple_color_counts_from_its_own_first_frame(temple_color):
    dataset = open_dataset(temple_color)
    assert [s.name for s in dataset.sequences] == ["Airport_ce", "Ball_ce2"]
    later = dataset.sequences[1]
    np.testing.assert_array_equal(later.frame_numbers, [4, 5, 6])
    np.testing.assert_array_equal(later.boxes[0], [2, 3, 10, 12])
    np.testing.assert_allclose(later.frames[0][0, 0], frame(4)[0, 0], atol=3)


def test_a_video_of_temple_color_that_is_not_whole_is_told(temple_color):
    (temple_color / "Ball_ce2" / "Ball_ce2_frames.txt").write_text("6,9")
    (temple_color / "Airport_ce" / "Airport_ce_gt.txt").write_text("3,4,10,12\n")
    (temple_color / "Ball_ce2" / "Ball_ce2_gt.txt").write_text("3,4,10,12\n" * 4)
    with pytest.raises(FileNotFoundError, match=r"expected 3 rows.*expected images 8 to 9 too"):
        open_dataset(temple_color)


def test_names_are_those_of_the_folder(temple_color):
    dataset = open_dataset(temple_color, "Ball_ce2")
    assert [s.name for s in dataset.sequences] == ["Ball_ce2"]
    with pytest.raises(ValueError, match=r"Airport_ce, Ball_ce2\), got Bolt"):
        open_dataset(temple_color, "Bolt,Ball_ce2")


def test_frames_without_a_positive_box_are_a_warning(uav123):
    dataset = open_dataset(uav123)
    said = "bird1_2: bird1_2.txt: no positive box in frames 6"
    assert [sequence.warnings for sequence in dataset.sequences] == [(), (said,)]


def test_temple_color_warns_alike(temple_color):
    path = temple_color / "Ball_ce2" / "Ball_ce2_gt.txt"
    path.write_text("3,4,10,12\n0,0,0,0\nNaN,NaN,NaN,NaN\n")
    said = "Ball_ce2: Ball_ce2_gt.txt: no positive box in frames 5 to 6"
    assert open_dataset(temple_color, "Ball_ce2").sequences[0].warnings == (said,)
