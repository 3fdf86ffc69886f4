"""Evaluating many segments in parallel, resumably."""

import ast
import dataclasses
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import ClassVar

import cv2
import dask
import numpy as np
import pytest
import torch
from distributed import Client
from fake_tracker import BOX, Fake, replace_frame, sequence, shade
from faults import FAULTS, contents, disturbed

from trackerlib.data import Dataset
from trackerlib.data.sequence import Sequence
from trackerlib.data.synthetic import render
from trackerlib.data.video import VideoFile
from trackerlib.eval import runner
from trackerlib.eval.runner import plan, resolve_device, run
from trackerlib.eval.store import Store, StoreError
from trackerlib.trackers import parse


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match=r"resolve_device: .* got 'warp'.*use --device cpu"):
        resolve_device("warp")


def test_a_plan_is_for_a_device_that_exists(dataset):
    with pytest.raises(ValueError, match=r"expected auto, cpu or a device .* got 'abacus'"):
        plan([Fake()], dataset, device="abacus")


def test_the_plan_names_every_unit_once(dataset):
    jobs = plan([Fake(), Fake("nan")], dataset, seeds=(0, 1), device="cpu")
    assert len({job.unit.stem for job in jobs}) == len(jobs) == 2 * 2 * 2
    assert [job.unit.sequence for job in jobs[:4]] == ["Bright", "Dark"] * 2


def test_a_run_is_complete_and_is_not_repeated(dataset, store, scheduler):
    first = run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler)
    again = run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler)
    assert (first.done, first.skipped, first.failed) == (2, 0, 0)
    assert (again.done, again.skipped, again.failed) == (0, 2, 0)
    result = next(store.results())
    np.testing.assert_allclose(result.track.boxes[1], BOX + 0.1)
    expected = {"workers": 1, "threads": 1, "device": "cpu", "numpy": np.__version__}
    assert expected.items() <= result.environment.items()


def spotlight(severity):
    return Dataset("rendered", (render("Spotlight", severity),))


def test_another_severity_is_another_unit():
    units = [plan([Fake()], spotlight(s), device="cpu")[0].unit for s in (0.0, 2.0, 2.0)]
    assert units[0].fingerprint != units[1].fingerprint == units[2].fingerprint


def test_a_video_is_known_by_what_it_holds(tmp_path):
    def unit(folder, content):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "video.mp4"
        path.write_bytes(content)
        video = Sequence("video", VideoFile(path, 3), np.tile(BOX, (3, 1)), np.arange(1, 4))
        return plan([Fake()], Dataset("videos", (video,)), device="cpu")[0].unit

    first, edited, copied = unit("a", b"video"), unit("b", b"oediv"), unit("c", b"video")
    assert first.fingerprint == copied.fingerprint != edited.fingerprint


@pytest.mark.parametrize("missing", [False, True])
def test_uncompressed_frames_edited_in_place_are_another_unit(dark, missing):
    def unit():
        return plan([Fake()], Dataset("made", (dark,)), device="cpu")[0].unit

    for index in range(5):
        replace_frame(dark, index, None if missing and index == 1 else b"BM" + bytes(100))
    before = unit()
    replace_frame(dark, 3, b"BM" + bytes(99) + b"1")
    assert unit().fingerprint != before.fingerprint


def test_a_first_frame_edited_in_place_is_another_unit(dark):
    replace_frame(dark, 0, b"first")
    before = plan([Fake()], Dataset("made", (dark,)), device="cpu")[0].unit
    replace_frame(dark, 0, b"other")
    assert plan([Fake()], Dataset("made", (dark,)), device="cpu")[0].unit != before


@pytest.mark.parametrize(
    ("where", "what", "value"),
    [
        (torch, "__version__", "0"),
        (cv2, "__version__", "0"),
        (runner, "tracking", dataclasses),
        (runner, "decoding", dataclasses),
    ],
    ids=["torch", "OpenCV", "tracking", "decoding"],
)
def test_what_else_makes_the_boxes_makes_another_unit(dataset, monkeypatch, where, what, value):
    before = plan([Fake()], dataset, device="cpu")[0].unit
    monkeypatch.setattr(where, what, value)
    assert plan([Fake()], dataset, device="cpu")[0].unit.fingerprint != before.fingerprint


def test_an_unchanged_library_keeps_its_units(dataset):
    plans = [plan([Fake()], dataset, device="cpu") for _ in range(2)]
    assert [job.unit for job in plans[0]] == [job.unit for job in plans[1]]


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        ("sre", r"Dark, frame 1: .*0001.png: not a readable image"),
        ("tre", "Dark: expected a frame with ground truth"),
    ],
)
def test_a_sequence_without_a_start_fails_alone(
    tmp_path, dark, store, scheduler, protocol, reason
):
    if protocol == "sre":
        replace_frame(dark, 0, b"")
    whole = sequence(tmp_path / "Whole", length=21)
    jobs = plan([Fake()], Dataset("made", (dark, whole)), protocol, device="cpu")
    assert [job.segment.name for job in jobs if job.unit.sequence == "Dark"] == [protocol]
    summary = run(jobs, store, scheduler=scheduler)
    assert (summary.done, summary.failed) == (len(jobs) - 1, 1) and len(jobs) > 2
    (failure,) = store.failures()
    assert (failure.unit.sequence, failure.unit.segment) == ("Dark", protocol)
    assert re.search(reason, failure.traceback.splitlines()[-1])


def test_an_unknown_protocol_is_an_error(dataset):
    with pytest.raises(ValueError, match="expected a protocol among"):
        plan([Fake()], dataset, "once", device="cpu")


def test_changed_code_is_run_again(dataset, store, scheduler):
    for version in ("1", "2"):
        jobs = plan([Fake(version=version)], dataset, device="cpu")
        assert run(jobs, store, scheduler=scheduler).done == 2
    assert [result.unit for result in store.results()] == [job.unit for job in jobs]


def test_results_of_old_code_are_gone_before_new_ones_come(dataset, store, scheduler):
    shade(dataset.sequences[0], 0)
    run(plan([Fake("crashes", "1")], dataset, device="cpu"), store, scheduler=scheduler)
    shade(dataset.sequences[0], 200)
    jobs = plan([Fake("crashes", "2")], dataset, device="cpu")
    summary = run(jobs, store, scheduler=scheduler)
    assert (summary.done, summary.failed) == (1, 1)
    (result,) = store.results()
    assert result.unit in [job.unit for job in jobs]


def test_other_frames_are_another_unit(dataset, store, scheduler):
    run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler)
    replace_frame(
        dataset.sequences[0], 2, np.ones((48, 64, 3), np.uint8) * np.arange(3, dtype="u1")
    )
    summary = run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler)
    assert (summary.done, summary.skipped) == (1, 1)


def test_a_crash_is_recorded_and_stops_no_other(dataset, store, scheduler):
    summary = run(plan([Fake("crashes")], dataset, device="cpu"), store, scheduler=scheduler)
    assert (summary.done, summary.failed) == (1, 1)
    (failure,) = store.failures()
    assert failure.unit.sequence == "Bright"
    assert "in update" in failure.traceback and "the frame is too bright" in failure.traceback


def test_a_crash_is_retried(dataset, store, scheduler):
    run(plan([Fake("crashes")], dataset, device="cpu"), store, scheduler=scheduler)
    shade(dataset.sequences[0], 0)
    summary = run(plan([Fake("crashes")], dataset, device="cpu"), store, scheduler=scheduler)
    assert (summary.done, summary.skipped, summary.failed) == (1, 1, 0)
    assert not list(store.failures())


def test_a_seed_belongs_to_its_unit(dataset, store, scheduler):
    run(plan([Fake("seed")], dataset, seeds=(0, 1), device="cpu"), store, scheduler=scheduler)
    seeds = {r.unit.stem: r.track.boxes[1, 0] for r in store.results()}
    assert len(set(seeds.values())) == 4
    bright = next(s for stem, s in seeds.items() if stem.endswith("Bright.ope.seed0"))
    assert bright == 526615  # the same on every machine


def test_a_full_disk_stops_the_run_and_keeps_what_is_there(dataset, store, scheduler):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs Linux's /dev/full")
    first, second = (job.unit for job in plan([Fake()], dataset, device="cpu"))
    path = store.root / f"{second.stem}.json"

    class FullDisk(Store):
        def write(self, unit, *result):
            if unit == second:
                path.with_name(f".{path.name}.draft-{os.getpid()}").symlink_to("/dev/full")
            super().write(unit, *result)

    with pytest.raises(StoreError, match="disk is full"):
        run(plan([Fake()], dataset, device="cpu"), FullDisk(store.root), scheduler=scheduler)
    assert [result.unit for result in store.results()] == [first]
    assert not [file for file in path.parent.iterdir() if second.sequence in file.name]
    assert run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler).skipped == 1


def test_a_store_in_use_is_refused(dataset, store, scheduler):
    with store.exclusive(), pytest.raises(StoreError, match=f"process {os.getpid()}"):
        run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler)


def test_no_workers_is_an_error(dataset, store):
    with pytest.raises(ValueError, match="at least one worker, got 0"):
        run([], store, workers=0)


def test_a_scheduler_out_of_reach_is_an_error(dataset, store):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(OSError, match=r"127\.0\.0\.1:9"),
    ):
        run(plan([Fake()], dataset, device="cpu"), store, scheduler="tcp://127.0.0.1:9")


def test_a_worker_that_dies_is_a_recorded_crash(dataset, store):
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        summary = run(plan([Fake("dies")], dataset, device="cpu"), store)
    assert (summary.done, summary.failed) == (1, 1)
    (failure,) = store.failures()
    assert failure.unit.sequence == "Bright" and "KilledWorker" in failure.traceback


@pytest.mark.parametrize("index", [1, 4])
def test_any_frame_edited_in_place_at_equal_size_is_another_unit(dark, index):
    replace_frame(dark, 3, b"of another size than the first ones")
    replace_frame(dark, index, b"before")
    before = plan([Fake()], Dataset("made", (dark,)), device="cpu")[0].unit
    replace_frame(dark, index, b"after.")
    after = plan([Fake()], Dataset("made", (dark,)), device="cpu")[0].unit
    assert after.fingerprint != before.fingerprint


def test_a_tracker_and_a_seed_given_twice_count_once(dataset, store, scheduler):
    jobs = plan([Fake(), Fake()], dataset, seeds=(0, 0), device="cpu")
    assert len(jobs) == 2
    twice = [*jobs, *plan([Fake()], dataset, device="cpu")]
    assert run(twice, store, scheduler=scheduler).done == 2


class Spelled(Fake):
    """The same tracker under another label, which counts how often it is built."""

    built: ClassVar[list] = []

    @property
    def label(self):
        return f"fake:{self.version}"

    def code(self):
        return "1"

    def build(self, device="cpu", seed=0):
        self.built.append(self.label)
        return super().build(device, seed)


def test_two_spellings_of_one_tracker_are_computed_once_and_kept_under_both(
    dataset, store, scheduler
):
    Spelled.built.clear()
    jobs = plan([Spelled(version="a"), Spelled(version="b")], dataset, device="cpu")
    assert len(jobs) == 4 and run(jobs, store, scheduler=scheduler).done == 4
    assert Spelled.built == ["fake:a", "fake:a"] and all(store.complete(j.unit) for j in jobs)


def test_the_same_settings_are_told():
    kept, lines = runner.distinct([parse("kcf"), parse("kcf:kernel=gaussian"), parse("kcf")])
    assert [spec.label for spec in kept] == ["kcf"]
    assert lines == [
        "kcf:kernel=gaussian is the same as kcf: computed and shown once, as kcf",
        "kcf is given twice: computed and shown once, as kcf",
    ]


def test_what_was_noticed_is_told_by_every_run(dataset, store, scheduler):
    bright, dark = dataset.sequences
    replace_frame(dark, 2, b"no image")
    noticed = dataclasses.replace(bright, warnings=("Bright: 1 row is missing",))
    jobs = plan([Fake()], Dataset("made", (noticed, dark)), device="cpu")
    first = run(jobs, store, scheduler=scheduler)
    assert first.warnings[0] == "Bright: 1 row is missing" and len(first.warnings) == 2
    assert "Dark, frame 3" in first.warnings[1]
    assert run(jobs, store).warnings == first.warnings


def test_damaged_results_are_told_set_aside_and_computed_again(dataset, store, scheduler):
    jobs = plan([Fake()], dataset, device="cpu")
    run(jobs, store, scheduler=scheduler)
    path = store.root / f"{jobs[0].unit.stem}.json"
    path.write_text(path.read_text().replace('"seconds"', '"sceonds"'))
    summary = run(jobs, store, scheduler=scheduler)
    assert (summary.done, summary.skipped) == (1, 1) and store.complete(jobs[0].unit)
    assert f"{path}: damaged: " in summary.warnings[0] and "set aside" in summary.warnings[0]
    assert "sceonds" in path.with_name(f"{path.name}.damaged").read_text()
    assert run(jobs, store).warnings == ()


def test_a_complete_store_is_only_read(dataset, store, scheduler, monkeypatch):
    jobs = plan([Fake()], dataset, device="cpu")
    run(jobs, store, scheduler=scheduler)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    monkeypatch.setattr(Store, "exclusive", lambda self: pytest.fail("it is read-only"))
    assert run(jobs, store).skipped == 2
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_a_restart_reads_each_result_once(dataset, store, scheduler, monkeypatch):
    jobs, reads = plan([Fake()], dataset, seeds=range(3), device="cpu"), list[str]()
    run(jobs, store, scheduler=scheduler)
    read = Store.read
    monkeypatch.setattr(
        Store, "read", lambda self, unit: reads.append(unit.stem) or read(self, unit)
    )
    assert run(jobs, store).skipped == len(jobs)
    assert sorted(reads) == sorted(job.unit.stem for job in jobs)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_sequence(tmp_path, store):
    sequences = [
        sequence(tmp_path / name, length, size=(240, 320))
        for name, length in (("A100", 100), ("B1000", 1000))
    ]
    run(plan([Fake("memory")], Dataset("long", tuple(sequences)), device="cpu"), store)
    short, long = (result.track.boxes[1:, 0].max() for result in store.results())
    assert long == pytest.approx(short, rel=0.10)


def test_code_is_parsed_by_one_thread_at_a_time(monkeypatch):
    """Python 3.11 raises "AST constructor recursion depth mismatch" now and then otherwise."""
    busy, overlaps, original = [], [], ast.parse

    def slow(source):
        overlaps.extend(busy)
        busy.append(1)
        time.sleep(0.01)
        tree = original(source)
        busy.pop()
        return tree

    with monkeypatch.context() as patched, ThreadPoolExecutor(3) as pool:
        patched.setattr(ast, "parse", slow)
        codes = list(pool.map(runner.code_of, [Fake()] * 3))
    assert len(set(codes)) == 1 and not overlaps


@pytest.mark.parametrize("kind", FAULTS)
def test_whatever_stops_a_run_on_the_disk_the_next_gives_the_same(
    kind, dataset, tmp_path, scheduler, monkeypatch
):
    def boxes(root):
        return {name: text for name, text in contents(root).items() if name.endswith(".txt")}

    def undamaged(root):
        assert not list(Store(root).damages())
        held = {f"{result.unit.stem}.txt" for result in Store(root).results()}
        assert held <= boxes(root).keys() and not list(Store(root).failures())

    jobs = plan([Fake()], dataset, device="cpu")
    with Client(scheduler) as client:  # one for all runs
        monkeypatch.setattr(runner, "connected", lambda *_: nullcontext(client))
        steps = disturbed(kind, tmp_path, lambda root: run(jobs, Store(root)), undamaged, boxes)
    assert steps > 10  # a lock, its holder, two files for each of two units
