"""Sequences in the folder format of LaSOT, by class or side by side.

    <root>/<class>/<class>-1/img/00000001.jpg ...     or <root>/<class>-1/img/ ...
    <root>/<class>/<class>-1/groundtruth.txt          one row x, y, w, h per frame
    <root>/<class>/<class>-1/full_occlusion.txt       optional: 0,0,1, ... one per frame
    <root>/<class>/<class>-1/out_of_view.txt          optional: likewise

Boxes are taken as they stand, 0-based: so do pytracking (evaluation/lasotdataset.py),
got10k-toolkit (datasets/lasot.py) and pysot, whatever the annotators counted from.
A frame in which the target is fully occluded or out of view has visibility 0, others 1.

Fan et al.: LaSOT: a high-quality benchmark for large-scale single object tracking. CVPR 2019.
"""

from pathlib import Path

import numpy as np

from trackerlib.data.numbering import fill_gaps, image_files, order_notes
from trackerlib.data.rows import check_length, match_rows, parse_rows, read_rows, truth_notes
from trackerlib.data.sequence import Sequence, open_images
from trackerlib.paths import expanded

__all__ = ["read_lasot"]

HIDDEN = ("full_occlusion.txt", "out_of_view.txt")


def read_lasot(folder: str | Path) -> Sequence:
    """Read one sequence.

    Missing images are no error here: they come as FrameError when they are read.
    Nor are frames without a positive box: they are a warning.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse or has
    neither one row per frame nor one per image.
    """
    folder = expanded(folder)
    there = image_files(folder / "img")
    path = folder / "groundtruth.txt"
    boxes = read_rows(path)
    files, notes = match_rows(path, boxes, there, fill_gaps(there))
    frames, changed = open_images(list(files.values()))
    numbers = np.array(list(files))
    notes += truth_notes(path, boxes, numbers) + order_notes(folder / "img", files) + changed
    return Sequence(
        name=folder.name,
        frames=frames,
        boxes=boxes,
        frame_numbers=numbers,
        visibility=_visibility(folder, numbers),
        warnings=tuple(f"{folder.name}: {note}" for note in notes),
    )


def _visibility(folder: Path, numbers: np.ndarray) -> np.ndarray | None:
    """Return 0 where a file says that nothing of the target is seen, otherwise 1: (T,)."""
    paths = [folder / name for name in HIDDEN if (folder / name).is_file()]
    if not paths:
        return None
    hidden = np.zeros(len(numbers), dtype=bool)
    for path in paths:
        flags = parse_rows("\n".join(path.read_text().replace(",", " ").split()), (1,), path)
        check_length(path, flags, numbers)
        hidden |= flags[:, 0] > 0
    return 1.0 - hidden
