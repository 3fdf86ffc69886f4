"""Boxes as users give them: checked, and as the text that the command line takes."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["boxes_text", "checked_boxes"]


def checked_boxes(box: ArrayLike) -> np.ndarray:
    """Return one box (4,) or several (N, 4) as (N, 4) float64.

    Raises ValueError for anything but four finite numbers, or a box without a size; of one that
    was drawn backwards, the message has the box that is meant.
    """
    try:
        boxes = np.atleast_2d(np.asarray(box, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"track: expected boxes x,y,w,h of numbers, got {box!r}") from error
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes) or not np.isfinite(boxes).all():
        raise ValueError(f"track: expected four finite numbers x,y,w,h per box, got {box!r}")
    for one in boxes:
        got = f"track: expected a box x,y,w,h with a width and height above 0, got {_text(one)}"
        if (one[2:] == 0).any():
            raise ValueError(f"{got}; x,y is its top left corner, w,h its size in pixels")
        if (one[2:] < 0).any():
            meant = np.concatenate((one[:2] + one[2:].clip(max=0), abs(one[2:])))
            raise ValueError(f"{got}; it is drawn backwards, give {_text(meant)}")
    return boxes


def boxes_text(boxes: np.ndarray) -> str:
    """Return boxes (N, 4) as the command line takes them: `--box 120,80,64,48 --box ...`."""
    return " ".join(f"--box {_text(box)}" for box in boxes)


def _text(box: np.ndarray) -> str:
    return ",".join(f"{number:g}" for number in box)
