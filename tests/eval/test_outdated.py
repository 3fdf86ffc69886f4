"""A store whose results were written before settings got the names that they have now."""

import dataclasses

import numpy as np
import pytest
from fake_tracker import BOX, sequence

from trackerlib.data import Dataset
from trackerlib.eval import report
from trackerlib.eval.runner import plan, run
from trackerlib.eval.store import Store, Track
from trackerlib.trackers import RENAMED, parse

ENVIRONMENT = {"device": "cpu", "device_name": "a processor", "threads": 1, "workers": 1}
FORMER = {name: former for former, name in RENAMED.items()}


@pytest.fixture
def jobs(tmp_path):
    return plan(
        [parse("detection")], Dataset("made", (sequence(tmp_path / "Dark", 3),)), device="cpu"
    )


@pytest.fixture
def store(tmp_path, jobs):
    """What an earlier version left: a result under the settings' former names."""
    (unit,) = (job.unit for job in jobs)
    settings = {FORMER.get(name, name): value for name, value in unit.settings.items()}
    assert "trunk" in settings and "backbone" not in settings
    store = Store(tmp_path / "store")
    former = dataclasses.replace(unit, settings=settings, code="0123456789abcdef")
    store.write(former, Track(np.tile(BOX, (3, 1)), np.full(3, 0.01)), ENVIRONMENT)
    return store


def test_former_results_are_missing_and_the_reason_says_what_to_do(jobs, store):
    found = report.collect(jobs, Dataset("made", (jobs[0].sequence,)), store)
    assert not found.scores and report.table(found).empty
    (row,) = found.missing.to_dict("records")
    assert row["sequence"] == "Dark" and row["reason"] == report.OUTDATED
    assert "run it again" in report.OUTDATED


def test_former_results_are_computed_again_and_stay_where_they_are(jobs, store, scheduler):
    summary = run(jobs, store, scheduler=scheduler)
    assert (summary.done, summary.skipped, summary.failed) == (1, 0, 0)
    found = report.collect(jobs, Dataset("made", (jobs[0].sequence,)), store)
    assert len(found.scores) == 1 and not len(found.missing)
    former, now = sorted(
        (r.unit.settings for r in store.results()), key=lambda s: "trunk" not in s
    )
    assert former["trunk"] == now["backbone"]
    assert run(jobs, store, scheduler=scheduler).skipped == 1
