"""Runs with resets and their measures, beside those of vot-toolkit.

`vot_toolkit.json` also has runs of vot-toolkit 0.7.4's own SupervisedExperiment (versions in
`test_overlaps.py`) on three made-up ground truths, with a tracker that drifts away from its
first box by a fixed step, two repetitions, and what its analyses AccuracyRobustness,
AverageAccuracyRobustness, EAOCurve and EAOScore make of them.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_tracker import replace_frame

from trackerlib.boxes import polygon_to_xywh
from trackerlib.data.sequence import FrameError, Sequence
from trackerlib.eval import vot
from trackerlib.eval.protocols import segments
from trackerlib.eval.resets import regions, track_with_resets

TOOLKIT = json.loads((Path(__file__).parent / "vot_toolkit.json").read_text())
# Of VOT2015's 60 sequences, 21,455 frames; its report prints the interval 108 to 371.
LENGTHS_2015 = [
    *(41, 61, 63, 76, 100, 105, 118, 120, 129, 131, 131, 138, 140, 151, 156, 158, 164, 175),
    *(191, 196, 201, 201, 225, 240, 251, 267, 291, 292, 293, 310, 312, 326, 339, 341, 350),
    *(351, 365, 365, 366, 366, 366, 377, 392, 393, 402, 465, 519, 539, 558, 567, 661, 682),
    *(707, 708, 713, 725, 742, 844, 999, 1500),
]


class Blank:
    """Grey frames of a size; those in `lost` cannot be decoded."""

    def __init__(self, count, size, lost=()):
        self.count, self.size, self.lost = count, size, lost

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.lost:
            raise FrameError("lost")
        return np.full((self.size[1], self.size[0], 3), 128, np.uint8)


class Drifting:
    """Moves its first box by the same step in every frame."""

    def __init__(self, step):
        self.step, self.starts = np.array(step, np.float64), 0

    def init(self, frame, box):
        self.box, self.starts = np.array(box), self.starts + 1

    def update(self, frame):
        self.box = self.box + self.step
        return self.box


def made(rows, size=(140, 100), name="Made", lost=()):
    rows = np.array(rows, np.float64)
    polygons = rows if rows.shape[1] == 8 else None
    boxes = rows if polygons is None else polygon_to_xywh(polygons)
    frames = Blank(len(rows), size, lost)
    return Sequence(name, frames, boxes, np.arange(1, len(rows) + 1), polygons=polygons)


def tracked(sequence, step):
    (segment,) = segments(sequence, "vot")
    return track_with_resets(Drifting(step), sequence, segment)


def toolkit_runs():
    """Yield what the toolkit has for each sequence, and our runs of its repetitions."""
    for given in TOOLKIT["sequences"]:
        sequence = made(given["truth"], given["size"], given["name"])
        tracks = [tracked(sequence, step) for step in given["drifts"]]
        runs = [vot.reset_run(one.boxes, regions(sequence), given["size"]) for one in tracks]
        yield given, runs


def test_starts_failures_and_accuracy_are_those_of_the_toolkit():
    for given, runs in toolkit_runs():
        assert [list(run.starts) for run in runs] == given["starts"]
        assert [list(run.failures) for run in runs] == given["failures"]
        got = [vot.accuracy(run) for run in runs]
        np.testing.assert_allclose(got, given["accuracy"], rtol=0, atol=1e-6)


def test_the_curve_and_its_mean_are_those_of_the_toolkit():
    curve = vot.eao_curve(run for _, runs in toolkit_runs() for run in runs)
    np.testing.assert_allclose(curve, TOOLKIT["curve"], rtol=0, atol=1e-6)
    assert vot.eao(curve, TOOLKIT["interval"]) == pytest.approx(TOOLKIT["eao"], abs=1e-6)


def test_the_interval_is_the_published_one_of_vot2015():
    assert len(LENGTHS_2015) == 60 and sum(LENGTHS_2015) == 21455
    assert vot.eao_interval(LENGTHS_2015) == vot.INTERVALS["vot2015"] == (108, 371)


def test_years_with_the_same_sequences_have_the_same_interval():
    assert vot.INTERVALS["vot2016"] == vot.INTERVALS["vot2015"]
    assert vot.INTERVALS["vot2018"] == vot.INTERVALS["vot2017"]


@pytest.mark.parametrize("lengths", [[5], [3, 3], [1, 2], [10, 12, 50]])
def test_an_interval_of_few_sequences(lengths):
    low, high = vot.eao_interval(lengths)
    assert 1 <= low <= high <= max(lengths)


def test_an_interval_grows_to_the_denser_side():
    """Each length adds 1, 0.61, 0.14, 0.01 at distances 0, 1, 2, 3 with its bandwidth of 1."""
    assert vot.eao_interval([5]) == (5, 5)  # 0.57 of the density
    assert vot.eao_interval([5], share=0.9) == (4, 5)  # 0.92
    assert vot.eao_interval([5, 5], share=0.95) == (3, 5)
    assert vot.eao_interval([5], share=2) == (1, 5)  # all that there is
    assert vot.eao_interval([2, 2, 2, 8]) == (1, 3)  # 0.21, 0.28, 0.21: down to the first
    assert vot.eao_interval([4, 4, 5], share=0.7) == (1, 5)  # the last length comes last


@pytest.mark.parametrize("lengths", [[], [0], [5, -1]])
def test_no_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="expected lengths of sequences"):
        vot.eao_interval(lengths)


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="at least one run"):
        vot.eao_curve([])


def test_a_curve_by_hand():
    """Overlaps 0.8, 0.4, then a failure; and three frames of 0.6 to the sequence's end."""
    failed = vot.ResetRun(np.array([0, 0.8, 0.4, 0]), (0,), (3,), np.zeros(4, bool))
    whole = vot.ResetRun(np.array([0, 0.6, 0.6]), (0,), (), np.zeros(3, bool))
    shorter = vot.eao_curve([failed, whole])
    np.testing.assert_allclose(shorter, [0, 0.7, 0.6])
    longer = vot.eao_curve([failed, vot.ResetRun(np.full(5, 0.6), (0,), (), np.zeros(5, bool))])
    np.testing.assert_allclose(longer, [0, 0.7, 0.6, (0.4 + 0.6) / 2, (0.3 + 0.6) / 2])
    assert np.isnan(vot.eao(shorter, (5, 9)))


def test_a_curve_is_averaged_over_lengths_with_both_ends():
    curve = np.array([0, 0.8, 0.6, 0.1])
    assert vot.eao(curve, (1, 2)) == pytest.approx(0.7)
    assert vot.eao(curve, (2, 2)) == 0.6
    assert vot.eao(curve, (3, 9)) == 0.1


def test_a_run_without_a_frame_that_counts_has_an_accuracy_of_zero():
    none = vot.ResetRun(np.full(3, 0.6), (0,), (), np.zeros(3, bool))
    assert vot.accuracy(none) == 0


def test_burn_in_begins_with_every_start():
    boxes = np.tile([10.0, 10, 20, 20], (40, 1))
    boxes[15:20] = np.nan
    run = vot.reset_run(boxes, np.tile([10.0, 10, 20, 20], (40, 1)), (100, 80))
    assert (run.starts, run.failures) == ((0, 20), (15,))
    assert np.flatnonzero(run.counted).tolist() == [*range(10, 15), *range(30, 40)]
    assert vot.accuracy(run) == 1 and vot.reliability(1, 40) == pytest.approx(np.exp(-0.75))


def test_frames_without_ground_truth_neither_fail_nor_start():
    rows = np.tile([10.0, 10, 20, 20], (30, 1))
    rows[3:6] = np.nan  # the tracker goes on
    rows[10] = [80, 60, 20, 20]  # a failure
    rows[15] = np.nan  # not a start
    track = tracked(made(rows), [0, 0, 0, 0])
    assert np.flatnonzero(np.isnan(track.boxes[:, 0])).tolist() == [*range(10, 16)]
    run = vot.reset_run(track.boxes, rows, (140, 100), burn_in=1)
    assert (run.starts, run.failures) == ((0, 16), (10,))
    assert not run.counted[3:6].any() and run.counted[1:3].all()


def test_a_start_goes_to_the_next_frame_that_can_be_decoded():
    rows = np.tile([10.0, 10, 20, 20], (20, 1))
    rows[4] = [80, 60, 20, 20]
    track = tracked(made(rows, lost=(9,)), [0, 0, 0, 0])
    assert np.flatnonzero(np.isnan(track.boxes[:, 0])).tolist() == [*range(4, 10)]
    assert [line.split(";")[-1] for line in track.warnings] == [" started later"]
    with pytest.raises(FrameError, match="Made, frame 1: lost"):
        tracked(made(rows, lost=(0,)), [0, 0, 0, 0])


def test_a_prediction_that_is_not_finite_is_a_failure():
    track = tracked(made(np.tile([10.0, 10, 20, 20], (8, 1))), [np.nan, 0, 0, 0])
    assert np.flatnonzero(np.isfinite(track.boxes[:, 0])).tolist() == [0, 6]
    assert len(track.warnings) == 2


def test_real_frames_are_decoded_for_every_start(dark):
    replace_frame(dark, 3, b"no image")
    track = tracked(dark, [0, 0, 0, 0])
    assert np.isfinite(track.boxes).all() and "the last box stays" in track.warnings[0]
