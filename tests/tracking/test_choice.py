"""The default tracker: the most accurate that this machine runs fast enough."""

import numpy as np
import pytest

from trackerlib import trackers
from trackerlib.trackers import Measured
from trackerlib.tracking import choice

BOX = np.array([[60.0, 50, 40, 30]])


class Slow:
    """A tracker of so many seconds per frame."""

    now = 0.0  # of the clock that it moves

    def __init__(self, seconds):
        self.seconds = seconds

    def init(self, frame, box):
        self.box = box

    def update(self, frame):
        Slow.now += self.seconds
        return self.box


class Frames:
    """A video of 30 frames."""

    name = "made"

    def timed(self):
        return ((n, n / 25, np.zeros((240, 320, 3), np.uint8)) for n in range(1, 31))


@pytest.fixture
def seconds(monkeypatch):
    """Trackers by name, with the seconds that they take; a negative number is one that fails."""
    taken = {"best": 0.3, "good": 0.02, "poor": 0.001}
    rows = [Measured("poor", 0.4, 0.5, 500), Measured("best", 0.7, 0.9, 20)]
    rows += [Measured("good", 0.6, 0.8, 60), Measured("slow", 0.65, 0.8, 1)]
    built = []

    class Spec:
        def __init__(self, name):
            self.name = name

        def build(self, device, seed):
            built.append(self.name)
            if taken[self.name] < 0:
                raise ValueError(f"{self.name} needs more")
            return Slow(taken[self.name])

    monkeypatch.setattr(choice, "table", lambda: rows)
    monkeypatch.setattr(choice, "parse", Spec)
    monkeypatch.setattr(choice, "FRAMES", 4)
    monkeypatch.setattr("time.perf_counter", lambda: Slow.now)
    taken["built"] = built
    return taken


def test_the_most_accurate_that_is_fast_enough(seconds):
    found = choice.choose(Frames(), BOX)
    assert found.tracker == "good" and seconds["built"] == ["best", "good"]
    assert [row.tracker for row in found.rows] == ["best", "slow", "good", "poor"]
    assert [row.is_measured for row in found.rows] == [True, False, True, False]
    best, slow, good, poor = found.rows
    assert (best.fps, good.fps) == pytest.approx((1 / 0.3, 50))
    # This machine has 50 frames per second where the table's had 60, as far as is known last.
    assert (slow.fps, poor.fps) == pytest.approx((1 / 6, 500 * 50 / 60))
    text = found.text()
    assert "good" in next(line for line in text.splitlines() if "<- chosen" in line)
    assert "~" in next(line for line in text.splitlines() if line.startswith("slow"))


def test_several_targets_share_the_time(seconds):
    found = choice.choose(Frames(), np.repeat(BOX, 6, 0))
    assert found.tracker == "poor"


def test_what_fails_is_left_out(seconds):
    seconds["good"] = -1
    found = choice.choose(Frames(), BOX)
    assert found.tracker == "poor" and "good" not in [row.tracker for row in found.rows]


def test_where_all_fail_the_last_error_is_told(seconds):
    seconds |= {"best": -1, "good": -1, "poor": -1}
    with pytest.raises(ValueError, match="poor needs more"):
        choice.choose(Frames(), BOX)


def test_where_none_is_fast_enough_it_is_the_fastest(seconds):
    seconds |= {"best": 0.3, "good": 0.2, "poor": 0.15}
    assert choice.choose(Frames(), BOX).tracker in ("good", "poor")


def test_the_table_is_of_trackers_that_there_are_and_in_order():
    rows = trackers.table()
    assert [row.auc for row in rows] == sorted((row.auc for row in rows), reverse=True)
    assert {trackers.parse(row.tracker).module for row in rows} >= {"rtmdnet", "kcf", "opencv"}
    assert all(0 < row.auc < row.precision <= 1 and row.fps > 0 for row in rows)
