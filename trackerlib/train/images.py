"""Images to train on, none of them a frame of a benchmark.

Three sources: photographs (those that libraries bundle, and any folder), dead
leaves, that is, shapes that cover each other, cut from those photographs, and
scenes of the project's own renderer, seen by a held-out camera: one that the embedded
benchmark, which is rendered from the same scenes, does not have. Objects, which come as
foreground crops of photographs, can be pasted into photographs as backgrounds. The embedded
benchmark is made from some of the same photographs.

[1] Lee, Mumford, Huang: Occlusion models for natural images: a statistical study
    of a scale-invariant dead leaves model. IJCV 2001: sizes fall with the cube.
[2] Baradad, Wulff, Wang, Isola, Torralba: Learning to see by looking at noise.
    NeurIPS 2021: features can be learned from such pictures.
"""

from collections.abc import Iterable, Iterator
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

MAX_PHOTO_SIDE = 1024  # pixels; larger photographs are resized
MIN_PHOTO_SIDE = 96  # pixels; smaller ones are icons
FLAT = 12  # grey levels; standard deviation up to which a crop shows nothing
TRIES = 4
MIN_COVER = 0.05  # share of a foreground crop that is opaque; below it is lines, which may vanish
MAX_COVER = 0.9  # above it shows no outline
MIN_VISIBLE = 0.5  # share of a target that a frame of a clip shows
FRAME = 320, 240  # width and height of a collage, pixels
OBJECT_SIZE = 4.5, 7  # range of an object's sqrt(w * h) in it, log2 pixels
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "hopper", "china", "flower")
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}

# A frame (H, W, 3) uint8 RGB and the box (4,) of its target: x, y, w, h in pixels.
LabelledFrame = tuple[np.ndarray, np.ndarray]


def photographs(folders: list[Path]) -> list[np.ndarray]:
    """Return photographs that libraries bundle, then those of folders: (H, W, 3) uint8 RGB each.

    What is transparent is filled with the photograph before, blurred.
    Raises FileNotFoundError for a folder without pictures, ValueError for one that
    cannot be read.
    """
    pictures = [_resized(_bundled(name)) for name in BUNDLED]
    for folder in folders:
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
        if not paths:
            raise FileNotFoundError(f"photographs: expected pictures in {folder}, found none")
        for path in paths:
            picture = _resized(_read(path, behind=pictures[-1]))
            if min(picture.shape[:2]) >= MIN_PHOTO_SIDE:
                pictures.append(picture)
    return pictures


def _bundled(name: str) -> np.ndarray:
    return np.rint(255 * photo(name) ** (1 / GAMMA)).astype(np.uint8)


def _read(path: Path, behind: np.ndarray) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(
            f"photographs: expected a picture in {path}, cannot read it; take it away"
        )
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)  # 65535 -> 255
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    # OpenCV writes B, G, R, alpha. A sticker on nothing gets the blurred photograph behind it,
    # so that its outline is no edge to plain black.
    image = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)
    alpha = image[..., 3:] / np.float32(255)
    background = cv2.resize(cv2.GaussianBlur(behind, (0, 0), 3), image.shape[1::-1])
    return np.rint(alpha * image[..., :3] + (1 - alpha) * background).astype(np.uint8)


def _resized(image: np.ndarray) -> np.ndarray:
    factor = MAX_PHOTO_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def rendered(step: int = 40) -> list[np.ndarray]:
    """Return every `step`-th frame (H, W, 3) of the renderer's scenes, by held-out cameras."""
    rng, frames = np.random.default_rng(0), []
    for name in sorted(SCENES):
        scene = with_held_out_camera(name, rng)
        frames += [_frame(scene, index) for index in range(0, scene.frames, step)]
    return frames


def clips(names: Iterable[str], count: int = 4, frames: int = 8) -> list[LabelledFrame]:
    """Return random frames of clips of the renderer's scenes, with their targets' boxes.

    count   of clips of every scene, each by a held-out camera of its own
    frames  of every clip
    """
    made = (clip(name, number, frames) for number, name in product(range(count), names))
    return list(chain.from_iterable(made))


def clip(name: str, number: int, frames: int) -> list[LabelledFrame]:
    """Return random frames of one clip of a scene, with the boxes of its target.

    number  of the clip: another number is another held-out camera

    Frames that show less than half of the target are left out.
    """
    rng, found = np.random.default_rng((number, sorted(SCENES).index(name))), []
    scene = with_held_out_camera(name, rng)
    for index in rng.integers(scene.frames, size=frames).tolist():
        box, visible = outline(scene, index)
        outside = np.maximum(-box[:2], 0) + np.maximum(box[:2] + box[2:] - scene.size, 0)
        # A quarter of either side may lie outside the frame: 0.75 * 0.75 is more than half.
        if visible >= MIN_VISIBLE and (outside <= box[2:] / 4).all():
            found.append((_frame(scene, index), box))
    return found


def with_held_out_camera(name: str, rng: np.random.Generator) -> Scene:
    """Return a scene of the embedded benchmark as the benchmark does not show it.

    The camera stands still, turned by 20 to 40 degrees: no frame is one of the benchmark's.
    """
    scene = SCENES[name](severity=rng.uniform(0.2, 1.8))
    x, y, zoom = *rng.uniform(-40, 40, 2), 2 ** rng.uniform(-0.6, 0.8)
    roll = rng.choice([-1, 1]) * rng.uniform(20, 40)
    return replace(scene, camera=Camera(through((0, x, y, zoom, roll))))


def _frame(scene: Scene, index: int) -> np.ndarray:
    code = np.frombuffer(jpeg(scene, index), np.uint8)
    image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert image is not None  # the JPEG is whole: it was just made
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def foreground_crops(folders: list[Path]) -> list[np.ndarray]:
    """Return the images of folders that show one object, cut out: (H, W, 4) uint8 RGBA each.

    Cropped to what is opaque, which covers a part of the image, and is not mere lines.
    """
    found = []
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
            continue
        x, y, w, h = cv2.boundingRect((image[..., 3] > 127).astype(np.uint8))
        image = image[y : y + h, x : x + w]
        cover = (image[..., 3] > 127).mean()
        if min(w, h) >= MIN_PHOTO_SIDE and MIN_COVER < cover < MAX_COVER:
            found.append(cv2.cvtColor(_resized(image), cv2.COLOR_BGRA2RGBA))
    return found


def collage(
    rng: np.random.Generator, photos: list[np.ndarray], objects: list[np.ndarray]
) -> LabelledFrame:
    """Return a piece of a photograph with objects pasted in, and the box of the last one.

    Up to three others lie behind it, wherever they fall.
    """
    frame = cv2.resize(crop(rng, photos, FRAME[0]), FRAME).astype(np.float32)
    for _ in range(rng.integers(1, 5)):
        box = paste(rng, frame, objects[rng.integers(len(objects))])
    return np.rint(frame).astype(np.uint8), box


@dataclass(frozen=True)
class MovingObject:
    """A video that never ends: one object moves over a photograph, others about it.

    background      (H, W, 3) uint8 RGB, larger than a frame
    target, others  (h, w, 4) each, of `foreground_crops`
    """

    background: np.ndarray
    target: np.ndarray
    others: tuple[np.ndarray, ...]

    def __call__(self, rng: np.random.Generator) -> LabelledFrame:
        """Return a frame of it, the target at any position and in any size, with its box."""
        space = np.array(self.background.shape[1::-1]) - FRAME
        left, top = (rng.random(2) * space).astype(int)
        frame = self.background[top : top + FRAME[1], left : left + FRAME[0]].astype(np.float32)
        for other in self.others:
            paste(rng, frame, other)
        box = paste(rng, frame, self.target)  # the last one: nothing covers it
        return np.rint(developed(rng, frame)).astype(np.uint8), box


def moving_object(
    rng: np.random.Generator, photos: list[np.ndarray], objects: list[np.ndarray]
) -> MovingObject:
    """Return a video of one of the objects; one or two of the others resemble it."""
    size = 2 * FRAME[0], 2 * FRAME[1]
    background = cv2.resize(crop(rng, photos, size[0]), size)
    target = objects[rng.integers(len(objects))]
    others = [objects[rng.integers(len(objects))] for _ in range(3)]
    # Its mirror image is the distractor that a tracker of appearance confuses it with.
    return MovingObject(background, target, (*others, target[:, ::-1]))


def paste(rng: np.random.Generator, frame: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Paste a foreground crop (h, w, 4) into a frame, which changes -> the object's box (4,).

    It is rotated a little, at any position and in any size.
    """
    factor = 2 ** rng.uniform(*OBJECT_SIZE) / np.sqrt(np.prod(crop.shape[:2]))
    crop = cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    h, w = crop.shape[:2]
    rotation = cv2.getRotationMatrix2D((w / 2, h / 2), rng.normal(0, 8), rng.uniform(0.85, 1))
    crop = cv2.warpAffine(crop, rotation, (w, h))[: FRAME[1], : FRAME[0]].astype(np.float32)
    h, w = crop.shape[:2]
    x, y = rng.integers(FRAME[0] - w + 1), rng.integers(FRAME[1] - h + 1)
    behind = frame[y : y + h, x : x + w]  # a view: the frame itself changes
    behind += crop[..., 3:] / 255 * (crop[..., :3] - behind)
    left, top, w, h = cv2.boundingRect((crop[..., 3] > 127).astype(np.uint8))
    return np.array([x + left, y + top, w, h], dtype=np.float64)


def targets(
    seed: int,
    frames: list[LabelledFrame],
    photos: list[np.ndarray],
    objects: list[np.ndarray],
) -> Iterator[LabelledFrame]:
    """Yield frames with the boxes of their targets without end.

    frames   of `clips`
    photos   of `photographs`
    objects  of `foreground_crops`; if there are any, two of three frames are collages
    """
    rng = np.random.default_rng(seed)
    while True:
        if objects and rng.random() < 2 / 3:
            yield collage(rng, photos, objects)
        else:
            yield frames[rng.integers(len(frames))]


def dead_leaves(
    rng: np.random.Generator, side: int, textures: list[np.ndarray], leaves: int = 60
) -> np.ndarray:
    """Draw shapes that cover each other, textured or plain -> (side, side, 3) uint8 RGB.

    Their number falls with the cube of the radius [1], from 3 % to 40 % of the side.
    """
    image = crop(rng, textures, side)
    # A density of r ** -3 has an integral of r ** -2, which is drawn evenly and inverted. Large
    # ones come first: small ones would vanish behind them.
    low, high = (0.4 * side) ** -2.0, (0.03 * side) ** -2.0
    radii = np.sort(rng.uniform(low, high, leaves) ** -0.5)[::-1]
    for radius in radii:
        mask = np.zeros((side, side), np.uint8)
        cv2.fillPoly(mask, [_outline(rng, side, radius)], 255, cv2.LINE_AA)
        x, y, w, h = cv2.boundingRect(mask)
        if w == 0:
            continue  # all of it is outside
        inside = np.s_[y : y + h, x : x + w]
        if rng.random() < 0.3:
            leaf = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (h, w, 3))
        else:
            leaf = crop(rng, textures, max(w, h))[:h, :w]
        alpha = mask[inside][..., None] / np.float32(255)
        image[inside] = alpha * leaf + (1 - alpha) * image[inside]
    return image


def _outline(rng: np.random.Generator, side: int, radius: float) -> np.ndarray:
    """Return the corners (n, 2) of a polygon around a random centre: a splinter, or a disc."""
    corners = int(rng.choice([3, 4, 5, 24]))
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners)) if corners < 24 else np.arange(24) * 0.2618
    stretch, tilt = rng.uniform(0.4, 1), rng.uniform(0, np.pi)
    points = radius * np.stack((np.cos(turn), stretch * np.sin(turn)), 1)
    spin = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return np.rint(points @ spin.T + rng.uniform(0, side, 2)).astype(np.int32)


def crop(rng: np.random.Generator, pictures: list[np.ndarray], side: int) -> np.ndarray:
    """Cut a square out of a random picture at a random scale -> (side, side, 3) uint8.

    Nothing can be learned from a flat one, such as of a sky: another is drawn, up to TRIES times.
    """
    for _ in range(TRIES):
        square = _square(rng, pictures, side)
        if square.std() > FLAT:
            break
    return square


def _square(rng: np.random.Generator, pictures: list[np.ndarray], side: int) -> np.ndarray:
    picture = pictures[rng.integers(len(pictures))]
    shortest = min(picture.shape[:2])
    span = int(np.clip(side * 2 ** rng.uniform(-1, 2), 24, shortest))  # half to four sides
    y, x = (int(rng.integers(n - span + 1)) for n in picture.shape[:2])
    way = cv2.INTER_AREA if span > side else cv2.INTER_CUBIC
    return cv2.resize(picture[y : y + span, x : x + span], (side, side), interpolation=way)


def disturbed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3), mirrored or not, as another camera sees it: float32, 0 to 255."""
    return developed(rng, image[:, :: rng.choice([-1, 1])])


def developed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) in other light, grey, blurred or noisy: float32, 0 to 255."""
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
    """Yield squares (side, side, 3) float32 RGB, 0 to 255, without end.

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
