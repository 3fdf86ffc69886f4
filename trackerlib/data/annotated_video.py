"""A video with boxes drawn in, encoded in a thread of its own beside the tracker."""

import math
from collections import deque
from collections.abc import Sequence as Ordered
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data.sequence import FrameError
from trackerlib.data.video_writer import VideoWriter, as_fraction, load_encoders

__all__ = ["COLOURS", "AnnotatedVideo", "Marked", "drawn"]

COLOURS = (  # of the targets, in turn: told apart by colour-blind people too (Okabe and Ito)
    (0, 158, 115),
    (230, 159, 0),
    (86, 180, 233),
    (213, 94, 0),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
)
WAITING = 8  # frames that may wait for the encoder, before the tracker waits for it


class Marked(Protocol):
    """One target in one frame."""

    @property
    def box(self) -> np.ndarray:
        """Return x, y, w, h (4,)."""

    @property
    def score(self) -> float | None:
        """Return a probability, 0 to 1, or None."""

    @property
    def lost(self) -> bool | None:
        """Return whether the tracker has lost it; None where it does not say."""

    @property
    def target(self) -> int:
        """Return its number, from 1."""


class AnnotatedVideo:
    """A video with boxes drawn in, there when it is closed.

    path      its end chooses the format, see `video_writer.FORMATS`; an existing file is replaced
    fps       frames per second, where they are not timed
    clock     ticks per second that hold the times of the frames; else made of `fps`
    frames    number of frames in the file, once it is closed
    warnings  how the video differs from the frames that were given

    Frames are drawn on and encoded in a thread, WAITING at most at a time: they must not be
    changed once they are given.
    """

    def __init__(self, path: Path, fps: float, clock: Fraction | None = None) -> None:
        if not (fps > 0 and math.isfinite(fps)):
            raise ValueError(f"AnnotatedVideo: expected frames per second above 0, got {fps}")
        self.path, self.fps = path, fps
        self.clock = clock or as_fraction(fps)
        self.frames = 0
        self.warnings: list[str] = []
        self._writer: VideoWriter | None = None
        self._image: np.ndarray | None = None  # the last usable frame
        self._start = 0.0
        self._given, self._failed = 0, False
        self._thread = ThreadPoolExecutor(max_workers=1)
        # Meanwhile the tracker learns its first frame.
        self._tasks: deque[Future] = deque([self._thread.submit(load_encoders)])

    def write(
        self,
        frame: np.ndarray | FrameError,
        targets: Ordered[Marked],
        time: float | None = None,
    ) -> None:
        """Add a frame with its targets; in place of an unusable one the last is shown again.

        time  seconds, of which the first frame's may be any

        The first frame is written before this returns, so that what cannot be written is told at
        once; later errors come with a later frame or `close`. Raises ValueError for a format that
        cannot be written, or a first frame that is unusable, ImportError without PyAV, and
        OSError if the disk refuses.
        """
        if not isinstance(frame, FrameError):
            self._image = frame
        if self._image is None:
            raise ValueError(f"AnnotatedVideo: expected a usable first frame, got: {frame}")
        time = self._given / self.fps if time is None else time
        self._start = self._start if self._given else time
        self._given += 1
        image, since = self._image, time - self._start
        self._tasks.append(self._thread.submit(self._write, image, tuple(targets), since))
        self._wait_for(0 if self._given == 1 else WAITING)

    def close(self) -> None:
        """Finish the file and put it in its place. Raises what `write` does."""
        try:
            self._wait_for(0)
            writer, self._writer = self._writer, None
            if writer and not self._failed:
                self._finish(writer)
        finally:
            self._thread.shutdown(cancel_futures=True)

    def _finish(self, writer: VideoWriter) -> None:
        try:
            writer.close()
            self.warnings = writer.warnings
        finally:  # after an error, what the file has
            self.frames = writer.frames

    def _wait_for(self, waiting: int) -> None:
        """Wait until no more frames than `waiting` wait for the encoder."""
        while len(self._tasks) > waiting:
            self._tasks.popleft().result()

    def _write(self, image: np.ndarray, targets: tuple[Marked, ...], time: float) -> None:
        if self._failed:  # by an earlier frame, whose error is the one to tell
            return
        self._failed = True
        if self._writer is None:
            size = image.shape[1], image.shape[0]
            self._writer = VideoWriter(self.path, size, self.clock, self.fps)
        try:
            self._writer.write(drawn(image, targets), time)
        finally:
            self.frames = self._writer.frames
        self._failed = False


def drawn(image: np.ndarray, targets: Ordered[Marked]) -> np.ndarray:
    """Return a copy of an image (H, W, 3) with the boxes of targets, and what is known of each.

    Above a box stand its number, if there are several, its score, and `lost`.
    """
    image = image.copy()
    height, width = image.shape[:2]
    thick = max(2, height // 300)
    for one in targets:
        if not np.isfinite(one.box).all():
            continue
        # Beyond the frame a border cannot be seen, and OpenCV draws no 1e12.
        ends = np.rint(xywh_to_xyxy(one.box)).clip(-10, max(height, width) + 10)
        left, top, right, bottom = map(int, ends)
        colour = COLOURS[(one.target - 1) % len(COLOURS)]
        cv2.rectangle(image, (left, top), (right, bottom), colour, thick, cv2.LINE_AA)
        words = [str(one.target)] if len(targets) > 1 else []
        words += [f"{one.score:.2f}"] if one.score is not None else []
        words += ["lost"] if one.lost else []
        if words:
            _write_above(image, " ".join(words), (left, top), colour)
    return image


def _write_above(
    image: np.ndarray, text: str, corner: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Write a text above a corner, or below where there is no room, and inside the image."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, image.shape[0] / 900)
    thick = max(1, round(2 * size))
    (width, height), _ = cv2.getTextSize(text, font, size, thick)
    x = max(0, min(corner[0], image.shape[1] - width))
    y = max(height + 2, min(corner[1] - 4, image.shape[0] - 2))
    # Dark below and colour above: legible on any ground.
    cv2.putText(image, text, (x, y), font, size, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.putText(image, text, (x, y), font, size, colour, thick, cv2.LINE_AA)
