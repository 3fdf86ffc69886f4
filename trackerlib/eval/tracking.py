"""One tracker on one segment: a box and a time for every frame."""

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from trackerlib.boxes import first_box
from trackerlib.data.sequence import FrameError, Sequence
from trackerlib.eval.protocols import Segment
from trackerlib.eval.store import Track

__all__ = ["Step", "Tracker", "follow", "track"]

Value = TypeVar("Value")


class Tracker(Protocol):
    """What is evaluated; it may have a list `warnings` about its latest frame besides."""

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Start from a frame (H, W, 3) uint8 RGB and the box (4,) of the target in it."""

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Return the box (4,) of the target in the next frame."""


@dataclass(frozen=True)
class Step:
    """One frame of a track: the frame (or why there is none), the box, the seconds it took."""

    frame: np.ndarray | FrameError
    box: np.ndarray
    seconds: float
    warning: str | None = None


def follow(tracker: Tracker, sequence: Sequence, segment: Segment) -> Generator[Step, None, None]:
    """Initialise on the segment's first frame, update on the others, one Step per frame.

    A frame that cannot be used is not given to the tracker, and the last box stays. What a
    tracker has in its `warnings` becomes the step's warning. Raises FrameError if the first
    frame is unusable, and ValueError if the first box is, or if the tracker's prediction is
    anything but 4 numbers.
    """
    box = np.asarray(segment.box, dtype=np.float64)
    for index, frame in enumerate(sequence.read(segment.start), segment.start):
        where = f"{sequence.name}, frame {sequence.frame_numbers[index]}"
        seconds, notes, given = 0.0, list[str](), not isinstance(frame, FrameError)
        if isinstance(frame, FrameError):
            if index == segment.start:
                raise frame
            notes.append(f"{frame}; the last box stays")
        elif index == segment.start:
            seconds = _initialised(tracker, frame, box, f"{where}, first box")
        else:
            prediction, seconds = _timed(tracker.update, frame)
            box = _checked(prediction, where)
            if not np.isfinite(box).all():
                notes.append(f"{where}: the tracker predicted {box}")
        reported: Iterable[str] = getattr(tracker, "warnings", []) if given else []
        if reported:
            notes.append(f"{where}: {'; '.join(reported)}")
        yield Step(frame, box, seconds, "; ".join(notes) or None)


def track(tracker: Tracker, sequence: Sequence, segment: Segment) -> Track:
    """Return all of `follow`, without the frames. Raises what `follow` raises."""
    steps = [(s.box, s.seconds, s.warning) for s in follow(tracker, sequence, segment)]
    boxes, seconds, warnings = zip(*steps, strict=True)
    return Track(np.array(boxes), np.array(seconds), tuple(filter(None, warnings)))


def _timed(function: Callable[..., Value], *arguments: Any) -> tuple[Value, float]:
    """Return what the function returns, and its seconds, the GPU's work included."""
    began = time.perf_counter()
    value = function(*arguments)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return value, time.perf_counter() - began


def _initialised(tracker: Tracker, frame: np.ndarray, box: np.ndarray, where: str) -> float:
    """Initialise a tracker and return the seconds; errors about the box begin with `where`."""
    first_box(box, frame, where=where)
    try:
        return _timed(tracker.init, frame, box.copy())[1]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _checked(prediction: object, where: str) -> np.ndarray:
    try:
        box = np.array(prediction, dtype=np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (4,):
        raise ValueError(
            f"{where}: expected a box of 4 numbers from the tracker, got {prediction!r}"
        )
    return box
