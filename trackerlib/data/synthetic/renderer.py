"""The renderer: a scene and a moment give light, a scene and a frame a JPEG and its box.

A frame is the mean of the light over the shutter's opening, taken before gamma
and noise, so that motion blur is the true one.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from trackerlib.data.synthetic.motion import apply, scale, shift
from trackerlib.data.synthetic.scene import Actor, Lights, Scene, Shadow
from trackerlib.data.synthetic.textures import GAMMA, Texture

STEP = 2.0  # pixels that anything may move between two samples of the shutter
MAX_SAMPLES = 12
HALF_PIXEL = shift(-0.5, -0.5), shift(0.5, 0.5)


@dataclass(frozen=True, eq=False)
class Layer:
    """rgba (h, w, 4), premultiplied; its top left pixel is x, y of the frame, inside or not."""

    rgba: np.ndarray
    x: int
    y: int

    @property
    def alpha(self) -> np.ndarray:
        """Return the opacity, (h, w)."""
        return self.rgba[..., 3]


def layer(scene: Scene, actor: Actor, f: float) -> Layer:
    """Draw an actor as the camera sees it at moment f, complete even outside the frame."""
    place = scene.camera.matrix(f, scene.size, actor.depth) @ actor.matrix(f)
    placed = [(p.texture, p.brightness, place @ p.matrix) for p in actor.model.patches(f)]
    corners = np.vstack([apply(m, _corners(t.rgba)) for t, _, m in placed])
    low = np.floor(corners.min(0)).astype(int) - 1
    high = np.ceil(corners.max(0)).astype(int) + 1
    window = np.zeros((*(high - low)[::-1], 4), np.float32)
    for texture, brightness, matrix in placed:
        _lay(window, _warped(texture, shift(*-low) @ matrix, window.shape), brightness)
    return Layer(window, *low.tolist())


def _corners(image: np.ndarray) -> np.ndarray:
    h, w = image.shape[:2]
    return np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=float)


def _warped(texture: Texture, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the texture in a window, from the halving nearest above its size in the frame."""
    size = np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) / matrix[2, 2]
    level = int(np.clip(np.log2(0.8 / max(size, 1e-6)), 0, len(texture.levels) - 1))
    image = texture.levels[level]
    whole = np.array(texture.rgba.shape[1::-1]) / image.shape[1::-1]
    return _warp(image, matrix @ scale(*whole), shape, cv2.BORDER_CONSTANT)


def _warp(
    image: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...], border: int
) -> np.ndarray:
    matrix = HALF_PIXEL[0] @ matrix @ HALF_PIXEL[1]
    if np.allclose(matrix[2], (0, 0, matrix[2, 2])):
        return cv2.warpAffine(
            image,
            matrix[:2] / matrix[2, 2],
            shape[1::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        )
    return cv2.warpPerspective(
        image, matrix, shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border
    )


def _lay(below: np.ndarray, above: np.ndarray, brightness: float = 1.0) -> None:
    """Blend premultiplied `above` over `below`, which is changed."""
    below *= 1 - above[..., 3:]
    below[..., :3] += above[..., :3] * np.float32(brightness)
    if below.shape[2] == 4:
        below[..., 3] += above[..., 3]


def _intersection(layer_: Layer, size: tuple[int, int]) -> tuple[tuple[slice, slice], ...] | None:
    """Return the slices of the frame and of the layer where they meet; None if they do not."""
    h, w = layer_.alpha.shape
    x0, x1 = max(layer_.x, 0), min(layer_.x + w, size[0])
    y0, y1 = max(layer_.y, 0), min(layer_.y + h, size[1])
    if x0 >= x1 or y0 >= y1:
        return None
    inside = slice(y0 - layer_.y, y1 - layer_.y), slice(x0 - layer_.x, x1 - layer_.x)
    return (slice(y0, y1), slice(x0, x1)), inside


def light(scene: Scene, f: float) -> np.ndarray:
    """Return the light of the scene at moment f, (H, W, 3) linear."""
    canvas = _backdrop(scene, f)
    for actor in (*scene.behind, scene.target, *scene.front):
        drawn = layer(scene, actor, f)
        if actor.shadow:
            _darken(canvas, drawn, actor.shadow, scene, actor, f)
        if meeting := _intersection(drawn, scene.size):
            frame_part, layer_part = meeting
            _lay(canvas[frame_part], drawn.rgba[layer_part])
    if scene.lights:
        canvas *= _lighting(scene.lights, scene.size, f)
    return canvas


def _backdrop(scene: Scene, f: float) -> np.ndarray:
    x, y = scene.backdrop.origin
    matrix = scene.camera.matrix(f, scene.size, scene.backdrop.depth) @ shift(-x, -y)
    return _warp(scene.backdrop.image, matrix, scene.size[::-1], cv2.BORDER_REFLECT)


def _darken(
    canvas: np.ndarray, drawn: Layer, shadow: Shadow, scene: Scene, actor: Actor, f: float
) -> None:
    """Let the actor's outline take light from what is below it; `canvas` is changed."""
    place = scene.camera.matrix(f, scene.size, actor.depth) @ actor.matrix(f)
    fall = shadow.matrix(*apply(place, np.zeros((1, 2)))[0])
    blur = shadow.blur
    corners = apply(fall @ shift(drawn.x, drawn.y), _corners(drawn.alpha))
    low = np.floor(corners.min(0) - 3 * blur).astype(int)
    high = np.ceil(corners.max(0) + 3 * blur).astype(int)
    to_window = shift(*-low) @ fall @ shift(drawn.x, drawn.y)
    alpha = _warp(drawn.alpha, to_window, tuple((high - low)[::-1]), cv2.BORDER_CONSTANT)
    alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    if meeting := _intersection(Layer(alpha[..., None].repeat(4, 2), *low.tolist()), scene.size):
        canvas[meeting[0]] *= 1 - shadow.strength * alpha[meeting[1]][..., None]


def _lighting(lights: Lights, size: tuple[int, int], f: float) -> np.ndarray:
    """Return the factor of the lights, (H, W, 1 or 3); smooth, so computed at a quarter size."""
    width, height = size
    y, x = np.mgrid[: height // 4, : width // 4] * 4.0
    coarse = np.asarray(lights(f, x / width, y / height), dtype=np.float32)
    factor = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return factor if factor.ndim == 3 else factor[..., None]


def exposed(scene: Scene, index: int) -> np.ndarray:
    """Return the mean light over the shutter's opening around frame `index`, (H, W, 3) linear."""
    moments = (index + scene.sensor.shutter * _samples(scene, index)).tolist()
    total = light(scene, moments[0])
    for f in moments[1:]:
        total += light(scene, f)
    return total / np.float32(len(moments))


def _samples(scene: Scene, index: int) -> np.ndarray:
    """Return moments in -0.5 to 0.5, more of them the more the picture moves."""
    ends = index + scene.sensor.shutter * np.array([-0.5, 0.5])
    square = np.array([[0, 0], [scene.size[0], 0], [0, scene.size[1]]], dtype=float)
    reach = np.array([[-30, -30], [30, 30], [30, -30]], dtype=float)
    motion = 0.0
    for depth, place, points in ((1.0, None, square), (scene.target.depth, scene.target, reach)):
        ends_at = [
            apply(
                scene.camera.matrix(f, scene.size, depth)
                @ (place.matrix(f) if place else np.eye(3)),
                points,
            )
            for f in ends
        ]
        motion = max(motion, np.abs(ends_at[1] - ends_at[0]).max())
    count = int(np.clip(np.ceil(motion / STEP), 1, MAX_SAMPLES))
    return (np.arange(count) + 0.5) / count - 0.5


def jpeg(scene: Scene, index: int) -> bytes:
    """Encode frame `index` as the sensor stores it."""
    linear = exposed(scene, index) * _vignette(scene.size, scene.sensor.vignette)
    levels = 255 * np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)
    random = np.random.default_rng((zlib.crc32(scene.name.encode()), index))
    levels += scene.sensor.noise * random.standard_normal(levels.shape, dtype=np.float32)
    if scene.sensor.grey:
        levels = levels @ np.array([0.299, 0.587, 0.114], np.float32)
    image = np.clip(levels + 0.5, 0, 255).astype(np.uint8)
    image = image if image.ndim == 2 else image[..., ::-1]
    quality = (cv2.IMWRITE_JPEG_QUALITY, scene.sensor.quality)
    return cv2.imencode(".jpg", image, quality)[1].tobytes()


@lru_cache(maxsize=4)
def _vignette(size: tuple[int, int], loss: float) -> np.ndarray:
    x, y = (np.linspace(-1, 1, side, dtype=np.float32) for side in size)
    return (1 - loss * (x[None, :] ** 2 + y[:, None] ** 2) / 2)[..., None]


def outline(scene: Scene, index: int) -> tuple[np.ndarray, float]:
    """Return the box (4,) of the complete target and its visible fraction in frame `index`.

    The box bounds the pixels that the target covers by more than half at the
    middle of the shutter's opening, before anything hides them or the frame
    ends: its numbers are integers, and may lie outside the frame.
    """
    target = layer(scene, scene.target, index)
    covered = target.alpha > 0.5
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    x, y = columns[0], rows[0]
    box = (target.x + x, target.y + y, columns[-1] + 1 - x, rows[-1] + 1 - y)
    return np.array(box, dtype=np.float64), _visible(scene, target, covered, index)


def _visible(scene: Scene, target: Layer, covered: np.ndarray, index: int) -> float:
    meeting = _intersection(target, scene.size)
    if meeting is None:
        return 0.0
    clear = np.zeros(scene.size[::-1], np.float32)
    clear[meeting[0]] = covered[meeting[1]]
    for actor in scene.front:
        hiding = layer(scene, actor, index)
        if part := _intersection(hiding, scene.size):
            clear[part[0]] *= 1 - hiding.alpha[part[1]]
    return float(clear.sum() / covered.sum())
