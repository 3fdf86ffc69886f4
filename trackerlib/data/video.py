"""A user's own video, or folder of images, to read."""

from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.numbering import fill_gaps, image_files, order_notes
from trackerlib.data.sequence import (
    PAGES_CURE,
    FrameError,
    ImageFiles,
    Sequence,
    open_images,
    page_count,
)
from trackerlib.paths import expanded

__all__ = ["VideoFile", "read_video"]

MAX_FRAMES = 1 << 40  # that a file may report, and still be believed
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
    frames, numbers, notes = _folder(path) if path.is_dir() else _file(path)
    boxes = np.full((len(frames), 4), np.nan)
    boxes[0] = box
    warnings = tuple(f"{path.stem}: {note}" for note in notes)
    return Sequence(path.stem, frames, boxes, np.array(numbers), warnings=warnings)


def _folder(path: Path) -> tuple[ImageFiles, list[int], list[str]]:
    files = fill_gaps(image_files(path))
    frames, notes = open_images(list(files.values()))
    return frames, list(files), order_notes(path, files) + notes


def _file(path: Path) -> tuple[VideoFile, range, list[str]]:
    capture = cv2.VideoCapture(str(path))
    reported, length = capture.get(cv2.CAP_PROP_FRAME_COUNT), _count(capture)
    pages = page_count(path)
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
    return VideoFile(path, length), range(1, length + 1), notes


def _is_deep_grey(capture: cv2.VideoCapture) -> bool:
    """Return whether FFmpeg's format of the pixels is gray9 to gray16."""
    code = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT))
    if not 0 < code < 1 << 32:
        return False
    tag = code.to_bytes(4, "little")  # b"Y1", 0, bits; from the end where values are big-endian
    return any(one[:2] == b"Y1" and one[3] > 8 for one in (tag, tag[::-1]))


def _count(capture: cv2.VideoCapture) -> int:
    """Return the number of frames up to the last one that can be decoded."""
    tried = length = 0
    while capture.isOpened() and tried - length < PATIENCE:
        tried += 1
        if capture.grab():
            length = tried
    return length
