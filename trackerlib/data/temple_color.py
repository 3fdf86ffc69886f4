"""Sequences in the folder format of TempleColor, 128 videos in colour.

    <root>/<Video>/img/0001.jpg ...
    <root>/<Video>/<Video>_gt.txt        one row x, y, w, h per frame, 1-based
    <root>/<Video>/<Video>_frames.txt    first and last frame: 1,100

Liang, Blasch, Ling: Encoding color information for visual tracking: algorithms and
benchmark. TIP 2015. 50 of its videos are OTB's; names of the others end in _ce.
"""

from pathlib import Path

import numpy as np

from trackerlib.boxes import otb_to_xywh
from trackerlib.data.numbering import fill_gaps, image_files
from trackerlib.data.rows import check_length, read_rows, runs, truth_notes
from trackerlib.data.sequence import Sequence, open_images

__all__ = ["names", "read"]


def names(root: Path) -> list[str]:
    """List the videos of a folder; none if it is of another format."""
    return sorted(path.parent.name for path in root.glob("*/*_gt.txt") if _ours(path))


def read(root: Path, name: str) -> Sequence:
    """Read one video.

    Missing images are no error here: they come as FrameError when they are read.
    Nor are frames without a positive box: they are a warning.
    Raises FileNotFoundError, or ValueError for files that do not parse or agree.
    """
    folder = root / name
    path = folder / f"{name}_gt.txt"
    rows = read_rows(path)
    ((first, last),) = read_rows(folder / f"{name}_frames.txt", widths=(2,)).astype(int)
    numbers = np.arange(first, last + 1)
    check_length(path, rows, numbers)
    files = fill_gaps(image_files(folder / "img"))
    lacking = [number for number in numbers.tolist() if number not in files]
    if lacking:
        raise FileNotFoundError(f"{folder / 'img'}: expected images {runs(lacking)} too")
    frames, notes = open_images([files[number] for number in numbers.tolist()])
    boxes = otb_to_xywh(rows)
    return Sequence(
        name=name,
        frames=frames,
        boxes=boxes,
        frame_numbers=numbers,
        warnings=tuple(f"{name}: {note}" for note in truth_notes(path, boxes, numbers) + notes),
    )


def _ours(path: Path) -> bool:
    return path.name == f"{path.parent.name}_gt.txt"
