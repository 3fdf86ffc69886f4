"""What a file of results lacks is run and takes its place; every row runs on a few frames."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from benchmarks import reproduce, smoke
from tests.eval.fake_tracker import sequence
from tests.eval.made_archive import NAMES, archive
from trackerlib.data import Dataset
from trackerlib.eval.archive import Archive
from trackerlib.eval.items import Item, Row
from trackerlib.eval.places import read_whole
from trackerlib.eval.runner import plan
from trackerlib.eval.store import Failure
from trackerlib.trackers import parse

HERE = reproduce.How("cpu")


@pytest.fixture
def dataset(tmp_path):
    return Dataset("otb", (sequence(tmp_path / "Bright", shade=200), sequence(tmp_path / "Dark")))


@pytest.fixture
def update(tmp_path, dataset):
    def run(trackers, data=dataset, seeds=()):
        file, store = tmp_path / "all.npz", tmp_path / "store"
        assert reproduce.update(file, data, trackers, seeds, HERE, store) == 0
        return read_whole(file)

    return run


def runs(found):
    return [(row.unit.label, row.unit.sequence, row.unit.seed) for row in found.rows]


def test_what_is_missing_is_run_and_the_rest_stays(update, dataset, capsys):
    first = update(["identity"], dataclasses.replace(dataset, sequences=dataset.sequences[:1]))
    assert runs(first) == [("identity", "Bright", 0)]
    both = update(["identity"])
    assert runs(both) == [("identity", "Bright", 0), ("identity", "Dark", 0)]
    assert_array_equal(both.rows[0].outcome.track.seconds, first.rows[0].outcome.track.seconds)
    assert "1 of 2 units are in" in capsys.readouterr().out
    update(["identity"])
    assert "2 of 2 units are in" in capsys.readouterr().out


def test_seeds_of_the_file_are_run_on_new_sequences(update, dataset):
    update(["identity"], dataclasses.replace(dataset, sequences=dataset.sequences[:1]), (0, 3))
    found = update(["identity"])
    assert {seed for _, name, seed in runs(found) if name == "Dark"} == {0, 3}


@pytest.mark.parametrize(
    ("label", "count"),
    [
        *(("kcf:features=gray", 1), ("msdat", 1), ("msdat:adaptation=random", 3)),
        *(("mdnet", 3), ("opencv:algorithm=csrt", 1), ("opencv:algorithm=mil", 3)),
    ],
)
def test_trackers_that_draw_random_numbers_have_three_seeds(label, count):
    assert len(reproduce.default_seeds(label)) == count


def test_fast_trackers_are_run_first():
    specs = ["identity", "hcf", "opencv:algorithm=csrt", "kcf"]
    found = [one.label for one in reproduce.runnable(specs)]
    assert found == ["kcf", "opencv:algorithm=csrt", "hcf", "identity"]


def test_other_code_other_frames_and_crashes_are_due(dataset):
    jobs = plan([parse("identity")], dataset, device="cpu")
    crash = Archive({}, tuple(reproduce.Row(Failure(job.unit, "no")) for job in jobs))
    assert reproduce.due(jobs, crash) == jobs
    units = [dataclasses.replace(job.unit, code="other") for job in jobs[:1]]
    units += [dataclasses.replace(job.unit, contents="other") for job in jobs[1:]]
    jobs_of = [dataclasses.replace(j, unit=u) for j, u in zip(jobs, units, strict=True)]
    assert reproduce.due(jobs_of, crash) == jobs_of


def test_rows_of_another_version_go_on_all_targets():
    old = archive({"a": [{}], "b": [{}]})
    new = archive({"a": [{"code": "2", "names": NAMES[:2]}]})
    found = reproduce.renewed(old, new.rows, new)
    kept = {(row.unit.label, row.unit.code) for row in found.rows}
    assert kept == {("a", "2"), ("b", "1")} and len(found.rows) == 2 + len(NAMES)


def test_a_row_that_is_run_again_takes_its_place():
    old, new = archive({"a": [{}]}), archive({"a": [{"seconds": 9.0, "names": NAMES[:1]}]})
    found = reproduce.renewed(old, new.rows, new)
    seconds = {row.unit.sequence: row.outcome.track.seconds[0] for row in found.rows}
    assert seconds.pop(NAMES[0]) == 9 and set(seconds.values()) == {0.1}


def test_other_ground_truth_under_a_name_is_refused():
    old, new = archive({"a": [{}]}), archive({"b": [{}]}, names=NAMES[:1])
    facts = {key: dataclasses.replace(one, truth=(1,) * 11) for key, one in new.sequences.items()}
    with pytest.raises(ValueError, match="other ground truth"):
        reproduce.renewed(old, new.rows, Archive(facts, ()))


def test_what_cannot_be_built_is_left_out_by_name(capsys):
    assert [s.label for s in reproduce.runnable(["kcf", "mdnet:head=none", "kcf"])] == ["kcf"]
    assert "left out: mdnet:head=none: weights: expected" in capsys.readouterr().err


def item(status, **rows):
    fields = {"paper": "FDN", "item": "Table 9", "shows": "", "needs": "otb", "page": ""}
    return Item(status=status, protocols=("ope", "sre"), rows=rows, **fields)


def test_a_smoke_run_has_every_row_on_three_frames(tmp_path, capsys):
    items = [item("complete", KCF=Row(("kcf", "mdnet:head=none")))]
    assert smoke.smoke(tmp_path / "all.npz", items, HERE, tmp_path / "store") == 0
    (row,) = read_whole(tmp_path / "all.npz").rows
    assert row.unit.label == "kcf" and len(row.outcome.track.boxes) == smoke.FRAMES
    out = capsys.readouterr().out
    assert "runs: FDN, Table 9: 1 of 2 rows" in out and "left out: mdnet:head=none" in out


@pytest.mark.parametrize(("status", "failed"), [("complete", 1), ("partial", 0)])
def test_a_default_that_cannot_be_built_fails_a_complete_item(status, failed):
    items = [item(status, MDNet=Row(("mdnet:head=none",)))]
    assert smoke.reported(items, {}, {"mdnet:head=none": "no weights"}) == failed


def test_a_crash_fails_its_item(capsys):
    items = [item("partial", KCF=Row(("kcf",))), item("partial", Other=Row(("hcf",)))]
    assert smoke.reported(items, {"kcf": "IndexError: 3"}, {}) == 1
    out = capsys.readouterr().out
    assert "FAILS: FDN, Table 9: 0 of 1 rows\n    kcf: IndexError: 3" in out


@pytest.mark.parametrize("text", ["mdnet", "fdn:preset=paper", "deeptrack", "kcf"])
def test_a_quick_tracker_has_its_own_label_and_does_less(text):
    whole, few = parse(text), smoke.quick(text)
    assert few.label == text and few.module == whole.module
    changed = {
        name: (value, few.settings()[name])
        for name, value in whole.settings().items()
        if few.settings()[name] != value
    }
    assert all(np.less_equal(small, large) for large, small in changed.values())
    assert bool(changed) == (text != "kcf")
