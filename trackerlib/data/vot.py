"""Sequences in the folder format of the VOT challenges, short-term and long-term.

    <folder>/00000001.jpg ...           2013 to 2017
    <folder>/color/00000001.jpg ...     from 2018 on
    <folder>/groundtruth.txt            one row per frame: a rectangle x, y, w, h
                                        or a polygon x1, y1, ..., x4, y4; NaN: not visible

Ground truth is upright in 2013, rotated since 2014; in 2016 it was fitted anew to masks. A
tracker of boxes is initialised with the box around the corners, as the toolkit converts a
polygon; `Sequence.polygons` keeps the corners, with which VOT measures overlaps.
The challenge's toolkit (vot-toolkit, vot/dataset/common.py) hands the coordinates to
trackers as they stand in the file, and trackers count from 0; so they are taken as they
are, 0-based with continuous edges, unlike OTB's. Masks, the ground truth from 2020 on, are
no boxes and are refused.
Depth and infrared images beside `color` are not read.
"""

from pathlib import Path

import numpy as np

from trackerlib.boxes import polygon_to_xywh
from trackerlib.data.numbering import fill_gaps, image_files, order_notes
from trackerlib.data.rows import match_rows, read_rows, truth_notes
from trackerlib.data.sequence import Sequence, open_images
from trackerlib.paths import expanded

__all__ = ["read_vot"]


def read_vot(folder: str | Path) -> Sequence:
    """Read one sequence.

    Missing images are no error here: they come as FrameError when they are read.
    Nor are frames without a positive box: they are a warning.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse, has
    masks, or has neither one row per frame nor one per image.
    """
    folder = expanded(folder)
    images = folder / "color" if (folder / "color").is_dir() else folder
    there = image_files(images)
    path = folder / "groundtruth.txt"
    rows = _rows(path)
    files, notes = match_rows(path, rows, there, fill_gaps(there))
    frames, changed = open_images(list(files.values()))
    numbers = np.array(list(files))
    polygons = rows if rows.shape[1] == 8 else None
    boxes = rows if polygons is None else polygon_to_xywh(polygons)
    notes += truth_notes(path, boxes, numbers) + order_notes(images, files) + changed
    return Sequence(
        name=folder.name,
        frames=frames,
        boxes=boxes,
        frame_numbers=numbers,
        warnings=tuple(f"{folder.name}: {note}" for note in notes),
        polygons=polygons,
    )


def _rows(path: Path) -> np.ndarray:
    """Return rows of 4 or 8 numbers."""
    if path.is_file() and path.read_bytes()[:1] == b"m":
        raise ValueError(
            f"{path}: expected rectangles or polygons, got masks (VOT 2020 and later); "
            "write the box around each mask as x,y,w,h"
        )
    return read_rows(path, widths=(4, 8))
