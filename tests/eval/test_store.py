"""Results on disk: exact, atomic, for one writer at a time."""

import dataclasses
import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackerlib.eval.store import Failure, Store, StoreError, Track, Unit, _boxes_text

UNIT = Unit(
    dataset="made up",
    sequence="Jogging.1",
    protocol="ope",
    segment="ope",
    seed=3,
    label="kcf:kernel=linear",
    settings={"tracker": "kcf", "kernel": "linear"},
    code="c0de",
    device="cpu",
    start=0,
    frames=3,
    contents="da7a",
    first_box=(10.0, 20.0, 30.0, 40.5),
)
TRACK = Track(
    np.array([[10, 20, 30, 40.5], [10.1, 1 / 3, 30, 40.5], [np.nan, -5, 1e-7, 1e9]]),
    np.array([0.5, 0.25, 0.0]),
    ("Jogging.1, frame 3: not there",),
)
CHANGES = {
    "settings": {"tracker": "kcf", "kernel": "gaussian"},
    "code": "other",
    "device": "cuda",
    "frames": 4,
    "contents": "other",
    "first_box": (10.0, 20.0, 30.0, 40.0),
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "some" / "store")


def boxes_file(store):
    return next(store.root.rglob("*.txt"))


def test_a_result_is_two_files_named_after_the_unit(store):
    store.write(UNIT, TRACK, {})
    text, record = sorted(store.root.rglob("*.*"), reverse=True)[:2]
    folder = text.parent.relative_to(store.root).as_posix()
    assert text.name == "Jogging.1.ope.seed3.txt" and record.name == "Jogging.1.ope.seed3.json"
    assert folder.startswith("made up/kcf-kernel=linear-") and folder.endswith("/ope")
    assert text.read_text().splitlines()[0] == "11,21,30,40.5"
    assert len(dataclasses.replace(UNIT, label="x" * 99).stem.split("/")[1]) == 60 + 1 + 8


def test_a_result_reads_back(store):
    store.write(UNIT, TRACK, {"torch": "2"})
    result = store.read(UNIT)
    np.testing.assert_allclose(result.track.boxes, TRACK.boxes, rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(result.track.seconds, TRACK.seconds)
    assert (result.unit, result.environment) == (UNIT, {"torch": "2"})
    assert result.track.warnings == TRACK.warnings
    assert [found.unit for found in store.results()] == [UNIT]
    assert result.track.fps == pytest.approx(2 / 0.75)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(width=64), min_size=4, max_size=4))
def test_every_number_is_written_exactly(otb):
    text = _boxes_text(np.array([otb]) - [1, 1, 0, 0])
    written = np.array(text.strip().split(","), dtype=np.float64)
    np.testing.assert_array_equal(written, np.array(otb) - [1, 1, 0, 0] + [1, 1, 0, 0])


@pytest.mark.parametrize("field", CHANGES)
def test_a_result_of_something_else_is_not_taken(store, field):
    changed = dataclasses.replace(UNIT, **{field: CHANGES[field]})
    store.write(changed, TRACK, {})
    assert store.complete(changed) and not store.complete(UNIT)


def test_settings_of_one_label_have_folders_of_their_own(store):
    store.write(UNIT, TRACK, {})
    store.write(dataclasses.replace(UNIT, settings=CHANGES["settings"]), TRACK, {})
    assert len(list(store.results())) == 2


@pytest.mark.parametrize("damage", ["", "11,21,30,40.5\n"])
def test_damaged_boxes_are_not_taken(store, damage):
    store.write(UNIT, TRACK, {})
    boxes_file(store).write_text(damage)
    assert not store.complete(UNIT) and not list(store.results())


def test_a_damaged_record_is_not_taken(store):
    store.write(UNIT, TRACK, {})
    record = boxes_file(store).with_suffix(".json")
    record.write_text(record.read_text()[:50])
    assert not store.complete(UNIT) and not list(store.results())


def test_a_record_of_another_version_is_not_taken(store):
    store.write(UNIT, TRACK, {})
    store.write_failure(UNIT, "Traceback")
    for record in store.root.rglob("*.json"):
        record.write_text(record.read_text().replace('"first_box"', '"first"'))
    assert not list(store.results()) and not list(store.failures())


@pytest.mark.parametrize("died_at", [1, 2])
def test_dying_between_the_files_leaves_nothing_complete(store, monkeypatch, died_at):
    store.write(UNIT, dataclasses.replace(TRACK, boxes=TRACK.boxes + 1), {})
    calls = []

    def replace(source, target, real=os.replace):
        calls.append(target)
        if len(calls) == died_at:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        store.write(UNIT, TRACK, {})
    kept = store.read(UNIT)
    if died_at == 1:
        np.testing.assert_allclose(kept.track.boxes, TRACK.boxes + 1)
    else:
        assert kept is None


def test_a_crash_is_kept_until_the_unit_succeeds(store):
    store.write_failure(UNIT, "Traceback: first")
    store.write_failure(UNIT, "Traceback: second")
    assert store.failure(UNIT).traceback == "Traceback: second"
    assert [crash.unit for crash in store.failures()] == [UNIT]
    assert not store.complete(UNIT)
    store.write(UNIT, TRACK, {})
    assert store.failure(UNIT) is None and not list(store.failures())


def test_discard_removes_the_result_alone(store):
    store.write(UNIT, TRACK, {})
    store.write_failure(UNIT, "later")
    store.discard(UNIT)
    assert not list(store.root.rglob("*.txt")) and store.failure(UNIT)


def test_discard_removes_the_drafts_of_killed_runs(store):
    store.write(UNIT, TRACK, {})
    draft = boxes_file(store).with_name(f".{boxes_file(store).name}.draft-1")
    draft.write_text("11,21")
    store.discard(UNIT)
    assert not draft.exists()


@pytest.mark.parametrize("field", CHANGES)
def test_a_result_of_something_else_is_outdated(store, field):
    assert not store.outdated(UNIT)
    changed = dataclasses.replace(UNIT, **{field: CHANGES[field]})
    store.write(changed, TRACK, {})
    assert store.outdated(UNIT) and not store.outdated(changed)
    assert not store.outdated(dataclasses.replace(UNIT, seed=4))


def test_an_absent_store_reads_as_empty(store):
    assert store.read(UNIT) is None and not list(store.results()) and not list(store.failures())


def hold(root, held):
    with Store(root).exclusive():
        held.set()
        time.sleep(600)


@pytest.fixture
def holder(store):
    """Another process that is writing to the store."""
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(store.root, held))
    process.start()
    assert held.wait(300)
    yield process
    process.kill()
    process.join()


def test_a_second_writer_is_told_who_the_first_is(store, holder):
    with pytest.raises(StoreError, match=rf"{store.root} is .* process {holder.pid} on .* since"):
        store.exclusive().__enter__()
    store.read(UNIT)  # needs no lock


def test_a_killed_writer_leaves_no_lock(store, holder):
    holder.kill()
    holder.join()
    with store.exclusive():
        pass


def test_the_lock_is_free_after_an_error(store):
    with pytest.raises(KeyError), store.exclusive():
        raise KeyError
    with store.exclusive():
        pass


@pytest.mark.parametrize("suffix", [".json", ".txt"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"[]"])
def test_a_damaged_file_is_no_result(store, suffix, content):
    store.write(UNIT, TRACK, {})
    (store.root / (UNIT.stem + suffix)).write_bytes(content)
    assert not store.complete(UNIT) and not list(store.results())


def record_file(store):
    return boxes_file(store).with_suffix(".json")


RECORD_DAMAGES = [
    ('"seconds"', '"sceonds"'),
    ('"warnings"', '"varnings"'),
    ('"unit"', '"init"'),
    ('"record_sha256"', '"record_sha257"'),
    ('"boxes_sha256"', '"boxes_sha257"'),
    ('"frames": 3', '"frames": 4'),
    ("0.25", "0.26"),
    ("not there", "all there"),
]


@pytest.mark.parametrize(("before", "after"), RECORD_DAMAGES)
def test_a_byte_changed_in_a_record_is_damage_and_named(store, before, after):
    store.write(UNIT, TRACK, {})
    path = record_file(store)
    content = path.read_text()
    assert store.damaged(UNIT) == "" and before in content
    path.write_text(content.replace(before, after))
    assert store.read(UNIT) is None and not list(store.results())
    assert store.damaged(UNIT).startswith(f"{path}: damaged: expected content that has the hash")
    assert list(store.damages()) == [store.damaged(UNIT)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b"{}"])
def test_what_is_no_record_is_damage_and_named(store, content):
    store.write(UNIT, TRACK, {})
    record_file(store).write_bytes(content)
    assert f"{record_file(store)}: damaged: expected a record in JSON" in store.damaged(UNIT)


def test_changed_boxes_are_damage_and_named(store):
    store.write(UNIT, TRACK, {})
    boxes_file(store).write_text("11,21,30,40.5\n")
    assert store.damaged(UNIT).startswith(f"{boxes_file(store)}: damaged: expected the boxes")


def test_a_damaged_crash_is_none_and_named(store):
    store.write_failure(UNIT, "Traceback")
    path = store.root / f"{UNIT.stem}.error.json"
    path.write_text(path.read_text().replace("Traceback", "Trackback"))
    assert store.failure(UNIT) is None and not list(store.failures())
    assert str(path) in store.damaged(UNIT) and len(list(store.damages())) == 1


def test_damaged_files_are_set_aside_and_never_over_one_another(store):
    for _ in range(2):
        store.write(UNIT, TRACK, {})
        boxes_file(store).write_text("mine")
        assert "; set aside with .damaged after its name" in store.set_aside(UNIT)
        assert store.set_aside(UNIT) == "" and not store.outdated(UNIT)
    folder = (store.root / UNIT.stem).parent
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == [
        "Jogging.1.ope.seed3.json.damaged",
        "Jogging.1.ope.seed3.json.damaged-2",
        "Jogging.1.ope.seed3.txt.damaged",
        "Jogging.1.ope.seed3.txt.damaged-2",
    ]
    assert (folder / kept[2]).read_text() == (folder / kept[3]).read_text() == "mine"
    store.write(UNIT, TRACK, {})
    assert store.complete(UNIT) and store.set_aside(UNIT) == ""


def test_what_a_killed_run_or_an_earlier_version_left_is_not_damaged(store):
    store.write(UNIT, TRACK, {})
    path = record_file(store)
    record = json.loads(path.read_text())
    del record["record_sha256"]
    path.write_text(json.dumps(record))
    assert store.read(UNIT) is None and store.damaged(UNIT) == "" and store.outdated(UNIT)
    store.write(UNIT, TRACK, {})
    boxes_file(store).unlink()
    assert store.read(UNIT) is None and store.damaged(UNIT) == ""


def test_seconds_are_kept_to_the_last_bit(store):
    track = dataclasses.replace(TRACK, seconds=np.array([1.23456789012345e-7, 1e-9, 0.0]))
    store.write(UNIT, track, {})
    np.testing.assert_array_equal(store.read(UNIT).track.seconds, track.seconds)


@pytest.mark.filterwarnings("error")
def test_a_clock_that_stood_still_is_no_speed():
    assert np.isnan(Track(np.zeros((2, 4)), np.zeros(2)).fps)


@pytest.mark.parametrize(
    ("traceback", "reason"),
    [
        ("Traceback: first", "Traceback: first"),
        ('Traceback:\n  File "a", line 1\n    x()\n    ^^^\nValueError: one', "ValueError: one"),
        (
            'Traceback:\n  File "a"\n    x()\ncv2.error: -215\n> in resize\n',
            "cv2.error: -215 > in resize",
        ),
    ],
)
def test_the_reason_of_a_crash_is_one_line(traceback, reason):
    assert Failure(UNIT, traceback).reason == reason


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("suffix", [".json", ".txt"])
def test_a_full_disk_is_named_and_leaves_nothing_complete(store, suffix):
    store.write(dataclasses.replace(UNIT, seed=0), TRACK, {})
    path = store.root / f"{UNIT.stem}{suffix}"
    path.with_name(f".{path.name}.draft-{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(StoreError, match=f"{store.root}, the disk is full: free some space"):
        store.write(UNIT, TRACK, {})
    assert [result.unit.seed for result in store.results()] == [0]


@pytest.mark.parametrize("code", ["EROFS", "EACCES", "EDQUOT"])
def test_a_store_that_refuses_is_named(store, monkeypatch, code):
    def refuse(*_):
        raise OSError(getattr(errno, code), "refused")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreError, match=f"cannot write to {store.root}"):
        store.write(UNIT, TRACK, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(store):
    store.root.mkdir(mode=0o555, parents=True)
    with pytest.raises(StoreError, match=f"{store.root}, it is not yours to write"):
        store.exclusive().__enter__()


def test_an_unknown_error_of_the_disk_comes_through(tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(FileExistsError, match="store"):
        Store(tmp_path / "store").exclusive().__enter__()


def test_the_fingerprint_does_not_depend_on_the_process():
    program = (
        "import json, sys; from trackerlib.eval.store import Unit;"
        "print(Unit(**json.loads(sys.argv[1])).fingerprint)"
    )
    fields = json.dumps(dataclasses.asdict(UNIT))
    done = subprocess.run(
        [sys.executable, "-c", program, fields], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == UNIT.fingerprint


@pytest.mark.parametrize("suffix", [".txt", ".json", ".error.json"])
def test_a_folder_in_a_files_place_is_damage_and_set_aside(store, suffix):
    path = store.root / (UNIT.stem + suffix)
    if suffix != ".error.json":
        store.write(UNIT, TRACK, {})
        path.unlink()
    path.mkdir(parents=True)
    assert f"{path}: damaged: expected a file" in store.damaged(UNIT)
    assert not store.complete(UNIT) and store.failure(UNIT) is None
    assert "set aside" in store.set_aside(UNIT) and not path.exists()
    store.write(UNIT, TRACK, {})
    assert store.complete(UNIT) and store.damaged(UNIT) == ""


@pytest.mark.parametrize("suffix", [".json", ".error.json"])
def test_brackets_without_end_are_damage(store, suffix):
    store.write(UNIT, TRACK, {})
    path = store.root / (UNIT.stem + suffix)
    path.write_text("[" * 100_000)
    assert f"{path}: damaged: expected a record in JSON" in store.damaged(UNIT)
    assert path.name in " ".join(store.damages()) and store.failure(UNIT) is None
