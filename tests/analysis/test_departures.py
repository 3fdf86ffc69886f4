import json

import pytest

from trackerlib import trackers
from trackerlib.analysis import departures

ROWS = {
    "kcf": {"auc": [0.4, 0.5], "milliseconds": [10, 12]},
    "kcf:sigma=0.3,padding=2": {"auc": [0.3, 0.3], "milliseconds": [22, 22]},
    "mdnet": {"auc": [0.6], "milliseconds": [100]},
    "mdnet:bias_factor=2": {"auc": [0.62], "milliseconds": [99]},
}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    rows = [
        {
            "row": name,
            "auc": {"seeds": row["auc"]},
            "precision20": {"seeds": [0.8]},
            "milliseconds": row["milliseconds"],
        }
        for name, row in ROWS.items()
    ]
    path = tmp_path / "departures.json"
    path.write_text(json.dumps({"measured": rows}))
    monkeypatch.setattr(departures, "shipped", lambda name: tmp_path / name)


def test_measured_against_the_default(stored):
    default, variant = departures.measured("kcf")
    assert default["tracker"] == "kcf"
    assert default["AUC"] == pytest.approx(0.45)
    assert default["spread"] == pytest.approx(0.0707, abs=1e-4)
    assert default["effect"] == ""
    assert variant["effect"] == "AUC -0.150 (seeds ± 0.000), time × 2.00"


def test_effects_stand_beside_their_fields(stored):
    rows = {row["field"]: row for row in departures.table("mdnet")}
    assert list(rows) == [departure.field for departure in trackers.departures("mdnet")]
    assert rows["bias_factor"]["measured"] == "AUC +0.020 (one seed), time × 0.99"
    assert rows["bias_decay"]["measured"] == ""
    assert rows["bias_factor"]["here"] == 1.0


def test_a_tracker_that_was_not_measured_has_a_table(stored):
    assert departures.measured("fdn") == []
    assert {row["measured"] for row in departures.table("fdn")} == {""}


def test_what_ships_is_of_trackers_that_exist():
    stored = json.loads(departures.shipped("departures.json").read_text())["measured"]
    for row in stored:
        spec = trackers.parse(row["row"])
        assert spec.module in [row["row"] for row in stored], "no default to compare with"
        assert len(row["auc"]["seeds"]) == len(row["milliseconds"]) in (1, 3)
        assert len(row["auc"]["sequences"]) == 5
