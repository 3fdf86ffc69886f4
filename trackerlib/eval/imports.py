"""Raw boxes that were made elsewhere, aligned with the frames of a data set, or refused.

Nothing is repaired, cut or guessed: a file is a result if it has a row for every frame of its
segment, and its first row says that its numbers are what they should be. Otherwise it is a
failure, whose message names file and row, and a report lists it as missing. What a file may
differ in is said by whoever imports it:

    base   number of the first pixel: 1 in OTB's files, 0 in those of GOT-10k and VOT
    align  frames of a sequence that shorter files have rows of: {"Tiger1": (6, 354)}
    lost   rows that are no box (NaN, no area) are frames without a target, and stay as they are
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trackerlib.boxes import box_iou, otb_to_xywh, xywh_to_otb
from trackerlib.data import Dataset, manifest
from trackerlib.data.rows import check_length
from trackerlib.data.sequence import Sequence
from trackerlib.eval.contents import contents_of
from trackerlib.eval.layouts import IMPORTED, RawRun, default_base
from trackerlib.eval.metrics import usable
from trackerlib.eval.protocols import Segment, StartError, segments
from trackerlib.eval.runner import Job
from trackerlib.eval.store import Failure, Result, Store, Track, Unit
from trackerlib.eval.tracking import Tracker
from trackerlib.paths import hash_file

__all__ = ["Alignment", "Elsewhere", "import_runs", "imported_jobs"]

ROUNDED = 0.02  # pixels by which files are rounded, at most
PIXEL = 1.5  # by which edges differ, counted in or not
MIN_IOU = 0.5  # of the first row and the first box: 0.72 is the least of published files


@dataclass(frozen=True)
class Alignment:
    """What the one who imports says of the files, see the module.

    base  None: the format's own, checked on the first rows
    """

    layout: str
    protocol: str = "ope"
    base: int | None = None
    align: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lost: bool = False


@dataclass(frozen=True)
class Elsewhere:
    """A tracker that cannot be run here, in the place of a specification."""

    label: str
    values: tuple[tuple[str, str | int], ...]

    def settings(self) -> dict:
        """Return what is known of it: the format that its boxes came in, and their base."""
        return dict(self.values)

    def code(self) -> str:
        """Return what stands for a hash of its code."""
        return "elsewhere"

    def build(self, device: str, seed: int) -> Tracker:
        """Raise ValueError: there is no tracker, only its boxes."""
        raise ValueError(f"{self.label}: expected a tracker of the library, got imported boxes")


def import_runs(
    runs: Iterable[RawRun], dataset: Dataset, alignment: Alignment
) -> tuple[list[Result | Failure], list[str]]:
    """Return a result or a failure for every run on a sequence of the data set, and notes.

    The notes say which files are of other sequences, how the others were aligned, and by how
    much first rows differ from the first boxes.
    """
    found: dict[str, list[tuple[RawRun, Sequence]]] = {}
    others = 0
    for run in runs:
        if sequence := _sequence(run.sequence, dataset):
            found.setdefault(run.tracker, []).append((run, sequence))
        else:
            others += 1
    notes = [f"{others} files of sequences that are not in the data are left out"] * (others > 0)
    contents = {one.name: contents_of(one) for one in dataset.sequences}
    parts = {one.name: _segments(one, alignment.protocol) for one in dataset.sequences}
    outcomes: list[Result | Failure] = []
    for tracker, pairs in found.items():
        counted = _otherwise_counted(pairs, alignment)
        offsets = []
        for run, sequence in pairs:
            fields = Unit(
                dataset=dataset.name,
                sequence=sequence.name,
                protocol=alignment.protocol,
                segment=alignment.protocol,
                seed=run.seed,
                label=tracker + IMPORTED,
                settings={"imported": alignment.layout, "base": _base(alignment, sequence)},
                code="elsewhere",
                device="elsewhere",
                start=0,
                frames=len(sequence),
                contents=contents[sequence.name],
                first_box=tuple(map(float, sequence.boxes[0])),
            )
            outcome = _outcome(run, sequence, parts[sequence.name], fields, counted, alignment)
            outcomes.append(outcome)
            if isinstance(outcome, Result):
                first = np.subtract(outcome.track.boxes[0], outcome.unit.first_box)
                offsets.append(float(np.abs(first).max()))
        if differing := [offset for offset in offsets if offset > ROUNDED]:
            notes.append(
                f"{tracker}: the first row differs from the ground truth in {len(differing)} of "
                f"{len(offsets)} files, by up to {max(differing):.2g} pixels"
            )
    return outcomes, notes


def imported_jobs(store: Store, dataset: Dataset, protocol: str) -> list[Job]:
    """Return a job for every sequence of each tracker of which a store has imported boxes.

    With those of `runner.plan` they make the report. They cannot be run.
    """
    every = [*(one.unit for one in store.results()), *(one.unit for one in store.failures())]
    units = [
        unit
        for unit in every
        if "imported" in unit.settings
        and (unit.dataset, unit.protocol) == (dataset.name, protocol)
    ]
    known = {unit.key: unit for unit in units}
    kinds = {(unit.label, tuple(unit.settings.items()), unit.seed): unit for unit in units}
    jobs = []
    for (label, values, seed), unit in kinds.items() if units else ():
        for sequence in dataset.sequences:
            for segment in _segments(sequence, protocol):
                expected = _expected(unit, sequence, segment, known, seed)
                jobs.append(Job(expected, Elsewhere(label, values), sequence, segment, "cpu"))
    return jobs


def _segments(sequence: Sequence, protocol: str) -> list[Segment]:
    """Return the segments of a protocol; none where it cannot start."""
    try:
        return segments(sequence, protocol)
    except StartError:
        return []


def _expected(
    like: Unit, sequence: Sequence, segment: Segment, known: Mapping[tuple, Unit], seed: int
) -> Unit:
    """Return the unit that the data ask for: with the frames that its file has rows of."""
    unit = replace(like, sequence=sequence.name, segment=segment.name, seed=seed)
    start, frames = segment.start, len(sequence) - segment.start
    if there := known.get(unit.key):
        start, frames = there.start, there.frames
    return _placed(replace(unit, contents=contents_of(sequence)), sequence, segment, start, frames)


def _placed(unit: Unit, sequence: Sequence, segment: Segment, start: int, frames: int) -> Unit:
    box = segment.box if start == segment.start else sequence.boxes[start]
    first = tuple(map(float, box))
    return replace(unit, segment=segment.name, start=start, frames=frames, first_box=first)


def _sequence(name: str, dataset: Dataset) -> Sequence | None:
    """Return the data set's sequence of a name, as toolkits spell it."""
    key = manifest.spelling(name)
    alike = [one for one in dataset.sequences if manifest.spelling(one.name) == key]
    if not alike and len(entries := manifest.find(name)) == 1:
        alike = [one for one in dataset.sequences if one.name == entries[0].name]
    return alike[0] if len(alike) == 1 else None


def _base(alignment: Alignment, sequence: Sequence) -> int:
    known = alignment.base
    return default_base(alignment.layout, sequence.name) if known is None else known


def _otherwise_counted(pairs: list[tuple[RawRun, Sequence]], alignment: Alignment) -> bool:
    """Return whether most first rows of a tracker are the ground truth in the other base.

    A file alone says little: KCF's first row is a pixel off on BlurFace, since it rounds.
    """
    if alignment.base is not None:
        return False
    firsts = [
        _counted_in(run.boxes[0], sequence.boxes[0], _base(alignment, sequence))
        for run, sequence in pairs
        if run.boxes is not None and run.has_first and run.segment == 0 and not run.start
    ]
    return bool(firsts) and 2 * sum(firsts) > len(firsts)


def _counted_in(row: np.ndarray, truth: np.ndarray, base: int) -> bool:
    other = truth if base else xywh_to_otb(truth)
    return bool(np.abs(row - other).max() <= ROUNDED)


def _outcome(
    run: RawRun,
    sequence: Sequence,
    parts: list[Segment],
    unit: Unit,
    counted: bool,
    alignment: Alignment,
) -> Result | Failure:
    try:
        if run.boxes is None:
            raise ValueError(run.problem)
        if run.segment >= len(parts):
            raise ValueError(
                f"{run.path}: expected {len(parts)} segments of protocol {alignment.protocol}, "
                f"got more; give the protocol that it is of with --protocol"
            )
        segment = parts[run.segment]
        unit = replace(unit, segment=segment.name)
        start, frames = _rows_of(run, run.boxes, sequence, segment, alignment)
        unit = _placed(unit, sequence, segment, start, frames)
        return _result(run, run.boxes, sequence, unit, counted, alignment)
    except ValueError as error:
        return Failure(unit, str(error).replace("\n", " "))


def _rows_of(
    run: RawRun, boxes: np.ndarray, sequence: Sequence, segment: Segment, alignment: Alignment
) -> tuple[int, int]:
    """Return the index of the first row's frame, and the number of rows.

    Raises ValueError unless the rows are of all frames, or of those that are named.
    """
    numbers = sequence.frame_numbers[segment.start :]
    if len(boxes) == len(numbers):
        return segment.start, len(numbers)
    # The file's own word:
    if run.start and run.start > segment.start and run.start + len(boxes) == len(sequence):
        return run.start, len(boxes)
    if sequence.name in alignment.align:
        first, last = alignment.align[sequence.name]
        named = np.flatnonzero((numbers >= first) & (numbers <= last))
        if len(named) == len(boxes):
            return segment.start + int(named[0]), len(boxes)
    entry = manifest.load().get(sequence.name)
    example = entry.eval_start if entry and entry.eval_start else numbers[0]
    cure = f"--align {sequence.name}={example}:{example + len(boxes) - 1}"
    try:
        check_length(run.path, boxes, numbers)
    except ValueError as error:
        raise ValueError(
            f"{error}; if they are of some of the frames, say of which, for example {cure}, "
            "else make the file again"
        ) from error
    raise AssertionError


def _result(
    run: RawRun,
    rows: np.ndarray,
    sequence: Sequence,
    unit: Unit,
    counted: bool,
    alignment: Alignment,
) -> Result:
    base, truth = _base(alignment, sequence), np.array(unit.first_box)
    boxes = otb_to_xywh(rows) if base else rows.astype(np.float64)
    if not run.has_first:
        boxes = np.concatenate((truth[None], boxes[1:]))
    _check_first(run, rows[0], boxes[0], truth, base, counted)
    bad = np.flatnonzero(~usable(boxes))
    if len(bad) and not alignment.lost:
        raise ValueError(
            f"{run.path}, row {bad[0] + 1}: expected four finite numbers with a positive width "
            f"and height, got {_text(rows[bad[0]])} ({len(bad)} such rows); if the target was "
            "lost there, give --lost, and such rows are scored as the conventions say"
        )
    whole = len(sequence) - unit.start == unit.frames and (
        unit.start == 0 or unit.segment != "ope"
    )
    numbers = sequence.frame_numbers[unit.start : unit.start + unit.frames]
    note = (
        f"{sequence.name}: rows are of frames {numbers[0]} to {numbers[-1]} alone, of "
        f"{sequence.frame_numbers[0]} to {sequence.frame_numbers[-1]}"
    )
    environment = {
        "imported": run.path.name,
        "file_sha256": hash_file(run.path),
        "device": "elsewhere",
        "device_name": "elsewhere",
        "threads": 0,
        "workers": 0,  # not known: no speed is reported
    }
    return Result(unit, Track(boxes, run.seconds, () if whole else (note,)), environment)


def _check_first(
    run: RawRun, row: np.ndarray, box: np.ndarray, truth: np.ndarray, base: int, counted: bool
) -> None:
    """Raise ValueError where the first row says that a file is not what it should be.

    counted  whether the tracker's other files count from the other base
    """
    if not run.has_first or not np.isfinite(truth).all():
        return
    stated = xywh_to_otb(truth) if base else truth
    where = f"{run.path}, row 1: expected {_text(stated)}, the ground truth counted from {base}"
    if counted and _counted_in(row, truth, base):
        raise ValueError(f"{where}, got {_text(row)}, counted from {1 - base}: --base {1 - base}")
    corners = np.concatenate((stated[:2], stated[:2] + stated[2:]))
    is_sized = np.abs(row[2:] - stated[2:]).max() <= PIXEL
    if not is_sized and np.abs(row - corners).max() <= PIXEL:
        raise ValueError(
            f"{where}, got {_text(row)}, whose last two numbers are a corner's; write x,y,w,h"
        )
    if not float(box_iou(box, truth)) >= MIN_IOU:
        raise ValueError(
            f"{where}, got {_text(row)}; the file may be of another sequence or start elsewhere"
        )


def _text(numbers: np.ndarray) -> str:
    return ",".join(f"{number:.6g}" for number in numbers)
