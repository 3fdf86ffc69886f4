"""Photographs that scikit-image, scikit-learn and Matplotlib ship, as textures.

They are in the public domain or CC0, with two exceptions: china.jpg (Daniel
Buechele) and flower.jpg (vultilion) are CC BY 2.0.

Everything is linear light: float32, 1.0 is white, `encode` undoes `decode`.
Textures carry colour premultiplied by opacity, so that they blend and shrink
without dark fringes.
"""

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np

GAMMA = 2.2
OVERSAMPLING = 1.5  # texture pixels kept per frame pixel at an actor's nominal size
EDGE = 4  # transparent pixels around a foreground crop
OUTLINES = json.loads(Path(__file__).with_name("outlines.json").read_text())


@dataclass(frozen=True, eq=False)
class Texture:
    """rgba (h, w, 4), premultiplied; origin: the texture's point x, y that its actor stands on."""

    rgba: np.ndarray
    origin: tuple[float, float]

    @cached_property
    def levels(self) -> tuple[np.ndarray, ...]:
        """Return the texture and its halvings, for actors that are small in the frame."""
        levels = [self.rgba]
        while min(levels[-1].shape[:2]) >= 16:
            h, w = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA))
        return tuple(levels)


def decode(image: np.ndarray) -> np.ndarray:
    """Return the linear light of an image, uint8 -> float32."""
    return (np.arange(256, dtype=np.float32) / 255)[image] ** GAMMA


@cache
def photo(name: str) -> np.ndarray:
    """Return a photograph (H, W, 3) in linear light; grey ones have three equal channels."""
    image = _load(name)
    image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return decode(np.ascontiguousarray(image[..., :3]))


def _load(name: str) -> np.ndarray:
    import skimage.data

    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{name}.jpg")
    if name == "hopper":
        from matplotlib.cbook import get_sample_data
        from skimage.io import imread

        return imread(get_sample_data("grace_hopper.jpg", asfileobj=False))
    return getattr(skimage.data, name)()


def crop(name: str, x: int, y: int, w: int, h: int) -> np.ndarray:
    """Cut a rectangle (h, w, 3) out of a photograph."""
    return photo(name)[y : y + h, x : x + w]


def tinted(image: np.ndarray, rgb: tuple[float, float, float]) -> np.ndarray:
    """Return a grey photograph in a colour; bright parts keep a little of their own white."""
    grey = image[..., :1] / image.mean()
    return (grey * np.array(rgb, np.float32) * 0.9 + 0.1 * grey**2 * np.mean(rgb)).astype(
        np.float32
    )


def opaque(image: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Premultiply (h, w, 3) by its opacity (h, w), or as solid -> (h, w, 4)."""
    alpha = np.ones(image.shape[:2], np.float32) if alpha is None else alpha.astype(np.float32)
    return np.dstack([image * alpha[..., None], alpha])


@cache
def foreground_crop(name: str, size: float, origin: tuple[float, float] = (0.5, 0.5)) -> Texture:
    """Return an object cut out of its photograph, `size` frame pixels high at scale 1.

    origin  where the actor stands, as fractions of the foreground crop's width and height
    """
    image = photo(OUTLINES[name]["photo"])
    points = np.array(OUTLINES[name]["points"], np.int32)
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.fillPoly(mask, [points], 1.0)
    softness = 1.0 + np.ptp(points, axis=0).max() / 250
    alpha = np.clip(2 * cv2.GaussianBlur(mask, (0, 0), softness) - 1, 0, 1)
    x, y, w, h = cv2.boundingRect(points)
    rgba = opaque(image, alpha)[y : y + h, x : x + w]
    return shrink(
        cv2.copyMakeBorder(rgba, EDGE, EDGE, EDGE, EDGE, cv2.BORDER_CONSTANT), size, origin
    )


def shrink(rgba: np.ndarray, size: float, origin: tuple[float, float] = (0.5, 0.5)) -> Texture:
    """Return a texture `size` frame pixels high at scale 1."""
    factor = size * OVERSAMPLING / rgba.shape[0]
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    rgba = cv2.resize(rgba, None, fx=factor, fy=factor, interpolation=way)
    return Texture(rgba, (origin[0] * rgba.shape[1], origin[1] * rgba.shape[0]))


def rounded(image: np.ndarray, w: int, h: int, taper: float = 1.0) -> np.ndarray:
    """Return a limb or column: `image` wrapped on a w x h capsule, lit from the left.

    taper  width at the bottom as a fraction of the width at the top
    """
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:h, :w].astype(np.float32) + 0.5
    radius = w / 2 * (1 + (taper - 1) * y / h)
    spine = np.clip(y, w / 2, h - w / 2 * taper)
    across = np.hypot(x - w / 2, y - spine) / radius
    side = (x - w / 2) / radius
    light = 0.35 + 0.65 * np.sqrt(np.clip(1 - (side + 0.3) ** 2 / 1.7, 0, 1))
    return opaque(image * light[..., None], np.clip((1 - across) * radius, 0, 1))


def portrait(head: str, bust: str, size: float) -> tuple[Texture, Texture]:
    """Return a head `size` frame pixels high and its bust; both stand on the head's centre."""
    (x, y, w, h), (left, top, width, height) = _bounds(head), _bounds(bust)
    centre = (x + w / 2 - left) / width, (y + h / 2 - top) / height
    return foreground_crop(head, size), foreground_crop(bust, size * height / h, centre)


def _bounds(name: str) -> tuple[int, int, int, int]:
    x, y, w, h = cv2.boundingRect(np.array(OUTLINES[name]["points"], np.int32))
    return x - EDGE, y - EDGE, w + 2 * EDGE, h + 2 * EDGE
