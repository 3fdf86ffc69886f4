"""Metrics: by hand, against a frame-by-frame reading of OTB's rules, by property."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from trackerlib.boxes import box_iou
from trackerlib.eval import metrics
from trackerlib.eval.metrics import (
    CONVENTIONS,
    GOT10K,
    NORMALISED_THRESHOLDS,
    OTB,
    PYSOT,
    PYTRACKING,
    VOT,
    Conventions,
    NothingToScoreError,
    centre_errors,
    ious,
    normalised_errors,
    pool,
    precision_curve,
    repair,
    score,
    success_curve,
    usable,
    valid,
)

ROWS = arrays(np.float64, st.tuples(st.integers(1, 12), st.just(4)), elements=st.floats(-20, 60))
SPOILT = arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.just(4)),
    elements=st.floats(-20, 60) | st.sampled_from([np.nan, np.inf, 0.0]),
)
TRUTH = np.array([[10.0, 10, 20, 20]] * 4)


def by_the_frame(predicted, truth):
    """AUC and precision at 20 px as calcSeqErrRobust.m has them, in 1-based loops."""
    rows, gt = np.add(predicted, (1, 1, 0, 0)), np.add(truth, (1, 1, 0, 0))
    for i in range(1, len(rows)):
        if not np.isfinite(rows[i]).all() or rows[i, 2] <= 0 or rows[i, 3] <= 0:
            rows[i] = rows[i - 1]
    rows[0] = gt[0]
    hits, precise = np.zeros(21), 0
    for row, true in zip(rows, gt, strict=True):
        valid = (true > 0).all()
        with np.errstate(invalid="ignore"):
            area = float(box_iou(row, true)) if valid else -1.0
        centre, target = row[:2] + (row[2:] - 1) / 2, true[:2] + (true[2:] - 1) / 2
        hits += [area > step / 20 for step in range(21)]
        precise += np.hypot(*(centre - target)) <= 20 if valid else 1
    return hits.mean() / len(gt), precise / len(gt)


@given(SPOILT, st.randoms(use_true_random=False))
def test_scores_are_those_of_a_reading_by_the_frame(predicted, random):
    truth = np.array([[random.randint(-3, 30) for _ in range(4)] for _ in predicted], float)
    truth[1:2] = 9, 8, 7, 6  # one at least can be scored
    result = score(predicted, truth)
    assert_allclose((result.auc, result.precision20), by_the_frame(predicted, truth), atol=1e-12)


@given(ROWS, ROWS)
def test_scores_are_rates_and_curves_are_monotone(predicted, truth):
    frames = min(len(predicted), len(truth))
    truth[1:2] = 9, 8, 7, 6  # one at least can be scored
    result = score(predicted[:frames], truth[:frames])
    for rate in (result.auc, result.precision20, result.success50, result.normalised):
        assert 0 <= rate <= 1
    assert (np.diff(result.success) <= 0).all() and (np.diff(result.precision) >= 0).all()
    assert result.frames == frames


@given(SPOILT)
def test_repairing_twice_changes_nothing(predicted):
    once = repair(predicted)
    assert_array_equal(repair(once), once)


def test_repair_repeats_the_last_good_row():
    bad = [[np.nan, 1, 1, 1], [5, 5, 0, 3], [5, 5, 3, -1], [np.inf, 1, 1, 1]]
    rows = np.array([[1, 2, 3, 4], *bad[:2], [6, 7, 8, 9], *bad[2:]], float)
    assert_array_equal(repair(rows)[:, 0], [1, 1, 1, 6, 6, 6])
    assert np.isnan(repair(np.array(bad[:2]))[0, 0])  # nothing comes before the first


def test_a_perfect_run():
    result = score(TRUTH, TRUTH)
    assert result.auc == 20 / 21  # no IoU is beyond 1
    assert score(TRUTH, TRUTH, Conventions(strict=False)).auc == 1
    assert (result.precision20, result.success50, result.normalised) == (1, 1, 1)


def test_an_iou_at_a_threshold_counts_only_where_it_is_not_strict():
    half = TRUTH - [0, 0, 0, 10]
    assert_array_equal(ious(half, TRUTH), [0.5] * 4)
    assert score(half, TRUTH, Conventions(first_frame="tracked")).success50 == 0
    assert score(half, TRUTH, Conventions(first_frame="tracked", strict=False)).success50 == 1


def test_error_of_exactly_twenty_pixels_is_precise():
    assert precision_curve(np.array([20.0, 20.1]))[20] == 0.5


@pytest.mark.parametrize(("choice", "rate", "frames"), [("truth", 0.25, 4), ("tracked", 0, 4),
                                                        ("skip", 0, 3)])  # fmt: skip
def test_first_frame(choice, rate, frames):
    result = score(TRUTH + 100, TRUTH, Conventions(first_frame=choice))
    assert (result.success50, result.frames) == (rate, frames)


@pytest.mark.parametrize(
    ("valid", "invalid", "success", "precision", "frames"),
    [
        ("positive", "otb", 1 / 4, 3 / 4, 4),
        ("sized", "otb", 2 / 4, 3 / 4, 4),
        ("all", "otb", 2 / 4, 2 / 4, 4),
        ("positive", "skip", 1 / 2, 1 / 2, 2),
        ("sized", "skip", 2 / 3, 2 / 3, 3),
    ],
)
def test_invalid_ground_truth(valid, invalid, success, precision, frames):
    truth = np.array([[10.0, 10, 20, 20], [-1, 10, 20, 20], [-1, -1, 0, 0], [10, 10, 20, 20]])
    predicted = truth.copy()
    predicted[2:] = 200, 200, 20, 20
    result = score(predicted, truth, Conventions(valid=valid, invalid=invalid))
    assert (result.success50, result.precision20) == (success, precision)
    assert result.frames == frames


def test_the_rule_for_ground_truth_is_on_1_based_numbers():
    at_the_edge = np.array([[0.0, 0, 20, 20]] * 4)
    assert score(at_the_edge, at_the_edge).success50 == 1
    at_the_edge[:3, 0] = -1
    assert score(at_the_edge, at_the_edge).success50 == 1 / 4


@given(ROWS)
def test_pixel_and_edge_centres_cannot_be_told_apart(rows):
    pixel, edge = (centre_errors(rows, rows[::-1], centre) for centre in ("pixel", "edge"))
    assert_array_equal(pixel, edge)
    low_pixel = rows[:, :2] + (rows[:, 2:] - 1) / 2
    assert_allclose(pixel, np.linalg.norm(low_pixel - low_pixel[::-1], axis=1), atol=1e-9)


def test_whole_pixel_centres():
    assert centre_errors([[0, 0, 3, 4]], [[0, 0, 4, 4]], "floor") == 1  # 1.5 is in pixel 1
    assert centre_errors([[0, 0, 3, 4]], [[0, 0, 4, 4]]) == 0.5


def test_rounding():
    close, whole = TRUTH + 0.49, replace(OTB, rounding="integer")
    assert score(close, TRUTH, whole).auc == score(TRUTH, TRUTH).auc > score(close, TRUTH).auc


def test_normalised_error_is_in_units_of_the_target():
    errors = normalised_errors([[1.0, 4, 14, 28]], [[0.0, 0, 10, 20]])
    assert_allclose(errors, np.hypot(0.3, 0.4))
    curve = precision_curve(errors, np.arange(51) / 100)
    assert score([[1.0, 4, 14, 28]], [[0, 0, 10, 20]],
                 Conventions(first_frame="tracked")).normalised == curve.mean()  # fmt: skip


def test_precision_thresholds_are_whole_pixels_up_to_fifty():
    assert_array_equal(metrics.PRECISION_THRESHOLDS, range(51))


def test_normalised_thresholds_are_hundredths_up_to_a_half():
    assert_array_equal(NORMALISED_THRESHOLDS, [k / 100 for k in range(51)])


@pytest.mark.parametrize(
    ("part", "within"),
    [(0.004, 1), (0.006, 1), (0.195, 20), (0.205, 21), (0.495, 50), (0.505, 51), (0.9, 51)],
)
def test_an_offset_of_a_part_of_the_target_is_within_the_thresholds_from_there(part, within):
    """Of the 51 thresholds, the first `within` are smaller than the offset."""
    moved = TRUTH + np.array([part * 20, 0, 0, 0])
    found = score(moved, TRUTH, replace(OTB, first_frame="tracked"))
    assert_array_equal(found.normalised_precision, [0.0] * within + [1.0] * (51 - within))
    assert found.normalised20 == (within <= 20)
    assert found.normalised == pytest.approx((51 - within) / 51)


def test_every_dtype_gives_the_scores_of_float64():
    truth = [[100, 90, 50, 60], [110, 90, 50, 60], [120, 5, 50, 60], [0, 0, 250, 255]]
    predicted = [[100, 90, 50, 60], [5, 3, 90, 60], [122, 4, 255, 60], [255, 255, 255, 255]]
    expected = score(np.array(predicted, float), np.array(truth, float))
    for dtype in ("uint8", "uint16", "int16", "int32", "int64", "float16", "float32"):
        for make in (np.asarray, torch.as_tensor):
            a, b = make(np.array(predicted, dtype)), make(np.array(truth, dtype))
            found = score(a, b)
            assert_array_equal(found.success, expected.success)
            assert_array_equal(found.precision, expected.precision)
            assert_array_equal(found.normalised_precision, expected.normalised_precision)
            for function in (ious, centre_errors, normalised_errors):
                known = function(np.array(predicted, float), np.array(truth, float))
                assert_array_equal(function(a, b), known)
            assert_array_equal(repair(a), np.array(predicted, float), strict=True)
            assert_array_equal(usable(a), [True] * 4)
            assert_array_equal(valid(b), [True] * 4)
    assert score(predicted, truth).auc == expected.auc


def test_curves_take_lists():
    assert_array_equal(success_curve([0.4, 0.6], Conventions(thresholds=(0.5,))), [0.5])
    assert_array_equal(precision_curve([3, 60], np.array([20])), [0.5])


HALF = [True, True, False, False]


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_frames_without_annotation_leave_the_denominator(name, value):
    lost = TRUTH + np.array([300, 0, 0, 0])
    truth = np.where(np.array(HALF)[:, None], TRUTH, value)
    found = score(lost, truth, CONVENTIONS[name])
    assert found.frames == (1 if name == "vot" else 2)
    assert found.precision20 == found.success50 == (0 if name in ("vot", "pysot") else 1 / 2)


def test_one_number_that_is_missing_is_no_annotation():
    for column in range(4):
        truth = TRUTH.copy()
        truth[2, column] = np.nan
        assert score(TRUTH, truth).frames == 3
        assert_array_equal(valid(truth), [True, True, False, True])


@pytest.mark.parametrize(("name", "error"), [("otb", -1), ("pytracking", np.inf)])
def test_measures_mark_misses_hits_and_frames_that_do_not_count(name, error):
    """The second frame's ground truth leaves the image, the third has none."""
    truth = TRUTH.copy()
    truth[1, 0], truth[2] = -5, np.nan
    found = metrics.measure(TRUTH, truth, CONVENTIONS[name])
    assert_array_equal(found.ious, [1, -1, np.nan, 1])
    assert_array_equal(found.errors, [0, error, np.nan, 0])
    assert_array_equal(found.relative, [0, -1, np.nan, 0])
    assert_array_equal(found.scales, [1, np.nan, np.nan, 1])


def test_a_miss_counts_zero_in_a_mean_iou():
    truth = TRUTH.copy()
    truth[1, 0] = -5
    assert score(TRUTH, truth, Conventions(area="exact")).auc == 3 / 4


def test_the_toolkits_of_uav123_count_frames_without_annotation():
    truth = np.where(np.array(HALF)[:, None], TRUTH, np.nan)
    found = score(TRUTH, truth, replace(OTB, unannotated="invalid"))
    assert (found.frames, found.success50, found.precision20) == (4, 1 / 2, 1)


@pytest.mark.parametrize("name", ["otb", "pysot", "pytracking"])
@pytest.mark.parametrize("rest", [np.nan, 0.0, -7.0])
@pytest.mark.parametrize("frames", [2, 4])
def test_a_run_is_not_scored_on_its_first_frame_alone(name, rest, frames):
    truth = np.where(np.arange(frames)[:, None] < 1, TRUTH[:frames], rest)
    with pytest.raises(NothingToScoreError, match=f"not the first alone, got {frames} and"):
        score(TRUTH[:frames], truth, CONVENTIONS[name])
    assert score(TRUTH[:1], truth[:1], CONVENTIONS[name]).precision20 == 1  # it is all there is


def test_pysot_asks_for_a_size_in_success_and_for_a_centre_in_precision():
    """The centre's pixel, 1-based, is x + 1 + (w - 1) / 2: 0.25 in the second row, then 0."""
    truth = np.array(
        [[10.0, 10, 20, 20], [-10.25, 10, 20, 20], [-10.5, 10, 20, 20], [10, 10, 0, 9]]
    )
    away = truth + np.array([200, 0, 0, 0])
    assert_array_equal(valid(truth, PYSOT), [True, True, False, False])
    assert score(away, truth, PYSOT).precision20 == 1 / 4  # the third is a hit
    assert score(truth, truth, PYSOT).success50 == 3 / 4


def test_pysot_takes_the_trackers_own_first_row():
    assert score(TRUTH + 100, TRUTH, PYSOT).precision20 == 0


def test_vot_is_a_mean_iou_of_whole_pixels_after_the_first_frame():
    predicted = TRUTH + np.array([[9.0, 9, 9, 9], [0.4, 0, 0, 0], [10, 0, 0, 0], [0, 0, 0, 0]])
    found = score(predicted, TRUTH, VOT)
    assert found.auc == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert (found.frames, len(found.success)) == (3, 100)
    assert found.success[32] == 1 and found.success[33] == 2 / 3  # 1/3 is not beyond 33/99
    nearly = TRUTH + np.array([0.4, -0.4, 0.4, -0.4])
    assert score(nearly, nearly[::-1], VOT).auc == 1  # the ground truth is rounded as well


def test_halves_are_rounded_to_the_even_1_based_number():
    half = TRUTH + np.array([0.5, 0, 0, 0])  # 11.5, 1-based: to 12, one pixel from 11
    assert score(half, TRUTH, VOT).auc == pytest.approx(19 / 21)
    half, whole = half + np.array([1, 0, 0, 0]), TRUTH + np.array([1, 0, 0, 0])
    assert score(half, whole, VOT).auc == 1  # 12.5, to 12 as well


@given(ROWS)
def test_the_exact_area_is_the_mean_iou(rows):
    truth = np.tile([3.0, 4, 25, 30], (len(rows), 1))
    mean = ious(rows, truth).mean()
    exact = score(rows, truth, Conventions(area="exact", first_frame="tracked", repair=False))
    assert exact.auc == pytest.approx(mean)


def test_conventions_have_names():
    assert CONVENTIONS == {"otb": OTB, "got10k": GOT10K, "pysot": PYSOT,
                           "pytracking": PYTRACKING, "vot": VOT}  # fmt: skip
    assert len(set(CONVENTIONS.values())) == 5


def test_a_prediction_that_is_not_repaired_is_a_miss():
    predicted = TRUTH.copy()
    predicted[2] = np.nan
    assert score(predicted, TRUTH).success50 == 1
    assert score(predicted, TRUTH, GOT10K).success50 == 0.75
    assert score(predicted, TRUTH, GOT10K).precision20 == 0.75


@pytest.mark.parametrize(
    ("toolkit", "success", "precision", "normalised"),
    [("otb", 1 / 4, 1, 1), ("pytracking", 1 / 4, 1 / 4, 1), ("got10k", 1, 1, 1),
     ("pysot", 1, 1, 1), ("vot", 1, 1, 1)],
)  # fmt: skip
def test_toolkits_differ_where_the_box_leaves_the_image(toolkit, success, precision, normalised):
    truth = TRUTH.copy()
    truth[:3, 0] = -5
    found = score(truth, truth, CONVENTIONS[toolkit])
    assert found.success50 == success
    assert (found.precision20, found.normalised20) == (precision, normalised)


def test_success_curve_takes_any_thresholds():
    curve = success_curve(np.array([0.1, 0.6]), Conventions(thresholds=(0.0, 0.1, 0.7)))
    assert_array_equal(curve, [1, 0.5, 0])


def test_pooling_weighs_by_frames():
    good = score(TRUTH[:1], TRUTH[:1])
    bad = score(TRUTH[1:] + 100, TRUTH[1:], Conventions(first_frame="tracked"))
    whole = score(np.concatenate((TRUTH[:1], TRUTH[1:] + 100)), TRUTH)
    together = pool([good, bad])
    assert (good.frames, bad.frames, together.frames) == (1, 3, 4)
    assert_allclose(together.success, whole.success)
    assert_allclose(together.precision, whole.precision)
    assert together.auc == pytest.approx(whole.auc)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score(TRUTH[:3], TRUTH), r"score: .*\(3, 4\) and \(4, 4\)"),
        (lambda: ious(TRUTH[0], TRUTH[0]), r"ious: .*\(4,\) and \(4,\)"),
        (lambda: centre_errors(TRUTH[:, :2], TRUTH[:, :2]), r"centre_errors: .*\(4, 2\)"),
        (lambda: score(TRUTH[:1], TRUTH[:1], Conventions(first_frame="skip")), "got 1 and"),
        (lambda: score(TRUTH[:0], TRUTH[:0]), "got 0 and"),
        (lambda: score(TRUTH, TRUTH * np.nan, PYTRACKING), "expected a frame that can be"),
        (lambda: Conventions(centre="middle"), r"centre among \('pixel', .*got 'middle'"),
        (lambda: Conventions(rounding="up"), "rounding among"),
        (lambda: Conventions(area="half"), "area among"),
        (lambda: Conventions(unannotated="hit"), "unannotated among"),
        (lambda: repair(TRUTH[0]), r"repair: .*box per frame, \(T, 4\), got \(4,\)"),
        (lambda: usable(TRUTH[:, :2]), r"usable: .*got \(4, 2\)"),
        (lambda: valid(TRUTH[None]), r"valid: .*got \(1, 4, 4\)"),
        (lambda: pool([]), "at least one score"),
    ],
)
def test_errors_say_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_tensors_of_any_type_are_scored_as_their_numbers(kind):
    truth = torch.tensor([[10.0, 10, 20, 20], [12, 10, 20, 20]])
    found = (truth + 1).to(kind).requires_grad_()
    doubles = found.detach().double().numpy()
    for measure in (metrics.ious, metrics.centre_errors, metrics.normalised_errors):
        expected = measure(doubles, truth.double().numpy())
        np.testing.assert_array_equal(measure(found, truth.to(kind)), expected)
    assert metrics.usable(found).all() and metrics.valid(found).all()
    assert metrics.score(found, truth).auc == metrics.score(doubles, truth.numpy()).auc
