"""A sequence: frames read when they are asked for, and what is known of each."""

from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Ordered
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

__all__ = [
    "FrameError",
    "Frames",
    "ImageFiles",
    "Levels",
    "Sequence",
    "open_images",
    "page_count",
    "read_image",
]

UNTIMED_FPS = 25.0  # frames per second of images, which have no times
READ_AHEAD = 4  # frames decoded before they are asked for
SAMPLED = 32  # images of a sequence whose values settle its range
SPOT = 12  # pixels of an image, or a thousandth, at either end that do not settle its range
ENOUGH = 0.5  # of an image's levels, or of 256, that scaling leaves without a loss to speak of
GREY = cv2.IMREAD_ANYDEPTH  # and as many bits as are stored
COLOUR = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR
PAGED = (".tif", ".tiff", ".gif", ".png", ".apng", ".webp", ".avif")  # that may have pages
PAGES_CURE = "write its pages as images of their own, as cv2.imreadmulti reads them"
SHALLOW = (b"\xff\xd8", b"BM", b"GIF8")  # formats of 8 bits without transparency: JPEG, BMP, GIF


class FrameError(Exception):
    """A frame that cannot be used; the message names the file and the frame."""


class Frames(Protocol):
    """Frames by position: `frames[i]` is (H, W, 3) uint8 RGB or raises FrameError."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Levels:
    """Which stored values become 0 and 255 in images of more than 8 bits.

    grey  whether an image has one value per pixel
    """

    low: float
    high: float
    grey: bool


@dataclass(frozen=True)
class ImageFiles:
    """Frames that are image files, grey or colour, decoded one at a time.

    levels  of images with more than 8 bits per value, 16 or float; `open_images` finds them
    """

    paths: tuple[Path, ...]
    levels: Levels | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        image = _decoded(self.paths[index], self.levels is not None and self.levels.grey)
        if (image.dtype == np.uint8) != (self.levels is None):
            expected = "8 bits" if self.levels is None else "more than 8 bits"
            raise FrameError(
                f"{self.paths[index]}: expected {expected} per value like the sequence's first "
                f"image, got {image.dtype}; convert the images to one depth"
            )
        return _rgb(image if self.levels is None else _scaled(image, self.levels))


def open_images(paths: Ordered[Path]) -> tuple[ImageFiles, list[str]]:
    """Return the frames of image files, and notes on what reading changes in them.

    Images of 8 bits per value come as they are. Those of 16 bits, or of floats, are all
    scaled alike, from the range of the sequence to 0 ... 255: the smallest and largest
    value in at most SAMPLED images, evenly spread. Values beyond are clipped. Images of
    one value do not count. Nor, where they would more than double the range, do a few
    pixels of an image, such as a sensor's stuck ones, or a value far from all others,
    such as that of a black border. The note says how many levels the image keeps that
    loses the most.

    The first image that can be decoded says which it is; in JPEG, BMP and GIF it is not read.
    """
    frames = ImageFiles(tuple(paths))
    sample, notes = _sample(frames.paths), _page_notes(frames.paths)
    first = next((image for image in map(_probed, sample) if image is not None), None)
    if first is None or not first.size:
        return frames, notes
    folder = frames.paths[0].parent
    if first.ndim == 3 and first.shape[2] == 4 and np.ptp(first[..., 3]) > 0:
        notes.append(f"{folder}: the transparency of images is ignored")
    if first.dtype != np.uint8:
        levels, said = _levels(sample, grey=first.ndim == 2)
        frames = ImageFiles(frames.paths, levels)
        notes.append(f"{folder}: {first.dtype} images are scaled, {said}")
    return frames, notes


def page_count(path: Path) -> int:
    """Return how many images a file holds, such as a TIFF's pages; 0 if it cannot be read."""
    if not path.is_file():
        return 0
    if path.suffix.lower() not in PAGED:
        return 1
    try:
        return cv2.imcount(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return 0  # a FrameError when it is read


def _page_notes(paths: tuple[Path, ...]) -> list[str]:
    """List what is to be said of images with several pages, of which one is read."""
    paged = [path for path in paths if path.suffix.lower() in PAGED]
    pages = {path: count for path in paged if (count := page_count(path)) > 1}
    if not pages:
        return []
    first, count = next(iter(pages.items()))
    animated = first.suffix.lower() in (".gif", ".png", ".apng")
    cure = "give the file itself in place of the folder, or " if animated else ""
    return [
        f"{first.parent}: of {len(pages)} of {len(paths)} images the first page alone is read: "
        f"{first.name} has {count} pages; {cure}{PAGES_CURE}"
    ]


def _levels(sample: list[Path], grey: bool) -> tuple[Levels, str]:
    """Return how the images of a sample are scaled, and what is to be said of it."""
    stored: dict[Path, np.ndarray] = {}

    def images() -> Iterator[np.ndarray]:
        for path in sample:
            image = _probed(path)
            if image is not None and image.dtype != np.uint8:
                stored[path] = _different(image[..., :3] if image.ndim == 3 else image)
                yield image

    low, high, said = _range(images())
    levels = Levels(low, high, grey)
    kept = {path: len(np.unique(_scaled(values, levels))) for path, values in stored.items()}
    held = {path: len(values) for path, values in stored.items()}
    shares = {path: kept[path] / min(max(held[path], 1), 256) for path in held}
    # An image of one value has no contrast to lose.
    worst = min(shares, key=lambda path: (held[path] < 2, shares[path]))
    lost = "contrast is lost: " if shares[worst] < ENOUGH else ""
    cure = "; convert the images to 8 bits yourself if that is too little" if lost else ""
    return levels, (
        f"{low:g} to {high:g} {said}, values beyond are clipped; {lost}{kept[worst]} of "
        f"{held[worst]} levels remain in {worst.name}{cure}"
    )


def _different(image: np.ndarray) -> np.ndarray:
    """Return the different finite values of an image; of floats, those of at most 2^17 pixels."""
    if image.dtype == np.uint16:
        return np.flatnonzero(np.bincount(image.ravel(), minlength=1)).astype(np.uint16)
    values = image[np.isfinite(image)]
    return np.unique(values[:: values.size // (1 << 17) + 1])


def _probed(path: Path) -> np.ndarray | None:
    """Return an image as stored; an empty array for a format that has 8 bits always."""
    try:
        with path.open("rb") as file:
            if file.read(4).startswith(SHALLOW):
                return np.empty(0, np.uint8)
        encoded = np.fromfile(path, dtype=np.uint8)
        return cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except (OSError, cv2.error):
        return None  # a FrameError when it is read


def _sample(paths: tuple[Path, ...]) -> list[Path]:
    """Return at most SAMPLED paths, evenly spread, the first and the last among them."""
    picks = np.linspace(0, len(paths) - 1, min(SAMPLED, len(paths)))
    return [paths[pick] for pick in picks.round().astype(int)]


def _range(images: Iterable[np.ndarray]) -> tuple[float, float, str]:
    """Return the smallest and largest value of images, and what they are."""
    ends = [_ends(image[..., :3] if image.ndim == 3 else image) for image in images]
    said = f"become 0 to 255, the range of {len(ends)} images"
    ends = [end for end in ends if end[0] < end[1]] or ends
    lows, highs, inner_lows, inner_highs = zip(*ends, strict=True)
    low, high, inner_low, inner_high = min(lows), max(highs), min(inner_lows), max(inner_highs)
    if inner_low < inner_high and high - low > 2 * (inner_high - inner_low):
        return inner_low, inner_high, f"{said} without a few pixels from {low:g} to {high:g}"
    return low, high, said


def _ends(image: np.ndarray) -> tuple[float, float, float, float]:
    """Return the smallest and largest finite value of an image, and those of most pixels."""
    values = image[np.isfinite(image)]
    if not values.size:
        return 0.0, 0.0, 0.0, 0.0
    most = _without_fill(values)
    few = min(max(most.size // 1000, SPOT), most.size // 4)
    inner = np.partition(most, (few, most.size - 1 - few))[[few, most.size - 1 - few]]
    return float(values.min()), float(values.max()), float(inner[0]), float(inner[1])


def _without_fill(values: np.ndarray) -> np.ndarray:
    """Return values without the one that is further from all others than these are apart."""
    low, high = values.min(), values.max()
    if (rest := values[values != low]).size and rest.min() - float(low) > high - rest.min():
        return rest
    if (rest := values[values != high]).size and high - float(rest.max()) > rest.max() - low:
        return rest
    return values


def _scaled(image: np.ndarray, levels: Levels) -> np.ndarray:
    """Return an image as uint8; what is not a number becomes 0."""
    span = levels.high - levels.low or 1.0  # of a single value that becomes 0
    values = (image.astype(np.float64) - levels.low) * 255 / span
    return np.nan_to_num(values, nan=0.0).clip(0, 255).round().astype(np.uint8)


def read_image(path: Path) -> np.ndarray:
    """Decode one image file -> (H, W, 3) uint8 RGB; grey images get three equal channels.

    An image of more than 8 bits per value is scaled from its own range to 0 ... 255. In
    a sequence use `open_images`, which scales all images alike.
    Raises FrameError, with the file's name, if it is missing, empty, corrupt or
    larger than OpenCV allows.
    """
    image = _decoded(path)
    if image.dtype != np.uint8:
        low, high, _ = _range([image])
        image = _scaled(image, Levels(low, high, grey=image.ndim == 2))
    return _rgb(image)


def _decoded(path: Path, grey: bool = False) -> np.ndarray:
    """Return an image as stored: (H, W) if it has one value per pixel and so asked, or BGR."""
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise FrameError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        image = cv2.imdecode(encoded, GREY if grey else COLOUR) if encoded.size else None
        if image is None and encoded.size and not grey:
            image = cv2.imdecode(encoded, GREY)  # float and 32-bit TIFF have no other way
            image = None if image is None or image.dtype == np.uint8 else image
    except cv2.error as error:
        raise FrameError(f"{path}: not a readable image ({error.err})") from error
    if image is None:
        raise FrameError(f"{path}: not a readable image ({encoded.size} bytes)")
    return image


def _rgb(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.ndim == 3 else cv2.COLOR_GRAY2RGB)


@dataclass(frozen=True)
class _Picked:
    """Some of the frames of others, by their indices.

    path  of the file that they are in, None where they are in none
    """

    frames: Frames
    picks: tuple[int, ...]

    @property
    def path(self) -> Path | None:
        return getattr(self.frames, "path", None)

    def __len__(self) -> int:
        return len(self.picks)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.frames[self.picks[index]]


@dataclass(frozen=True, eq=False)
class Sequence:
    """One target in one video.

    name           as the benchmark spells it (`Jogging-1`)
    frames         read lazily; `len(frames)` is T
    boxes          (T, 4) float64 x, y, w, h, 0-based; NaN where nothing is known
                   (a user's own video knows its first box alone)
    frame_numbers  (T,) int, number of each frame in its video (OTB's David starts at 300)
    polygons       (T, 8) corners x1, y1, ..., x4, y4, where the ground truth is a rotated box,
                   around which `boxes` are; NaN where nothing is known
    visibility     (T,) visible fraction of the target, 0 to 1, where it is known
    attributes     the benchmark's codes, e.g. ("OCC", "FM")
    initial_omits  (first, last) frame numbers, inclusive, from which temporal
                   robustness must not start (OTB's initOmit)
    warnings       what the reader noticed and could go on with
    times          (T,) seconds from the start of the video, where they are known
    benchmark      "OTB" for a target of OTB-100, with which published scores can be compared;
                   a folder of one's own may have the same name
    """

    name: str
    frames: Frames
    boxes: np.ndarray
    frame_numbers: np.ndarray
    visibility: np.ndarray | None = None
    attributes: tuple[str, ...] = ()
    initial_omits: tuple[tuple[int, int], ...] = ()
    warnings: tuple[str, ...] = ()
    benchmark: str | None = None
    polygons: np.ndarray | None = None
    times: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def timed(self) -> Iterator[tuple[int, float, np.ndarray | FrameError]]:
        """Yield each frame's number, its time and itself, as `read` does.

        Where no times are known, there are UNTIMED_FPS frames per second.
        """
        for index, frame in enumerate(self.read()):
            time = index / UNTIMED_FPS if self.times is None else float(self.times[index])
            yield int(self.frame_numbers[index]), time, frame

    def part(self, picks: Ordered[int]) -> "Sequence":
        """Return the sequence of some of the frames, which are indices in rising order."""
        chosen = np.asarray(picks)
        frames: Frames = _Picked(self.frames, tuple(picks))
        if isinstance(self.frames, ImageFiles):
            frames = replace(self.frames, paths=tuple(self.frames.paths[pick] for pick in picks))
        return replace(
            self,
            frames=frames,
            boxes=self.boxes[chosen],
            frame_numbers=self.frame_numbers[chosen],
            visibility=None if self.visibility is None else self.visibility[chosen],
            times=None if self.times is None else self.times[chosen],
        )

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
