"""Scale, the root of the area ratio: against a reading by the frame in loops, and by hand."""

import math
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from trackerlib.eval.metrics import CONVENTIONS, GOT10K, OTB, VOT, pool, scales, score

SPOILT = arrays(
    np.float64,
    st.tuples(st.integers(2, 14), st.just(4)),
    elements=st.floats(-20, 60) | st.sampled_from([np.nan, np.inf, 0.0]),
)
TRUTH = np.array([[10.0, 10, 20, 20]] * 8)


def is_box(row):
    return all(math.isfinite(value) for value in row) and row[2] > 0 and row[3] > 0


def by_the_frame(predicted, truth, conventions):
    """Scales of the frames that count, in loops over 0-based rows."""
    rows, found, latest = [list(row) for row in predicted], [], None
    for i, (row, true) in enumerate(zip(rows, truth, strict=True)):
        if conventions.repair and i and not is_box(row):
            row = latest
        latest = row
        if i == 0 and conventions.first_frame == "skip":
            continue
        if i == 0 and conventions.first_frame == "truth":
            row = true
        if not is_box(true):
            continue
        if conventions.valid == "positive" and (true[0] + 1 <= 0 or true[1] + 1 <= 0):
            continue
        area = row[2] / true[2] * (row[3] / true[3]) if is_box(row) else 0.0
        found.append(math.sqrt(area))
    return found


@pytest.mark.parametrize("name", ["otb", "got10k", "pysot", "pytracking"])
@given(SPOILT, st.randoms(use_true_random=False))
def test_scales_are_those_of_a_reading_by_the_frame(name, predicted, random):
    truth = np.array([[random.randint(-3, 30) for _ in range(4)] for _ in predicted], float)
    truth[1:2] = 9, 8, 7, 6  # one at least can be scored
    expected = by_the_frame(predicted, truth, CONVENTIONS[name])
    found = score(predicted, truth, CONVENTIONS[name])
    assert_allclose(found.scales, expected, rtol=1e-12)
    assert found.scale == pytest.approx(median(expected))
    quarter = math.ceil(len(expected) / 4)
    assert found.late_scale == pytest.approx(median(expected[-quarter:]))


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_right_size_in_the_wrong_place_has_scale_one(name):
    found = score(TRUTH + np.array([90, 40, 0, 0]), TRUTH, CONVENTIONS[name])
    assert (found.scale, found.late_scale, found.success50 < 0.2) == (1, 1, True)


def test_a_box_that_shrinks_late_shows_in_the_last_quarter():
    predicted = TRUTH.copy()
    predicted[6:, 2:] = 20, 5  # half the side, by area
    found = score(predicted, TRUTH)
    assert_array_equal(found.scales, [1] * 6 + [0.5] * 2)
    assert_array_equal(found.is_late, [False] * 6 + [True] * 2)
    assert (found.scale, found.late_scale) == (1, 0.5)


def test_the_last_quarter_is_rounded_up():
    counts = [score(TRUTH[:frames], TRUTH[:frames]).is_late.sum() for frames in range(1, 9)]
    assert counts == [1, 1, 1, 1, 2, 2, 2, 2]


def test_frames_without_valid_ground_truth_are_left_out_and_no_others():
    truth = TRUTH.copy()
    truth[1], truth[2], truth[3] = np.nan, (10, 10, 0, 20), (-1, 10, 20, 20)
    doubled = TRUTH + np.array([0, 0, 20, 20])
    found = scales(doubled, truth)
    assert_array_equal(np.isnan(found), [False, True, True, True, False, False, False, False])
    assert_array_equal(found[[0, 4, 7]], [1, 2, 2])
    # Without the rule for 1-based numbers, the box that reaches out of the image counts.
    assert scales(doubled, truth, replace(OTB, valid="sized"))[3] == 2
    assert np.isnan(scales(doubled, truth, GOT10K)[2])  # infinite, as it stands
    # The last quarter is of the five frames that are left: two of them.
    assert score(doubled, truth).is_late.sum() == 2


@pytest.mark.parametrize("bad", [[10, 10, 0, 20], [10, 10, -4, -4], [np.nan, 10, 20, 20],
                                 [10, 10, np.inf, 20]])  # fmt: skip
def test_a_prediction_without_area_is_zero_unless_it_is_repaired(bad):
    predicted = TRUTH.copy()
    predicted[5] = bad
    assert scales(predicted, TRUTH, GOT10K)[5] == 0
    assert scales(predicted, TRUTH, OTB)[5] == 1
    predicted[0] = bad  # nothing comes before the first
    assert scales(predicted, TRUTH, replace(OTB, first_frame="tracked"))[0] == 0


def test_a_first_frame_that_is_skipped_has_no_scale_and_whole_pixels_are_compared():
    predicted = TRUTH + np.array([0, 0, 0.4, 0.4])
    assert_array_equal(scales(predicted, TRUTH, VOT), [np.nan] + [1] * 7)


def test_ground_truth_without_any_area_has_no_scale():
    found = score(TRUTH, TRUTH * [1, 1, 0, 1], GOT10K)
    assert np.isnan(found.scale) and np.isnan(found.late_scale)


def test_pooling_takes_the_median_of_all_segments_frames():
    """Seven of twelve frames have half the side; a mean of the medians would be 0.67."""
    half = score(np.concatenate((TRUTH[:1], TRUTH[1:] - [0, 0, 10, 10])), TRUTH)
    right = score(TRUTH[:2], TRUTH[:2])
    together = pool([right, half, right])
    assert len(together.scales) == 12
    assert (together.scale, together.late_scale) == (0.5, 0.75)
    assert together.is_late.sum() == 1 + 2 + 1  # each segment's own last quarter


def test_tensors_are_taken_and_sizes_are_compared():
    found = scales(torch.tensor(TRUTH).half() * 2, torch.tensor(TRUTH).half())
    assert_array_equal(found, [1] + [2] * 7)
    with pytest.raises(ValueError, match=r"scales: .*\(3, 4\) and \(8, 4\)"):
        scales(TRUTH[:3], TRUTH)
