"""Text files with one row of numbers per frame."""

import math
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import numpy as np

__all__ = ["check_length", "parse_rows", "read_rows", "runs"]


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


def runs(numbers: Iterable[int], name: Callable[[int], str] = str) -> str:
    """Return names of rising numbers, consecutive ones as `first to last`: `2, 4 to 7`."""
    groups = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ends = [(run[0], run[-1]) for run in ([n for _, n in group] for _, group in groups)]
    return ", ".join(name(a) if a == b else f"{name(a)} to {name(b)}" for a, b in ends)


def _numbers(line: str) -> list[float] | None:
    try:
        row = [float(word) for word in re.split(r"[,\s]+", line.strip(", \t"))]
    except ValueError:
        return None
    return None if any(map(math.isinf, row)) else row
