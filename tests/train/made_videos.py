"""Two videos that every network tells apart, batches of them, and clips in files."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from trackerlib.train.images import LabelledFrame
from trackerlib.train.samples import BoxSamples, Samples


def video(colour: tuple[int, int, int]) -> Callable[[np.random.Generator], LabelledFrame]:
    """Return a video of a disc of one colour anywhere on noise."""

    def random_frame(rng: np.random.Generator) -> LabelledFrame:
        frame = rng.integers(0, 80, (120, 160, 3)).astype(np.uint8)
        x, y = rng.uniform(30, 130), rng.uniform(30, 90)
        rows, columns = np.mgrid[:120, :160] + 0.5
        frame[(columns - x) ** 2 + (rows - y) ** 2 < 18**2] = colour
        return frame, np.array([x - 18, y - 18, 36.0, 36.0])

    return random_frame


VIDEOS = [video((250, 40, 40)), video((40, 40, 250))]


def first_batches(
    count: int, padding: float | None = None, mined: int = 1, **boxes: int
) -> list[tuple[int, list[BoxSamples]]]:
    """Return the boxes of the first batches of VIDEOS; positives and negatives of all frames."""
    samples = iter(Samples(VIDEOS, seed=1, padding=padding, mined=mined, **boxes))
    return [next(samples) for _ in range(count)]


def write_clip(
    folder: Path,
    boxes: np.ndarray | None = None,
    layout: str = "otb",
    seed: int | None = None,
    scale: float = 1.0,
    labels: tuple[str, ...] = ("",),
) -> None:
    """Write a clip of a textured target: 6 frames of 120x90 pixels unless boxes (T, 4) are given.

    seed    of the pictures; None: the folder's name decides
    scale   of the frames and the boxes
    labels  of the targets in OTB's layout
    """
    rng = np.random.default_rng(list(folder.name.encode()) if seed is None else seed)
    if boxes is None:
        boxes = np.array([[20.0 + 4 * t, 30, 24, 20] for t in range(6)])
    scene = cv2.resize(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8), (120, 90))
    target = cv2.resize(rng.integers(0, 256, (18, 24, 3)).astype(np.uint8), (120, 90))
    images, endings = _places(folder, layout)
    images.mkdir(parents=True, exist_ok=True)
    for number, box in enumerate(boxes, start=1):
        frame = scene.copy()
        if np.isfinite(box).all():
            x, y, w, h = box.astype(int)
            frame[y : y + h, x : x + w] = target[y : y + h, x : x + w]
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(images / f"{number:04d}.jpg"), frame)
    corner = np.array([1.0, 1, 0, 0]) if layout in ("otb", "uav123") else 0.0
    for label in labels:
        np.savetxt(
            endings.with_name(endings.name.format(label)), scale * boxes + corner, "%g", ","
        )


def _places(folder: Path, layout: str) -> tuple[Path, Path]:
    """Where images and ground truth of a clip lie, once its other files are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "otb":
        return folder / "img", folder / "groundtruth_rect{}.txt"
    if layout == "got10k":
        (folder / "meta_info.ini").write_text("[METAINFO]\n")
    if layout != "uav123":
        return folder / "img" if layout == "lasot" else folder, folder / "groundtruth.txt"
    root = folder.parent
    (root / "anno" / "UAV123").mkdir(parents=True)
    (root / "configSeqs.m").write_text(
        "seqUAV123={struct('name','clip','path','D:\\data_seq\\UAV123\\clip\\','startFrame',1,"
        "'endFrame',6,'nz',4,'ext','jpg','init_rect',[0,0,0,0])};"
    )
    return root / "data_seq" / "UAV123" / folder.name, root / "anno" / "UAV123" / "clip.txt"
