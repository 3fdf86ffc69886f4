"""The compact form: every table from one file, and what is wrong with a file by row."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from made_results import keep, made
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from trackerlib.data import Dataset
from trackerlib.eval import places, report
from trackerlib.eval.archive import (
    Archive,
    Row,
    check_rows,
    joined,
    measured,
    read_archive,
    unlike,
    write_archive,
)
from trackerlib.eval.archived import ABSENT, collect_archive, parts
from trackerlib.eval.conventions import OTB, VOT
from trackerlib.eval.store import Failure, Result, Store, Track


@pytest.fixture
def dataset(dataset):
    """With attributes, and with ground truth of which some is invalid and some not known."""
    bright, dark = dataset.sequences
    boxes = dark.boxes + np.linspace(0, 3, 20).reshape(5, 4)
    boxes[2], boxes[3] = np.nan, 0
    dark = dataclasses.replace(dark, boxes=boxes, attributes=("OCC", "FM"))
    return Dataset("made", (bright, dark))


@pytest.fixture
def jobs(dataset, tmp_path):
    """What is stored: all but a unit that crashed and one that was not run."""
    jobs, results = made(dataset, ["one", "three", "two"])
    store = keep(Store(tmp_path / "store"), [*results[:7], *results[8:-1]])
    store.write_failure(jobs[-1].unit, "Traceback:\n    x\nValueError: too dark")
    return jobs


@pytest.fixture
def file(jobs, dataset, tmp_path):
    archive = places.open_place(tmp_path / "store", dataset, lambda unit: {"preset": "default"})
    write_archive(tmp_path / "all.npz", archive)
    return tmp_path / "all.npz"


def changed(path, change):
    """Write a file again with its members' content changed, and their zip checksums right."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, change(name, content))


def test_all_tables_are_those_of_the_store_to_the_bit(file, jobs, dataset, tmp_path):
    stored = report.collect(jobs, dataset, Store(tmp_path / "store"))
    shipped = collect_archive(places.read_whole(file), "made")
    assert len(stored.scores) == 8 and shipped.frames == stored.frames
    tables = report.table, report.scales, report.sequences, report.attributes, report.speed
    for one in tables:
        assert_frame_equal(one(shipped), one(stored), check_exact=True)
    for kind in ("success", "precision", "normalised_precision"):
        ours, theirs = report.curves(shipped, kind), report.curves(stored, kind)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_what_is_missing_is_missing_from_the_file(file):
    found = collect_archive(places.read_whole(file), "made").missing
    assert found["reason"].tolist() == [ABSENT, "ValueError: too dark"]
    assert found["tracker"].tolist() == ["fake:behaviour=three", "fake:behaviour=two"]


def test_a_file_gives_back_its_rows(file, dataset, tmp_path):
    archive, damages = read_archive(file)
    stored = list(Store(tmp_path / "store").results())
    assert not damages and len(archive.rows) == len(stored) + 1 == 11
    by_key = {row.unit.key: row for row in archive.rows}
    for result in stored:
        row = by_key[result.unit.key]
        assert row.unit == result.unit and row.outcome.environment == result.environment
        assert_array_equal(row.outcome.track.boxes, result.track.boxes)
        assert_array_equal(row.outcome.track.seconds, result.track.seconds)
        assert row.outcome.track.warnings == ("frame 2: odd",)
        assert row.origin == {"preset": "default"}
    again = tmp_path / "again.npz"
    write_archive(again, archive)
    assert again.read_bytes() == file.read_bytes()


def test_a_member_that_unpacks_to_more_than_any_of_ours_is_damaged(file, monkeypatch):
    with zipfile.ZipFile(file) as packed:
        largest = max(packed.infolist(), key=lambda entry: entry.file_size)
    monkeypatch.setattr("trackerlib.eval.archive.MAX_MEMBER", largest.file_size - 1)
    _, damages = read_archive(file)
    assert damages and all("damaged" in damage for damage in damages)
    assert any(largest.filename in damage for damage in damages)


def test_numpy_reads_a_file(file):
    with np.load(file, allow_pickle=False) as members:
        (name,) = (
            n for n in members if "Bright.ope.seed0" in n and "=one" in n and "json" not in n
        )
        assert members[name].shape == (9, 5)


def test_a_row_takes_little_room(file, tmp_path):
    """10 MB for 20 targets, 10 trackers, 3 seeds: 3,792 frames 30 times, 600 rows."""
    row = places.read_whole(file).rows[0]
    numbers = np.random.default_rng(0).normal(size=(9, 190))
    track = Track(numbers[:4].T, numbers[4])
    unit = dataclasses.replace(row.unit, settings={f"field{n}": n / 7 for n in range(60)})
    measures = type(row.measures)(*numbers[5:])
    long = Row(Result(unit, track, row.outcome.environment), row.origin, measures)
    write_archive(tmp_path / "one.npz", Archive({}, (long,)))
    assert (tmp_path / "one.npz").stat().st_size * 600 < 10_000_000


def test_a_damaged_row_is_named(file):
    def change(name, content):
        if name.endswith("Dark.ope.seed1.npy"):
            return content[:-1] + bytes([content[-1] ^ 1])
        is_record = name.endswith("Bright.ope.seed0.json") and "=one" in name
        return content.replace(b'"seed": 0', b'"seed": 2') if is_record else content

    changed(file, change)
    archive, damages = read_archive(file)
    assert len(archive.rows) == 9 and len(damages) == 2
    assert "Bright.ope.seed0.json: damaged" in damages[0]
    assert "Dark.ope.seed1.npy: damaged: expected the numbers of" in damages[1]
    with pytest.raises(ValueError, match=r"damaged.*, and \d more; `results verify` lists all"):
        places.read_whole(file)


def test_a_byte_that_the_disk_changed_is_found(file):
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as members:
        info = next(i for i in members.infolist() if i.filename.endswith(".npy"))
    content[info.header_offset + len(info.filename) + 60] ^= 0xFF
    file.write_bytes(content)
    _, damages = read_archive(file)
    assert len(damages) == 1 and info.filename in damages[0]


def test_a_row_of_another_version_is_named(file):
    from trackerlib.eval.records import parsed, sealed

    def change(name, content):
        record = parsed(content) if name.endswith("Dark.ope.seed0.json") else {}
        if "=one" not in name or not record:
            return content
        del record["record_sha256"], record["unit"]["code"]
        return sealed(**record).encode()

    changed(file, change)
    _, (line,) = read_archive(file)
    assert "of another version of the library: export it again" in line


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_no_compact_file(file, content):
    file.write_bytes(file.read_bytes()[:-40] if content is None else content)
    with pytest.raises(ValueError, match=r"expected a compact file .* copy it again"):
        read_archive(file)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a compact file of results, found none"):
        read_archive(tmp_path / "none.npz")


def test_results_of_two_versions_are_never_in_one_table(file):
    rows = list(places.read_whole(file).rows)
    older = dataclasses.replace(rows[0].outcome, unit=dataclasses.replace(rows[0].unit, code="x"))
    message = "seed 0: expected the version of fake:behaviour=one that .* got another .code."
    with pytest.raises(ValueError, match=message):
        check_rows([*rows[1:], Row(older)])
    with pytest.raises(
        ValueError, match="made, fake:behaviour=one, Bright, ope, seed 0: expected"
    ):
        check_rows([*rows, Row(older)])


def test_two_results_of_one_unit_are_refused_and_equal_ones_count_once(file):
    archive = places.read_whole(file)
    assert len(joined([archive, archive]).rows) == len(archive.rows)
    row = archive.rows[0]
    track = dataclasses.replace(row.outcome.track, boxes=row.outcome.track.boxes + 1)
    other = Row(dataclasses.replace(row.outcome, track=track), row.origin, row.measures)
    with pytest.raises(ValueError, match="Bright, ope, seed 0: expected one result, got two"):
        joined([archive, Archive(archive.sequences, (other,))])


def test_sequences_of_one_name_must_be_the_same(file):
    archive = places.read_whole(file)
    facts = archive.sequences["made", "Dark"]
    truth = (facts.truth[0], 1, *facts.truth[2:])
    others = {
        "other ground truth in 1 rows, the first of them row 2": {"truth": truth},
        "other frames": {"contents": "x"},
        "6 frames instead of 5": {"frames": 6},
    }
    for message, change in others.items():
        other = dataclasses.replace(facts, **change)
        assert unlike(facts, other) == message
        with pytest.raises(
            ValueError, match=f"made, Dark: expected the same sequence, got {message}"
        ):
            joined([archive, Archive({("made", "Dark"): other}, ())])


def test_boxes_without_ground_truth_are_not_written(jobs, tmp_path):
    archive = places.open_place(tmp_path / "store")
    with pytest.raises(ValueError, match=r"got boxes alone; give the data set"):
        write_archive(tmp_path / "x.npz", archive)
    assert not (tmp_path / "x.npz").exists()


def test_other_conventions_need_boxes_and_ground_truth(file):
    with pytest.raises(ValueError, match="expected OTB's conventions"):
        collect_archive(places.read_whole(file), "made", conventions=VOT)


def test_a_run_that_cannot_be_scored_is_missing(dataset, tmp_path):
    dark = dataset.sequences[1]
    dark = dataclasses.replace(dark, boxes=np.full((5, 4), np.nan))
    dark.boxes[0] = 1
    unknown = Dataset("made", (dark,))
    jobs, results = made(unknown, ["one"], [0])
    row = measured(results[0], unknown, {})
    store = keep(Store(tmp_path / "store"), results)
    stored = report.collect(jobs, unknown, store, OTB)
    archive = Archive(places.dataset_facts(unknown), (row,))
    shipped = collect_archive(archive, "made")
    assert_frame_equal(shipped.missing, stored.missing)
    assert shipped.frames == stored.frames and not shipped.scores
    assert parts(archive) == [("made", "ope")]


def test_a_store_with_results_on_other_frames_is_refused(jobs, dataset, tmp_path):
    store = Store(tmp_path / "store")
    result = next(store.results())
    unit = dataclasses.replace(result.unit, contents="other")
    store.write(unit, result.track, result.environment)
    with pytest.raises(ValueError, match=r"Bright, ope, seed 0: expected a result on the frames"):
        places.open_place(store.root, dataset)


def test_adding_to_places(file, jobs, tmp_path):
    archive = places.read_whole(file)
    assert places.put([archive], tmp_path / "copy") == 11
    copied, stored = Store(tmp_path / "copy"), Store(tmp_path / "store")
    assert [r.unit for r in copied.results()] == [r.unit for r in stored.results()]
    assert [f.reason for f in copied.failures()] == ["ValueError: too dark"]
    assert places.put([archive], tmp_path / "copy") == 11  # equal rows are no conflict
    half = Archive(archive.sequences, archive.rows[:3])
    rest = Archive(archive.sequences, archive.rows[3:])
    places.put([half], tmp_path / "grown.npz")
    places.put([rest], tmp_path / "grown.npz")
    assert (tmp_path / "grown.npz").read_bytes() == file.read_bytes()
    row = archive.rows[0]
    track = dataclasses.replace(row.outcome.track, boxes=row.outcome.track.boxes + 1)
    other = Archive({}, (Row(dataclasses.replace(row.outcome, track=track)),))
    before = sorted(path.read_bytes() for path in copied.root.rglob("*.txt"))
    with pytest.raises(ValueError, match="Bright, ope, seed 0: expected one result, got two"):
        places.put([other], copied.root)
    assert sorted(path.read_bytes() for path in copied.root.rglob("*.txt")) == before


def test_rows_move_to_a_data_set_of_another_name_if_it_is_the_same(file, dataset):
    archive = places.read_whole(file)
    same = Dataset("copied", dataset.sequences)
    moved = places.over(same, archive)
    assert {row.unit.dataset for row in moved.rows} == {"copied"} and len(moved.rows) == 11
    dark = dataset.sequences[1]
    other = dataclasses.replace(dark, boxes=dark.boxes + np.array([0, 0, 0, 1e-9]))
    with pytest.raises(
        ValueError, match=r"Dark, ope, seed 0: expected the sequence .* ground truth"
    ):
        places.over(Dataset("copied", (other,)), archive)


def test_a_crash_is_a_row(file):
    (row,) = (r for r in places.read_whole(file).rows if isinstance(r.outcome, Failure))
    assert row.outcome.reason == "ValueError: too dark" and row.measures is None
    with zipfile.ZipFile(file) as members:
        (name,) = (name for name in members.namelist() if name.endswith(".error.json"))
        assert json.load(io.BytesIO(members.read(name)))["traceback"].startswith("Traceback")
