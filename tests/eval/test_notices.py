"""Warnings in one list, each once, and that list made short."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from fake_tracker import BOX, Fake

from trackerlib.eval.notices import SHOWN, condensed, noticed
from trackerlib.eval.runner import plan
from trackerlib.eval.store import Result, Track

REPRODUCTION = Path(__file__).resolve().parents[2] / "book" / "reproduction"
TEMPLATES = [path for path in REPRODUCTION.glob("*.ipynb") if "collect(" in path.read_text()]


def test_what_readers_and_trackers_noticed_is_one_list(dataset):
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


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_prints_the_warnings_of_its_report_and_of_its_run(path):
    cells = json.loads(path.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "[*found.warnings, *summary.warnings]" in code
