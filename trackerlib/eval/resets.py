"""VOT's reset-based protocol: a tracker that lost its target is initialised again.

A tracker fails in the frame in which its box no longer overlaps the ground truth. It is
initialised anew SKIPPED frames later, so that one failure is not counted several times.
The boxes of such a run say it all: rows of NaN from a failure up to the next start.

1. Kristan et al.: The Visual Object Tracking VOT2013 challenge results. ICCV Workshops 2013.
2. vot-toolkit 0.7.4, vot/experiment/multirun.py, SupervisedExperiment.
"""

from contextlib import closing

import numpy as np

from trackerlib.data.sequence import FrameError, Sequence
from trackerlib.eval.overlaps import overlaps
from trackerlib.eval.protocols import Segment
from trackerlib.eval.store import Track
from trackerlib.eval.tracking import Tracker, follow

__all__ = ["SKIPPED", "regions", "track_with_resets"]

SKIPPED = 5  # frames from a failure to the next start


def regions(sequence: Sequence) -> np.ndarray:
    """Return the ground truth as overlaps need it: polygons (T, 8), or else boxes (T, 4)."""
    return sequence.boxes if sequence.polygons is None else sequence.polygons


def track_with_resets(tracker: Tracker, sequence: Sequence, segment: Segment) -> Track:
    """Track a whole sequence, initialising again after every failure.

    The Track has a row for every frame: the boxes that the tracker was given or predicted,
    NaN and 0 seconds otherwise; the failure's frame has NaN and its seconds. A frame without
    ground truth is no failure, and no start; nor is one that cannot be decoded, after which
    the tracker starts one frame later. The overlap is the toolkit's, `raster_overlaps`.

    Raises what `tracking.follow` raises; a FrameError for the first frame alone.
    Source: [1], section 3; [2].
    """
    count = len(sequence)
    track = Track(np.full((count, 4), np.nan), np.zeros(count))
    warnings: list[str] = []
    known = np.isfinite(sequence.boxes).all(1) & (sequence.boxes[:, 2:] > 0).all(1)
    start = segment.start
    while start < count:
        try:
            start = _until_failure(tracker, sequence, start, track, warnings) + SKIPPED
        except FrameError as error:
            if start == segment.start:
                raise
            warnings.append(f"{error}; started later")
            start += 1
        while start < count and not known[start]:
            start += 1
    return Track(track.boxes, track.seconds, tuple(warnings))


def _until_failure(
    tracker: Tracker, sequence: Sequence, start: int, track: Track, warnings: list[str]
) -> int:
    """Fill in a track from a start on -> the index of its failure, or the length without one."""
    truth = regions(sequence)
    size = (0, 0)
    with closing(follow(tracker, sequence, Segment("vot", start, sequence.boxes[start]))) as steps:
        for index, step in enumerate(steps, start):
            track.seconds[index] = step.seconds
            warnings += filter(None, [step.warning])
            if index == start and isinstance(step.frame, np.ndarray):
                size = step.frame.shape[1], step.frame.shape[0]
            elif _has_failed(step.box, truth[index], size):
                return index
            track.boxes[index] = step.box
    return len(sequence)


def _has_failed(box: np.ndarray, truth: np.ndarray, size: tuple[int, int]) -> bool:
    return bool(np.isfinite(truth).all() and overlaps(box[None], truth[None], size)[0] <= 0)
