"""Real clips: which frames are drawn, which clips are refused, in every layout."""

import cv2
import numpy as np
import pytest
from made_videos import write_clip

from trackerlib.data import synthetic
from trackerlib.train import clips


def test_a_sequences_box_has_an_area():
    sequence = synthetic.render("Harbour")
    sequence.boxes[1:] = np.nan
    video = clips.as_video(sequence)
    for seed in range(3):
        frame, box = video(np.random.default_rng(seed))
        np.testing.assert_array_equal(box, sequence.boxes[0])
        assert frame.ndim == 3


@pytest.mark.parametrize("layout", ["otb", "vot", "got10k", "lasot", "uav123"])
def test_every_layout_is_read(tmp_path, layout):
    write_clip(tmp_path / "clip", layout=layout)
    (sequence,) = clips.open_clips(tmp_path)
    frame, box = clips.as_video(sequence)(np.random.default_rng(0))
    assert frame.shape == (90, 120, 3) and box[2:].tolist() == [24, 20]


def test_frames_without_a_target_to_learn_are_not_drawn(tmp_path):
    boxes = np.tile([30.0, 30, 20, 20], (6, 1))
    boxes[0] = np.nan  # not known
    boxes[1, 2:] = 7  # a speck
    boxes[2, 0] = 115  # its centre is outside
    write_clip(tmp_path / "clip", boxes=boxes)
    (sequence,) = clips.open_clips(tmp_path)
    assert clips.known(sequence).tolist() == [3, 4, 5]
    hidden = np.array([1, 1, 1, 0, 1, 1.0])
    np.savetxt(tmp_path / "clip" / "visibility.txt", hidden)
    assert clips.known(clips.open_clips(tmp_path)[0]).tolist() == [4, 5]


BROKEN = {
    "it has no boxes": {"boxes": np.full((6, 4), np.nan)},
    "it has one frame": {"boxes": np.array([[30.0, 30, 20, 20]])},
    "boxes lie outside of its 120x90 frames in frames 3 to 6": {
        "boxes": np.array([[30.0, 30, 20, 20]] * 2 + [[300.0, 30, 20, 20]] * 4)
    },
    "1 of its frames show a target of 8 pixels": {
        "boxes": np.array([[30.0, 30, 20, 20]] + [[30.0, 30, 5, 5]] * 5)
    },
}


@pytest.mark.parametrize("told", BROKEN)
def test_a_clip_that_cannot_be_trained_on_is_refused_by_name(tmp_path, told):
    write_clip(tmp_path / "good")
    write_clip(tmp_path / "bad", **BROKEN[told])
    with pytest.raises(ValueError, match=f"bad: .*{told}.*--leave-out bad$"):
        clips.open_clips(tmp_path)
    (sequence,) = clips.open_clips(tmp_path, left_out=["bad"])
    assert sequence.name == "good"


def test_frames_of_another_size_and_damaged_ones_are_named(tmp_path):
    write_clip(tmp_path / "bad")
    image = tmp_path / "bad" / "img" / "0004.jpg"
    cv2.imwrite(str(image), np.zeros((60, 120, 3), np.uint8))
    with pytest.raises(ValueError, match="frame 4 is of 120x60 pixels, the first of 120x90"):
        clips.open_clips(tmp_path)
    image.write_bytes(b"no image")
    with pytest.raises(ValueError, match="bad: frame 4 cannot be read"):
        clips.open_clips(tmp_path)


def test_a_frame_that_is_damaged_while_it_trains_is_named(tmp_path):
    write_clip(tmp_path / "good")
    (sequence,) = clips.open_clips(tmp_path)
    video = clips.as_video(sequence)
    for path in sequence.frames.paths:
        path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"good, frame \d: .*--leave-out good"):
        video(np.random.default_rng(0))


def test_a_clip_without_ground_truth_is_named(tmp_path):
    write_clip(tmp_path / "good")
    write_clip(tmp_path / "bad")
    (tmp_path / "bad" / "groundtruth_rect.txt").unlink()
    with pytest.raises(ValueError, match=r"got bad: .*groundtruth_rect"):
        clips.open_clips(tmp_path)
