"""Results on disk: one atomic pair of files per unit, so that a run can die and resume.

    <root>/<dataset>/<label>-<hash of the settings>/<protocol>/
        <sequence>.<segment>.seed<k>.txt          boxes in OTB's text form: 1-based x,y,w,h
        <sequence>.<segment>.seed<k>.json         what made them, seconds per frame, warnings
        <sequence>.<segment>.seed<k>.error.json   the traceback, where the unit crashed

Numbers are written with the fewest digits that read back as the same float64.
Reading needs no lock; writing is for one run at a time.
"""

import errno
import glob
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from trackerlib.boxes import otb_to_xywh, xywh_to_otb
from trackerlib.paths import draft_of, hash_bytes, remove_drafts

__all__ = ["Failure", "Result", "Store", "StoreError", "Track", "Unit"]

CURES = {  # of what a disk refuses
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "it is read-only: give a folder that can be written",
    errno.EACCES: "it is not yours to write: give a folder that can be written",
}


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

    @property
    def fingerprint(self) -> str:
        """Return the sha256 of all fields."""
        return hash_bytes(json.dumps(asdict(self), sort_keys=True).encode())

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
        """Return the frames per second of the tracker alone, over the frames that it was given."""
        return float(np.count_nonzero(self.seconds) / self.seconds.sum())


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


class Store:
    """Results of evaluation runs in the folder `root`, which need not exist yet."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

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
            held = _read_json(holder)
            raise StoreError(
                f"Store: {self.root} is being written by process {held.get('pid', '(unknown)')} "
                f"on {held.get('host', 'this host')} since {held.get('since', 'just now')}; "
                "wait until it ends, stop it, or give another folder"
            ) from error
        try:
            since = datetime.now().isoformat(" ", "seconds")
            self._replace(holder, _json(pid=os.getpid(), host=platform.node(), since=since))
            yield
        finally:
            lock.release()

    def complete(self, unit: Unit) -> bool:
        """Return whether the unit's boxes are there, whole, and of just this fingerprint."""
        return self.read(unit) is not None

    def read(self, unit: Unit) -> Result | None:
        """Return the unit's result, or None where it is missing or was made by something else."""
        result = self._load(self._path(unit, ".json"))
        return result if result and result.unit.fingerprint == unit.fingerprint else None

    def outdated(self, unit: Unit) -> bool:
        """Return whether there is a result of the unit, but of other settings, code or data.

        A version of the library that renames a setting makes all earlier results such.
        """
        return not self.complete(unit) and any(self.root.glob(f"{unit.stems}.txt"))

    def failure(self, unit: Unit) -> Failure | None:
        """Return the unit's crash, if its last attempt was one."""
        return _failure(self._path(unit, ".error.json"))

    def results(self) -> Iterator[Result]:
        """Yield every complete result of the store, in the order of their paths."""
        loaded = map(self._load, sorted(self.root.glob("*/*/*/*.json")))
        return (result for result in loaded if result)

    def failures(self) -> Iterator[Failure]:
        """Yield every recorded crash of the store, in the order of their paths."""
        loaded = map(_failure, sorted(self.root.glob("*/*/*/*.error.json")))
        return (failure for failure in loaded if failure)

    def write(self, unit: Unit, track: Track, environment: dict) -> None:
        """Keep a result: the JSON, which knows the boxes' hash, then the boxes."""
        boxes = _boxes_text(track.boxes)
        record = _json(
            unit=asdict(unit),
            boxes_sha256=hash_bytes(boxes.encode()),
            environment=environment,
            warnings=track.warnings,
            seconds=[round(float(second), 7) for second in track.seconds],
        )
        self._replace(self._path(unit, ".json"), record)
        self._replace(self._path(unit, ".txt"), boxes)
        with self._writing():
            self._path(unit, ".error.json").unlink(missing_ok=True)

    def write_failure(self, unit: Unit, traceback: str) -> None:
        """Keep a crash, in place of an earlier one."""
        record = _json(unit=asdict(unit), traceback=traceback)
        self._replace(self._path(unit, ".error.json"), record)

    def discard(self, unit: Unit) -> None:
        """Remove what earlier code, earlier data or a killed run left under the unit's name."""
        with self._writing():
            for suffix in (".txt", ".json"):
                self._path(unit, suffix).unlink(missing_ok=True)
                remove_drafts(self._path(unit, suffix))

    def _path(self, unit: Unit, suffix: str) -> Path:
        return self.root / (unit.stem + suffix)

    def _load(self, path: Path) -> Result | None:
        record, boxes = _record(path), path.with_suffix(".txt")
        if "boxes_sha256" not in record or not boxes.is_file():
            return None
        content = boxes.read_bytes()
        # They differ where a run was killed between the two files, or the boxes were edited.
        if hash_bytes(content) != record["boxes_sha256"]:
            return None
        values = np.array([line.split(",") for line in content.decode().split()], dtype=np.float64)
        track = Track(otb_to_xywh(values), np.array(record["seconds"]), tuple(record["warnings"]))
        return Result(_unit(record), track, record["environment"])

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
            cure = CURES.get(error.errno or 0)
            if cure is None:
                raise
            raise StoreError(
                f"Store: cannot write to {self.root}, {cure} and run again; "
                "results that are complete are kept"
            ) from error


def _boxes_text(boxes: np.ndarray) -> str:
    rows = xywh_to_otb(np.asarray(boxes, dtype=np.float64))
    lines = (",".join(np.format_float_positional(v, trim="-") for v in row) for row in rows)
    return "".join(line + "\n" for line in lines)


def _json(**record: Any) -> str:
    return json.dumps(record, indent=1) + "\n"


def _read_json(path: Path) -> dict:
    """Return a file's record; empty where there is no whole one, which then is made again."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):  # no JSON, or no text at all
        return {}
    return record if isinstance(record, dict) else {}


def _record(path: Path) -> dict:
    """Return a unit's record; empty where there is no whole one of this version."""
    record = _read_json(path)
    known = {field.name for field in fields(Unit)}
    return record if record.get("unit", {}).keys() == known else {}


def _unit(record: dict) -> Unit:
    unit = record["unit"]
    return Unit(**{**unit, "first_box": tuple(unit["first_box"])})


def _failure(path: Path) -> Failure | None:
    record = _record(path)
    return Failure(_unit(record), record["traceback"]) if record else None
