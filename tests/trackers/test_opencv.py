"""The adapter: what it hands to OpenCV, what it makes of the answers."""

import cv2
import numpy as np
import pytest

from trackerlib import boxes as B
from trackerlib.trackers import opencv
from trackerlib.trackers.opencv import Config, Tracker, available


class Scripted:
    """Stands in for an OpenCV tracker: notes what it is given, answers from a list."""

    def __init__(self, answers=()):
        self.answers, self.given = list(answers), []

    def init(self, image, box):
        self.given.append((image, box))

    def update(self, image):
        return self.answers.pop(0)


@pytest.fixture
def scripted(monkeypatch):
    def make(*answers):
        inner = Scripted(answers)

        def TrackerScripted_create():  # noqa: N802, OpenCV's way of naming
            return inner

        monkeypatch.setattr(opencv, "available", lambda: {"scripted": TrackerScripted_create})
        return Tracker(Config("scripted")), inner

    return make


FRAME = np.zeros((50, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("algorithm", ["csrt", "medianflow"])
def test_opencvs_own_trackers_follow_a_texture(moving, algorithm):
    frames, truth = moving(40, 32)
    tracker = Tracker(Config(algorithm), seed=3)
    tracker.init(frames[0], truth[0])
    tracked = np.array([tracker.update(frame) for frame in frames[1:6]])
    assert B.box_iou(tracked, truth[1:6]).min() > 0.5


def test_a_failed_update_keeps_the_last_box(scripted):
    tracker, _ = scripted((True, (4, 5, 10, 10)), (False, (0, 0, 0, 0)), (True, (9, 9, 0, 3)))
    tracker.init(FRAME, [3, 5, 10, 10])
    for _ in range(3):
        np.testing.assert_array_equal(tracker.update(FRAME), [4, 5, 10, 10])


def test_opencv_gets_bgr_and_a_whole_box_inside_the_frame(scripted):
    tracker, inner = scripted()
    frame = FRAME.copy()
    frame[..., 0] = 200
    tracker.init(frame, [-3.2, 10.6, 20.5, 90])
    ((image, box),) = inner.given
    assert box == [0, 11, 17, 39]
    assert image[0, 0].tolist() == [0, 0, 200]


def test_the_seed_is_set(scripted):
    tracker, _ = scripted()
    draws = []
    for _ in range(2):
        tracker.init(FRAME, [3, 5, 10, 10])
        draws.append(cv2.randu(np.zeros(3), 0, 1).tolist())
    assert draws[0] == draws[1]


def test_an_unknown_algorithm_lists_what_there_is():
    with pytest.raises(ValueError, match=r"has no 'goturn', expected one of .*csrt.*mil"):
        Tracker(Config("goturn"))


@pytest.mark.skipif("nano" not in available(), reason="this OpenCV has no TrackerNano")
def test_missing_model_files_are_named(tmp_path):
    backbone = tmp_path / "backbone.onnx"
    backbone.touch()
    tracker = Tracker(Config("nano", backbone=str(backbone), neckhead="absent.onnx"))
    with pytest.raises(FileNotFoundError, match=r"neckhead=FILE; got neckhead='absent.onnx'"):
        tracker.init(FRAME, [3, 5, 10, 10])


@pytest.mark.parametrize("box", [[10, 10, 4, 30], [-8, 10, 12, 12], [10, 10, np.nan, 9]])
def test_boxes_that_opencv_searches_for_ever_are_refused(box):
    with pytest.raises(ValueError, match="first_box: expected"):
        Tracker(Config("mil")).init(FRAME, box)
