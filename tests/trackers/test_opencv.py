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


def tracked(algorithm, frames, box, seed):
    tracker = Tracker(Config(algorithm), seed=seed)
    tracker.init(frames[0], box)
    return np.array([tracker.update(frame) for frame in frames[1:5]])


@pytest.mark.parametrize("algorithm", sorted(available()))
def test_the_same_seed_gives_the_same_boxes_in_one_process(moving, algorithm):
    """MIL and TLD draw C's random numbers, which OpenCV never seeds."""
    frames, truth = moving(40, 32)
    try:
        first = tracked(algorithm, frames, truth[0], seed=3)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    tracked("mil", frames, truth[0], seed=1)  # which leaves generators elsewhere
    np.testing.assert_array_equal(tracked(algorithm, frames, truth[0], seed=3), first)


def test_where_c_has_no_seed_it_is_said(scripted, monkeypatch):
    monkeypatch.setattr(opencv, "C_LIBRARY", "no such library")
    tracker, _ = scripted()
    tracker.init(FRAME, [3, 5, 10, 10])
    assert tracker.warnings == ["C's random numbers have no seed here: mil, tld do not repeat"]


def test_a_failure_is_said_once_until_it_is_over(scripted):
    failed, found = (False, (0, 0, 0, 0)), (True, (4, 5, 10, 10))
    tracker, _ = scripted(found, failed, failed, found, (True, (9, 9, 0, 3)))
    tracker.init(FRAME, [3, 5, 10, 10])
    told = [tracker.warnings]
    for _ in range(5):
        tracker.update(FRAME)
        told.append(tracker.warnings)
    lost = ["OpenCV reports no target: until it does, the box stays"]
    assert told == [[], [], lost, [], [], lost]


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ([3, 5, 10, 10], []),
        ([3.4, 5, 10, 10], ["OpenCV learns 3, 5, 10, 10 for 3.4, 5, 10, 10: whole pixels"]),
        ([-4, 5, 14, 10], ["OpenCV learns 0, 5, 10, 10 for -4, 5, 14, 10: whole pixels"]),
    ],
    ids=["whole", "rounded", "clipped"],
)
def test_a_box_that_is_changed_for_opencv_is_told(scripted, box, told):
    tracker, _ = scripted()
    tracker.init(FRAME, box)
    assert tracker.warnings == told


class Package:
    """An installed package, as importlib.metadata has it."""

    def __init__(self, name, version, sizes):
        self.metadata, self.version = {"Name": name}, version
        self.files = [File(path, size) for path, size in sizes.items()]


class File:
    def __init__(self, path, size):
        self.path, self.size = path, size

    def locate(self):
        return self.path


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Packages in the place of those that are there: name, version, size of its cv2.so."""
    (tmp_path / "cv2.so").write_bytes(b"0123456789")

    def install(*packages):
        files = [(name, version, {tmp_path / "cv2.so": size}) for name, version, size in packages]
        monkeypatch.setattr(opencv, "distributions", lambda: [Package(*f) for f in files])
        opencv._mixture.cache_clear()

    yield install
    opencv._mixture.cache_clear()


def test_one_whole_package_with_contributed_trackers_is_no_problem(installed, monkeypatch):
    monkeypatch.setattr(opencv, "available", lambda: dict.fromkeys(opencv.CONTRIBUTED))
    installed(("opencv_contrib_python", "5.0.0.93", 10), ("numpy", "2.4.0", 1))
    assert opencv.wheels() == [opencv.Wheel("opencv-contrib-python", "5.0.0.93", whole=True)]
    assert opencv.problem() is None


def test_a_package_over_another_is_named_with_what_it_lacks_and_the_cure(installed, monkeypatch):
    monkeypatch.setattr(opencv, "available", lambda: {"mil": None, "csrt": None})
    installed(("opencv-python", "4.11.0.86", 10), ("opencv-contrib-python", "4.10.0.84", 12))
    told = opencv.problem()
    assert "where opencv-contrib-python 4.10.0.84 (files replaced) and opencv-python 4.11" in told
    assert "it lacks the trackers boosting, kcf, medianflow, mosse, tld. Keep one package" in told
    assert "`pip uninstall -y opencv-contrib-python opencv-python && pip install opencv-c" in told
    with pytest.raises(ValueError, match=r"has no 'tld', expected one of csrt, mil.* Keep one"):
        Tracker(Config("tld"))


def test_a_tracker_of_two_packages_says_so(scripted, installed):
    installed(("opencv-python-headless", "4.11.0.86", 10), ("opencv-contrib-python", "4.10", 10))
    tracker, _ = scripted()
    tracker.init(FRAME, [3, 5, 10, 10])
    [told] = tracker.warnings
    assert "&& pip install opencv-contrib-python-headless`" in told


@pytest.mark.parametrize("size", [11, None], ids=["another size", "unknown size"])
def test_files_that_another_tool_replaced(installed, monkeypatch, size):
    monkeypatch.setattr(opencv, "available", lambda: dict.fromkeys(opencv.CONTRIBUTED))
    installed(("opencv-contrib-python", "5.0.0.93", size))
    assert bool(opencv.problem()) == (size == 11)


def test_a_package_without_contributed_trackers_alone(installed, monkeypatch):
    monkeypatch.setattr(opencv, "available", lambda: {"mil": None})
    installed(("opencv-python", "5.0.0.93", 10))
    assert "it lacks the trackers boosting, csrt" in opencv.problem()
    assert opencv._mixture() == []  # what is there works
