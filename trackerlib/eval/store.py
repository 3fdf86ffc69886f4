"""Results on disk: one atomic pair of files per unit, so that a run can die and resume.

    <root>/<dataset>/<label>-<hash of the settings>/<protocol>/
        <sequence>.<segment>.seed<k>.txt          boxes in OTB's text form: 1-based x,y,w,h
        <sequence>.<segment>.seed<k>.json         what made them, seconds per frame, warnings
        <sequence>.<segment>.seed<k>.error.json   the traceback, where the unit crashed

Numbers are written with the fewest digits that read back as the same float64. A record holds
the hash of its boxes and one of everything else in it: a unit with a byte changed is no result
but damaged, and a run sets its files aside under the name `<file>.damaged`. Records that were
written before they had that hash are those of an earlier version, whose results do not count.
Reading needs no lock; writing is for one run at a time.
"""

import glob
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from urllib.parse import quote

import numpy as np

from trackerlib.boxes import otb_to_xywh, xywh_to_otb
from trackerlib.eval.records import SEAL, as_json, is_whole, read_record, sealed
from trackerlib.paths import disk_cure, draft_of, expanded, hash_bytes, remove_drafts

__all__ = ["Failure", "Result", "Store", "StoreError", "Track", "Unit", "rows_text"]

FORMER = {"unit", "boxes_sha256", "environment", "warnings", "seconds"}  # of records without it


class StoreError(OSError):
    """A store that cannot be used; the message names the folder and the cure."""


@dataclass(frozen=True)
class Unit:
    """One run of one tracker: everything that determines its boxes."""

    dataset: str
    sequence: str
    protocol: str
    segment: str
    seed: int
    label: str  # the tracker as it was asked for
    settings: dict  # its whole configuration
    code: str  # hash of its code and of what runs it, torch and OpenCV included
    device: str  # "cpu" or "cuda": their floats differ
    start: int  # first frame, an index into the sequence
    frames: int  # number of frames, the first included
    contents: str  # hash that tells the frames: another rendering, another unit
    first_box: tuple[float, ...]  # x, y, w, h

    @classmethod
    def is_current(cls, values: dict) -> bool:
        """Return whether a record's unit has the fields that this version's have."""
        return values.keys() == {field.name for field in fields(cls)}

    @classmethod
    def of(cls, values: dict) -> "Unit":
        """Return the unit whose fields a record holds."""
        return cls(**{**values, "first_box": tuple(values["first_box"])})

    @property
    def where(self) -> str:
        """Return the unit in words, for messages: `OTB, kcf, Couple, ope, seed 0`."""
        parts = self.dataset, self.label, self.sequence, self.segment, f"seed {self.seed}"
        return ", ".join(parts)

    @property
    def key(self) -> tuple[str, ...]:
        """Return what may have one result in a table: the rest is how that came about."""
        where = self.dataset, self.label, self.sequence, self.protocol, self.segment
        return *where, str(self.seed)

    @cached_property
    def fingerprint(self) -> str:
        """Return the sha256 of all fields."""
        # Not asdict: it copies settings deeply, which is most of the time that a restart takes.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return hash_bytes(json.dumps(values, sort_keys=True).encode())

    @property
    def stem(self) -> str:
        """Return the path of the unit's files inside the store, without suffix."""
        settings = hash_bytes(json.dumps(self.settings, sort_keys=True).encode())[:8]
        return self._stem(settings, str)

    @property
    def stems(self) -> str:
        """Return the glob pattern of `stem` with any settings, as earlier versions had others."""
        return self._stem("[0-9a-f]" * 8, glob.escape)

    def _stem(self, settings: str, literal: Callable[[str], str]) -> str:
        slug = re.sub(r"[^\w.=-]+", "-", self.label)[:60]
        name = f"{quote(self.sequence, safe=' ')}.{self.segment}.seed{self.seed}"
        before = literal(f"{quote(self.dataset, safe=' ')}/{slug}-")
        return before + settings + literal(f"/{self.protocol}/{name}")


@dataclass(frozen=True)
class Track:
    """What tracking one segment gives.

    boxes     (n, 4) float64 x, y, w, h; the first is the one given
    seconds   (n,) spent in the tracker, without decoding; 0 where a frame was unusable
    warnings  what went wrong on the way, with frame numbers
    """

    boxes: np.ndarray
    seconds: np.ndarray
    warnings: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Return the frames per second of the tracker alone, over the frames that it was given.

        NaN where the clock did not move.
        """
        total = self.seconds.sum()
        return float(np.count_nonzero(self.seconds) / total) if total > 0 else float("nan")


@dataclass(frozen=True)
class Result:
    """A complete unit: its track, and the machine, versions and workers that made it."""

    unit: Unit
    track: Track
    environment: dict


@dataclass(frozen=True)
class Failure:
    """A unit that crashed."""

    unit: Unit
    traceback: str

    @property
    def reason(self) -> str:
        """Return the error in one line: what stands below the last line of code."""
        lines = self.traceback.strip().splitlines()
        code = [number for number, line in enumerate(lines) if line.startswith("    ")]
        return " ".join(line.strip() for line in lines[code[-1] + 1 if code else -1 :])


class Store:
    """Results of evaluation runs in the folder `root`, which need not exist yet; ~ is expanded."""

    def __init__(self, root: str | Path) -> None:
        self.root = expanded(root)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other runs from writing; the lock goes with the process, however it ends.

        Raises StoreError if another run holds the store, or if it cannot be written.
        """
        from filelock import FileLock, Timeout

        holder = self.root / ".holder.json"
        lock = FileLock(self.root / ".lock")
        try:
            with self._writing():
                self.root.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except Timeout as error:
            held = read_record(holder)
            raise StoreError(
                f"Store: {self.root} is being written by process {held.get('pid', '(unknown)')} "
                f"on {held.get('host', 'this host')} since {held.get('since', 'just now')}; "
                "wait until it ends, stop it, or give another folder"
            ) from error
        try:
            since = datetime.now().isoformat(" ", "seconds")
            self._replace(holder, as_json(pid=os.getpid(), host=platform.node(), since=since))
            yield
        finally:
            lock.release()

    def complete(self, unit: Unit) -> bool:
        """Return whether the unit's boxes are there, whole, and of just this fingerprint."""
        return self.read(unit) is not None

    def read(self, unit: Unit) -> Result | None:
        """Return the unit's result, or None where it is missing or was made by something else.

        None as well where it is `damaged`.
        """
        result, _ = self._load(self._path(unit, ".json"))
        return result if result and result.unit.fingerprint == unit.fingerprint else None

    def damaged(self, unit: Unit) -> str:
        """Return which file of the unit is not as it was written, and how; "" where all are.

        What a killed run left unfinished is not damaged, nor what an earlier version wrote.
        """
        return self._load(self._path(unit, ".json"))[1] or _failed(self._error(unit))[1]

    def outdated(self, unit: Unit) -> bool:
        """Return whether there is a result of the unit, but of other settings, code or data.

        A version of the library that renames a setting makes all earlier results such.
        """
        return not self.complete(unit) and any(self.root.glob(f"{unit.stems}.txt"))

    def failure(self, unit: Unit) -> Failure | None:
        """Return the unit's crash, if its last attempt was one."""
        return _failed(self._error(unit))[0]

    def results(self) -> Iterator[Result]:
        """Yield every complete result of the store, in the order of their paths."""
        loaded = map(self._load, self._records())
        return (result for result, _ in loaded if result)

    def failures(self) -> Iterator[Failure]:
        """Yield every recorded crash of the store, in the order of their paths."""
        loaded = map(_failed, sorted(self.root.glob("*/*/*/*.error.json")))
        return (failure for failure, _ in loaded if failure)

    def damages(self) -> Iterator[str]:
        """Yield a line for every damaged unit, of which `results` and `failures` have none."""
        for path in self._records():
            is_crash = path.name.endswith(".error.json")
            if line := _failed(path)[1] if is_crash else self._load(path)[1]:
                yield line

    def write(self, unit: Unit, track: Track, environment: dict) -> None:
        """Keep a result: the JSON, which knows the boxes' hash, then the boxes."""
        boxes = _boxes_text(track.boxes)
        record = sealed(
            unit=asdict(unit),
            boxes_sha256=hash_bytes(boxes.encode()),
            environment=environment,
            warnings=track.warnings,
            seconds=[float(second) for second in track.seconds],
        )
        self._replace(self._path(unit, ".json"), record)
        self._replace(self._path(unit, ".txt"), boxes)
        with self._writing():
            self._error(unit).unlink(missing_ok=True)

    def write_failure(self, unit: Unit, traceback: str) -> None:
        """Keep a crash, in place of an earlier one."""
        self._replace(self._error(unit), sealed(unit=asdict(unit), traceback=traceback))

    def discard(self, unit: Unit) -> None:
        """Remove what earlier code, earlier data or a killed run left under the unit's name."""
        with self._writing():
            for suffix in (".txt", ".json"):
                self._path(unit, suffix).unlink(missing_ok=True)
                remove_drafts(self._path(unit, suffix))

    def set_aside(self, unit: Unit) -> str:
        """Rename the files of a damaged unit -> a line that says so; "" where it is whole."""
        damage = self.damaged(unit)
        if not damage:
            return ""
        for path in (self._path(unit, ".txt"), self._path(unit, ".json"), self._error(unit)):
            if path.exists():
                with self._writing():
                    path.rename(_free(path.with_name(f"{path.name}.damaged")))
        return f"{damage}; set aside with .damaged after its name, to be computed again"

    def _path(self, unit: Unit, suffix: str) -> Path:
        return self.root / (unit.stem + suffix)

    def _error(self, unit: Unit) -> Path:
        return self._path(unit, ".error.json")

    def _records(self) -> list[Path]:
        return sorted(self.root.glob("*/*/*/*.json"))

    def _load(self, path: Path) -> tuple[Result | None, str]:
        """Return what a pair of files holds, and what is damaged in it."""
        boxes = path.with_suffix(".txt")
        if damage := _no_file(path) or _no_file(boxes):
            return None, damage
        if not path.is_file() or not boxes.is_file():  # a run was killed between the two
            return None, ""
        record, damage = _record(path)
        if not record:
            return None, damage
        content = boxes.read_bytes()
        if hash_bytes(content) != record["boxes_sha256"]:
            return None, f"{boxes}: damaged: expected the boxes whose hash is in {path.name}"
        values = np.array([line.split(",") for line in content.decode().split()], dtype=np.float64)
        track = Track(otb_to_xywh(values), np.array(record["seconds"]), tuple(record["warnings"]))
        return Result(Unit.of(record["unit"]), track, record["environment"]), ""

    def _replace(self, path: Path, text: str) -> None:
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft_of(path) as draft:
                draft.write_bytes(text.encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what the disk refuses into an error that names the folder and the cure."""
        try:
            yield
        except OSError as error:
            cure = disk_cure(error)
            if not cure:
                raise
            raise StoreError(
                f"Store: cannot write to {self.root}, {cure} and run again; "
                "results that are complete are kept"
            ) from error


def rows_text(rows: np.ndarray) -> str:
    """Return rows of numbers (n, m) as lines, each number with the fewest digits that it takes."""
    numbers = np.asarray(rows, dtype=np.float64)
    lines = (",".join(np.format_float_positional(v, trim="-") for v in row) for row in numbers)
    return "".join(line + "\n" for line in lines)


def _boxes_text(boxes: np.ndarray) -> str:
    return rows_text(xywh_to_otb(np.asarray(boxes, dtype=np.float64)))


def _record(path: Path) -> tuple[dict, str]:
    """Return a unit's record, empty where it is not of this version, and what is damaged in it."""
    record = read_record(path)
    if SEAL not in record and (record.keys() == FORMER or record.keys() == {"unit", "traceback"}):
        return {}, ""
    if not is_whole(record):
        wrong = "content that has the hash that stands in it" if record else "a record in JSON"
        return {}, f"{path}: damaged: expected {wrong}"
    return (record, "") if Unit.is_current(record["unit"]) else ({}, "")


def _failed(path: Path) -> tuple[Failure | None, str]:
    """Return the crash that a file records, and what is damaged in it."""
    record, damage = _record(path) if path.is_file() else ({}, _no_file(path))
    return Failure(Unit.of(record["unit"]), record["traceback"]) if record else None, damage


def _no_file(path: Path) -> str:
    """Return what is damaged where something else than a file has a file's name."""
    other = path.exists() and not path.is_file()
    return f"{path}: damaged: expected a file, found a folder or such" if other else ""


def _free(path: Path) -> Path:
    """Return a path, or the first of path-2, path-3 ... that is not taken."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(one for one in chain([path], numbered) if not one.exists())
