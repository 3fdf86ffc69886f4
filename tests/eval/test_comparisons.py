"""Paired differences between trackers over a made-up store, by hand."""

import numpy as np
import pytest
from test_report import BOXES, ENVIRONMENT, dataset

from trackerlib import trackers
from trackerlib.eval import report, runner
from trackerlib.eval.comparisons import differences
from trackerlib.eval.store import Store, Track

# Sides of `kcf`'s boxes beside the true ones, by sequence and seed; `identity` has 0.5 always.
SIDES = {"A": (0.7, 0.9), "B": (0.6, 1.0)}


@pytest.fixture
def evaluated(tmp_path):
    made, store = dataset(["A", "B"], benchmark=None), Store(tmp_path)
    specs = [trackers.parse(name) for name in ("identity", "kcf")]
    jobs = runner.plan(specs, made, seeds=(0, 1), device="cpu")
    for job in jobs:
        unit = job.unit
        side = 0.5 if unit.label == "identity" else SIDES[unit.sequence][unit.seed]
        boxes = BOXES * [1, 1, side, side]
        store.write(unit, Track(boxes, np.full(5, 0.01)), ENVIRONMENT)
    return report.collect(jobs, made, store)


def test_a_difference_is_of_means_over_seeds_by_sequence(evaluated):
    """kcf has 0.8 on both sequences, and 0.65 and 0.95 by seed."""
    row = differences(evaluated, "identity", "scale").loc["kcf"]
    assert row["sequences"] == "2/2"
    numbers = row[["difference", "95 % from", "to", "seed spread"]].astype(float)
    np.testing.assert_allclose(numbers, [0.3, 0.3, 0.3, 0.3 / np.sqrt(2)])


def test_the_other_way_round_it_is_the_opposite(evaluated):
    there = differences(evaluated, "identity").loc["kcf", "difference"]
    back = differences(evaluated, "kcf").loc["identity", "difference"]
    assert there == -back > 0.2
    assert there == pytest.approx(np.diff(report.table(evaluated)["AUC"].sort_values())[0])


def test_sequences_that_one_did_not_finish_are_left_out_and_counted(evaluated):
    for seed in (0, 1):
        del evaluated.scores["kcf", "B", seed]
    assert differences(evaluated, "identity").loc["kcf", "sequences"] == "1/2"
    for seed in (0, 1):
        del evaluated.scores["kcf", "A", seed]
    table = differences(evaluated, "identity")
    assert list(table.columns) == ["sequences"] and table.loc["kcf", "sequences"] == "0/2"


def test_a_baseline_that_was_not_run_is_named(evaluated):
    with pytest.raises(ValueError, match=r"with scores, of identity, kcf, got 'hcf'; run it"):
        differences(evaluated, "hcf")
