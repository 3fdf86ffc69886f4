"""Sequences in the folder format of the VOT challenges, 2013 to 2017.

    <folder>/00000001.jpg ...
    <folder>/groundtruth.txt    one row per frame: a rectangle x, y, w, h
                                or a polygon x1, y1, ..., x4, y4

A polygon becomes the box around its corners. The challenge's toolkit hands the
coordinates to trackers as they stand in the file, and trackers count from 0; so
they are taken as they are, 0-based with continuous edges, unlike OTB's.
"""

from pathlib import Path

import numpy as np

from trackerlib.boxes import polygon_to_xywh
from trackerlib.data.rows import check_length, read_rows, runs
from trackerlib.data.sequence import ImageFiles, Sequence, fill_gaps, image_files

__all__ = ["read_vot"]


def read_vot(folder: str | Path) -> Sequence:
    """Read one sequence.

    Missing images are no error here: they come as FrameError when they are read.
    Nor are boxes without an area, or with a NaN: they are a warning.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse
    or has not one row per frame.
    """
    folder = Path(folder)
    files = fill_gaps(image_files(folder))
    numbers = np.array(list(files))
    path = folder / "groundtruth.txt"
    rows = read_rows(path, widths=(4, 8))
    check_length(path, rows, numbers)
    boxes = polygon_to_xywh(rows) if rows.shape[1] == 8 else rows
    sized = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
    note = f"{folder.name}: {path.name}: no box with an area in frames {runs(numbers[~sized])}"
    return Sequence(
        name=folder.name,
        frames=ImageFiles(tuple(files.values())),
        boxes=boxes,
        frame_numbers=numbers,
        warnings=() if sized.all() else (note,),
    )
