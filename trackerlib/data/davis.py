"""Videos with masks, in the folder format of DAVIS and YouTube-VOS.

    <root>/JPEGImages/480p/<video>/00000.jpg ...       or JPEGImages/<video>/ ...
    <root>/Annotations/480p/<video>/00000.png ...      the index of a target in each pixel

Each index is a target, 0 the background, and 255 no target unless it is the only value (the
masks of DAVIS 2016 are 0 and 255). A target's box is the one around all of its pixels, edges
included; where a mask has none of them the target is absent. Frames without a mask (YouTube-VOS
has every fifth) have a box of NaN, and no visibility.

Perazzi et al.: A benchmark dataset and evaluation methodology for video object segmentation.
CVPR 2016. Xu et al.: YouTube-VOS: sequence-to-sequence video object segmentation. ECCV 2018.
"""

import importlib
from functools import partial
from pathlib import Path

import numpy as np

from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import Target, Videos, split_targets
from trackerlib.data.video import open_folder

__all__ = ["mask_boxes", "read", "videos"]

VOID = 255
IMAGES, MASKS = "JPEGImages", "Annotations"


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format.

    Of several resolutions that with the shortest name is read: 480p, not Full-Resolution.
    """
    if not (root / IMAGES).is_dir() or not (root / MASKS).is_dir():
        return {}
    folders = [path for path in sorted((root / MASKS).rglob("*")) if path.is_dir()]
    found: dict[str, Path] = {}
    for folder in folders:
        is_video = any(folder.glob("*.png"))
        if is_video and len(str(folder)) < len(str(found.get(folder.name, f"{folder}+"))):
            found[folder.name] = folder
    return {
        name: partial(read, root / IMAGES / folder.relative_to(root / MASKS), folder)
        for name, folder in sorted(found.items())
    }


def read(images: Path, masks: Path) -> list[Sequence]:
    """Read one video: a sequence for each target, from the frame on in which it is first seen.

    Raises FileNotFoundError without images, ValueError for masks that cannot be read, ImportError
    without Pillow.
    """
    if not images.is_dir():
        raise FileNotFoundError(f"{images}: expected the images of {masks}")
    video = open_folder(images)
    known: dict[int, dict[int, np.ndarray]] = {}
    stems = [path.stem for path in video.frames.paths]  # type: ignore[attr-defined]
    for index, stem in enumerate(stems):
        if (masks / f"{stem}.png").is_file():
            known[index] = mask_boxes(masks / f"{stem}.png")
    labels = sorted({label for boxes in known.values() for label in boxes})
    if labels != [VOID]:
        labels = [label for label in labels if label != VOID]
    targets = [_target(label, known, len(video)) for label in labels]
    return split_targets(video, targets, masks)


def mask_boxes(path: Path) -> dict[int, np.ndarray]:
    """Return the box (4,) around the pixels of each index but 0 in a mask.

    Raises ValueError where the file is no image of indices, ImportError without Pillow.
    """
    try:
        image = importlib.import_module("PIL.Image").open(path)
    except ImportError as error:
        raise ImportError(
            f"davis: expected Pillow for masks: {error}; pip install pillow"
        ) from error
    except OSError as error:
        raise ValueError(f"{path}: expected a mask, got: {error}") from error
    with image:
        mask = np.asarray(image)
    if mask.ndim != 2:
        raise ValueError(
            f"{path}: expected one index per pixel, got an image of mode {image.mode}; save it as "
            "a PNG with a palette, or in grey"
        )
    mask = mask.astype(np.uint8) * VOID if mask.dtype == bool else mask
    boxes = {}
    for label in filter(None, np.unique(mask).tolist()):
        rows, columns = (np.flatnonzero((mask == label).any(axis)) for axis in (1, 0))
        left, top = columns[0], rows[0]
        size = columns[-1] + 1 - left, rows[-1] + 1 - top
        boxes[label] = np.array([left, top, *size], dtype=np.float64)
    return boxes


def _target(label: int, known: dict[int, dict[int, np.ndarray]], length: int) -> Target:
    first = min(index for index, boxes in known.items() if label in boxes)
    boxes, visibility = np.full((length - first, 4), np.nan), np.full(length - first, np.nan)
    for index, of in known.items():
        if index >= first:
            boxes[index - first] = of.get(label, np.nan)
            visibility[index - first] = label in of
    return Target("1" if label == VOID else str(label), first, boxes, visibility)
