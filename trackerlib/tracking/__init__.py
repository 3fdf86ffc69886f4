"""Track targets in a video of one's own: `trackerlib.track`.

import trackerlib

for result in trackerlib.track("my_video.mp4", (120, 80, 64, 48)):
    print(result.frame, result.time, result.box, result.score, result.lost)
"""

from collections.abc import Iterator
from pathlib import Path

from numpy.typing import ArrayLike

from trackerlib.data.live import Live
from trackerlib.data.sequence import Sequence
from trackerlib.data.video import open_video
from trackerlib.eval.runner import resolve_device
from trackerlib.eval.video import Result, follow_targets
from trackerlib.trackers import parse
from trackerlib.tracking.boxes import checked_boxes

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
