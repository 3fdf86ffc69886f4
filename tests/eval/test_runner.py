"""Tracking one segment, and evaluating many in parallel."""

import dataclasses
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import dask
import numpy as np
import pytest
import torch
from distributed import LocalCluster

from trackerlib.data import Dataset
from trackerlib.data.sequence import FrameError, ImageFiles, Sequence
from trackerlib.data.synthetic import render
from trackerlib.data.video import VideoFile
from trackerlib.eval import runner
from trackerlib.eval.protocols import Segment
from trackerlib.eval.runner import plan, resolve_device, run, track
from trackerlib.eval.store import Store, StoreError

BOX = np.array([10.0, 8.0, 20.0, 16.0])


@dataclass(frozen=True)
class Fake:
    """A tracker's specification whose tracker does what `answer` says."""

    answer: str = "moves"
    version: str = "1"

    @property
    def label(self):
        return f"fake:answer={self.answer}"

    def settings(self):
        return {"tracker": "fake", "answer": self.answer}

    def code(self):
        return self.version

    def build(self, device="cpu", seed=0):
        return FakeTracker(self.answer, seed)


class FakeTracker:
    def __init__(self, answer="moves", seed=0):
        self.answer, self.seed = answer, seed

    def init(self, frame, box):
        if self.answer == "too small":
            raise ValueError("expected at least 5 pixels")
        self.box = box

    def update(self, frame):
        self.box += 0.1  # in place: neither the first box nor an answer may follow
        if self.answer == "crashes" and frame.mean() > 150:
            raise RuntimeError("the frame is too bright")
        if self.answer == "dies" and frame.mean() > 150:
            os._exit(1)
        answers = {
            "nan": np.full(4, np.nan),
            "three": self.box[:3],
            "nothing": None,
            "seed": np.array([self.seed % 1e6, 0, 1, 1]),
            "memory": np.array([resident(), 0, 1, 1]),
        }
        return answers.get(self.answer, self.box)


def resident():
    """MiB of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sequence(folder, length=5, shade=100, size=(48, 64)):
    folder.mkdir()
    paths = [folder / f"{number:04d}.png" for number in range(1, length + 1)]
    cv2.imwrite(str(paths[0]), np.full((*size, 3), shade, np.uint8))
    for path in paths[1:]:
        path.hardlink_to(paths[0])
    boxes = np.tile(BOX, (length, 1))
    return Sequence(folder.name, ImageFiles(tuple(paths)), boxes, np.arange(1, length + 1))


@pytest.fixture
def dark(tmp_path):
    return sequence(tmp_path / "Dark")


@pytest.fixture
def dataset(tmp_path, dark):
    return Dataset("made", (sequence(tmp_path / "Bright", shade=200), dark))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def scheduler():
    """A cluster that is there already: no processes to start for every test."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address


WHOLE = Segment("ope", 0, BOX)


def replace_frame(sequence, index, content):
    """Frames are links to one file, so a frame is changed by a new file."""
    path = sequence.frames.paths[index]
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        cv2.imwrite(str(path), content)


def shade(sequence, value):
    for index in range(len(sequence)):
        replace_frame(sequence, index, np.full((48, 64, 3), value, np.uint8))


def test_a_track_begins_with_the_box_given(dark):
    result = track(FakeTracker(), dark, WHOLE)
    np.testing.assert_allclose(result.boxes, BOX + 0.1 * np.arange(5)[:, None])
    assert (result.seconds > 0).all() and result.warnings == ()


def test_a_segment_begins_where_it_says(dark):
    result = track(FakeTracker(), dark, Segment("tre03", 3, BOX + 1))
    np.testing.assert_allclose(result.boxes, [BOX + 1, BOX + 1.1])


@pytest.mark.parametrize("content", [None, b"", b"no image", np.zeros((40, 40, 3), np.uint8)])
def test_an_unusable_frame_keeps_the_last_box(dark, content):
    replace_frame(dark, 2, content)
    result = track(FakeTracker(), dark, WHOLE)
    np.testing.assert_allclose(result.boxes[:, 0], [10, 10.1, 10.1, 10.2, 10.3])
    assert result.seconds[2] == 0 and (np.delete(result.seconds, 2) > 0).all()
    (warning,) = result.warnings
    assert "Dark, frame 3" in warning and "the last box stays" in warning


def test_an_unusable_first_frame_is_an_error(dark):
    replace_frame(dark, 0, b"no image")
    with pytest.raises(FrameError, match=r"Dark, frame 1: .*0001\.png: not a readable image"):
        track(FakeTracker(), dark, WHOLE)


@pytest.mark.parametrize("box", [[70, 8, 20, 16], [10, 8, 0, 16], [10, np.nan, 20, 16]])
def test_an_unusable_first_box_is_an_error(dark, box):
    with pytest.raises(ValueError, match="Dark, frame 1, first box"):
        track(FakeTracker(), dark, Segment("ope", 0, np.array(box)))


def test_a_box_that_the_tracker_refuses_is_named(dark):
    with pytest.raises(ValueError, match="Dark, frame 1, first box: expected at least 5 pixels"):
        track(FakeTracker("too small"), dark, WHOLE)


@pytest.mark.parametrize("answer", ["three", "nothing"])
def test_anything_but_four_numbers_is_an_error(dark, answer):
    with pytest.raises(ValueError, match="Dark, frame 2: expected a box of 4 numbers"):
        track(FakeTracker(answer), dark, WHOLE)


def test_nan_passes_with_a_warning(dark):
    result = track(FakeTracker("nan"), dark, WHOLE)
    assert np.isnan(result.boxes[1:]).all() and len(result.warnings) == 4
    assert "Dark, frame 2: the tracker answered [nan" in result.warnings[0]


def test_seconds_are_the_trackers_alone(dark):
    @dataclass(frozen=True)
    class Slow:
        frames: ImageFiles

        def __len__(self):
            return len(self.frames)

        def __getitem__(self, index):
            time.sleep(0.05)
            return self.frames[index]

    slow = dataclasses.replace(dark, frames=Slow(dark.frames))
    assert track(FakeTracker(), slow, WHOLE).seconds.sum() < 0.05


def test_seconds_wait_for_the_gpu(dark, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: time.sleep(0.01))
    assert (track(FakeTracker(), dark, WHOLE).seconds >= 0.01).all()


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


def shots(severity):
    return Dataset("shots", (render("Spotlight", severity),))


def test_another_severity_is_another_unit():
    units = [plan([Fake()], shots(s), device="cpu")[0].unit for s in (0.0, 2.0, 2.0)]
    assert units[0].fingerprint != units[1].fingerprint == units[2].fingerprint


def test_a_video_is_known_by_what_it_holds(tmp_path):
    def unit(folder, content):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "film.mp4"
        path.write_bytes(content)
        film = Sequence("film", VideoFile(path, 3), np.tile(BOX, (3, 1)), np.arange(1, 4))
        return plan([Fake()], Dataset("films", (film,)), device="cpu")[0].unit

    first, edited, copied = unit("a", b"film"), unit("b", b"mlif"), unit("c", b"film")
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
        (runner, "follow", track),
        (runner, "decoding", dataclasses),
    ],
    ids=["torch", "OpenCV", "follow", "decoding"],
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
    second = plan([Fake()], dataset, device="cpu")[1].unit
    unfinished = store.root / f"{second.stem}.json.tmp"
    unfinished.parent.mkdir(parents=True)
    unfinished.symlink_to("/dev/full")
    with pytest.raises(StoreError, match="disk is full"):
        run(plan([Fake()], dataset, device="cpu"), store, scheduler=scheduler)
    assert [result.unit.sequence for result in store.results()] == ["Bright"]
    unfinished.unlink()
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


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_sequence(tmp_path, store):
    sequences = [
        sequence(tmp_path / name, length, size=(240, 320))
        for name, length in (("A100", 100), ("B1000", 1000))
    ]
    run(plan([Fake("memory")], Dataset("long", tuple(sequences)), device="cpu"), store)
    short, long = (result.track.boxes[1:, 0].max() for result in store.results())
    assert long == pytest.approx(short, rel=0.10)
