"""The benchmark of MDNet and its descendants: rows by seed and by sequence, what a run takes."""

import pytest

from benchmarks import mdnet
from trackerlib.data import open_dataset, synthetic

LIGHT = "mode=float32,candidates=16,first_positives=16,first_negatives=64,regression_boxes=16"


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(mdnet, "ROWS", {"a filter": "kcf"})


def test_a_row_has_every_seed_and_sequence(rows, tmp_path):
    dataset = open_dataset("embedded", "Harbour")
    (row,) = mdnet.accuracy(dataset, tmp_path, ["a filter"], [0, 1], workers=1)
    assert row["row"] == "a filter, 1 targets"
    for measure in ("auc", "precision20"):
        assert len(row[measure]["seeds"]) == 2
        assert row[measure]["sequences"].keys() == {"Harbour"}
        assert row[measure]["sequences"]["Harbour"] == pytest.approx(
            sum(row[measure]["seeds"]) / 2, abs=1e-3
        )


def test_what_a_run_takes():
    found = mdnet.followed(f"fdn:{LIGHT}", synthetic.render("Harbour"), 4)
    assert min(found[part] for part in ("frame", "mean", "first", "memory")) > 0
    assert found["iterations"] >= 0
    assert found["stages"].keys() >= {"map", "features", "scores", "rest"}
    assert sum(found["stages"].values()) == pytest.approx(found["mean"], rel=0.05)


def test_identities_are_means_over_the_look_alikes(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(mdnet, "LOOK_ALIKES", ("Twins", "Coins"))
    (row,) = mdnet.identities(tmp_path, ["a filter"], [0], workers=1)
    assert row["row"] == "a filter" and len(row["switches"]) == 1
    assert 0 <= row["switches"][0] < 100 and 0 <= row["others"][0] <= 100
