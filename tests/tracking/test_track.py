"""trackerlib.track: the Python face of the command."""

import cv2
import numpy as np
import pytest

import trackerlib
from trackerlib.data.video import open_video


@pytest.fixture
def clip(moving, tmp_path):
    frames, boxes = moving(40, 30)
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, frame in enumerate(frames, 1):
        cv2.imwrite(str(folder / f"{number:04d}.png"), frame[..., ::-1])
    return folder, frames, boxes


def test_results_come_frame_by_frame(clip):
    folder, frames, boxes = clip
    results = list(trackerlib.track(str(folder), boxes[0], "kcf", device="cpu"))
    assert [one.frame for one in results] == list(range(1, 21))
    np.testing.assert_allclose([one.time for one in results], np.arange(20) / 25)
    np.testing.assert_array_equal(results[7].image, frames[7])
    assert all(abs(one.box - box).max() <= 6 for one, box in zip(results, boxes, strict=True))
    assert {(one.lost, one.target) for one in results} == {(False, 1)}
    assert results[0].score is None and all(0.5 < one.score <= 1 for one in results[1:])


def test_a_part_of_a_video_and_several_targets(clip):
    folder, _, boxes = clip
    part = open_video(folder, start=3, stride=4)
    results = list(trackerlib.track(part, boxes[[2, 2]], "identity"))
    assert [one.frame for one in results[::2]] == [3, 7, 11, 15, 19]
    assert [one.target for one in results[:4]] == [1, 2, 1, 2]


def test_a_tracker_of_the_mdnet_family_has_a_probability(clip):
    folder, _, boxes = clip
    few = "rtmdnet:first_positives=20,first_negatives=50,first_iterations=2,iterations=1"
    part = open_video(folder, end=3)
    first, *others = trackerlib.track(part, boxes[0], few, device="cpu")
    assert first.score is None and first.lost is False
    assert all(0 <= one.score <= 1 and isinstance(one.lost, bool) for one in others)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("abc", "expected boxes x,y,w,h of numbers, got 'abc'"),
        ((1, 2, 3), "expected four finite numbers x,y,w,h per box"),
        ((1, 2, np.nan, 3), "expected four finite numbers x,y,w,h per box"),
        ((60, 50, -40, 30), "it is drawn backwards, give 20,50,40,30"),
        ((60, 50, 40, 0), "with a width and height above 0, got 60,50,40,0"),
    ],
)
def test_a_box_that_cannot_be_meant(box, message):
    with pytest.raises(ValueError, match=message):
        trackerlib.track("nowhere.mp4", box, "identity")


def test_a_box_outside_of_the_frame_is_told_with_the_first_result(clip):
    with pytest.raises(ValueError, match="expected a box that overlaps the 320x240 frame"):
        next(trackerlib.track(clip[0], (400, 0, 20, 20), "identity"))
