"""Recorded runs: live unless asked for, and what is read is what was written."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from trackerlib.data import Dataset
from trackerlib.data.sequence import ImageFiles, Sequence
from trackerlib.eval import recorded as records
from trackerlib.eval import report, runner
from trackerlib.eval.recorded import recorded
from trackerlib.eval.store import Store, Track
from trackerlib.trackers import parse

SHIFT = 0.1 + 0.2  # no number of few digits


def found():
    """Arrays of numbers and text, of several shapes."""
    return {
        "boxes": np.full((2, 4), SHIFT),
        "frames": [3, 5],
        "words": ["æ", "bc"],
        "score": SHIFT,
    }


def never():
    raise AssertionError("it was computed")


@pytest.fixture(autouse=True)
def shipped(tmp_path, monkeypatch):
    """An empty data folder of the project; runs are live."""
    folder = tmp_path / "data"
    monkeypatch.setattr(records, "shipped", lambda name: folder / name)
    monkeypatch.delenv("TRACKERLIB_RECORDED", raising=False)
    return folder


@pytest.fixture
def ask(monkeypatch):
    return lambda mode: monkeypatch.setenv("TRACKERLIB_RECORDED", mode)


def assert_found(arrays):
    assert list(arrays) == list(found())
    for name, value in found().items():
        np.testing.assert_array_equal(arrays[name], value, strict=isinstance(value, np.ndarray))


def test_a_run_is_live_and_leaves_nothing_unless_asked(shipped):
    assert_found(recorded("one/two", found))
    assert not shipped.exists()


def test_what_is_read_is_what_was_written(shipped, ask):
    ask("write")
    assert_found(recorded("one/two", found))
    assert [path.name for path in (shipped / "results/book/one").iterdir()] == ["two.npz"]
    ask("read")
    assert_found(recorded("one/two", never))
    ask("")
    with pytest.raises(AssertionError, match="it was computed"):
        recorded("one/two", never)


def test_writing_again_replaces_and_is_the_same_to_the_byte(shipped, ask):
    ask("write")
    path = shipped / "results/book/one/two.npz"
    recorded("one/two", dict, other=1)
    recorded("one/two", found)
    first = path.read_bytes()
    recorded("one/two", found)
    assert path.read_bytes() == first


def test_arguments_reach_the_function():
    arrays = recorded("one/two", lambda a, b: {"sum": a + b}, 1, b=2)
    assert arrays["sum"] == 3 and isinstance(arrays["sum"], np.ndarray)


@pytest.mark.parametrize("name", ["one", "one/two/three", "../one", "one/..", "/one", "one/", ""])
def test_a_name_is_a_folder_and_a_slug(name):
    with pytest.raises(ValueError, match="of the form folder/slug, got"):
        recorded(name, found)


def test_another_mode_is_refused(ask):
    ask("record")
    with pytest.raises(ValueError, match="read, write or not set, got 'record'"):
        recorded("one/two", found)


def test_a_record_that_is_not_there_names_the_cure(ask):
    ask("read")
    with pytest.raises(
        FileNotFoundError, match=r"one/two\.npz, there is none; run make record NB="
    ):
        recorded("one/two", found)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", b"version https://git-lfs.github.com"]
)
def test_a_broken_record_names_the_file_and_the_cure(shipped, ask, content):
    path = shipped / "results/book/one/two.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    ask("read")
    with pytest.raises(ValueError, match=r"two\.npz cannot be read .*; run make record NB="):
        recorded("one/two", found)


@pytest.mark.parametrize("values", [[1, 2], np.zeros(3), None])
def test_a_function_returns_a_mapping(values):
    with pytest.raises(ValueError, match="expected one/two to be a mapping of names to arrays"):
        recorded("one/two", lambda: values)


@pytest.mark.parametrize("mode", ["", "write"])
def test_objects_are_refused_recorded_or_not(shipped, ask, mode):
    ask(mode)
    with pytest.raises(ValueError, match="expected things of one/two to be numbers or text"):
        recorded("one/two", lambda: {"things": [object()]})
    assert not shipped.exists()


# Units of an evaluation: what runner.run takes from records and what it records


@pytest.fixture
def dataset(tmp_path):
    """One sequence of four frames."""
    folder = tmp_path / "Dark"
    folder.mkdir()
    paths = [folder / f"{number:04d}.png" for number in range(1, 5)]
    for path in paths:
        cv2.imwrite(str(path), np.full((48, 64, 3), 100, np.uint8))
    boxes = np.tile([10.0, 8.0, 20.0, 16.0], (4, 1))
    return Dataset("made", (Sequence("Dark", ImageFiles(tuple(paths)), boxes, np.arange(1, 5)),))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def run(store, scheduler):
    return lambda jobs: runner.run(jobs, store, scheduler=scheduler)


@pytest.fixture
def jobs(dataset):
    return runner.plan([parse("identity")], dataset, device="cpu")


TRACK = Track(
    np.array([[10, 8, 20, 16], [11, 8, 20, 16], [12, 8, 20, 16], [SHIFT, 8, 20, 16.0]]),
    np.array([0.5, 0.25, 0.25, 0.0]),
    ("Dark, frame 4: the last box stays",),
)
ENVIRONMENT = {
    "host": "made-here",
    "device_name": "Some CPU",
    "device": "cpu",
    "threads": 1,
    "workers": 1,
}


@pytest.fixture
def record(jobs, tmp_path, ask):
    """A shipped record of the only job, such as the tracker itself would not give."""
    ask("write")
    other = Store(tmp_path / "other")
    other.write(jobs[0].unit, TRACK, ENVIRONMENT)
    records.keep(jobs[0].unit, other)
    ask("read")


def test_a_unit_is_taken_from_its_record(record, jobs, store, run):
    assert run(jobs) == runner.Summary(done=1, skipped=0, failed=0)
    result = store.read(jobs[0].unit)
    np.testing.assert_array_equal(result.track.boxes, TRACK.boxes)
    np.testing.assert_array_equal(result.track.seconds, TRACK.seconds)
    assert result.track.warnings == TRACK.warnings
    assert result.environment == {
        "device_name": "Some CPU (recorded)",
        "device": "cpu",
        "threads": 1,
        "workers": 1,
        "recorded": True,
    }
    assert run(jobs).skipped == 1


def test_a_record_outlives_its_code_and_device(record, jobs, store):
    unit = dataclasses.replace(jobs[0].unit, code="another", device="cuda")
    assert records.replay(unit, store)
    assert store.complete(unit)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"tracker": "another"}},
        {"sequence": "Bright"},
        {"segment": "tre01"},
        {"seed": 1},
        {"start": 1},
        {"frames": 5},
        {"contents": "another"},
        {"first_box": (10.0, 8.0, 20.0, 17.0)},
        {"protocol": "tre"},
        {"dataset": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_record_of_something_else_is_none(record, jobs, store, change):
    unit = dataclasses.replace(jobs[0].unit, **change)
    assert not records.replay(unit, store)
    assert not store.root.exists()


def test_what_has_no_record_is_computed(ask, jobs, store, shipped, run):
    ask("read")
    run(jobs)
    result = store.read(jobs[0].unit)
    assert "recorded" not in result.environment and (result.track.boxes == TRACK.boxes[0]).all()
    assert not shipped.exists()


def test_runs_are_live_by_default(record, ask, jobs, store, run):
    ask("")
    run(jobs)
    assert (store.read(jobs[0].unit).track.boxes == TRACK.boxes[0]).all()


def test_a_live_run_replaces_what_was_taken_from_a_record(record, ask, jobs, store, run):
    run(jobs)
    ask("")
    assert run(jobs).done == 1
    assert "recorded" not in store.read(jobs[0].unit).environment


def test_in_mode_write_a_unit_is_recorded_as_computed(ask, jobs, store, shipped, run):
    ask("write")
    run(jobs)
    path = shipped / "results" / f"{jobs[0].unit.stem}.npz"
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    computed = store.read(jobs[0].unit)
    np.testing.assert_array_equal(arrays["boxes"], computed.track.boxes)
    np.testing.assert_array_equal(arrays["seconds"], computed.track.seconds)
    environment = json.loads(str(arrays["environment"]))
    assert environment == {k: v for k, v in computed.environment.items() if k != "host"}


def test_a_crash_is_not_recorded(ask, dataset, store, shipped, run):
    ask("write")
    (sequence,) = dataset.sequences
    dark = dataclasses.replace(sequence, boxes=sequence.boxes * [1, 1, 0, 1])
    jobs = runner.plan([parse("identity")], Dataset("made", (dark,)), device="cpu")
    assert run(jobs).failed == 1
    assert not shipped.exists()


def test_another_mode_is_refused_before_anything_runs(ask, jobs, store, run):
    ask("record")
    with pytest.raises(ValueError, match="read, write or not set, got 'record'"):
        run(jobs)
    assert not store.complete(jobs[0].unit)


def test_a_report_says_that_seconds_are_recorded(record, jobs, dataset, store, run):
    run(jobs)
    speed = report.speed(report.collect(jobs, dataset, store))
    assert list(speed.index.get_level_values("device")) == ["Some CPU (recorded)"]
    np.testing.assert_allclose(speed.fps, 3.0)


def test_a_record_that_does_not_fit_is_told(record, jobs, dataset, store, run):
    assert records.other(jobs[0].unit) == ""
    (dark,) = dataset.sequences
    paths = dark.frames.paths
    cv2.imwrite(str(paths[2]), np.full((48, 64, 3), 7, np.uint8))
    changed = runner.plan([parse("identity")], dataset, device="cpu")
    summary = run(changed)
    assert summary.done == 1 and (store.read(changed[0].unit).track.boxes == TRACK.boxes[0]).all()
    assert [line for line in summary.warnings if "a record of other contents, not taken" in line]


def test_no_record_is_told_of_where_none_is_asked_for(record, ask, jobs):
    ask("")
    assert records.other(dataclasses.replace(jobs[0].unit, contents="another")) == ""
