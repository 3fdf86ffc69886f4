"""A video with a box drawn in, to write."""

from pathlib import Path

import cv2
import numpy as np

from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data.sequence import FrameError

__all__ = ["AnnotatedVideo", "frames_per_second"]

FOLDER_FPS = 25.0  # of the video made from a folder of images
GREEN = (0, 158, 115)


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
            left, top, right, bottom = np.rint(xywh_to_xyxy(box)).astype(int)
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
