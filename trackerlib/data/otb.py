"""Sequences in the folder format of the OTB benchmark.

    <root>/<Video>/img/0001.jpg ...
    <root>/<Video>/groundtruth_rect.txt      one row x, y, w, h per frame, 1-based
    <root>/<Video>/groundtruth_rect.2.txt    in videos of two targets or more: <Video>-2
    <root>/<Video>/attrs.txt                 optional: OCC, FM
    <root>/<Video>/visibility.txt            optional: one number per frame
    <root>/<Video>/visibility.2.txt          of the target of that number

The benchmark's own 100 targets take their frame range and attributes from the
manifest, any other folder from what it holds. Row i belongs to image start + i. A
folder that only has the name of a benchmark's video, as its ground truth shows, is
read as any other, with a warning.

Wu, Lim, Yang. Object Tracking Benchmark. TPAMI 2015.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trackerlib.boxes import otb_to_xywh
from trackerlib.data.manifest import (
    Entry,
    find,
    frame_files,
    ground_truth_file,
    is_benchmarks,
    locate,
    spelling,
)
from trackerlib.data.numbering import fill_gaps, image_files, image_suffixes, order_notes
from trackerlib.data.rows import check_length, match_rows, read_rows, truth_notes
from trackerlib.data.sequence import Sequence, open_images
from trackerlib.paths import expanded

__all__ = ["Target", "list_targets", "read_otb", "read_sequence", "read_target"]

TRUTH = re.compile(r"groundtruth_rect\.(\w+)\.txt")


@dataclass(frozen=True)
class Target:
    """A target to read; its `folder` may be missing, and only the benchmark's have an `entry`.

    label  of its ground truth in a video of several targets of one's own: groundtruth_rect.2.txt
    note   what is to be said of it
    """

    name: str
    folder: Path | None
    entry: Entry | None
    label: str | None = None
    note: str = ""

    @property
    def video(self) -> str:
        """Return the name of the folder that it is in, or should be."""
        return self.entry.folder if self.entry else self.name


def read_otb(root: str | Path, names: list[str] | None = None) -> list[Sequence]:
    """Read the sequences of a folder, all or by name.

    Names may be spelt as in other toolkits (`Jogging.1`, `faceocc1`).
    Raises FileNotFoundError for what is missing, ValueError for a broken ground truth.
    """
    targets = list_targets(root, names)
    absent = [target.name for target in targets if target.folder is None]
    if absent:
        raise FileNotFoundError(f"read_otb: {root} has no folder for {', '.join(absent)}")
    return [read_target(target) for target in targets]


def list_targets(
    root: str | Path, names: list[str] | None = None, benchmark: bool = False
) -> list[Target]:
    """List the targets in a folder, or those of the given names, with or without a folder.

    benchmark  whether the names are the manifest's: no folder of one's own stands for them

    Raises FileNotFoundError if the root is not a folder; ValueError for a name
    that is neither in the benchmark nor in the root, or that two targets share.
    """
    root = expanded(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: expected a folder of OTB sequences")
    if benchmark:
        entries = [entry for name in names or [] for entry in find(name)]
        return [Target(entry.name, locate(root, entry), entry) for entry in entries]
    folders = [path for path in sorted(root.iterdir()) if _is_sequence(path)]
    there = _distinct(root, [target for folder in folders for target in _targets(folder)])
    if names is None:
        return there
    found = [target for name in names for target in _named(root, name, there)]
    return list({target.name: target for target in found}.values())


def _named(root: Path, name: str, there: list[Target]) -> list[Target]:
    """List the targets that a name stands for, one or all of a video: one's own come first."""
    own = [target for target in there if not target.entry and target.folder]
    if exact := [t for t in own if t.folder and name in (t.name, t.folder.name)]:
        return exact
    if listed := [Target(entry.name, locate(root, entry), entry) for entry in find(name)]:
        benchmarks = {target.name for target in there if target.entry}
        if benchmarks & {target.name for target in listed}:
            return listed
        key = spelling(name)
        alike = [t for t in own if t.folder and key in (spelling(t.name), spelling(t.folder.name))]
        return alike or listed
    folders = ", ".join(dict.fromkeys(t.folder.name for t in there if t.folder))
    raise ValueError(
        f"expected names of OTB-100 targets or of sequences in {root} "
        f"({folders or 'there is none'}), got {name!r}"
    )


def _is_sequence(folder: Path) -> bool:
    if any(folder.glob("groundtruth_rect*.txt")):
        return True
    return (folder / "img").is_dir() and not (folder / "groundtruth.txt").is_file()  # LaSOT


def _targets(folder: Path) -> list[Target]:
    """List the targets of one folder: the benchmark's, or those that it has ground truth of."""
    entries = find(folder.name)
    if any(is_benchmarks(folder, entry) for entry in entries):
        root, named = folder.parent, {entry.folder for entry in entries} == {folder.name}
        return [Target(e.name, folder if named else locate(root, e), e) for e in entries]
    note = _difference(folder, entries[0]) if entries else ""
    labels: list[str | None] = [m[1] for p in folder.iterdir() if (m := TRUTH.fullmatch(p.name))]
    if not labels or (folder / "groundtruth_rect.txt").is_file():
        labels.append(None)
    names = {label: folder.name + (f"-{label}" if label else "") for label in labels}
    ordered = sorted(names, key=lambda label: (len(label or ""), label or ""))
    return [Target(names[label], folder, None, label, note) for label in ordered]


def _difference(folder: Path, entry: Entry) -> str:
    """Say why a folder that has the name of a benchmark's target is not taken for it."""
    return (
        f"{folder} has the name of OTB's {entry.name} and is taken as a sequence of one's own: "
        f"its ground truth is not that of OTB's, {entry.frames} rows from "
        f"{','.join(f'{number:g}' for number in entry.first_box)} on"
    )


def _distinct(root: Path, targets: list[Target]) -> list[Target]:
    found: dict[str, Target] = {}
    for target in targets:
        other = found.setdefault(target.name, target)
        if other.folder != target.folder:
            raise ValueError(
                f"{root}: expected one sequence of the name {target.name}, got it from "
                f"{target.folder} and {other.folder}; rename one"
            )
    return list(found.values())


def read_target(target: Target) -> Sequence:
    """Read one of `list_targets`. Raises what `read_sequence` raises."""
    if target.folder is None:
        raise FileNotFoundError(f"read_target: expected a folder of {target.name}, there is none")
    try:
        sequence = read_sequence(target.folder, target.entry, target.label)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{error}; {target.note}" if target.note else str(error)) from error
    if not target.note:
        return sequence
    return replace(sequence, warnings=(f"{target.name}: {target.note}", *sequence.warnings))


def read_sequence(
    folder: str | Path, entry: Entry | None = None, label: str | None = None
) -> Sequence:
    """Read one target: a folder, and what the manifest knows of it.

    label  of the target in a video of several of one's own, `2` of groundtruth_rect.2.txt

    Missing images are no error here: they come as FrameError when they are read.
    Nor are frames without a positive box: they are a warning, and so is a ground
    truth that has rows for the images that are there alone.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse
    or has neither one row per frame nor one per image.
    """
    folder = expanded(folder)
    images = folder / "img" if entry or (folder / "img").is_dir() else folder
    path = folder / f"groundtruth_rect.{label}.txt" if label else ground_truth_file(folder)
    if entry:
        path = ground_truth_file(folder, entry.target)
    there = frame_files(images, entry) if entry else image_files(images)
    rows = read_rows(path)
    files, notes = match_rows(path, rows, there, there if entry else fill_gaps(there))
    frames, changed = open_images(list(files.values()))
    numbers, boxes = np.array(list(files)), otb_to_xywh(rows)
    notes += truth_notes(path, boxes, numbers)
    notes += _unused_images(images, entry) if entry else order_notes(images, files)
    if (folder / "groundtruth.txt").is_file():
        notes.append(f"groundtruth.txt is not read: {path.name} says that this is OTB's format")
    name = entry.name if entry else folder.name + (f"-{label}" if label else "")
    seen = folder / (f"visibility.{label}.txt" if label else "visibility.txt")
    return Sequence(
        name=name,
        frames=frames,
        boxes=boxes,
        frame_numbers=numbers,
        visibility=_visibility(seen, numbers),
        attributes=entry.attributes if entry else _attributes(folder / "attrs.txt"),
        initial_omits=entry.initial_omits if entry else (),
        warnings=tuple(f"{name}: {note}" for note in notes + changed),
        benchmark="OTB" if entry else None,
    )


def _visibility(path: Path, numbers: np.ndarray) -> np.ndarray | None:
    if not path.is_file():
        return None
    rows = read_rows(path, widths=(1,))
    check_length(path, rows, numbers)
    return rows[:, 0]


def _attributes(path: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", path.read_text())) if path.is_file() else ()


def _unused_images(folder: Path, entry: Entry) -> list[str]:
    names = {path.stem for path in folder.glob("[!.]*") if path.suffix.lower() in image_suffixes()}
    if len(names) <= entry.frames:
        return []
    first, last = entry.numbers[0], entry.numbers[-1]
    return [f"{folder}: {len(names)} images, of which the benchmark uses {first} to {last}"]
