"""Calibrations: fitted on made evidence whose worth is known, and applied as they were fitted."""

import json

import numpy as np
import pytest

from benchmarks import lost
from trackerlib.data.sequence import Sequence
from trackerlib.paths import shipped
from trackerlib.trackers.lost import Calibration, Watch


def found(rng, clips=6, frames=40):
    """Runs whose evidence tells half of the story, in log-odds, and a kind that tells nothing."""
    runs = {}
    for run in range(2 * clips):
        rows = []
        for _ in range(frames):
            now = float(rng.normal(0, 3))
            is_lost = bool(rng.random() > 1 / (1 + np.exp(-2 * now - 1)))
            evidence = {"now": now, "noise": float(rng.normal())}
            rows.append({"iou": 0.1 if is_lost else 0.7, "evidence": evidence})
        runs[str(run)] = rows
    return runs


def test_the_regression_finds_what_evidence_is_worth():
    row = lost.measured(found(np.random.default_rng(0), clips=20))
    assert row["weights"]["now"] == pytest.approx(2, abs=0.5)
    assert row["weights"]["noise"] == pytest.approx(0, abs=0.3)
    assert row["bias"] == pytest.approx(1, abs=0.4) and row["memory"] == 0
    assert row["precision"] > 0.8 and row["recall"] > 0.7
    assert (row["clips"], row["frames"]) == (20, 1600)


def test_a_watch_says_what_was_fitted(monkeypatch):
    rng = np.random.default_rng(1)
    runs = found(rng, clips=2)
    runs["0"][5]["evidence"] = {}  # nothing was to be seen
    names, table = lost.as_table(runs)
    weights, bias = np.array([1.5, -0.5]), 0.25
    scores = lost.scored(table, weights, bias, 0.5)
    watch = Watch("nobody")
    watch.calibration = Calibration(dict(zip(names, weights, strict=True)), bias, 0.5, 0.4)
    at = 0
    for rows in runs.values():
        watch.begin()
        assert watch.probability is None and not watch.is_lost
        for row in rows:
            watch.see(**row["evidence"])
            assert watch.probability == pytest.approx(scores[at])
            assert watch.is_lost == (scores[at] < 0.4)
            at += 1


def test_made_losses_are_where_they_are_said_to_be():
    frames = [np.full((60, 80, 3), 10 * n, np.uint8) for n in range(20)]
    other = [np.full((30, 50, 3), 255, np.uint8) for n in range(20)]
    boxes = np.tile([20.0, 20, 10, 10], (20, 1))
    clips = [Sequence("a", images, boxes, np.arange(1, 21)) for images in (frames, other)]
    made, truth = lost.broken(*clips)
    assert len(made) == len(truth) == 26
    absent = np.flatnonzero(np.isnan(truth).any(1)).tolist()
    assert absent == [*range(5, 17), *range(21, 24)]
    assert (made[7][25, 25] == 255).all() and (made[7][50, 70] == 70).all()  # covered
    assert (made[12] == 255).all() and made[12].shape == (60, 80, 3)  # of the other clip
    assert (made[22] == lost.GREY).all() and (frames[16] == 160).all()


def test_precision_and_recall():
    flags, truth = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert lost.rates(flags, truth) == (0.5, 0.5)
    assert lost.rates(np.zeros(4, bool), truth) == (1.0, 0.0)


def test_what_ships_is_whole():
    rows = json.loads(shipped("lost.json").read_text())["trackers"]
    assert "kcf" in rows
    for row in rows.values():
        assert 0 <= row["threshold"] < 1 and 0 <= row["memory"] < 1 and row["weights"]
        assert row["clips"] >= 10 and row["lost"] > 50
