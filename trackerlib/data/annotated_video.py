"""A video with a box drawn in, to write.

What OpenCV refuses, it refuses without a word: a rate that MPEG-4 has no number for, a full disk,
a container it does not know. The cause is found out afterwards, and a file counts as written when
all its frames can be read from it.
"""

import math
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data.sequence import FrameError
from trackerlib.paths import disk_cure, draft_of

__all__ = ["AnnotatedVideo", "frames_per_second", "writable_rate"]

DEFAULT_FPS = 25.0  # of the video made from a folder of images, which has no rate
CONTAINERS = (".mp4", ".avi", ".mkv", ".mov", ".m4v", ".wmv")
MAX_TICKS = 65535  # MPEG-4 counts time in at most so many ticks a second
MAX_FPS = {".avi": 1000, ".wmv": 1000}  # above, frames that the container counts twice are lost
GUESSED = {".wmv"}  # containers without a rate: OpenCV guesses one from the frames' times
MIN_FPS = 0.002  # below, OpenCV takes a rate for 0
CLOSE = 2e-6  # of a rate: 7 ms in an hour, and 29.97 stands for 30000/1001
GREEN = (0, 158, 115)
BLOCK = bytes(1 << 20)  # what is written to a disk to see whether it takes it


def frames_per_second(source: Path) -> tuple[float, str]:
    """Return the rate that a video plays at, and a warning where it does not say, or "".

    A folder of images has no rate, and gets 25 frames per second.
    """
    if source.is_dir():
        return DEFAULT_FPS, ""
    told = cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS)
    if told > 0 and math.isfinite(told):
        return told, ""
    return DEFAULT_FPS, (
        f"{source}: expected a frame rate above 0, its header says {told:g}; "
        f"{DEFAULT_FPS:g} frames per second are assumed"
    )


def writable_rate(fps: float, suffix: str = ".mp4") -> float:
    """Return the rate next to `fps` that OpenCV writes into MPEG-4, in frames per second.

    suffix  of the file: `.avi` and `.wmv` hold all frames up to 1000 frames per second

    OpenCV makes a fraction with 1, 10, 100 or 1000 below, and MPEG-4 takes it where at most
    65535 is above: 239.762 becomes 239.76. Raises ValueError unless fps is above 0 and finite.
    """
    if not (fps > 0 and math.isfinite(fps)):
        raise ValueError(f"writable_rate: expected frames per second above 0, got {fps}")
    fps = min(max(fps, MIN_FPS), float(MAX_FPS.get(suffix.lower(), MAX_TICKS)))
    fractions = [Fraction(round(fps * base), base) for base in (1, 10, 100, 1000)]
    allowed = [float(one) for one in fractions if 0 < one.numerator <= MAX_TICKS]
    return min(allowed, key=lambda rate: abs(rate - fps))


class AnnotatedVideo:
    """A video with a box drawn in, opened when its first frame comes, there when it is closed.

    path      ends in .mp4, .avi or another of CONTAINERS; an existing file is replaced by `close`
    fps       frames per second; what the container cannot hold is replaced by the next rate
    warnings  how the video differs from the frames and the rate that were given; after `close`
    frames    number of frames written so far
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, writable_rate(fps, path.suffix)
        self.warnings: list[str] = []
        self._wanted = fps
        self._stack = ExitStack()
        self._draft = path
        self._writer: cv2.VideoWriter | None = None
        self._image: np.ndarray | None = None  # the last usable frame
        self.frames = 0

    def write(self, frame: np.ndarray | FrameError, box: np.ndarray) -> None:
        """Add a frame with its box (4,); in place of an unusable one the last is shown again.

        Raises ValueError if OpenCV cannot write such a file, or the first frame is unusable,
        and OSError if the disk refuses it.
        """
        if not isinstance(frame, FrameError):
            self._image = frame
        if self._image is None:
            raise ValueError(f"AnnotatedVideo: expected a usable first frame, got: {frame}")
        image = self._image.copy()
        height, width = image.shape[:2]
        if np.isfinite(box).all():
            # Beyond the frame a border cannot be seen, and OpenCV draws no 1e12.
            ends = np.rint(xywh_to_xyxy(box)).clip(-10, max(height, width) + 10)
            left, top, right, bottom = map(int, ends)
            cv2.rectangle(image, (left, top), (right, bottom), GREEN, 2, cv2.LINE_AA)
        if self._writer is None:
            self._writer = self._open((width, height))
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def close(self) -> None:
        """Finish the file and put it in its place. Raises OSError if it is not whole."""
        if self._writer is None:
            return
        with self._stack:  # an error leaves what was at `path` before
            self._writer.release()
            self._writer = None
            self._check()

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        with ExitStack() as stack:
            self._draft = stack.enter_context(draft_of(self.path, self.path.suffix))
            _raise_refused(self._draft, self.path)  # before OpenCV, which then removes the file
            writer = self._writer_to(self._draft, size)
            if writer is None:
                raise ValueError(
                    f"AnnotatedVideo: OpenCV {cv2.__version__} cannot write MPEG-4 to {self.path} "
                    f"({size[0]}x{size[1]} pixels, {self.fps:g} frames per second); give a name "
                    f"that ends in {', '.join(CONTAINERS)}, and frames of 2x2 pixels or more"
                )
            self._stack = stack.pop_all()
            return writer

    def _writer_to(self, path: Path, size: tuple[int, int]) -> cv2.VideoWriter | None:
        if path.suffix.lower() not in CONTAINERS:
            return None
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), codec, self.fps, size)
        return writer if writer.isOpened() else None

    def _check(self) -> None:
        """Read the draft again: OpenCV reports neither a full disk nor what it leaves out."""
        capture = cv2.VideoCapture(str(self._draft))
        rate, count = capture.get(cv2.CAP_PROP_FPS), 0
        size = tuple(int(capture.get(n)) for n in (3, 4))  # width, height
        while capture.isOpened() and capture.grab():
            count += 1
        capture.release()
        if count != self.frames:
            _raise_refused(self._draft, self.path)
            raise OSError(
                f"AnnotatedVideo: {self.path} was not written whole: {count} of {self.frames} "
                "frames can be read from it; give a name that ends in .mp4, or, if its disk was "
                "full, another folder"
            )
        assert self._image is not None
        height, width = self._image.shape[:2]
        if size != (width, height):
            self.warnings.append(
                f"{self.path}: frames of {width}x{height} are cut to {size[0]}x{size[1]} in the "
                "video, since MPEG-4 takes even numbers; the boxes are as they were"
            )
        if self.path.suffix.lower() in GUESSED:
            rate = self.fps
        if abs(rate - self._wanted) > CLOSE * self._wanted:
            self.warnings.append(
                f"{self.path}: plays at {rate:.10g} frames per second, not {self._wanted:.10g}, "
                "for which its container has no number"
            )


def _raise_refused(draft: Path, path: Path) -> None:
    """Raise the OSError that the disk has for a draft, if it takes no more of it."""
    try:
        with draft.open("ab") as file:
            file.write(BLOCK)
    except OSError as error:
        cure = disk_cure(error)
        raise OSError(
            f"AnnotatedVideo: cannot write {path} whole: "
            f"{error.strerror or error}{'; ' if cure else ''}{cure}"
        ) from error
