"""Seconds by stage: all of the time, each stage once, of every tracker."""

import numpy as np
import pytest
from small_trackers import SPECIFICATIONS

from trackerlib.analysis import profiler
from trackerlib.analysis.profiler import Profiler
from trackerlib.trackers import TRACKERS, parse


class Clock:
    """Time that passes when somebody sleeps."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


time = Clock()


class Features:
    map = "a map"

    def set_frame(self, frame, box):
        time.sleep(0.01)

    def __call__(self, boxes):
        time.sleep(0.02)
        return boxes


class Classifier:
    def scores(self, features):
        time.sleep(0.01)

    def fine_tune(self, features):
        self.scores(features)
        time.sleep(0.02)


class Tracker:
    def __init__(self):
        self.features, self.classifier = Features(), Classifier()
        self.box = "a box"

    def update(self, frame):
        self.features.set_frame(frame, box=self.box)
        features = self.features([1])
        self.classifier.scores(features)
        self.classifier.fine_tune(features)
        time.sleep(0.01)
        return self.box


def test_each_stage_has_its_time_and_no_other(monkeypatch):
    monkeypatch.setattr(profiler, "time", time)
    profiled = Profiler(Tracker())
    answers = [profiled.update(None) for _ in range(3)]
    assert answers == ["a box"] * 3 and profiled.tracker.features.map == "a map"
    expected = {"map": 0.03, "features": 0.06, "scores": 0.03, "fine-tuning": 0.09, "rest": 0.03}
    assert profiled.seconds == pytest.approx(expected)


class Localizer:
    def locate(self):
        time.sleep(0.01)

    def remember(self):
        time.sleep(0.02)

    fine_tune = remember


class Locating(Tracker):
    def __init__(self):
        super().__init__()
        self.localizer = Localizer()

    def update(self, frame):
        for step in (self.localizer.locate, self.localizer.remember, self.localizer.fine_tune):
            step()


def test_localization_is_apart_from_its_training(monkeypatch):
    monkeypatch.setattr(profiler, "time", time)
    profiled = Profiler(Locating())
    profiled.update(None)
    expected = {"localization": 0.01, "localization training": 0.04, "rest": 0}
    assert profiled.seconds == pytest.approx(expected)


def test_what_is_set_on_a_part_is_set_on_the_part_itself():
    tracker = Tracker()
    features = tracker.features
    Profiler(tracker)
    tracker.features.map = "another"
    assert features.map == "another" and tracker.features is not features


def test_a_stage_that_fails_has_its_time_too(monkeypatch):
    monkeypatch.setattr(profiler, "time", time)

    def fail(frame, box):
        time.sleep(0.01)
        raise OSError("no frame")

    tracker = Tracker()
    tracker.features.set_frame = fail
    profiled = Profiler(tracker)
    with pytest.raises(OSError, match="no frame"):
        profiled.update(None)
    assert profiled.seconds == pytest.approx({"map": 0.01})


def test_a_tracker_without_a_target_is_refused():
    with pytest.raises(RuntimeError, match=r"call init\(frame, box\) first"):
        Profiler(parse("kcf").build())


STAGES = {  # that always come up, but for "rest"
    "deeptrack": {"map", "features", "scores", "fine-tuning"},
    "detection": {"map", "features", "scores"},
    "dlst": {"map", "features", "scores", "localization"},
    "fdn": {"map", "features", "scores"},
    "hcf": {"map"},
    "identity": set(),
    "kcf": set(),
    "mdnet": {"map", "features", "scores"},
    "msdat": {"map", "features"},
    "opencv": set(),
    "rtmdnet": {"map", "features", "scores"},
}
IF_UNSURE = {"fine-tuning", "localization training"}


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_is_measured_and_tracks_as_before(name, moving):
    frames, truth = moving(40, 32)
    runs = []
    for wrap in (lambda tracker: tracker, Profiler):
        tracker = parse(SPECIFICATIONS[name]).build()
        tracker.init(frames[0], truth[0])
        tracker = wrap(tracker)
        start = profiler.now()
        runs.append(np.array([tracker.update(frame) for frame in frames[1:4]]))
        elapsed = profiler.now() - start
    np.testing.assert_array_equal(*runs)
    expected = STAGES[name] | {"rest"}
    assert expected <= tracker.seconds.keys() <= expected | IF_UNSURE
    assert min(tracker.seconds.values()) >= 0
    assert 0 < sum(tracker.seconds.values()) <= elapsed
