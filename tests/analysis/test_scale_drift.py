"""How scale drifts along a sequence: by hand, and over a made-up store."""

import numpy as np
import pytest

from trackerlib import trackers
from trackerlib.analysis.scale_drift import PARTS, drift, drifts
from trackerlib.data import Dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval import report, runner
from trackerlib.eval.metrics import VOT
from trackerlib.eval.store import Store, Track

ENVIRONMENT = {"device": "cpu", "device_name": "a processor", "threads": 1, "workers": 1}
TRUTH = np.tile([20.0, 10, 8, 6], (20, 1))
FALLING = 1 - 0.05 * np.arange(20)  # scales of the frames, two to a tenth


def resized(scales):
    return TRUTH * np.column_stack((np.ones((20, 2)), scales, scales))


def test_a_part_has_the_median_of_its_frames():
    np.testing.assert_allclose(drift(resized(FALLING), TRUTH), FALLING.reshape(PARTS, 2).mean(1))
    np.testing.assert_allclose(drift(resized(FALLING), TRUTH, parts=1), [np.median(FALLING)])
    np.testing.assert_allclose(drift(resized(FALLING), TRUTH, parts=20), FALLING)


def test_parts_without_a_frame_that_has_a_scale_are_nan():
    truth = TRUTH.copy()
    truth[4:6] = np.nan
    found = drift(resized(FALLING), truth)
    assert np.isnan(found).tolist() == [k == 2 for k in range(PARTS)]
    # Of three frames the first lies in the first tenth, the others in the fourth and seventh.
    found = drift(TRUTH[:3], TRUTH[:3])
    assert np.flatnonzero(~np.isnan(found)).tolist() == [0, 3, 6]
    assert np.isnan(drift(TRUTH[:3], TRUTH[:3], VOT)[0])  # the first frame is skipped


def test_errors():
    with pytest.raises(ValueError, match="drift: expected at least one part, got 0; take 10"):
        drift(TRUTH, TRUTH, parts=0)
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(20, 4\)"):
        drift(TRUTH[:3], TRUTH)


def evaluated(tmp_path, factors):
    """A report on `kcf`, whose boxes fall in size by sequence and seed: factors[name][seed]."""
    frames = [np.zeros((60, 80, 3), np.uint8)] * 20
    made = Dataset("made", tuple(Sequence(n, frames, TRUTH, np.arange(20)) for n in factors))
    jobs = runner.plan([trackers.parse("kcf")], made, "ope", (0, 1), "cpu")
    store = Store(tmp_path)
    for job in jobs:
        name, seed = job.unit.sequence, job.unit.seed
        if seed < len(factors[name]):
            boxes = resized(FALLING * factors[name][seed])
            store.write(job.unit, Track(boxes, np.full(20, 0.01)), ENVIRONMENT)
    return report.collect(jobs, made, store)


def test_the_curve_is_the_median_over_sequences_of_means_over_seeds(tmp_path):
    """Means over seeds of 1, 0.5 and 3 times the scales: their median is the first."""
    found = evaluated(tmp_path, {"A": (0.8, 1.2), "B": (0.4, 0.6), "C": (2, 4)})
    expected = FALLING.reshape(PARTS, 2).mean(1)  # but the first frame has the true box
    np.testing.assert_allclose(drifts(found)["kcf"][1:], expected[1:])


def test_a_sequence_that_is_not_finished_does_not_count(tmp_path):
    found = evaluated(tmp_path, {"A": (1, 1), "B": (9,)})
    np.testing.assert_allclose(drifts(found)["kcf"][-1], FALLING[-2:].mean())


def test_starts_in_time_are_compared_with_the_frames_that_they_have(tmp_path):
    """Boxes that are always the true ones have a scale of 1, wherever their run began."""
    truth = np.column_stack((np.full((25, 2), 9), np.geomspace(8, 30, 25), np.full(25, 8)))
    frames = [np.zeros((60, 80, 3), np.uint8)] * 25
    made = Dataset("made", (Sequence("lane", frames, truth, np.arange(25)),))
    jobs, store = runner.plan([trackers.parse("kcf")], made, "tre", device="cpu"), Store(tmp_path)
    for job in jobs:
        rest = truth[job.segment.start :]
        store.write(job.unit, Track(rest, np.full(len(rest), 0.01)), ENVIRONMENT)
    assert len(jobs) == 6
    found = drifts(report.collect(jobs, made, store))["kcf"]
    np.testing.assert_allclose(found, np.ones(PARTS))
