"""The default tracker: the most accurate of those that this machine runs fast enough.

Accuracy is what was measured on targets of OTB (`trackerlib.trackers.table`); speed is measured
here, on the first frames of the user's own video.
"""

from collections.abc import Iterator
from itertools import islice, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from trackerlib.data.live import Live
from trackerlib.data.sequence import FrameError, Sequence
from trackerlib.eval.tracking import Follower
from trackerlib.trackers import Measured, parse, table
from trackerlib.tracking.boxes import checked_boxes

__all__ = ["MIN_FPS", "Choice", "Timed", "choose", "first_frame"]

MIN_FPS = 10.0  # frames per second that the default tracker has at least
FRAMES = (
    12  # the first, one to warm up, ten that are timed: of these MDNet's family updates in one
)
HOPELESS = 0.5  # of MIN_FPS: what is expected below is not timed


class Timed(NamedTuple):
    """A tracker, its accuracy, and frames per second here: measured, or else expected."""

    tracker: str
    auc: float
    fps: float
    is_measured: bool


class Choice(NamedTuple):
    """The tracker that was chosen, and all that there were, the most accurate first."""

    tracker: str
    rows: tuple[Timed, ...]

    def text(self) -> str:
        """Return the table as text, with the choice marked."""
        lines = [f"{'tracker':<24}  AUC    frames per second"]
        for row in self.rows:
            fps = f"{row.fps:.0f}" if row.fps >= 10 else f"{row.fps:.1f}"
            mark = "  <- chosen" if row.tracker == self.tracker else ""
            about = " " if row.is_measured else "~"
            lines.append(f"{row.tracker:<24}  {row.auc:.3f}  {about + fps:>6}{mark}")
        lines.append(
            f"the most accurate at {MIN_FPS:g} frames per second or more on this video; another: "
            "--tracker NAME. ~ is expected, not timed; AUC: targets of OTB"
        )
        return "\n".join(lines)


def choose(
    source: Sequence | Live, boxes: ArrayLike, device: str = "cpu", seed: int = 0
) -> Choice:
    """Time the best trackers on a video's first frames, until one is fast enough.

    boxes  (N, 4) of the targets in the first frame; N of them take N times as long

    Where none is, it is the fastest. Trackers that cannot learn the box, or lack what they need,
    are left out. Raises what the last one raised where that is all of them.
    """
    boxes = checked_boxes(boxes)
    frames = list(_frames(source))
    rows = list[Timed]()
    chosen, factor = "", 1.0  # factor: how fast this machine is, in the table's
    failure: Exception | None = None
    for known in sorted(table(), key=lambda row: -row.auc):
        expected = known.fps * factor / len(boxes)
        fps = None
        if not chosen and expected >= HOPELESS * MIN_FPS:
            try:
                fps = _timed(known, frames, boxes[0], device, seed) / len(boxes)
            except (ValueError, OSError) as error:
                failure = error
                continue
            factor = fps * len(boxes) / known.fps
        rows.append(Timed(known.tracker, known.auc, fps or expected, fps is not None))
        if fps and fps >= MIN_FPS:
            chosen = known.tracker
    timed = [row for row in rows if row.is_measured]
    if not timed and failure:
        raise failure
    return Choice(chosen or max(timed or rows, key=lambda row: row.fps).tracker, tuple(rows))


def first_frame(source: Sequence | Live) -> np.ndarray:
    """Return the frame (H, W, 3) uint8 RGB in which targets are given; a live source holds it.

    Raises FrameError where it cannot be used.
    """
    if isinstance(source, Live):
        return source.held()
    _, _, frame = next(source.timed())
    if isinstance(frame, FrameError):
        raise frame
    return frame


def _frames(source: Sequence | Live) -> Iterator[tuple[str, np.ndarray | FrameError]]:
    """Yield the first frames, each with its name for messages; of what is live, one again."""
    if isinstance(source, Live):
        yield from repeat((source.name, source.held()), FRAMES)
        return
    for number, _, frame in islice(source.timed(), FRAMES):
        yield f"{source.name}, frame {number}", frame


def _timed(
    known: Measured,
    frames: list[tuple[str, np.ndarray | FrameError]],
    box: np.ndarray,
    device: str,
    seed: int,
) -> float:
    """Return frames per second, without the first two; those of two frames are the table's."""
    follower = Follower(parse(known.tracker).build(device, seed), box)
    seconds = [follower.step(frame, where).seconds for where, frame in frames][2:]
    return len(seconds) / max(sum(seconds), 1e-6) if seconds else known.fps
