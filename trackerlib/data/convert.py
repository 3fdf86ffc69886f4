"""Sequences of any format, written in OTB's folder format.

    <target>/<name>/img/...                 the images, linked or copied under their names; frames
                                            of a video, and images of more than 8 bits, as PNG
    <target>/<name>/groundtruth_rect.txt    one row x,y,w,h per frame, 1-based; NaN,NaN,NaN,NaN
                                            where the target is absent or not annotated
    <target>/<name>/visibility.txt          one number per frame, where visibility is known
    <target>/<name>/attrs.txt               attributes, where there are some

Other toolkits read the first two. NaN is what this library, pytracking and the authors of UAV123
use; a toolkit that wants 0,0,0,0 takes it by a search and replace. A rotated box becomes the box
around it. A frame that cannot be read has its row and no image.
"""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from trackerlib.boxes import xywh_to_otb
from trackerlib.data.sequence import FrameError, ImageFiles, Sequence
from trackerlib.paths import draft_folder

__all__ = ["write_otb"]


def write_otb(sequence: Sequence, target: Path, copy: bool = False) -> Path:
    """Write one sequence to a folder of its name in `target`, and return that folder.

    copy  images; otherwise they are hard links where the disk allows it, so that they take no
          space, and change with the originals

    Raises FileExistsError if the folder is there already, OSError where the disk refuses.
    """
    folder = target / sequence.name
    if folder.exists():
        raise FileExistsError(
            f"write_otb: expected no {folder} yet; remove it, or give another target"
        )
    with draft_folder(folder) as draft:
        _write(sequence, draft, copy)
    return folder


def _write(sequence: Sequence, folder: Path, copy: bool) -> None:
    (folder / "img").mkdir()
    frames = sequence.frames
    names = {path.name for path in frames.paths} if isinstance(frames, ImageFiles) else set()
    if isinstance(frames, ImageFiles) and frames.levels is None and len(names) == len(frames):
        for path in filter(Path.is_file, frames.paths):
            _place(path, folder / "img" / path.name, copy)
    else:
        for number, frame in zip(sequence.frame_numbers, sequence.read(), strict=True):
            if not isinstance(frame, FrameError):
                _encode(frame, folder / "img" / f"{number:06d}.png")
    (folder / "groundtruth_rect.txt").write_text(_rows(xywh_to_otb(sequence.boxes)))
    if sequence.visibility is not None:
        (folder / "visibility.txt").write_text(_rows(sequence.visibility[:, None]))
    if sequence.attributes:
        (folder / "attrs.txt").write_text(", ".join(sequence.attributes) + "\n")


def _place(path: Path, link: Path, copy: bool) -> None:
    if not copy:
        try:
            os.link(path.resolve(), link)
            return
        except OSError:  # on another disk, or one without links
            pass
    shutil.copy2(path, link)


def _encode(frame: np.ndarray, path: Path) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)):
        raise OSError(f"write_otb: cannot write {path}; is the disk full?")


def _rows(rows: np.ndarray) -> str:
    """Return rows of numbers as lines, with the fewest digits that read back as the same."""

    def text(value: float) -> str:
        return "NaN" if np.isnan(value) else np.format_float_positional(value, trim="-")

    return "".join(",".join(map(text, row)) + "\n" for row in rows)
