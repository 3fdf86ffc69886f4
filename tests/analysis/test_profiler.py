"""Seconds by stage: all of the time, each stage once."""

import pytest

from trackerlib.analysis import profiler


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

    def set_frame(self, frame):
        time.sleep(0.01)

    def __call__(self, boxes):
        time.sleep(0.02)
        return boxes


class Classifier:
    def scores(self, features):
        time.sleep(0.01)

    def learn(self, features):
        self.scores(features)
        time.sleep(0.02)


class Tracker:
    def __init__(self):
        self.features, self.classifier = Features(), Classifier()

    def update(self, frame):
        self.features.set_frame(frame)
        features = self.features([1])
        self.classifier.scores(features)
        self.classifier.learn(features)
        time.sleep(0.01)
        return "a box"


def test_each_stage_has_its_time_and_no_other(monkeypatch):
    monkeypatch.setattr(profiler, "time", time)
    timed = profiler.Timed(Tracker())
    answers = [timed.update(None) for _ in range(3)]
    assert answers == ["a box"] * 3 and timed.tracker.features.map == "a map"
    expected = {"map": 0.03, "boxes": 0.06, "scores": 0.03, "learning": 0.09, "rest": 0.03}
    assert timed.seconds == pytest.approx(expected)


class Localizer:
    def locate(self):
        time.sleep(0.01)

    def remember(self):
        time.sleep(0.02)

    learn = remember


class Locating(Tracker):
    def __init__(self):
        super().__init__()
        self.localizer = Localizer()

    def update(self, frame):
        for step in (self.localizer.locate, self.localizer.remember, self.localizer.learn):
            step()


def test_locating_is_apart_from_learning_to(monkeypatch):
    monkeypatch.setattr(profiler, "time", time)
    timed = profiler.Timed(Locating())
    timed.update(None)
    expected = {"locating": 0.01, "learning to locate": 0.04, "rest": 0}
    assert timed.seconds == pytest.approx(expected)
