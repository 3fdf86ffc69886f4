"""Places to film in: photographs as backdrops, walls with a floor, things to hide behind."""

from functools import cache

import cv2
import numpy as np

from trackerlib.data.embedded.models import Flat
from trackerlib.data.embedded.photos import (
    OVERSAMPLING,
    Texture,
    crop,
    opaque,
    photo,
    rounded,
    tinted,
)
from trackerlib.data.embedded.shot import Backdrop

MARGIN = 60  # pixels of backdrop beyond each edge of the frame at home


def backdrop(
    image: np.ndarray, size: tuple[int, int], blur: float = 0, depth: float = 1
) -> Backdrop:
    """A picture that covers the frame and MARGIN around it; `blur` puts it out of focus."""
    width, height = (side + 2 * MARGIN for side in size)
    factor = max(width / image.shape[1], height / image.shape[0])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    image = np.clip(cv2.resize(image, None, fx=factor, fy=factor, interpolation=way), 0, None)
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    left, top = (image.shape[1] - width) // 2 + MARGIN, (image.shape[0] - height) // 2 + MARGIN
    return Backdrop(Texture(opaque(image), (left, top)), depth)


def ground(name: str, rgb: tuple[float, float, float]) -> np.ndarray:
    """A grey texture of scikit-image in colour, uneven as the real ground is."""
    image = tinted(photo(name), rgb)
    random = np.random.default_rng(len(name))
    patches = random.uniform(0.8, 1.2, (6, 6)).astype(np.float32)
    return (
        image * cv2.resize(patches, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)[..., None]
    )


def street(wall: np.ndarray, floor: np.ndarray, size: tuple[int, int], horizon: float) -> Backdrop:
    """A wall above a floor that runs towards the camera; horizon: fraction of the height."""
    width, height = (side + 2 * MARGIN for side in size)
    line = int(MARGIN + horizon * size[1])
    factor = max(width / wall.shape[1], line / wall.shape[0])
    wall = cv2.resize(wall, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)[
        -line:, :width
    ]
    below = _receding(floor, width, height - line)
    below *= np.linspace(0.55, 1, 24).clip(0, 1)[
        np.minimum(np.arange(height - line), 23), None, None
    ]
    return backdrop(np.vstack([wall, below.astype(np.float32)]), size)


def _receding(floor: np.ndarray, width: int, height: int, fine: int = 3) -> np.ndarray:
    """A floor in perspective, (height, width, 3); sampled finer and shrunk against flicker."""
    y, x = np.mgrid[: height * fine, : width * fine].astype(np.float32) / fine
    distance = 1 / (0.25 + y / height)
    u = (x - width / 2) * distance * 0.7 + floor.shape[1] / 2
    v = 420 * distance
    image = cv2.remap(floor, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@cache
def column(name: str, width: int, height: int, rgb: tuple[float, float, float]) -> Flat:
    """A round pillar or trunk of a grey texture; its origin is the middle of its foot."""
    w, h = round(width * OVERSAMPLING), round(height * OVERSAMPLING)
    surface = tinted(crop(name, 60, 0, 512 * width // height + 90, 512), rgb)
    return Flat(Texture(rounded(surface, w, h + w)[: h + w // 2], (w / 2, h + w / 2 - 2)))
