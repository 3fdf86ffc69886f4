"""Text files with one row of numbers per frame."""

import math
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

from trackerlib.boxes import xywh_to_otb

__all__ = ["check_length", "match_rows", "parse_rows", "read_rows", "runs", "truth_notes"]

RUNS = 8  # of frame numbers that a warning lists


def parse_rows(text: str, widths: tuple[int, ...], where: str | Path) -> np.ndarray:
    """Parse rows of numbers between commas, tabs, blanks or any mixture -> (T, width) float64.

    text    one row per line, blank lines allowed at the end alone
    widths  numbers a row may have; the first row settles which, e.g. (4, 8)
    where   the file's name, for messages

    `nan` is a number here: a ground truth says so where the target is not visible.
    Raises ValueError, with the row (from 1), for anything else; also if there is no row.
    """
    lines = text.rstrip().splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        row = _numbers(line)
        if row is None or len(row) not in widths:
            expected = " or ".join(map(str, widths))
            raise ValueError(
                f"{where}, row {number}: expected {expected} numbers, got {line.strip()[:60]!r}"
            )
        widths = (len(row),)
        rows.append(row)
    if not rows:
        raise ValueError(f"{where}: expected one row of numbers per frame, got an empty file")
    return np.array(rows, dtype=np.float64)


def read_rows(path: Path, widths: tuple[int, ...] = (4,)) -> np.ndarray:
    """Parse a file's rows, see `parse_rows`.

    Raises FileNotFoundError if there is none, ValueError if it does not parse.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a text file with one row of numbers per frame")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return parse_rows(text, widths, path)


def check_length(path: Path, rows: np.ndarray, numbers: np.ndarray) -> None:
    """Raise ValueError unless a file has one row for every frame number."""
    if len(rows) != len(numbers):
        raise ValueError(
            f"{path}: expected {len(numbers)} rows, one for each frame from {numbers[0]} "
            f"to {numbers[-1]}, got {len(rows)}"
        )


def match_rows(
    path: Path, rows: np.ndarray, there: dict[int, Path], every: dict[int, Path]
) -> tuple[dict[int, Path], list[str]]:
    """Return the images that a file's rows belong to, and a note where numbers are left out.

    there  images by number
    every  these and the missing ones between them, see `numbering.fill_gaps`

    Raises ValueError unless there is a row for every number, or one for every image.
    """
    gaps = [number for number in every if number not in there]
    if gaps and len(rows) == len(there):
        of = f"{len(rows)} rows for the {len(there)} images that are there"
        return there, [f"{path.name}: {of}; there is none numbered {_first_runs(gaps)}"]
    if gaps and len(rows) != len(every):
        raise ValueError(
            f"{path}: expected {len(every)} rows, one for each frame from {min(every)} to "
            f"{max(every)}, or {len(there)}, one for each image that is there, got {len(rows)}"
        )
    check_length(path, rows, np.array(list(every)))
    return every, []


def truth_notes(path: Path, boxes: np.ndarray, numbers: np.ndarray) -> list[str]:
    """Return a line about the frames whose ground truth OTB does not score, if there are any.

    boxes    (T, 4) x, y, w, h, 0-based
    numbers  (T,) of the frames

    Those are boxes that are not known (NaN), have no area, or begin left of or above the image:
    one of their four numbers, counted from 1, is not positive.
    """
    positive = (xywh_to_otb(boxes) > 0).all(1)  # NaN is not
    if positive.all():
        return []
    return [f"{path.name}: no positive box in frames {_first_runs(numbers[~positive].tolist())}"]


def runs(numbers: Iterable[int], name: Callable[[int], str] = str) -> str:
    """Return names of rising numbers, consecutive ones as `first to last`: `2, 4 to 7`."""
    groups = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0], run[-1]) for run in ([n for _, n in group] for _, group in groups)]
    return ", ".join(name(a) if a == b else f"{name(a)} to {name(b)}" for a, b in ends)


def _first_runs(numbers: list[int]) -> str:
    """Return `runs`, cut short where there are many."""
    listed = runs(numbers).split(", ")
    if len(listed) <= RUNS:
        return ", ".join(listed)
    return f"{', '.join(listed[:RUNS])} ... ({len(numbers)} in all)"


def _numbers(line: str) -> list[float] | None:
    try:
        row = [float(word) for word in re.split(r"[,\s]+", line.strip(", \t"))]
    except ValueError:
        return None
    return None if any(map(math.isinf, row)) else row
