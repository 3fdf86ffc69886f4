"""Seconds by stage: all of the time, each stage once."""

import time

import pytest

from trackerlib.eval.stages import Timed


class Features:
    map = "a map"

    def look(self, frame):
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
        self.features.look(frame)
        features = self.features([1])
        self.classifier.scores(features)
        self.classifier.learn(features)
        time.sleep(0.01)
        return "a box"


def test_each_stage_has_its_time_and_no_other():
    timed = Timed(Tracker())
    began = time.perf_counter()
    answers = [timed.update(None) for _ in range(3)]
    whole = time.perf_counter() - began
    assert answers == ["a box"] * 3 and timed.tracker.features.map == "a map"
    assert sum(timed.seconds.values()) == pytest.approx(whole, rel=0.05)
    expected = {"map": 0.03, "boxes": 0.06, "scores": 0.03, "learning": 0.09, "rest": 0.03}
    for stage, seconds in expected.items():  # a busy machine sleeps longer
        assert seconds <= timed.seconds[stage] < 3 * seconds
