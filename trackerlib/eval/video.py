"""Targets through one's own video: what is done is kept, whatever ends it.

A signal (Ctrl-C, kill, a terminal that is closed) or a tracker that crashes ends the tracking;
the boxes so far are written, and the annotated video is finished. Neither file depends on the
other: where one cannot be written, the other is. Boxes that cannot be written to their file at
the end are kept in another folder, which is named.
"""

from collections.abc import Callable, Iterator, Sized
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from trackerlib.data.annotated_video import AnnotatedVideo
from trackerlib.data.sequence import FrameError
from trackerlib.eval.box_files import BoxFile, Row
from trackerlib.eval.interrupts import Interrupts
from trackerlib.eval.store import Track
from trackerlib.eval.tracking import Follower, Tracker

__all__ = ["Followed", "Result", "Source", "follow_targets", "follow_video"]


class Source(Protocol):
    """Where frames come from: a `Sequence` or `Live`."""

    @property
    def name(self) -> str:
        """Return what messages call it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what was noticed when it was opened."""

    def timed(self) -> Iterator[tuple[int, float, np.ndarray | FrameError]]:
        """Yield each frame's number, its time in seconds and itself."""


@dataclass(frozen=True)
class Result:
    """One target in one frame.

    frame    number of the frame: a video's count from 1, images have the numbers of their names
    time     seconds from the start of the video
    box      (4,) float64 x, y, w, h, in pixels, 0-based
    score    probability, 0 to 1, that the box shows the target; None where the tracker has none
    lost     whether the tracker has lost the target; None where it does not say
    target   number of the target, from 1
    image    (H, W, 3) uint8 RGB; None where the frame cannot be used, and the last box stays
    seconds  that the tracker took, without decoding
    warning  what was unusual about the frame, or None
    """

    frame: int
    time: float
    box: np.ndarray
    score: float | None
    lost: bool | None
    target: int
    image: np.ndarray | None
    seconds: float
    warning: str | None


@dataclass(frozen=True)
class Followed:
    """What `follow_video` did and kept.

    track    boxes of every frame so far (n * targets, 4), the targets of a frame one after the
             other, their seconds, and every warning: the reader's, the tracker's, the video's
    frames   number of frames so far
    of       number of frames of the whole video, None where that is not known
    written  the files that are there now
    errors   a line for each file that could not be written; that of the boxes says where they
             are kept instead, or holds them where no other folder takes them either
    stopped  what ended the tracking before the last frame: an exception of the tracker, or
             KeyboardInterrupt
    """

    track: Track
    frames: int
    of: int | None
    written: tuple[Path, ...]
    errors: tuple[str, ...]
    stopped: BaseException | None

    def summary(self, label: str, name: str) -> str:
        """Return a line on what was done, by which tracker and on which video."""
        of, began = "", ""
        if self.stopped:
            is_signal = isinstance(self.stopped, KeyboardInterrupt)
            began = "interrupted: " if is_signal else f"{type(self.stopped).__name__}: "
            of = f" of {self.of}" if self.of else ""
        targets = len(self.track.boxes) // self.frames
        files = " and ".join(map(str, self.written))
        return (
            f"{began}{label}: {self.frames}{of} frames of {name}"
            f"{f', {targets} targets' if targets > 1 else ''} at "
            f"{self.track.fps / targets:.0f} frames per second"
            f"{'; wrote ' if files else ''}{files}"
        )


def follow_targets(
    trackers: Ordered[Tracker], boxes: np.ndarray, source: Source
) -> Iterator[Result]:
    """Follow a target with each of the trackers; yield a frame's results one after the other.

    boxes  (N, 4) x, y, w, h in the first frame, one per tracker

    Raises what `eval.tracking.follow` raises.
    """
    followers = [Follower(*pair) for pair in zip(trackers, boxes, strict=True)]
    for number, time, frame in source.timed():
        for target, follower in enumerate(followers, 1):
            which = f", target {target}" if len(followers) > 1 else ""
            step = follower.step(frame, f"{source.name}, frame {number}{which}")
            yield Result(
                frame=number,
                time=time,
                box=step.box.copy(),
                score=step.score,
                lost=step.lost,
                target=target,
                image=None if isinstance(frame, FrameError) else frame,
                seconds=step.seconds,
                warning=step.warning,
            )


def follow_video(
    results: Iterator[Result],
    source: Source,
    boxes: BoxFile | None = None,
    video: AnnotatedVideo | None = None,
    targets: int = 1,
    tell: Callable[[str], object] = lambda line: None,
) -> Followed:
    """Take the results of `follow_targets` to the last, and write what was found.

    boxes    file to write
    video    to write with the boxes drawn in
    targets  how many there are
    tell     is called with a line for a file that cannot be written, when that is known

    Raises what ends the tracking before there is anything to keep: what `follow_targets` raises
    on the first frame, OSError for a file of boxes that cannot be written, and what `video` does
    where it cannot be written and no boxes are asked for.
    """
    length = len(source) if isinstance(source, Sized) else None
    if boxes:
        boxes.try_to_write(length)
    kept, stopped = _Kept(boxes, video, tell), None
    with Interrupts() as interrupts:
        try:
            _take(_frames(results, targets), kept, interrupts)
        except (Exception, KeyboardInterrupt) as error:
            if not kept.rows:
                raise
            stopped = error
        with interrupts.held():
            written = kept.write()
    warnings = (*source.warnings, *kept.warnings, *(video.warnings if video else ()))
    track = Track(np.array([row.box for row in kept.rows]), np.array(kept.seconds), warnings)
    frames = len(kept.rows) // targets
    return Followed(track, frames, length, tuple(written), tuple(kept.errors), stopped)


def _take(frames: Iterator[list[Result]], kept: "_Kept", interrupts: Interrupts) -> None:
    for frame in frames:
        with interrupts.held():  # a frame's boxes and its picture, or neither
            kept.add(frame)
        interrupts.check()


def _frames(results: Iterator[Result], targets: int) -> Iterator[list[Result]]:
    """Yield the results of each whole frame."""
    frame = list[Result]()
    for result in results:
        frame.append(result)
        if len(frame) == targets:
            yield frame
            frame = []


class _Kept:
    """What there is to write so far."""

    def __init__(
        self,
        boxes: BoxFile | None,
        video: AnnotatedVideo | None,
        tell: Callable[[str], object],
    ) -> None:
        self.rows: list[Row] = []
        self.seconds: list[float] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self._boxes, self._video, self._tell = boxes, video, tell

    def add(self, frame: list[Result]) -> None:
        """Keep the results of one frame."""
        if self._video and not self.errors:
            try:
                first = frame[0]
                image = FrameError(first.warning) if first.image is None else first.image
                self._video.write(image, frame, first.time)
            except (OSError, ValueError, ImportError, cv2.error) as error:
                if not self._boxes:
                    raise
                self._say([str(error)])  # the boxes are still worth tracking for
        for one in frame:
            box = tuple(one.box.tolist())
            self.rows.append(Row(one.frame, one.time, one.target, box, one.score, one.lost))
            self.seconds.append(one.seconds)
        notes = (one.warning for one in frame)
        self.warnings += dict.fromkeys(filter(None, notes))  # a damaged frame is said once

    def write(self) -> list[Path]:
        """Write both files -> those that are there; `errors` says why others are not."""
        written = list[Path]()
        if self._boxes:
            written, errors = self._boxes.write(self.rows)
            self._say(errors)
        if self._video:
            try:
                self._video.close()
            except (OSError, ValueError, ImportError, cv2.error) as error:
                self._say([str(error)])
            if self._video.frames:
                written.insert(0, self._video.path)
        return written

    def _say(self, errors: list[str]) -> None:
        self.errors += errors
        for line in errors:
            self._tell(line)
