"""What frames go through before boxes are drawn on them, so that few clips show more.

As published, MDNet, FDN and RT-MDNet draw their boxes from frames as they are: every field is
off unless one is given.
"""

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from trackerlib.train.images import LabelledFrame
from trackerlib.train.videos import Video

__all__ = ["Augmentation"]

MIN_SIGMA = 0.5  # of the blur, pixels


@dataclass(frozen=True)
class Augmentation:
    """How frames differ from a clip's own; all off as published."""

    flip: float = 0.0  # share of batches whose frames are all mirrored: a clip keeps its side
    blur: float = 0.0  # standard deviation up to which half of the frames are blurred, pixels
    colour: float = 0.0  # standard deviation of a frame's brightness, in doublings; hue: half
    scale: float = 1.0  # frames are resized by 1 / scale to scale

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1 or min(self.blur, self.colour) < 0 or self.scale < 1:
            raise ValueError(
                "Augmentation: expected flip from 0 to 1, blur and colour of at least 0, scale "
                f"of at least 1, got {self}"
            )

    def over(self, video: Video, rng: np.random.Generator) -> Video:
        """Return a video as one batch sees it; whether it is mirrored is drawn here, once."""
        if self == Augmentation():
            return video
        return partial(self._frame, video, bool(rng.random() < self.flip))

    def _frame(self, video: Video, mirrored: bool, rng: np.random.Generator) -> LabelledFrame:
        frame, box = video(rng)
        if mirrored:
            x, y, w, h = box
            frame, box = frame[:, ::-1], np.array([frame.shape[1] - x - w, y, w, h])
        if self.scale > 1:
            frame, box = resized(frame, box, self.scale ** rng.uniform(-1, 1))
        if self.blur > MIN_SIGMA and rng.random() < 0.5:
            frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(MIN_SIGMA, self.blur))
        if self.colour:
            # The brightness of all channels, and half as much of each alone, as of other light.
            light = self.colour * (rng.normal() + rng.normal(size=3) / 2)
            # A table of 256 entries a channel: no float image of the frame is made.
            levels = np.arange(256)[:, None] * 2.0**light
            table = np.rint(levels).clip(0, 255).astype(np.uint8)
            frame = cv2.LUT(frame, table.reshape(1, 256, 3))
        return np.ascontiguousarray(frame), box


def resized(frame: np.ndarray, box: np.ndarray, factor: float) -> LabelledFrame:
    """Return a frame (H, W, 3) and a box (4,) at another size, the factor rounded to pixels."""
    height, width = frame.shape[:2]
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    # Sides are whole pixels, so each axis has a factor of its own: 5 * 1.5 are 8 pixels, not 7.5.
    factors = np.array([size[0] / width, size[1] / height])
    return cv2.resize(frame, size, interpolation=way), box * np.tile(factors, 2)
