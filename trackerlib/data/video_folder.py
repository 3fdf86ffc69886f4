"""A folder of one's own videos, each with a file of boxes beside it.

    <root>/street.mp4, or a folder street/ of images
    <root>/street.txt                     one row x, y, w, h per frame, or of the first frame alone
    <root>/street.1.txt, street.2.txt     of several targets
    <root>/street.csv                     with a header: frame, x, y, w, h, and where they are
                                          known target, visibility, absent (or lost)

These are the files that `track --boxes` writes. Boxes are 0-based, frames of a CSV count from 1,
or by the numbers of images. NaN, or a cell that is empty, is a box that is not known; `absent`
or `lost` of 1 says that the target is not there. A frame without a row is not annotated.
"""

import csv
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from trackerlib.data.rows import read_rows
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import VIDEO_ENDINGS, Target, Videos, split_targets
from trackerlib.data.video import read_unannotated

__all__ = ["read", "videos"]

NUMBERED = re.compile(r"(?P<video>.+)\.(?P<label>\w+)\.txt")
SIDES = ("x", "y", "w", "h")
ABSENT = ("absent", "lost")


def videos(root: Path) -> Videos:
    """Return the videos of a folder that have boxes, by name."""
    found: Videos = {}
    for source in sorted(root.iterdir()):
        is_video = source.is_dir() or source.suffix.lower() in VIDEO_ENDINGS
        if is_video and not source.name.startswith(".") and (paths := _truth(source)):
            found[source.name if source.is_dir() else source.stem] = partial(read, source, paths)
    return found


def read(source: Path, paths: dict[str, Path]) -> list[Sequence]:
    """Read one video: a sequence for each target.

    paths  of its boxes: label of a target -> path, or "" -> path of a CSV

    Raises ValueError for boxes that do not parse, or are of frames that the video has not.
    """
    video = read_unannotated(source)
    targets: list[Target] = []
    for label, path in paths.items():
        is_table = path.suffix.lower() == ".csv"
        targets += _from_table(path, video) if is_table else [_from_rows(path, label, video)]
    return split_targets(video, targets, next(iter(paths.values())))


def _truth(source: Path) -> dict[str, Path]:
    """Return the files of boxes beside a video, by the target's label."""
    stem = source.name if source.is_dir() else source.stem
    for path in (source.parent / f"{stem}.csv", source.parent / f"{stem}.txt"):
        if path.is_file() and (path.suffix == ".txt" or _columns(path)):
            return {"1": path}
    several = sorted(source.parent.glob("*.*.txt"))
    matches = [(NUMBERED.fullmatch(path.name), path) for path in several]
    return {m["label"]: path for m, path in matches if m and m["video"] == stem}


def _columns(path: Path) -> list[str]:
    """Return the names of a CSV's columns; none if it is no table of boxes."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            names = [name.strip().lower() for name in next(csv.reader(file), [])]
        except csv.Error:  # such as a field without end
            return []
    return names if {"frame", *SIDES} <= set(names) else []


def _from_rows(path: Path, label: str, video: Sequence) -> Target:
    boxes = read_rows(path)
    if len(boxes) == 1 < len(video):
        boxes = np.concatenate((boxes, np.full((len(video) - 1, 4), np.nan)))
    if len(boxes) != len(video):
        raise ValueError(
            f"{path}: expected {len(video)} rows, one for each frame of {video.name}, or one, got "
            f"{len(boxes)}; a CSV with a column `frame` may have any"
        )
    return Target(label, 0, boxes)


def _from_table(path: Path, video: Sequence) -> Iterator[Target]:
    """Yield the targets of a CSV, each from the first frame on that has its box."""
    where = {int(number): index for index, number in enumerate(video.frame_numbers)}
    names = _columns(path)
    boxes: dict[str, np.ndarray] = {}
    seen: dict[str, np.ndarray] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for number, row in enumerate(_rows(csv.DictReader(file, names), path)):
            if number == 0 or not (row["frame"] or "").strip():
                continue
            label, index = (row.get("target") or "1").strip(), _frame(row, where, path, number + 1)
            box, visible = _box(row, path, number + 1)
            boxes.setdefault(label, np.full((len(video), 4), np.nan))[index] = box
            seen.setdefault(label, np.full(len(video), np.nan))[index] = visible
    told = {"visibility", *ABSENT} & set(names)
    for label, rows in boxes.items():
        known = np.flatnonzero(np.isfinite(rows).all(1))
        if len(known):
            first = int(known[0])
            yield Target(label, first, rows[first:], seen[label][first:] if told else None)


def _rows(table: csv.DictReader, path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from table
    except csv.Error as error:
        raise ValueError(f"{path}: expected a table, got: {error}") from error


def _frame(row: dict[str, str], where: dict[int, int], path: Path, line: int) -> int:
    try:
        return where[int(float(row["frame"]))]
    except (KeyError, OverflowError, ValueError) as error:
        raise ValueError(
            f"{path}, line {line}: expected a frame from {min(where)} to {max(where)}, got "
            f"{row['frame']!r}"
        ) from error


def _box(row: dict[str, str], path: Path, line: int) -> tuple[np.ndarray, float]:
    """Return a row's box, NaN where the target is absent, and its visible fraction."""
    try:
        box = np.array([float(row[side] or "nan") for side in SIDES])
        visible = float(row.get("visibility") or 1)
        gone = any(float(row.get(name) or 0) > 0 for name in ABSENT)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {line}: expected numbers, got: {error}") from error
    if np.isinf(box).any():
        raise ValueError(f"{path}, line {line}: expected finite numbers, got {box.tolist()}")
    return (np.full(4, np.nan), 0.0) if gone else (box, visible)
