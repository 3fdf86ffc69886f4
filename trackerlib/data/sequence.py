"""A sequence: frames read when they are asked for, and what is known of each."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

READ_AHEAD = 4  # frames decoded before they are asked for


class FrameError(Exception):
    """A frame that cannot be used; the message names the file and the frame."""


class Frames(Protocol):
    """Frames by position: `frames[i]` is (H, W, 3) uint8 RGB or raises FrameError."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


@dataclass(frozen=True)
class ImageFiles:
    """Frames that are image files, grey or colour, decoded one at a time."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return read_image(self.paths[index])


def read_image(path: Path) -> np.ndarray:
    """Decode one image file -> (H, W, 3) uint8 RGB; grey images get three equal channels.

    Raises FrameError, with the file's name, if it is missing, empty or corrupt.
    """
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise FrameError(f"{path}: cannot be read ({error.strerror})") from error
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if image is None:
        raise FrameError(f"{path}: not a readable image ({encoded.size} bytes)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class Sequence:
    """One target in one video.

    name           as the benchmark spells it (`Jogging-1`)
    frames         read lazily; `len(frames)` is T
    boxes          (T, 4) float64 x, y, w, h, 0-based; NaN where nothing is known
                   (a user's own video knows its first box alone)
    frame_numbers  (T,) int, number of each frame in its video (OTB's David starts at 300)
    visibility     (T,) visible fraction of the target, 0 to 1, where it is known
    attributes     the benchmark's codes, e.g. ("OCC", "FM")
    initial_omits  (first, last) frame numbers, inclusive, from which temporal
                   robustness must not start (OTB's initOmit)
    warnings       what the reader noticed and could go on with
    """

    name: str
    frames: Frames
    boxes: np.ndarray
    frame_numbers: np.ndarray
    visibility: np.ndarray | None = None
    attributes: tuple[str, ...] = ()
    initial_omits: tuple[tuple[int, int], ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, start: int = 0) -> Iterator[np.ndarray | FrameError]:
        """Frames from `start` on, decoded READ_AHEAD frames ahead in a thread.

        A frame that cannot be decoded, or whose size is not the first one's, comes
        as the FrameError that says so, so that the reader of the sequence can
        decide whether to go on.
        """
        with ThreadPoolExecutor(max_workers=1) as thread:
            ahead, shape = deque(), None
            for index in range(start, len(self) + READ_AHEAD):
                if index < len(self):
                    ahead.append((index, thread.submit(self._frame, index)))
                if len(ahead) > READ_AHEAD or index >= len(self) and ahead:
                    due, future = ahead.popleft()
                    frame = future.result()
                    if shape is None and not isinstance(frame, FrameError):
                        shape = frame.shape
                    yield self._checked(due, frame, shape)

    def _frame(self, index: int) -> np.ndarray | FrameError:
        try:
            return self.frames[index]
        except FrameError as error:
            return FrameError(f"{self.name}, frame {self.frame_numbers[index]}: {error}")

    def _checked(self, index, frame, shape) -> np.ndarray | FrameError:
        if isinstance(frame, FrameError) or frame.shape == shape:
            return frame
        (height, width), (h, w) = shape[:2], frame.shape[:2]
        return FrameError(
            f"{self.name}, frame {self.frame_numbers[index]}: "
            f"expected {width}x{height} like the first frame, got {w}x{h}"
        )
