"""A user's own video, or folder of images, to read, and an annotated one to write."""

from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.sequence import FrameError, ImageFiles, Sequence, fill_gaps, image_files

__all__ = ["AnnotatedVideo", "VideoFile", "frames_per_second", "read_video"]

PATIENCE = 100  # frames in a row that cannot be decoded before the video counts as over
FOLDER_FPS = 25.0  # of the video made from a folder of images
GREEN = (0, 158, 115)


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


def frames_per_second(source: Path) -> float:
    """Return the rate that a video plays at; a folder of images has none, and gets FOLDER_FPS."""
    rate = 0.0 if source.is_dir() else cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS)
    return rate if rate > 0 else FOLDER_FPS


class AnnotatedVideo:
    """A video with a box drawn in, opened when its first frame comes.

    path  ends in .mp4 or .avi; an existing file is overwritten
    fps   frames per second
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self._writer: cv2.VideoWriter | None = None
        self._image: np.ndarray | None = None  # the last usable frame

    def write(self, frame: np.ndarray | FrameError, box: np.ndarray) -> None:
        """Add a frame with its box (4,); in place of an unusable one the last is shown again.

        Raises ValueError if OpenCV cannot write such a file, or the first frame is unusable.
        """
        if not isinstance(frame, FrameError):
            self._image = frame
        if self._image is None:
            raise ValueError(f"AnnotatedVideo: expected a usable first frame, got: {frame}")
        image = self._image.copy()
        if np.isfinite(box).all():
            left, top, right, bottom = np.rint([*box[:2], *(box[:2] + box[2:])]).astype(int)
            cv2.rectangle(image, (left, top), (right, bottom), GREEN, 2, cv2.LINE_AA)
        if self._writer is None:
            height, width = image.shape[:2]
            self._writer = self._open((width, height))
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file. Raises OSError if it was not written whole."""
        if self._writer is not None:
            self._writer.release()
        # OpenCV does not report a full disk, so the file is opened again.
        if not cv2.VideoCapture(str(self.path)).isOpened():
            raise OSError(f"AnnotatedVideo: {self.path} was not written whole; is its disk full?")

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(self.path), codec, self.fps, size)
        if not writer.isOpened():
            raise ValueError(
                f"AnnotatedVideo: OpenCV {cv2.__version__} cannot write MPEG-4 to {self.path}; "
                "give a name that ends in .mp4 or .avi, in a folder that can be written"
            )
        return writer


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
