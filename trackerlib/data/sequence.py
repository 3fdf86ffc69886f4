"""A sequence: frames read when they are asked for, and what is known of each."""

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

__all__ = [
    "FrameError",
    "Frames",
    "ImageFiles",
    "Sequence",
    "fill_gaps",
    "image_files",
    "read_image",
]

READ_AHEAD = 4  # frames decoded before they are asked for
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


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

    Raises FrameError, with the file's name, if it is missing, empty, corrupt or
    larger than OpenCV allows.
    """
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise FrameError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error as error:
        raise FrameError(f"{path}: not a readable image ({error.err})") from error
    if image is None:
        raise FrameError(f"{path}: not a readable image ({encoded.size} bytes)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def image_files(folder: Path) -> dict[int, Path]:
    """Return the images of a folder by the last number in their names, in its order.

    Hidden files do not count: macOS leaves a `._0001.jpg` beside `0001.jpg`.
    Raises FileNotFoundError if there is none, ValueError if an image has no
    number or shares it with another.
    """
    paths = folder.glob("[!.]*")
    files: dict[int, Path] = {}
    for path in sorted(path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES):
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise ValueError(f"{path}: expected a frame number in the name of every image")
        other = files.setdefault(int(digits[-1]), path)
        if other != path:
            raise ValueError(f"{path}: expected one image per frame number, got {other.name} too")
    if not files:
        raise FileNotFoundError(f"{folder}: expected a folder of images, found none in it")
    return dict(sorted(files.items()))


def fill_gaps(files: dict[int, Path]) -> dict[int, Path]:
    """Return every number from the first to the last; a missing image gets its would-be name.

    Reading that name is a FrameError, so that the frames after it keep their place.
    Where more than a third of the numbers are missing, they are no gaps but another
    way of counting (times, every fifth frame): the images are returned as they are.
    """
    numbers = range(min(files), max(files) + 1)
    if len(numbers) > 1.5 * len(files):
        return files
    return {number: files.get(number) or _renumbered(files, number) for number in numbers}


def _renumbered(files: dict[int, Path], number: int) -> Path:
    first = files[min(files)]
    name = re.sub(r"\d+(?=\D*$)", lambda m: f"{number:0{len(m[0])}d}", first.stem)
    return first.with_name(name + first.suffix)


@dataclass(frozen=True, eq=False)
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
        """Yield frames from `start` on, decoded READ_AHEAD frames ahead in a thread.

        A frame that cannot be decoded, or whose size is not that of the sequence's
        first one, comes as the FrameError that says so; all further frames still
        come. So whoever reads can decide whether to go on.
        """
        decoded = self._decoded(start)
        with ThreadPoolExecutor(max_workers=1) as thread:
            ahead = deque(thread.submit(next, decoded, None) for _ in range(READ_AHEAD))
            while (frame := ahead.popleft().result()) is not None:
                ahead.append(thread.submit(next, decoded, None))
                yield frame

    def _decoded(self, start: int) -> Iterator[np.ndarray | FrameError]:
        shape = self._shape(start)
        for index in range(start, len(self)):
            where = f"{self.name}, frame {self.frame_numbers[index]}"
            try:
                frame = self.frames[index]
            except FrameError as error:
                yield FrameError(f"{where}: {error}")
                continue
            shape = shape or frame.shape
            if frame.shape == shape:
                yield frame
            else:
                (height, width), (h, w) = shape[:2], frame.shape[:2]
                yield FrameError(
                    f"{where}: expected {width}x{height} like the first frame, got {w}x{h}"
                )

    def _shape(self, end: int) -> tuple[int, ...] | None:
        """Return the shape of the first frame before `end` that can be decoded."""
        for index in range(end):
            try:
                return self.frames[index].shape
            except FrameError:
                continue
        return None
