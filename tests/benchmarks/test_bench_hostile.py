"""The table of hostile situations: what it says of trackers that misbehave, and what is stored."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hostile
from trackerlib.paths import shipped
from trackerlib.trackers import names

STORED = json.loads(shipped("hostile.json").read_text())["rows"]


@pytest.mark.parametrize("situation", hostile.SITUATIONS, ids=lambda one: one.name)
def test_kcf_has_the_outcome_that_is_stored(situation, monkeypatch):
    [row] = [row for row in STORED if row["tracker"] == "kcf"]
    if situation.name == "equal frames":  # as many as the slow trackers get
        monkeypatch.setattr(hostile, "MANY", hostile.LONG)
        assert hostile.outcome("kcf", situation) == f"{hostile.LONG} boxes"
        assert row[situation.name] == "2000 boxes"
    else:
        assert hostile.outcome("kcf", situation) == row[situation.name]


def test_every_tracker_and_situation_is_stored_with_boxes_or_words():
    assert [row["tracker"] for row in STORED] == names()
    for row in STORED:
        assert set(row) == {"tracker", *(one.name for one in hostile.SITUATIONS)}
        for name, cell in row.items():
            said = cell.endswith(" boxes") or "expected" in cell
            assert name == "tracker" or said, f"{row['tracker']}, {name}: {cell}"


def test_the_page_shows_what_is_stored():
    root = Path(__file__).resolve().parents[2]
    shown = (root / "book/reproduction/hostile.md").read_text()
    assert shown.startswith(hostile.page(STORED))
    small = [{one.name: "4 boxes" for one in hostile.SITUATIONS} | {"tracker": n} for n in "ab"]
    small[1]["4K frames"] = "ValueError in frame 1: a.b: expected less, got more"
    assert "| 4K frames | 4 boxes | expected less (`b`) |" in hostile.page(small)


class Odd:
    """A tracker that answers with one thing, whatever it sees."""

    def __init__(self, answer):
        self.answer = answer

    def build(self, **_):
        return self

    def init(self, frame, box):
        assert frame.dtype == np.uint8

    def update(self, frame):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ([1, 2, np.nan, 4], AssertionError),
        ([1, 2, 0, 4], AssertionError),
        ([1, 2, 3], AssertionError),
        (KeyError("x"), KeyError),
        (ValueError("expected more"), None),
    ],
)
def test_what_is_no_outcome_ends_the_run(monkeypatch, answer, raised):
    monkeypatch.setattr(hostile, "quick", lambda name: Odd(answer))
    situation = hostile.SITUATIONS[0]
    if raised:
        with pytest.raises(raised):
            hostile.outcome("odd", situation)
    else:
        said = "ValueError in frame 1: expected more"
        assert hostile.outcome("odd", situation) == said
