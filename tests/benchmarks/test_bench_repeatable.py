"""The table of what the same seed gives: what is stored, and that a difference is seen."""

import json
from pathlib import Path

import pytest

from benchmarks import hostile, repeatable
from trackerlib.paths import shipped
from trackerlib.trackers import names

STORED = json.loads(shipped("repeatable.json").read_text())["rows"]


def test_every_tracker_is_stored_and_repeats_as_a_run_has_it():
    assert [row["tracker"] for row in STORED] == [*names(), repeatable.MIL]
    for row in STORED:
        assert list(row)[1:] == list(repeatable.CONDITIONS)
        assert row["in the same process"] == row["in another process"] == "equal"


@pytest.mark.parametrize("condition", ["in the same process", "in another process"])
def test_kcf_has_the_boxes_that_are_stored(condition):
    boxes = repeatable.boxes("kcf")
    assert repeatable.difference(boxes, repeatable.CONDITIONS[condition]("kcf")) == "equal"
    assert len(boxes) == repeatable.FRAMES - 1 and boxes[0] != boxes[-1]


def test_a_difference_is_seen():
    one, other = [[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0, 3.0, 4.25]]
    assert repeatable.difference(one, other) == "0.25 pixels"
    assert repeatable.difference(one, one) == "equal"


def test_the_page_shows_what_is_stored():
    root = Path(__file__).resolve().parents[2]
    page = (root / "book/reproduction/hostile.md").read_text()
    hostiles = json.loads(shipped("hostile.json").read_text())["rows"]
    assert page == hostile.page(hostiles) + repeatable.section(STORED)
