"""Pictures to learn features from, none of them a frame of a benchmark.

Three sources: photographs (those that libraries bundle, and any folder), dead
leaves, that is, shapes that cover each other, cut from those photographs, and
scenes of the project's own renderer, seen by a camera of their own. The embedded
benchmark is made from some of the same photographs.

[1] Lee, Mumford, Huang: Occlusion models for natural images: a statistical study
    of a scale-invariant dead leaves model. IJCV 2001: sizes fall with the cube.
[2] Baradad, Wulff, Wang, Isola, Torralba: Learning to see by looking at noise.
    NeurIPS 2021: features can be learned from such pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.data.synthetic.motion import through
from trackerlib.data.synthetic.renderer import jpeg, outline
from trackerlib.data.synthetic.scene import Camera, Scene
from trackerlib.data.synthetic.textures import GAMMA, photo

LONGEST = 1024  # pixels; larger photographs are shrunk
SHORTEST = 96  # pixels; smaller ones are icons
EVEN = 12  # grey levels; standard deviation up to which a crop shows nothing
TRIES = 4
THIN = 0.05  # share of a cut-out that is not transparent, up to which it is lines, and may vanish
SOLID = 0.9  # from which it shows no outline
FRAME = 320, 240  # width and height of a collage, pixels
THING = 4.5, 7  # sqrt(w * h) of a thing in it, log2 pixels
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "hopper", "china", "flower")
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def photographs(folders: list[Path]) -> list[np.ndarray]:
    """Photographs that libraries bundle, then those of the folders -> (H, W, 3) uint8 RGB each.

    What is transparent is filled with the photograph before, blurred.
    Raises FileNotFoundError for a folder without pictures, ValueError for one that
    cannot be read.
    """
    pictures = [_shrunk(_bundled(name)) for name in BUNDLED]
    for folder in folders:
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
        if not paths:
            raise FileNotFoundError(f"photographs: expected pictures in {folder}, found none")
        for path in paths:
            picture = _shrunk(_read(path, behind=pictures[-1]))
            if min(picture.shape[:2]) >= SHORTEST:
                pictures.append(picture)
    return pictures


def _bundled(name):
    return np.rint(255 * photo(name) ** (1 / GAMMA)).astype(np.uint8)


def _read(path, behind):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(
            f"photographs: expected a picture in {path}, cannot read it; take it away"
        )
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)
    alpha = image[..., 3:] / np.float32(255)
    ground = cv2.resize(cv2.GaussianBlur(behind, (0, 0), 3), image.shape[1::-1])
    return np.rint(alpha * image[..., :3] + (1 - alpha) * ground).astype(np.uint8)


def _shrunk(image):
    factor = LONGEST / max(image.shape[:2])
    if factor >= 1:
        return image
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def rendered(step: int = 40) -> list[np.ndarray]:
    """Every `step`-th frame of the renderer's scenes, each filmed from `elsewhere`."""
    rng, frames = np.random.default_rng(0), []
    for name in sorted(SCENES):
        shot = elsewhere(name, rng)
        frames += [_filmed(shot, index) for index in range(0, shot.frames, step)]
    return frames


def filmed(
    names: list[str], films: int = 4, frames: int = 8
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames (H, W, 3) uint8 RGB of the renderer's scenes, and the boxes (4,) of their targets.

    films   of every scene, each from `elsewhere`
    frames  of every film, at random
    """
    made = (film(name, number, frames) for number, name in product(range(films), names))
    return list(chain.from_iterable(made))


def film(name: str, number: int, frames: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random frames of one film of a scene, from `elsewhere`, and the boxes of its target.

    Those that show less than half of the target are left out.
    """
    rng, seen = np.random.default_rng((number, sorted(SCENES).index(name))), []
    shot = elsewhere(name, rng)
    for index in rng.integers(shot.frames, size=frames).tolist():
        box, visible = outline(shot, index)
        outside = np.maximum(-box[:2], 0) + np.maximum(box[:2] + box[2:] - shot.size, 0)
        if visible >= 0.5 and (outside <= box[2:] / 4).all():
            seen.append((_filmed(shot, index), box))
    return seen


def cutouts(folders: list[Path]) -> list[np.ndarray]:
    """The pictures of folders that show one thing on a transparent ground -> (H, W, 4) uint8 RGBA.

    Cropped to what is not transparent, which covers a part of the picture, and is no mere lines.
    """
    found = []
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
            continue
        x, y, w, h = cv2.boundingRect((image[..., 3] > 127).astype(np.uint8))
        image = image[y : y + h, x : x + w]
        if min(w, h) >= SHORTEST and THIN < (image[..., 3] > 127).mean() < SOLID:
            found.append(cv2.cvtColor(_shrunk(image), cv2.COLOR_BGRA2RGBA))
    return found


def collage(
    rng: np.random.Generator, photos: list[np.ndarray], things: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A frame (H, W, 3) uint8 RGB, a piece of a photograph with things pasted in; the box of one.

    Up to three others lie behind it, wherever they fall.
    """
    frame = cv2.resize(crop(rng, photos, FRAME[0]), FRAME).astype(np.float32)
    for _ in range(rng.integers(1, 5)):
        box = paste(rng, frame, things[rng.integers(len(things))])
    return np.rint(frame).astype(np.uint8), box


@dataclass(frozen=True)
class Moving:
    """A video that never ends: one thing moves over a photograph, others about it.

    ground         (H, W, 3) uint8 RGB, larger than a frame
    thing, others  of `cutouts`
    """

    ground: np.ndarray
    thing: np.ndarray
    others: tuple[np.ndarray, ...]

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A frame of it (H, W, 3) uint8 RGB, the thing in any place and size; its box (4,)."""
        space = np.array(self.ground.shape[1::-1]) - FRAME
        left, top = (rng.random(2) * space).astype(int)
        frame = self.ground[top : top + FRAME[1], left : left + FRAME[0]].astype(np.float32)
        for other in self.others:
            paste(rng, frame, other)
        box = paste(rng, frame, self.thing)
        return np.rint(developed(rng, frame)).astype(np.uint8), box


def moving(rng: np.random.Generator, photos: list[np.ndarray], things: list[np.ndarray]) -> Moving:
    """A video of one of the things; one or two of the others look like it."""
    ground = cv2.resize(crop(rng, photos, 2 * FRAME[0]), (2 * FRAME[0], 2 * FRAME[1]))
    thing = things[rng.integers(len(things))]
    others = [things[rng.integers(len(things))] for _ in range(3)]
    return Moving(ground, thing, (*others, thing[:, ::-1]))


def paste(rng: np.random.Generator, frame: np.ndarray, thing: np.ndarray) -> np.ndarray:
    """Put a thing (h, w, 4) somewhere into the frame, turned a little, in any size -> its box."""
    factor = 2 ** rng.uniform(*THING) / np.sqrt(np.prod(thing.shape[:2]))
    thing = cv2.resize(thing, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    h, w = thing.shape[:2]
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), rng.normal(0, 8), rng.uniform(0.85, 1))
    thing = cv2.warpAffine(thing, turn, (w, h))[: FRAME[1], : FRAME[0]].astype(np.float32)
    h, w = thing.shape[:2]
    x, y = rng.integers(FRAME[0] - w + 1), rng.integers(FRAME[1] - h + 1)
    place = frame[y : y + h, x : x + w]
    place += thing[..., 3:] / 255 * (thing[..., :3] - place)
    left, top, w, h = cv2.boundingRect((thing[..., 3] > 127).astype(np.uint8))
    return np.array([x + left, y + top, w, h], dtype=np.float64)


def targets(seed: int, films: list, photos: list[np.ndarray], things: list[np.ndarray]):
    """Endless frames with the boxes of their targets; if there are things, two of three collages.

    films, photos, things   of `filmed`, `photographs` and `cutouts`
    """
    rng = np.random.default_rng(seed)
    while True:
        if things and rng.random() < 2 / 3:
            yield collage(rng, photos, things)
        else:
            yield films[rng.integers(len(films))]


def elsewhere(name: str, rng: np.random.Generator) -> Scene:
    """A scene of the embedded benchmark in a film that is not.

    The camera stands still, turned by 20 to 40 degrees: no frame is one of the benchmark's.
    """
    shot = SCENES[name](severity=rng.uniform(0.2, 1.8))
    x, y, zoom = *rng.uniform(-40, 40, 2), 2 ** rng.uniform(-0.6, 0.8)
    roll = rng.choice([-1, 1]) * rng.uniform(20, 40)
    return replace(shot, camera=Camera(through((0, x, y, zoom, roll))))


def _filmed(shot, index):
    code = np.frombuffer(jpeg(shot, index), np.uint8)
    return cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def dead_leaves(
    rng: np.random.Generator, side: int, textures: list[np.ndarray], leaves: int = 60
) -> np.ndarray:
    """Shapes that cover each other, textured or plain, large ones first -> (side, side, 3) uint8.

    Their number falls with the cube of the radius [1], from 3 % to 40 % of the side.
    """
    image = crop(rng, textures, side)
    low, high = (0.4 * side) ** -2.0, (0.03 * side) ** -2.0
    radii = np.sort(rng.uniform(low, high, leaves) ** -0.5)[::-1]
    for radius in radii:
        mask = np.zeros((side, side), np.uint8)
        cv2.fillPoly(mask, [_outline(rng, side, radius)], 255, cv2.LINE_AA)
        x, y, w, h = cv2.boundingRect(mask)
        if w == 0:
            continue
        inside = np.s_[y : y + h, x : x + w]
        if rng.random() < 0.3:
            leaf = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (h, w, 3))
        else:
            leaf = crop(rng, textures, max(w, h))[:h, :w]
        alpha = mask[inside][..., None] / np.float32(255)
        image[inside] = alpha * leaf + (1 - alpha) * image[inside]
    return image


def _outline(rng, side, radius):
    """Corners of a polygon around a random centre: three make a splinter, many a disc."""
    corners = int(rng.choice([3, 4, 5, 24]))
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners)) if corners < 24 else np.arange(24) * 0.2618
    stretch, tilt = rng.uniform(0.4, 1), rng.uniform(0, np.pi)
    points = radius * np.stack((np.cos(turn), stretch * np.sin(turn)), 1)
    spin = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return np.rint(points @ spin.T + rng.uniform(0, side, 2)).astype(np.int32)


def crop(rng: np.random.Generator, pictures: list[np.ndarray], side: int) -> np.ndarray:
    """A square of a random picture at a random scale -> (side, side, 3) uint8.

    An even one, such as of a sky, teaches nothing: another is drawn, up to TRIES times.
    """
    for _ in range(TRIES):
        square = _square(rng, pictures, side)
        if square.std() > EVEN:
            break
    return square


def _square(rng, pictures, side):
    picture = pictures[rng.integers(len(pictures))]
    shortest = min(picture.shape[:2])
    span = int(np.clip(side * 2 ** rng.uniform(-1, 2), 24, shortest))
    y, x = (int(rng.integers(n - span + 1)) for n in picture.shape[:2])
    way = cv2.INTER_AREA if span > side else cv2.INTER_CUBIC
    return cv2.resize(picture[y : y + span, x : x + span], (side, side), interpolation=way)


def disturbed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Mirrored or not, and as another camera sees it -> float32, 0 to 255."""
    return developed(rng, image[:, :: rng.choice([-1, 1])])


def developed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """In other light and colours, grey, blurred, noisy -> float32, 0 to 255."""
    image = image.astype(np.float32)
    if rng.random() < 0.15:
        image[:] = image.mean(axis=2, keepdims=True)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2))
    light = 2 ** rng.normal(0, 0.4) * 2 ** rng.normal(0, 0.1, 3)
    image = 255 * (image / 255) ** np.exp(rng.normal(0, 0.2)) * light
    if rng.random() < 0.3:
        image += rng.normal(0, rng.uniform(1, 8), image.shape)
    return np.clip(image, 0, 255).astype(np.float32)


def stream(
    seed: int, side: int, photos: list[np.ndarray], scenes: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Endless squares (side, side, 3) float32 RGB, 0 to 255.

    Of ten, six are of photographs, two are dead leaves, two of rendered scenes.
    """
    rng = np.random.default_rng(seed)
    while True:
        chance = rng.random()
        if chance < 0.6:
            image = crop(rng, photos, side)
        elif chance < 0.8:
            image = dead_leaves(rng, side, photos)
        else:
            image = crop(rng, scenes, side)
        yield disturbed(rng, image)
