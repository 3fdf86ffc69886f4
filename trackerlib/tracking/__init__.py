"""Track targets in a video of one's own: `trackerlib.track`.

import trackerlib

for result in trackerlib.track("my_video.mp4", (120, 80, 64, 48)):
    print(result.frame, result.time, result.box, result.score, result.lost)
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from trackerlib.data.live import Live
from trackerlib.data.sequence import Sequence
from trackerlib.data.video import open_video
from trackerlib.eval.runner import resolve_device
from trackerlib.eval.video import Result, follow_targets
from trackerlib.trackers import parse

__all__ = ["Result", "checked_boxes", "track"]


def track(
    video: str | Path | int | Sequence | Live,
    box: ArrayLike,
    tracker: str = "rtmdnet",
    device: str = "auto",
    seed: int = 0,
) -> Iterator[Result]:
    """Track one target or several through a video; return an iterator of results, frame by frame.

    video    file, folder of images, number of a camera or address of a stream; for a part of its
             frames, what `trackerlib.data.video.open_video` returns
    box      (4,) x, y, w, h of the target in the first frame, pixels, 0-based; (N, 4) of several,
             whose results come one after the other for every frame
    tracker  specification, such as `kcf` or `rtmdnet:preset=paper`
    device   auto, cpu, cuda
    seed     of the tracker's random numbers

    A frame is read and tracked when its result is asked for. Raises ValueError for a box, tracker
    or device that cannot be used, FileNotFoundError if there is no such video; the first result
    raises ValueError if the box does not overlap the frame.
    """
    boxes = checked_boxes(box)
    spec = parse(tracker)
    where = resolve_device(device)
    trackers = [spec.build(where, seed) for _ in boxes]
    source = video if isinstance(video, Sequence | Live) else open_video(video)
    return follow_targets(trackers, boxes, source)


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


def _text(box: np.ndarray) -> str:
    return ",".join(f"{number:g}" for number in box)
