"""Trackers over data sets: one unit at a time, in parallel, resumable.

The workers compute, the caller alone writes the store. Every unit runs on one
CPU thread, and a local cluster's every worker is a process of one unit at a
time, so that the boxes do not depend on how many run beside.
"""

import ast
import inspect
import json
import platform
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import cv2
import numpy as np
import torch

from trackerlib import __version__
from trackerlib.data import Dataset
from trackerlib.data import sequence as decoding
from trackerlib.data.sequence import Sequence
from trackerlib.eval import interrupts, overlaps, recorded, resets, tracking
from trackerlib.eval.cluster import GONE, connected, finished
from trackerlib.eval.contents import contents_of
from trackerlib.eval.notices import noticed
from trackerlib.eval.protocols import Segment, StartError, segments
from trackerlib.eval.store import Store, Track, Unit
from trackerlib.eval.tracking import Step, Tracker, follow, track
from trackerlib.paths import hash_bytes

__all__ = [
    "Job",
    "Step",
    "Summary",
    "code_of",
    "distinct",
    "follow",
    "plan",
    "resolve_device",
    "run",
    "track",
]

if TYPE_CHECKING:
    from distributed import Client, Future

THREADS = 1  # per unit
PARSING = threading.Lock()  # Python 3.11 parses in one thread at a time, or raises SystemError
PATIENCE = 5e-4  # seconds, a tenth of Python's own, that a tracker waits for the decoding thread


class Spec(Protocol):
    """A tracker and its configuration, which any process can build."""

    @property
    def label(self) -> str:
        """Return the tracker as it was asked for."""

    def settings(self) -> dict:
        """Return the whole configuration as plain values."""

    def code(self) -> str:
        """Return a hash of the code that runs."""

    def build(self, device: str, seed: int) -> Tracker:
        """Return a fresh tracker."""


SomeSpec = TypeVar("SomeSpec", bound=Spec)


@dataclass(frozen=True)
class Job:
    """A unit, and what is needed to run it anywhere that sees the same files."""

    unit: Unit
    spec: Spec
    sequence: Sequence
    segment: Segment
    device: str
    start_error: StartError | None = None  # why the protocol cannot start: the job fails with it


@dataclass(frozen=True)
class Summary:
    """What a run did: numbers of units, and what was noticed.

    warnings  what readers and trackers noticed in the units that are complete now, and
              what of the store was damaged; each line once
    """

    done: int
    skipped: int  # complete before it began
    failed: int  # recorded in the store with their tracebacks
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)


def resolve_device(device: str) -> str:
    """Return `cuda` for `auto` where torch finds a GPU, `cpu` elsewhere; check other devices.

    Raises ValueError for a device that torch cannot use here.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"resolve_device: expected auto, cpu or a device that torch {torch.__version__} "
            f"can use here, got {device!r} ({error}); use --device cpu"
        ) from error
    return device


def distinct(specs: Iterable[SomeSpec]) -> tuple[list[SomeSpec], list[str]]:
    """Return specifications of different settings, and a line for each that is left out."""
    kept: dict[str, SomeSpec] = {}
    lines = []
    for spec in specs:
        first = kept.setdefault(json.dumps(spec.settings(), sort_keys=True), spec)
        if first is not spec:
            same = "given twice" if spec.label == first.label else f"the same as {first.label}"
            lines.append(f"{spec.label} is {same}: computed and shown once, as {first.label}")
    return list(kept.values()), lines


def plan(
    specs: Iterable[Spec],
    dataset: Dataset,
    protocol: str = "ope",
    seeds: Iterable[int] = (0,),
    device: str = "auto",
) -> list[Job]:
    """Return every job of an evaluation once, in the order in which it is run.

    A tracker or a seed that is given twice counts once; of two labels of the same settings
    both have their jobs, see `run`.
    `device` is this machine's (see `resolve_device`), and goes for all workers.
    A sequence on which the protocol cannot start is one job, bound to fail, whose
    segment has the protocol's name. Raises ValueError for an unknown protocol or device.
    """
    device = resolve_device(device)
    parts = [
        (sequence, contents, segment, start_error)
        for sequence in dataset.sequences
        for contents in [_contents(sequence, protocol)]  # once a sequence
        for segment, start_error in _segments(sequence, protocol)
    ]
    codes = [(spec, code_of(spec, protocol)) for spec in specs]
    jobs = []
    for (spec, code), seed, part in product(codes, seeds, parts):
        sequence, contents, segment, start_error = part
        unit = Unit(
            dataset=dataset.name,
            sequence=sequence.name,
            protocol=protocol,
            segment=segment.name,
            seed=seed,
            label=spec.label,
            settings=spec.settings(),
            code=code,
            device=device.partition(":")[0],
            start=segment.start,
            frames=len(sequence) - segment.start,
            contents=contents,
            first_box=tuple(float(value) for value in segment.box),
        )
        jobs.append(Job(unit, spec, sequence, segment, device, start_error))
    return _once(jobs)


def _once(jobs: Iterable[Job]) -> list[Job]:
    return list({job.unit.fingerprint: job for job in jobs}.values())


def run(jobs: list[Job], store: Store, workers: int = 1, scheduler: str | None = None) -> Summary:
    """Run what the store does not hold yet; record a unit that crashes, do not raise.

    jobs       of `plan`
    workers    processes of a local cluster; take speed figures from runs with 1
    scheduler  address of a running dask scheduler (tcp://...), whose workers see
               the same files and the same library, instead of a local cluster

    A unit of the same settings under two labels is computed once, and kept under each.
    Damaged files are set aside. A store that holds everything is not written to, and may be
    read-only. A script calls this under `if __name__ == "__main__":`, since workers import it.
    Raises StoreError if the store is held by another run, full or read-only, and OSError if
    the scheduler or its workers are out of reach, or if no worker comes back, see `cluster`.
    """
    if workers < 1:
        raise ValueError(f"run: expected at least one worker, got {workers}")
    jobs, failed, notes = _once(jobs), 0, list[str]()
    noted = _noted(jobs, store)
    due = [job for job in jobs if job.unit.fingerprint not in noted]
    if due:
        with store.exclusive():
            # Another run may have computed some before this one got the store.
            noted |= _noted(due, store)
            due = [job for job in due if job.unit.fingerprint not in noted]
            notes = _cleared(due, store)
            live = [job for job in due if not recorded.replay(job.unit, store)]
            failed = _run_due(live, store, workers, scheduler) if live else 0
            for job in live:
                recorded.keep(job.unit, store)
        noted |= _noted(due, store)
    sequences = {id(job.sequence): job.sequence for job in jobs}.values()
    tracked = (line for job in jobs for line in noted.get(job.unit.fingerprint, ()))
    warnings = tuple(dict.fromkeys([*notes, *noticed(sequences, ()), *tracked]))
    return Summary(len(due) - failed, len(jobs) - len(due), failed, warnings)


def _noted(jobs: Iterable[Job], store: Store) -> dict[str, tuple[str, ...]]:
    """Return what was noticed in each unit whose result counts, by its fingerprint.

    A result is read here and dropped, so that a store of any size takes little memory.
    """
    found = ((job.unit.fingerprint, recorded.counted(job.unit, store)) for job in jobs)
    return {key: noticed((), [result]) for key, result in found if result}


def _cleared(jobs: list[Job], store: Store) -> list[str]:
    """Make room for results -> lines on what was damaged, and on records that do not fit."""
    notes: list[str] = []
    for job in jobs:
        notes += filter(None, (store.set_aside(job.unit), recorded.other(job.unit)))
        store.discard(job.unit)
    return notes


def _run_due(jobs: list[Job], store: Store, workers: int, scheduler: str | None) -> int:
    """Compute jobs, store them as they come, and return how many crashed."""
    from tqdm.auto import tqdm

    failed, groups = 0, dict[str, list[Job]]()
    for job in jobs:
        groups.setdefault(_unlabelled(job.unit), []).append(job)
    first = [alike[0] for alike in groups.values()]
    with connected(workers, scheduler) as client:
        width = sum(client.nthreads().values())
        for job, future in tqdm(_stream(client, first, width), total=len(first), unit="unit"):
            units = [alike.unit for alike in groups[_unlabelled(job.unit)]]
            failed += _keep(future, units, store, width)
            interrupts.check()
    return failed


def _keep(future: "Future", units: list[Unit], store: Store, workers: int) -> int:
    """Store what came of units that are computed once -> the number of them that failed."""
    if future.status != "finished":
        for unit in units:
            store.write_failure(unit, _traceback(future))
        return len(units)
    try:
        computed, environment = future.result()
    except (OSError, CancelledError) as error:  # the scheduler was killed as it handed them over
        raise ConnectionError(GONE) from error
    for unit in units:
        store.write(unit, computed, {**environment, "workers": workers})
    return 0


def _unlabelled(unit: Unit) -> str:
    return replace(unit, label="").fingerprint


def _stream(client: "Client", jobs: list[Job], width: int) -> Iterator[tuple[Job, "Future"]]:
    """Yield jobs with their finished futures; a worker that dies fails its own job alone."""
    waiting = iter(jobs)
    running: dict[Future, Job] = {}

    def start(count: int) -> None:
        for job in islice(waiting, count):
            running[client.submit(_compute, job, pure=False)] = job

    start(width)
    while running:
        for future in finished(client, list(running)):
            start(1)
            yield running.pop(future), future


def _compute(job: Job) -> tuple[Track, dict]:
    """Track a job's segment, in a worker -> its track and what computed it."""
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    sys.setswitchinterval(PATIENCE)
    if job.start_error:
        raise job.start_error
    if code_of(job.spec, job.unit.protocol) != job.unit.code:
        raise RuntimeError(
            f"run: {platform.node()} has another version of {job.unit.label} than the caller; "
            "install the same trackerlib, torch and OpenCV there and restart its workers"
        )
    tracker = job.spec.build(device=job.device, seed=_seed(job.unit))
    run_segment = resets.track_with_resets if job.unit.protocol == "vot" else track
    return run_segment(tracker, job.sequence, job.segment), _environment(job.device)


def _segments(sequence: Sequence, protocol: str) -> list[tuple[Segment, StartError | None]]:
    try:
        return [(segment, None) for segment in segments(sequence, protocol)]
    except StartError as error:
        return [(Segment(protocol, 0, sequence.boxes[0]), error)]


def _contents(sequence: Sequence, protocol: str) -> str:
    """Return a hash of a sequence's frames; and of its ground truth, where that directs a run."""
    contents = contents_of(sequence)
    truth = resets.regions(sequence)
    return f"{contents}-{_hash(truth.tolist())}" if protocol == "vot" else contents


def code_of(spec: Spec, protocol: str = "ope") -> str:
    """Return a hash of what makes the boxes besides settings and data; comments do not count.

    A unit's `code` is this, of the version and with the weights that it was run with.
    """
    more = (resets, overlaps) if protocol == "vot" else ()
    parts = decoding, tracking, _seed, *more
    with PARSING:
        ours = [ast.unparse(ast.parse(inspect.getsource(part))) for part in parts]
        return _hash([spec.code(), *ours, torch.__version__, cv2.__version__])


def _hash(values: object) -> str:
    return hash_bytes(repr(values).encode())[:16]


def _seed(unit: Unit) -> int:
    """Return the unit's own random seed, the same on every machine; below 2**31, a C int."""
    text = f"{unit.sequence}/{unit.segment}/{unit.seed}"
    return int(hash_bytes(text.encode())[:8], 16) >> 1


def _traceback(future: "Future") -> str:
    if future.status != "error":
        raise ConnectionError(GONE)
    error = future.exception()
    return "".join(traceback.format_exception(type(error), error, future.traceback()))


def _environment(device: str) -> dict:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _cpu()
    return {
        "trackerlib": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "host": platform.node(),
        "device": device,
        "device_name": name,
        "threads": THREADS,
    }


def _cpu() -> str:
    """Return the processor's model as Linux gives it, elsewhere what platform knows."""
    listing = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", listing.read_text()) if listing.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
