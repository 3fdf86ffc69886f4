"""A clip in which a target is resized slowly, and its true box known exactly."""

import cv2
import numpy as np

from trackerlib.data.sequence import Sequence

__all__ = ["zoomed"]


def zoomed(frame: np.ndarray, box: np.ndarray, last: float, frames: int = 30) -> Sequence:
    """Return a clip that zooms about a target's centre, by the same factor from frame to frame.

    frame   (H, W, 3) uint8 RGB: the clip's first
    box     (4,) x, y, w, h of the target in it
    last    zoom of the last frame: 2 doubles the target's sides, 0.5 halves them, 1 repeats
            the frame
    frames  of the clip, T

    The true boxes (T, 4) keep their centre; a tracker whose box has a fixed size has a scale
    of 1 / zoom. What a zoom below 1 uncovers repeats the frame's outermost pixels: a mirror
    image would show the target again.
    Raises ValueError for another frame, a zoom that is not positive, fewer than two frames,
    and a box without area or outside of the frame at any zoom.
    """
    box = np.asarray(box, np.float64)
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(
            f"zoomed: expected a frame (H, W, 3) uint8, got {frame.shape} {frame.dtype}; "
            "convert it"
        )
    if not (np.isfinite(last) and last > 0 and frames >= 2):
        raise ValueError(
            f"zoomed: expected a positive zoom and two frames or more, got {last} and {frames}"
        )
    zooms = np.geomspace(1, last, frames)
    centre = box[:2] + box[2:] / 2
    sides = box[2:] * zooms[:, None]
    boxes = np.concatenate((centre - sides / 2, sides), axis=1)  # (T, 4)
    ends = boxes[:, :2] + sides
    inside = (boxes[:, :2] >= 0).all() and (ends <= frame.shape[1::-1]).all()
    if not (np.isfinite(box).all() and (box[2:] > 0).all() and inside):
        raise ValueError(
            f"zoomed: expected a box with area that is in the frame of {frame.shape[1]}x"
            f"{frame.shape[0]} at zooms 1 to {last}, got {box.tolist()}; zoom less"
        )
    images = tuple(_zoomed(frame, centre, zoom) for zoom in zooms)
    return Sequence(f"zoom-{last:g}", images, boxes, np.arange(1, frames + 1))


def _zoomed(frame: np.ndarray, centre: np.ndarray, zoom: float) -> np.ndarray:
    """Return a frame magnified about a point, which stays where it is."""
    if zoom < 1:  # as much blur as keeps what becomes smaller than a pixel from aliasing
        frame = cv2.GaussianBlur(frame, (0, 0), 0.5 * np.sqrt(zoom**-2 - 1))
    # OpenCV counts from the middle of the first pixel, boxes from its edge.
    shift = (1 - zoom) * (centre - 0.5)
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    height, width = frame.shape[:2]
    return cv2.warpAffine(
        frame,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
