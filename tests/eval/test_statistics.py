"""Intervals against the normal approximation, spreads and attributes by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from trackerlib.eval.statistics import (
    Summary,
    by_attribute,
    confidence_interval,
    paired_difference,
    seed_spread,
    summarise,
)


def test_the_interval_is_that_of_a_normal_mean():
    values = np.random.default_rng(1).normal(0.5, 0.2, 100)
    error = values.std() / 10
    expected = values.mean() - 1.96 * error, values.mean() + 1.96 * error
    assert_allclose(confidence_interval(values), expected, atol=0.1 * error)


def test_the_interval_holds_the_true_mean_as_often_as_it_says():
    random = np.random.default_rng(2)
    intervals = [confidence_interval(random.uniform(0, 1, 40), 0.8) for _ in range(100)]
    assert 70 <= sum(low <= 0.5 <= high for low, high in intervals) <= 90


def test_the_same_values_give_the_same_interval_in_any_order():
    values = np.random.default_rng(3).uniform(0, 1, 14)
    assert confidence_interval(values) == confidence_interval(values[::-1])


def test_one_value_has_no_interval():
    assert np.isnan(confidence_interval([0.5])).all()
    assert confidence_interval([0.5, 0.5]) == (0.5, 0.5)


def test_a_summary():
    result = summarise({"a": 0.2, "b": 0.4, "c": 0.9})
    assert (result.mean, result.sequences) == (0.5, 3)
    assert result.low < result.mean < result.high


def test_a_paired_difference_does_not_depend_on_how_hard_sequences_are():
    random = np.random.default_rng(4)
    hard, gain = random.uniform(0, 1, 30), random.normal(0.05, 0.02, 30)
    names = [f"s{i}" for i in range(30)]
    first, second = dict(zip(names, hard + gain, strict=True)), dict(zip(names, hard, strict=True))
    found = paired_difference(first, second)
    assert found.mean == pytest.approx(gain.mean()) and found.sequences == 30
    assert_allclose((found.low, found.high), confidence_interval(gain), rtol=1e-9)
    assert 0 < found.low < found.high < 0.1
    assert np.diff(confidence_interval(hard))[0] > 0.1  # of a mean that is not paired


def test_a_paired_difference_is_over_the_sequences_of_both():
    found = paired_difference({"a": 0.5, "b": 0.4, "c": 0.9}, {"b": 0.1, "a": 0.4, "d": 1})
    assert (found.mean, found.sequences) == (pytest.approx(0.2), 2)
    with pytest.raises(ValueError, match="none in common of 1 and 1; run both"):
        paired_difference({"a": 0.5}, {"b": 0.5})


def test_a_missing_value_leaves_no_interval():
    assert np.isnan(confidence_interval([0.5, np.nan, 0.2])).all()


def test_attributes():
    scores = {"a": 0.2, "b": 0.4, "c": 0.9}
    attributes = {"a": ("OCC", "FM"), "b": ("OCC",), "c": (), "unscored": ("BC",)}
    result = by_attribute(scores, attributes)
    assert list(result) == ["FM", "OCC"]
    assert result["OCC"] == Summary(pytest.approx(0.3), 0.2, 0.4, 2)
    assert (result["FM"].mean, result["FM"].sequences) == (0.2, 1)


def test_spread_over_seeds():
    assert_allclose(seed_spread([[0.1, 0.3], [0.3, 0.5], [0.5, 0.7]]), 0.2)
    assert_allclose(seed_spread([[0.1, 0.5], [0.5, 0.1]]), 0)  # the mean alone counts
    assert np.isnan(seed_spread([[0.1, 0.3]]))
    assert np.isnan(seed_spread([[0.1, 0.3], [np.nan, 0.3]]))


def test_errors():
    with pytest.raises(ValueError, match="at least one sequence"):
        summarise({})
    with pytest.raises(ValueError, match=r"\(seeds, sequences\), got \(2,\)"):
        seed_spread([0.1, 0.2])
