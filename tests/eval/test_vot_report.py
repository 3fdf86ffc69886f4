"""The protocol vot from runner to table, on small sequences with a fake tracker."""

from dataclasses import replace

import numpy as np
import pytest
from fake_tracker import BOX, Fake, sequence

from trackerlib import trackers
from trackerlib.data import Dataset
from trackerlib.eval import runner, vot
from trackerlib.eval.printed import collector, lines
from trackerlib.eval.store import Store
from trackerlib.eval.vot_report import collect_resets, interval_of, reset_curves, reset_table


@pytest.fixture
def jumping(tmp_path):
    """Forty frames whose target jumps away in the frame of index 20."""
    made = sequence(tmp_path / "Jumping", length=40)
    boxes = made.boxes.copy()
    boxes[20:, 0] += 25
    return replace(made, boxes=boxes)


@pytest.fixture
def jobs(jumping):
    return runner.plan([trackers.parse("identity")], Dataset("made", (jumping,)), "vot", (0, 1))


def ran(jobs, folder):
    """Compute without a cluster what `runner.run` would."""
    store = Store(folder / "store")
    for job in jobs:
        track = runner.resets.track_with_resets(
            job.spec.build("cpu", 0), job.sequence, job.segment
        )
        environment = {"device_name": "a processor", "threads": 1, "workers": 1}
        store.write(job.unit, track, environment)
    return store


def test_the_table_has_eao_accuracy_and_robustness(jobs, jumping, tmp_path):
    made = Dataset("made", (jumping,), missing={"Lost": "no images"})
    report = collect_resets(jobs, made, ran(jobs, tmp_path), interval=(10, 30))
    (run, again) = report.of("identity")["Jumping"]
    assert (run.starts, run.failures) == (again.starts, again.failures) == ((0, 25), (20,))
    row = reset_table(report).loc["identity"]
    # 19 frames of 1 and zeros after them; and 14 frames of 1 to the end.
    curve = reset_curves(report)["identity"]
    np.testing.assert_allclose(curve[[1, 14, 15, 19]], [1, 1, 1, 1])
    assert row["EAO"] == pytest.approx(np.mean(curve[10:31])) and row["A"] == 1
    assert (row["R"], row["repetitions"], row["sequences"]) == (1, "2", "1/2")
    assert row["reliability"] == pytest.approx(np.exp(-30 / 40))
    text = "\n".join(lines(report))
    assert "conventions: vot; EAO is the mean over lengths 10 to 30" in text
    assert "no images" in text and "EAO" in text


def test_a_repetition_that_is_missing_leaves_the_sequence_out(jobs, jumping, tmp_path):
    made = Dataset("made", (jumping,))
    report = collect_resets(jobs, made, ran(jobs[:1], tmp_path))
    assert not report.runs and report.missing["reason"].tolist() == ["not run yet"]
    assert "no tracker has finished" in "\n".join(lines(report))
    assert reset_table(report).empty


def test_ground_truth_is_part_of_a_unit(jumping):
    def fingerprint(one, protocol):
        jobs = runner.plan([Fake()], Dataset("made", (one,)), protocol)
        return jobs[0].unit.fingerprint

    moved = replace(jumping, boxes=jumping.boxes + np.arange(40)[:, None] * [0.1, 0, 0, 0])
    assert fingerprint(jumping, "ope") == fingerprint(moved, "ope")
    assert fingerprint(jumping, "vot") != fingerprint(moved, "vot")


def test_the_runner_computes_and_resumes(jumping, tmp_path, scheduler):
    made = Dataset("made", (jumping,))
    jobs = runner.plan([Fake("still")], made, "vot", device="cpu")
    store = Store(tmp_path / "store")
    assert runner.run(jobs, store, scheduler=scheduler).done == 1
    assert runner.run(jobs, store).skipped == 1
    boxes = store.read(jobs[0].unit).track.boxes
    assert np.flatnonzero(np.isnan(boxes[:, 0])).tolist() == [*range(20, 25)]
    np.testing.assert_allclose(boxes[25], np.add(BOX, [25, 0, 0, 0]))


def test_intervals_are_numbers_or_challenges():
    assert interval_of("VOT2016") == vot.INTERVALS["vot2016"] and interval_of("5-9") == (5, 9)
    for text in ("vot2013", "9-5", "5", "a-b"):
        with pytest.raises(ValueError, match=r"LOW-HIGH or one of vot2015.*got"):
            interval_of(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("vot", "otb", None, None), "expected conventions vot, exact, got 'otb'"),
        (("ope", "exact", None, None), "expected conventions otb,.* got 'exact'"),
        (("ope", None, "5-9", None), "--eao-interval with --protocol vot alone"),
        (("vot", None, None, "kcf"), "no --against with --protocol vot"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        collector(*options)
