"""A user's own video, or folder of images, to read."""

from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.sequence import FrameError, ImageFiles, Sequence, fill_gaps, image_files

__all__ = ["VideoFile", "read_video"]

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
    """Read a video file, or a folder of images numbered in their names, as a sequence.

    box      (4,) x, y, w, h in the first frame, 0-based
    returns  a sequence whose boxes are NaN after the first

    A file's frames are counted by decoding it once, because the number that it
    reports may be wrong; an image that is missing is a FrameError when it is read.
    What is odd about the counting is one of the sequence's warnings.
    Raises FileNotFoundError if there is nothing to read, ValueError if OpenCV
    cannot decode the file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"read_video: expected a video or a folder of images, no {path}")
    frames, numbers, note = _folder(path) if path.is_dir() else _file(path)
    boxes = np.full((len(frames), 4), np.nan)
    boxes[0] = box
    warnings = (f"{path.stem}: {path}: {note}",) if note else ()
    return Sequence(path.stem, frames, boxes, np.array(numbers), warnings=warnings)


def _folder(path: Path) -> tuple[ImageFiles, list[int], str]:
    files = fill_gaps(image_files(path))
    numbers = list(files)
    sparse = len(numbers) <= numbers[-1] - numbers[0]
    span = f"from {numbers[0]} to {numbers[-1]}"
    note = f"{len(numbers)} images numbered {span}, taken one after the other"
    return ImageFiles(tuple(files.values())), numbers, note if sparse else ""


def _file(path: Path) -> tuple[VideoFile, range, str]:
    capture = cv2.VideoCapture(str(path))
    reported, length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), _count(capture)
    if length == 0:
        raise ValueError(
            f"read_video: expected a video that OpenCV can decode, got {path}; "
            "convert it first, e.g. ffmpeg -i video -c:v libx264 video.mp4"
        )
    note = f"reports {reported} frames, {length} can be decoded"
    return VideoFile(path, length), range(1, length + 1), note if reported != length else ""


def _count(capture: cv2.VideoCapture) -> int:
    """Return the number of frames up to the last one that can be decoded."""
    tried = length = 0
    while capture.isOpened() and tried - length < PATIENCE:
        tried += 1
        if capture.grab():
            length = tried
    return length
