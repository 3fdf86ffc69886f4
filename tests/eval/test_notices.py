"""Warnings in one list, each once, and that list made short."""

import dataclasses

import numpy as np
from fake_tracker import BOX

from trackerlib.eval.notices import SHOWN, condensed, noticed
from trackerlib.eval.runner import plan
from trackerlib.eval.store import Result, Track


def test_what_readers_and_trackers_noticed_is_one_list(dataset):
    from fake_tracker import Fake

    bright, dark = dataset.sequences
    bright = dataclasses.replace(bright, warnings=("Bright: 1 row is missing",))
    unit = plan([Fake()], dataset, device="cpu")[0].unit
    track = Track(np.tile(BOX, (2, 1)), np.ones(2), ("frame 2 is bad", "frame 2 is bad"))
    found = noticed([bright, dark], [Result(unit, track, {}), Result(unit, track, {})])
    assert found == ("Bright: 1 row is missing", f"{unit.label}: frame 2 is bad")


def test_few_lines_are_shown_as_they_are():
    lines = [f"lane, frame {number}: cannot be read" for number in range(SHOWN + 1)]
    assert condensed(["another", *lines, *lines]) == ["another", *lines]


def test_of_many_that_differ_in_numbers_the_rest_is_counted():
    lines = [f"lane, frame {number}: 0.{number} of it" for number in range(1, 501)]
    found = condensed([*lines, "road, frame 3: cannot be read"])
    assert found[:SHOWN] == lines[:SHOWN] and len(found) == SHOWN + 2
    assert found[SHOWN] == f"490 more like the last, with other numbers, up to: {lines[-1]}"
    assert found[-1] == "road, frame 3: cannot be read"
