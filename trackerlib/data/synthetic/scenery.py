"""Places and who plays there: backdrops, walls with a floor, pillars, walkers, cameras."""

from functools import cache

import cv2
import numpy as np

from trackerlib.data.synthetic.actors import Flat, Person
from trackerlib.data.synthetic.motion import Curve, sway, through
from trackerlib.data.synthetic.scene import Backdrop, Camera, Shadow
from trackerlib.data.synthetic.textures import (
    OVERSAMPLING,
    Texture,
    crop,
    foreground_crop,
    photo,
    rounded,
    tinted,
)

MARGIN = 60  # pixels of backdrop beyond each edge of the frame at home
GROUND_SHADOW = Shadow(dx=2, dy=-1, squash=-0.25, lean=0.7, strength=0.7, blur=2)
TABLE_SHADOW = Shadow(dx=6, dy=8, strength=0.7, blur=6)
WALL_SHADOW = Shadow(dx=10, dy=12, strength=0.4, blur=9)
RUST, SAND, ASPHALT, LAWN = (
    (0.3, 0.12, 0.07),
    (0.4, 0.34, 0.26),
    (0.2, 0.2, 0.21),
    (0.13, 0.2, 0.06),
)

Colour = tuple[float, float, float]


def backdrop(
    image: np.ndarray, size: tuple[int, int], blur: float = 0, depth: float = 1
) -> Backdrop:
    """Return a picture that covers the frame and MARGIN around it; `blur` puts it out of focus."""
    width, height = (side + 2 * MARGIN for side in size)
    factor = max(width / image.shape[1], height / image.shape[0])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=way)
    image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
    left, top = ((image.shape[i] - side) // 2 + MARGIN for i, side in ((1, width), (0, height)))
    return Backdrop(image, (left, top), depth)


@cache
def ground(name: str, rgb: Colour) -> np.ndarray:
    """Return a grey texture of scikit-image in colour, uneven as the real ground is."""
    image = tinted(photo(name), rgb)
    coarse = np.random.default_rng(len(name)).uniform(0.75, 1.25, (6, 6)).astype(np.float32)
    patches = cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return image * patches[..., None]


@cache
def bricks(rgb: Colour) -> np.ndarray:
    """Return a brick wall: the photograph of a pavement, laid on its side and repeated."""
    return mirrored(np.rot90(ground("brick", rgb)))


@cache
def wood() -> np.ndarray:
    """Return the bare part of the coffee table, sheared until its grain lies flat, repeated."""
    plank = crop("coffee", 490, 0, 108, 400).transpose(1, 0, 2)
    grain = [row[107 - y : 399 - y] for y, row in enumerate(plank)]
    return mirrored(mirrored(np.stack(grain, axis=1)))


def mirrored(image: np.ndarray) -> np.ndarray:
    """Return a picture and its mirror images: twice as wide and high, without seams."""
    image = np.hstack([image, image[:, ::-1]])
    return np.ascontiguousarray(np.vstack([image, image[::-1]]))


def street(wall: np.ndarray, floor: np.ndarray, size: tuple[int, int], horizon: float) -> Backdrop:
    """Return a wall above a floor that runs towards the camera.

    horizon  where they meet, as a fraction of the height
    """
    width, height = (side + 2 * MARGIN for side in size)
    line = int(MARGIN + horizon * size[1])
    factor = max(width / wall.shape[1], line / wall.shape[0])
    wall = cv2.resize(wall, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    below = _receding(floor, width, height - line)
    fade = np.clip(np.arange(height - line) / 20, 0, 1) * 0.45 + 0.55  # the wall's own shade
    below = below * fade[:, None, None].astype(np.float32)
    return backdrop(np.vstack([wall[-line:, :width], below]), size)


def _receding(floor: np.ndarray, width: int, height: int, fine: int = 3) -> np.ndarray:
    """Return a floor in perspective, (height, width, 3); the far part from a blurred copy."""
    y, x = np.mgrid[: height * fine, : width * fine].astype(np.float32) / fine
    distance = 1 / (0.2 + y / height)
    u, v = (x - width / 2) * distance * 1.5 + floor.shape[1] / 2, 520 * distance
    sharp, soft = (
        cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for image in (floor, cv2.GaussianBlur(floor, (0, 0), 5))
    )
    far = np.clip((distance - 1) / 3, 0, 1)[..., None]
    image = sharp * (1 - far) + soft * far
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@cache
def column(name: str, width: int, height: int, rgb: Colour) -> Flat:
    """Return a round pillar of a grey texture; its origin is the middle of its foot."""
    w, h = round(width * OVERSAMPLING), round(height * OVERSAMPLING)
    surface = tinted(crop(name, 60, 0, max(16, 512 * width // height), 512), rgb)
    return Flat(Texture(rounded(surface, w, h + w)[w // 2 : h + w // 2], (w / 2, h)))


def astronaut(height: float, pose: Curve) -> Person:
    """Return the astronaut from head to foot, `height` pixels high."""
    bust = foreground_crop("astronaut", 0.46 * height, (0.5, 1.0))
    return Person(bust, crop("astronaut", 60, 290, 40, 130), height, pose)


def hand_held(seed: int, reach: float = 2.0, moves: Curve | None = None) -> Camera:
    """Return a camera in someone's hands: `reach` pixels of sway on top of its moves."""
    moves = moves or through((0, 0, 0, 1, 0))
    tremble = sway(seed, 28, (reach, reach, 0.003 * reach, 0.15 * reach))
    return Camera(lambda f: moves(f) + tremble(f))
