"""One tracker on one segment: a box and a time for every frame."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from trackerlib.boxes import first_box
from trackerlib.data.sequence import FrameError, Sequence
from trackerlib.eval.protocols import Segment
from trackerlib.eval.store import Track

__all__ = ["Follower", "Step", "Tracker", "follow", "track"]

Value = TypeVar("Value")


class Tracker(Protocol):
    """What is evaluated.

    It may have more about its latest frame: a list `warnings`; `probability`, 0 to 1, that its
    box shows the target; `is_lost`, whether it has lost the target.
    """

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Start from a frame (H, W, 3) uint8 RGB and the box (4,) of the target in it."""

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Return the box (4,) of the target in the next frame."""


@dataclass(frozen=True)
class Step:
    """One frame of a track: the frame (or why there is none), the box, the seconds it took.

    score  probability of the box, 0 to 1, where the tracker has one
    lost   whether the target is lost, where the tracker says so
    """

    frame: np.ndarray | FrameError
    box: np.ndarray
    seconds: float
    warning: str | None = None
    score: float | None = None
    lost: bool | None = None


class Follower:
    """A tracker on its way through a video, from a first box (4,) on."""

    def __init__(self, tracker: Tracker, box: np.ndarray) -> None:
        self.tracker = tracker
        self.box = np.asarray(box, dtype=np.float64)
        self._begins = True

    def step(self, frame: np.ndarray | FrameError, where: str) -> Step:
        """Initialise the tracker on the first frame, update it on others.

        where  names the frame, for messages

        Raises what `follow` raises.
        """
        begins, self._begins = self._begins, False
        if isinstance(frame, FrameError):
            if begins:
                raise frame
            return Step(frame, self.box, 0.0, f"{frame}; the last box stays")
        notes = list[str]()
        if begins:
            seconds = _initialised(self.tracker, frame, self.box, f"{where}, first box")
        else:
            prediction, seconds = _timed(self.tracker.update, frame)
            self.box = _checked(prediction, where)
            if not np.isfinite(self.box).all():
                notes.append(f"{where}: the tracker predicted {self.box}")
        if reported := getattr(self.tracker, "warnings", []):
            notes.append(f"{where}: {'; '.join(reported)}")
        score = None if begins else getattr(self.tracker, "probability", None)
        lost = getattr(self.tracker, "is_lost", None)
        return Step(frame, self.box, seconds, "; ".join(notes) or None, score, lost)


def follow(tracker: Tracker, sequence: Sequence, segment: Segment) -> Generator[Step, None, None]:
    """Initialise on the segment's first frame, update on the others, one Step per frame.

    A frame that cannot be used is not given to the tracker, and the last box stays. What a
    tracker has in its `warnings` becomes the step's warning. Raises FrameError if the first
    frame is unusable, and ValueError if the first box is, or if the tracker's prediction is
    anything but 4 numbers.
    """
    follower = Follower(tracker, segment.box)
    for index, frame in enumerate(sequence.read(segment.start), segment.start):
        yield follower.step(frame, f"{sequence.name}, frame {sequence.frame_numbers[index]}")


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
