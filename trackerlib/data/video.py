"""A user's own video, or folder of images, to read."""

import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.live import Live
from trackerlib.data.numbering import fill_gaps, image_files, order_notes
from trackerlib.data.sequence import (
    PAGES_CURE,
    UNTIMED_FPS,
    FrameError,
    Frames,
    Sequence,
    open_images,
    page_count,
)
from trackerlib.data.video_writer import as_fraction
from trackerlib.paths import expanded

__all__ = [
    "FINE_CLOCK",
    "VideoFile",
    "chosen_frames",
    "clock_of",
    "frames_per_second",
    "open_folder",
    "open_video",
    "read_unannotated",
    "read_video",
]

MAX_FRAMES = 1 << 40  # that a file may report, and still be believed
MAX_JITTER = 6e-4  # seconds by which a time may be off a steady rate: half a ms, and rounding
FINE_CLOCK = Fraction(90_000)  # ticks per second for times without a steady rate
PATIENCE = 100  # frames in a row that cannot be decoded before the video counts as over


class VideoFile:
    """Frames of a video file, decoded one after the other as they are asked for.

    Going forward skips frames, going back starts over: both are slower than
    reading in order. Only the path and the length are pickled.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path, self.length = path, length
        self._capture: cv2.VideoCapture | None = None
        self._next = 0

    def __reduce__(self) -> tuple[type["VideoFile"], tuple[Path, int]]:
        return VideoFile, (self.path, self.length)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self.length:
            raise IndexError(f"{self.path}: frame index {index} of {self.length}")
        if self._capture is None or index < self._next:
            self._capture, self._next = cv2.VideoCapture(str(self.path)), 0
        while self._next < index:
            self._capture.grab()
            self._next += 1
        decoded, frame = self._capture.read()
        self._next += 1
        if not decoded:
            raise FrameError(f"{self.path}: frame {index + 1} cannot be decoded")
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def read_video(path: str | Path, box: np.ndarray) -> Sequence:
    """Read a video file, or a folder of images in the order of their names, as a sequence.

    box      (4,) x, y, w, h in the first frame, 0-based
    returns  a sequence whose boxes are NaN after the first

    A file's frames are counted by decoding it once, because the number that it
    reports may be wrong; an image that is missing is a FrameError when it is read.
    What is odd about the counting or the images is one of the sequence's warnings.
    Raises FileNotFoundError if there is nothing to read, ValueError if OpenCV
    cannot decode the file.
    """
    path = expanded(path)
    if not path.exists():
        raise FileNotFoundError(f"read_video: expected a video or a folder of images, no {path}")
    sequence = open_folder(path) if path.is_dir() else _file(path)
    sequence.boxes[0] = box
    return sequence


def read_unannotated(video: str | Path) -> Sequence:
    """Open a video file or a folder of images, in which no box is known.

    Raises what `read_video` raises.
    """
    return read_video(video, np.full(4, np.nan))


def open_video(
    video: str | Path | int, start: int | None = None, end: int | None = None, stride: int = 1
) -> Sequence | Live:
    """Open a video file, a folder of images, a camera or a stream to track targets in.

    video   path; number of a camera, 0 for the first; address (rtsp://..., http://...)
    start   number of the first frame that is read; a video's frames count from 1, images have
            the numbers of their names
    end     number of the last one
    stride  every how many frames are read

    Raises what `read_video` and `Live` raise, and ValueError if there are no such frames.
    """
    _check_part(start, end, stride)
    if isinstance(video, int) or "://" in str(video):
        return Live(video if isinstance(video, int) else str(video), start or 1, end, stride)
    return chosen_frames(read_unannotated(video), start, end, stride)


def chosen_frames(
    sequence: Sequence, start: int | None = None, end: int | None = None, stride: int = 1
) -> Sequence:
    """Return the frames of a sequence from number `start` to `end`, every `stride`-th of them.

    Raises ValueError if there are no such frames.
    """
    _check_part(start, end, stride)
    numbers = sequence.frame_numbers
    first = 0 if start is None else int(np.searchsorted(numbers, start))
    last = len(numbers) if end is None else int(np.searchsorted(numbers, end, "right"))
    if first >= last:
        raise ValueError(
            f"open_video: expected frames between {numbers[0]} and {numbers[-1]}, which "
            f"{sequence.name} has, got start {start}, end {end}"
        )
    picks = range(first, last, stride)
    return sequence if len(picks) == len(numbers) else sequence.part(picks)


def _check_part(start: int | None, end: int | None, stride: int) -> None:
    if stride < 1 or (start is not None and end is not None and start > end):
        raise ValueError(
            "open_video: expected a stride of 1 or more and an end that is not before the start, "
            f"got start {start}, end {end}, stride {stride}"
        )


def frames_per_second(source: Path) -> tuple[float, str]:
    """Return the rate that a video plays at, and a warning where it does not say, or "".

    A folder of images has no rate, and gets 25 frames per second.
    """
    if source.is_dir():
        return UNTIMED_FPS, ""
    told = cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS)
    if told > 0 and math.isfinite(told):
        return told, ""
    return UNTIMED_FPS, (
        f"{source}: expected a frame rate above 0, its header says {told:g}; "
        f"{UNTIMED_FPS:g} frames per second are assumed"
    )


def clock_of(times: np.ndarray, fps: float) -> Fraction:
    """Return ticks per second that hold the times of frames: `fps` as a fraction, if it does.

    times  (T,) seconds, rising

    Where times are off a steady rate by more than MAX_JITTER, it is FINE_CLOCK.
    """
    ticks = (times - times[0]) * fps
    off = np.abs(ticks - ticks.round()).max()
    is_steady = off < min(0.25, MAX_JITTER * fps) and (np.diff(ticks) > 0.5).all()
    return as_fraction(fps) if is_steady else FINE_CLOCK


def open_folder(path: Path) -> Sequence:
    """Return a folder of images as a sequence without boxes. Raises as `read_video`."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a folder of images, there is none")
    files = fill_gaps(image_files(path))
    frames, notes = open_images(list(files.values()))
    times = np.arange(len(files)) / UNTIMED_FPS
    return _sequence(path, frames, np.array(list(files)), times, order_notes(path, files) + notes)


def _file(path: Path) -> Sequence:
    capture = cv2.VideoCapture(str(path))
    reported, times = capture.get(cv2.CAP_PROP_FRAME_COUNT), _times(capture)
    length, pages = len(times), page_count(path)
    if length == 0:
        cure = "convert it first, e.g. ffmpeg -i video -c:v libx264 video.mp4"
        raise ValueError(
            f"read_video: expected a video that OpenCV can decode, got {path}; "
            f"{PAGES_CURE if pages > 1 else cure}"
        )
    notes = []
    if pages > length:
        notes.append(f"{path} has {pages} pages, of which {length} is read; {PAGES_CURE}")
    if 0 < reported < MAX_FRAMES and reported != length:  # a raw stream reports none, as -9.2e18
        notes.append(f"{path}: reports {reported:.0f} frames, {length} can be decoded")
    if _is_deep_grey(capture):
        notes.append(
            f"{path}: grey values of more than 8 bits, of which the upper 8 are read; for the "
            "others extract the images first: ffmpeg -i video folder/%06d.png"
        )
    return _sequence(path, VideoFile(path, length), np.arange(1, length + 1), times, notes)


def _sequence(
    path: Path, frames: Frames, numbers: np.ndarray, times: np.ndarray, notes: list[str]
) -> Sequence:
    return Sequence(
        path.stem,
        frames,
        np.full((len(frames), 4), np.nan),
        numbers,
        warnings=tuple(f"{path.stem}: {note}" for note in notes),
        times=times,
    )


def _is_deep_grey(capture: cv2.VideoCapture) -> bool:
    """Return whether FFmpeg's format of the pixels is gray9 to gray16."""
    code = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT))
    if not 0 < code < 1 << 32:
        return False
    tag = code.to_bytes(4, "little")  # b"Y1", 0, bits; from the end where values are big-endian
    return any(one[:2] == b"Y1" and one[3] > 8 for one in (tag, tag[::-1]))


def _times(capture: cv2.VideoCapture) -> np.ndarray:
    """Return the time of each frame, up to the last one that can be decoded, in seconds.

    A file without times has its rate.
    """
    told, tried, length = list[float](), 0, 0
    while capture.isOpened() and tried - length < PATIENCE:
        tried += 1
        if capture.grab():
            length = tried
            told.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        else:
            told.append(math.nan)  # it keeps its place
    times, index = np.array(told[:length]), np.arange(length)
    known = np.isfinite(times)
    if known.any():
        times = np.interp(index, index[known], times[known]) - times[known][0]
    if (np.diff(times) > 0).all():
        return times
    fps = capture.get(cv2.CAP_PROP_FPS)
    return index / (fps if 0 < fps < math.inf else UNTIMED_FPS)
