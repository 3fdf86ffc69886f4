r"""Sequences in the folder format of UAV123, 123 videos from drones; the release at 10 fps too.

    <root>/data_seq/UAV123/bird1/000001.jpg ...
    <root>/anno/UAV123/bird1_2.txt    one row x, y, w, h per frame, 1-based; NaN: not visible
    <root>/configSeqs.m               which frames of which folder: struct('name','bird1_2',
                                      'path','D:\data_seq\UAV123\bird1\','startFrame',775,...)

Several sequences may be parts of one video. Attributes are not read.

Mueller, Smith, Ghanem: A benchmark and simulator for UAV tracking. ECCV 2016.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trackerlib.boxes import otb_to_xywh
from trackerlib.data.rows import check_length, read_rows, truth_notes
from trackerlib.data.sequence import Sequence, open_images

__all__ = ["names", "read"]

TABLE = "configSeqs.m"
SET = re.compile(r"\bseq(\w+)\s*=\s*\{")
ROW = re.compile(
    r"struct\('name','(?P<name>[^']+)','path','(?P<path>[^']+)','startFrame',(?P<first>\d+),"
    r"'endFrame',(?P<last>\d+),'nz',(?P<digits>\d+),'ext','(?P<ending>\w+)'"
)


class Part(NamedTuple):
    """A line of the table: frames of a folder."""

    folder: str  # below data_seq
    numbers: range
    digits: int
    ending: str


def names(root: Path) -> list[str]:
    """List the sequences of a folder; none if it is of another format."""
    return list(_table(root)[1]) if (root / TABLE).is_file() else []


def read(root: Path, name: str) -> Sequence:
    """Read one sequence.

    Missing images are no error here: they come as FrameError when they are read.
    Nor are frames without a positive box, such as NaN: they are a warning.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse
    or has not one row per frame.
    """
    of, parts = _table(root)
    part = parts[name]
    path = root / "anno" / of / f"{name}.txt"
    rows, numbers = read_rows(path), np.array(part.numbers)
    check_length(path, rows, numbers)
    folder = root / "data_seq" / part.folder
    images = [folder / f"{number:0{part.digits}d}.{part.ending}" for number in part.numbers]
    frames, notes = open_images(images)
    boxes = otb_to_xywh(rows)
    return Sequence(
        name=name,
        frames=frames,
        boxes=boxes,
        frame_numbers=numbers,
        warnings=tuple(f"{name}: {note}" for note in truth_notes(path, boxes, numbers) + notes),
    )


def _table(root: Path) -> tuple[str, dict[str, Part]]:
    """Return the name of the first set in the table, and its parts by name."""
    text = (root / TABLE).read_text(errors="replace")
    begun = SET.search(text)
    if begun is None:
        raise ValueError(f"{root / TABLE}: expected a set of sequences, seqUAV123={{...}}")
    rows = ROW.finditer(text[begun.end() :].partition("}")[0])
    return begun[1], {row["name"]: _part(row) for row in rows}


def _part(row: re.Match[str]) -> Part:
    folder = "/".join(row["path"].strip("\\/").replace("\\", "/").split("/")[-2:])
    numbers = range(int(row["first"]), int(row["last"]) + 1)
    return Part(folder, numbers, int(row["digits"]), row["ending"])
