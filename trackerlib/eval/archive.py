"""The compact form of results: one file, from which every table follows without a frame.

A compact file is a zip, to be read with `numpy.load` or `unzip`, with the members

    <data set>/sequences.json     of each sequence: frames, attributes, hash of its frames, and
                                  the CRC-32 of every row of its ground truth
    <unit>.json                   what made the boxes: tracker, settings, preset, weights with
                                  their hashes, segment, seed, code, machine, warnings
    <unit>.npy                    (9, n) float64, a line for each of COLUMNS
    <unit>.error.json             the traceback, where the unit crashed

with the names of units that the store has. Numbers are the store's own float64, compressed: the
IoU of a frame and a threshold may be equal to the last bit, so that rounding would change tables.
IoU, errors and scale are those of OTB's conventions. Every record holds the hash of its numbers
and one of itself. Ground truth is not in the file; its checksums tell whether one's own is the
same.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

import numpy as np

from trackerlib.data import Dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval.metrics import Measures, NothingToScoreError, measure
from trackerlib.eval.records import is_whole, parsed, sealed
from trackerlib.eval.store import Failure, Result, Track, Unit
from trackerlib.paths import draft_of, hash_bytes

__all__ = [
    "COLUMNS",
    "Archive",
    "Facts",
    "Outcome",
    "Row",
    "check_rows",
    "facts_of",
    "joined",
    "measured",
    "read_archive",
    "unlike",
    "write_archive",
]

COLUMNS = ("x", "y", "w", "h", "seconds", "iou", "error", "relative", "scale")
MAX_MEMBER = 1 << 28  # bytes; 3 million frames
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of a zip's calendar: the same rows are the same bytes

Outcome = Result | Failure


@dataclass(frozen=True)
class Facts:
    """What tables need of a sequence, and what tells its frames and ground truth from others.

    contents  hash of the frames, as `contents.contents_of` has it
    truth     CRC-32 of each row of the ground truth, as text with all its digits
    """

    dataset: str
    name: str
    frames: int
    attributes: tuple[str, ...]
    benchmark: str | None
    contents: str
    truth: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """One unit: what came of it and, unless it crashed, what each frame is worth.

    origin    what is known of the tracker beside its settings: preset, weights with hashes
    measures  under OTB's conventions; None of a crash, and where no ground truth was given
    """

    outcome: Outcome
    origin: dict = field(default_factory=dict)
    measures: Measures | None = None

    @property
    def unit(self) -> Unit:
        """Return the unit that it is of."""
        return self.outcome.unit


@dataclass(frozen=True, eq=False)
class Archive:
    """What a compact file holds: sequences by data set and name, rows in the order of tables."""

    sequences: dict[tuple[str, str], Facts]
    rows: tuple[Row, ...]


def facts_of(dataset: str, sequence: Sequence, contents: str) -> Facts:
    """Return the facts of a sequence."""
    lines = [",".join(map(repr, map(float, row))).encode() for row in sequence.boxes]
    return Facts(
        dataset=dataset,
        name=sequence.name,
        frames=len(sequence),
        attributes=tuple(sequence.attributes),
        benchmark=sequence.benchmark,
        contents=contents,
        truth=tuple(map(zlib.crc32, lines)),
    )


def measured(outcome: Outcome, dataset: Dataset, origin: dict) -> Row:
    """Return the row of a result over one of the data set's sequences, or of a crash."""
    if isinstance(outcome, Failure):
        return Row(outcome, origin)
    (sequence,) = (one for one in dataset.sequences if one.name == outcome.unit.sequence)
    unit, boxes = outcome.unit, outcome.track.boxes
    truth = sequence.boxes[unit.start : unit.start + unit.frames]
    try:
        measures = measure(boxes, truth)
    except NothingToScoreError:
        nothing = np.full(len(boxes), np.nan)
        measures = Measures(nothing, nothing, nothing, nothing)
    return Row(outcome, origin, measures)


def write_archive(path: Path, archive: Archive) -> None:
    """Write a compact file, whole or not at all.

    Raises ValueError for a row without measures, and OSError where the disk refuses.
    """
    if bare := [r for r in archive.rows if r.measures is None and isinstance(r.outcome, Result)]:
        raise ValueError(
            f"write_archive: expected what each frame of {bare[0].unit.where} is worth, got boxes "
            "alone; give the data set whose ground truth they are of (--data)"
        )
    with draft_of(path) as draft, zipfile.ZipFile(draft, "w") as file:
        for dataset in dict.fromkeys(dataset for dataset, _ in archive.sequences):
            facts = [asdict(one) for one in archive.sequences.values() if one.dataset == dataset]
            _add(file, f"{dataset}/sequences.json", sealed(sequences=facts).encode())
        for row in archive.rows:
            for suffix, content in _members(row):
                _add(file, row.unit.stem + suffix, content)


def read_archive(path: Path) -> tuple[Archive, list[str]]:
    """Return what a compact file holds, and a line for every member that is damaged.

    Raises ValueError for a file that is no such one, FileNotFoundError where there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a compact file of results, found none")
    try:
        file = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path}: expected a compact file that `results export --to compact` writes, got "
            f"something else, or a part of one ({error}); copy it again"
        ) from error
    with file:
        damages: list[str] = []
        sequences = _sequences(file, path, damages)
        rows = tuple(_rows(file, path, damages))
    return Archive(sequences, rows), damages


def check_rows(rows: Iterable[Row]) -> None:
    """Raise ValueError unless rows can stand in one table, and name those that cannot.

    No unit may have two results, and all units of a tracker must be of one version of it:
    the same settings, code and kind of device.
    """
    units: dict[tuple, Row] = {}
    versions: dict[tuple[str, str], Unit] = {}
    for row in rows:
        unit = row.unit
        other = units.setdefault(unit.key, row)
        if not _same(other, row):
            raise ValueError(
                f"{unit.where}: expected one result, got two that differ"
                f"{_difference(other.unit, unit)}; leave one out, or give it another label"
            )
        first = versions.setdefault((unit.dataset, unit.label), unit)
        if difference := _difference(first, unit):
            raise ValueError(
                f"{unit.where}: expected the version of {unit.label} that {first.where} is of, "
                f"got another{difference}; run the older ones again, or leave them out"
            )


def joined(archives: Iterable[Archive]) -> Archive:
    """Return one archive of several, equal rows once.

    Raises ValueError, with the row, for what `check_rows` refuses and for two sequences of one
    name that differ in their frames or ground truth.
    """
    sequences: dict[tuple[str, str], Facts] = {}
    rows: dict[tuple, Row] = {}
    every: list[Row] = []
    for archive in archives:
        for key, facts in archive.sequences.items():
            if difference := unlike(sequences.setdefault(key, facts), facts):
                raise ValueError(f"{', '.join(key)}: expected the same sequence, got {difference}")
        every += archive.rows
    check_rows(every)
    for row in every:
        former = rows.setdefault(row.unit.key, row)
        if former.measures is None:
            rows[row.unit.key] = row
    return Archive(sequences, tuple(rows.values()))


def unlike(expected: Facts, got: Facts) -> str:
    """Return how a sequence differs from what it should be; "" where it does not."""
    if got.frames != expected.frames:
        return f"{got.frames} frames instead of {expected.frames}"
    pairs = zip(expected.truth, got.truth, strict=True)
    if rows := [number for number, (one, other) in enumerate(pairs, 1) if one != other]:
        return f"other ground truth in {len(rows)} rows, the first of them row {rows[0]}"
    return "" if got.contents == expected.contents else "other frames"


def _difference(one: Unit, other: Unit) -> str:
    fields = "settings", "code", "device"
    different = [name for name in fields if getattr(one, name) != getattr(other, name)]
    return f" ({', '.join(different)})" if different else ""


def _same(one: Row, other: Row) -> bool:
    a, b = one.outcome, other.outcome
    if isinstance(a, Failure) or isinstance(b, Failure):
        return a == b
    arrays = ((a.track.boxes, b.track.boxes), (a.track.seconds, b.track.seconds))
    alike = all(np.array_equal(x, y, equal_nan=True) for x, y in arrays)
    return a.unit.fingerprint == b.unit.fingerprint and alike


def _members(row: Row) -> Iterator[tuple[str, bytes]]:
    outcome, unit = row.outcome, asdict(row.unit)
    if isinstance(outcome, Failure):
        record = sealed(unit=unit, traceback=outcome.traceback, origin=row.origin)
        yield ".error.json", record.encode()
        return
    assert row.measures is not None
    track = outcome.track
    lines = [*track.boxes.T, track.seconds, *astuple(row.measures)]
    buffer = io.BytesIO()
    np.save(buffer, np.array(lines, dtype=np.float64), allow_pickle=False)
    record = sealed(
        unit=unit,
        origin=row.origin,
        columns=COLUMNS,
        numbers_sha256=hash_bytes(buffer.getvalue()),
        environment=outcome.environment,
        warnings=track.warnings,
    )
    yield ".json", record.encode()
    yield ".npy", buffer.getvalue()


def _add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    file.writestr(zipfile.ZipInfo(name, FIRST_DAY), content, zipfile.ZIP_DEFLATED, 9)


def _content(file: zipfile.ZipFile, name: str) -> bytes:
    """Return a member; nothing where it is damaged, missing or larger than any of ours."""
    try:
        return file.read(name) if file.getinfo(name).file_size <= MAX_MEMBER else b""
    except (KeyError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return b""


def _sequences(
    file: zipfile.ZipFile, path: Path, damages: list[str]
) -> dict[tuple[str, str], Facts]:
    found = {}
    for name in (name for name in file.namelist() if name.endswith("/sequences.json")):
        record = parsed(_content(file, name))
        if not is_whole(record):
            damages.append(f"{path}, {name}: damaged: expected a record that has its own hash")
            continue
        for values in record["sequences"]:
            lists = {key: tuple(values[key]) for key in ("attributes", "truth")}
            facts = Facts(**(values | lists))
            found[facts.dataset, facts.name] = facts
    return found


def _rows(file: zipfile.ZipFile, path: Path, damages: list[str]) -> Iterator[Row]:
    for name in file.namelist():
        if not name.endswith(".json") or name.endswith("/sequences.json"):
            continue
        record = parsed(_content(file, name))
        if not is_whole(record):
            damages.append(f"{path}, {name}: damaged: expected a record that has its own hash")
        elif not Unit.is_current(record["unit"]):
            damages.append(f"{path}, {name}: of another version of the library: export it again")
        elif "traceback" in record:
            failure = Failure(Unit.of(record["unit"]), record["traceback"])
            yield Row(failure, record["origin"])
        else:
            member = f"{name.removesuffix('.json')}.npy"
            content = _content(file, member)
            if hash_bytes(content) == record["numbers_sha256"]:
                yield _row(record, np.load(io.BytesIO(content), allow_pickle=False))
            else:
                damages.append(f"{path}, {member}: damaged: expected the numbers of {name}")


def _row(record: dict, numbers: np.ndarray) -> Row:
    track = Track(numbers[:4].T.copy(), numbers[4], tuple(record["warnings"]))
    result = Result(Unit.of(record["unit"]), track, record["environment"])
    return Row(result, record["origin"], Measures(*numbers[5:]))
