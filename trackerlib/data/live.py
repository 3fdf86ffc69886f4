"""Frames of a camera or a stream, as they come."""

import math
import time
from collections.abc import Iterator

import cv2
import numpy as np

from trackerlib.data.sequence import UNTIMED_FPS, FrameError

__all__ = ["Live"]

BUFFERED = 4  # frames that the driver of a camera keeps for who reads it late
Timed = tuple[int, float, np.ndarray]


class Live:
    """Frames of a camera or a stream, whose number is not known before they end.

    source  number of a camera, 0 for the first, or an address (rtsp://..., http://...)
    start   number of the first frame that is read; frames count from 1
    end     number of the last one; None where the stream ends by itself, or by Ctrl-C
    stride  every how many frames are read

    warnings  that it ended before it should: a camera does not end by itself

    Raises ValueError where OpenCV cannot open it.
    """

    def __init__(
        self, source: int | str, start: int = 1, end: int | None = None, stride: int = 1
    ) -> None:
        self.name = f"camera {source}" if isinstance(source, int) else source
        self.is_camera = isinstance(source, int)
        self.start, self.end, self.stride = start, end, stride
        self.warnings: tuple[str, ...] = ()
        self._reading = self._read()
        self._held: Timed | None = None
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            cure = (
                "is it plugged in, free and yours to read, and is this its number?"
                if isinstance(source, int)
                else "is the address right, and does it answer?"
            )
            raise ValueError(
                f"Live: expected a camera or an address that OpenCV can open, got {source}; {cure}"
            )

    @property
    def fps(self) -> float:
        """Return the frames per second that the stream reports, or 25 where it reports none."""
        told = self._capture.get(cv2.CAP_PROP_FPS)
        return told if 0 < told < math.inf else UNTIMED_FPS

    def timed(self) -> Iterator[Timed]:
        """Yield each frame's number, its time in seconds from the first, and itself.

        The time is the stream's own, or the clock's where the stream has none. A frame that
        cannot be decoded is the end of the stream.
        """
        held, self._held = self._held, None
        if held:
            yield held
        yield from self._reading

    def held(self) -> np.ndarray:
        """Return the frame (H, W, 3) uint8 RGB with which `timed` will begin; read it if need be.

        Raises FrameError where the stream has ended.
        """
        if self._held is None:
            self._held = next(self._reading, None)
        if self._held is None:
            raise FrameError(f"{self.name}: expected a frame, the stream has ended")
        return self._held[2]

    def another(self) -> np.ndarray:
        """Return a later frame, in place of the one that is `held`. Raises what that does."""
        self._held = None
        # What a camera's driver has kept since the last frame is old by now.
        for _ in range(BUFFERED if self.is_camera else 0):
            next(self._reading, None)
        return self.held()

    def _read(self) -> Iterator[Timed]:
        number, began, last = 0, time.monotonic(), -1.0
        first: float | None = None
        while self.end is None or number < self.end:
            if not self._capture.grab():
                self._note_end(number)
                return
            number += 1
            told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = told if first is None else first
            # A stream without times tells the same one always.
            now = told - first if told - first > last else time.monotonic() - began
            last = max(last, now)
            if number >= self.start and (number - self.start) % self.stride == 0:
                decoded, frame = self._capture.retrieve()
                if not decoded:
                    self._note_end(number - 1)
                    return
                yield number, now, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def _note_end(self, number: int) -> None:
        """Say that no frame came after this one, where more were to come."""
        cure = "is it still plugged in?" if self.is_camera else "has it ended?"
        if self.is_camera or self.end is not None:
            self.warnings += (f"{self.name}: gave no frame after frame {number}: {cure}",)
