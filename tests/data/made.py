"""Small sequences, made on disk."""

import json
from pathlib import Path

import cv2
import numpy as np

from trackerlib.data import manifest, open_dataset


def frame(number: int, size=(48, 64)) -> np.ndarray:
    """(H, W, 3) RGB, one shade per frame number: JPEG keeps it within 2."""
    return np.full((*size, 3), (10 * number % 250, 5 * number % 250, 200), dtype=np.uint8)


def write_image(path: Path, image: np.ndarray) -> Path:
    """Write an RGB or grey image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    assert cv2.imwrite(str(path), bgr)
    return path


def write_sequence(folder: Path, rows: str, start=1, frames=None, name="groundtruth_rect.txt"):
    """An OTB folder with one image per row, or `frames` of them."""
    frames = len(rows.splitlines()) if frames is None else frames
    for number in range(start, start + frames):
        write_image(folder / "img" / f"{number:04d}.jpg", frame(number))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(rows)
    return folder


def entry(name: str, text: str) -> manifest.Entry:
    """A line of a manifest: `Long` starts at frame 3, `Pair-2` is the second in its video."""
    rows = np.array([line.split(",") for line in text.splitlines()], dtype=np.float64)
    folder, _, target = name.partition("-")
    sha256, blocks = manifest.checksums(rows)
    return manifest.Entry(
        name=name,
        folder=folder,
        target=int(target) if target else None,
        start=3 if folder == "Long" else 1,
        frames=len(rows),
        digits=4,
        image_size=(64, 48),
        attributes=("OCC",),
        initial_omits=((1, 2),),
        eval_start=None,
        splits=("OTB50", "OTB100") if folder == "Long" else ("OTB100",),
        first_box=tuple(rows[0]),
        sha256=sha256,
        blocks=blocks,
    )


def images(folder, numbers=range(1, 7), name="{:06d}.png", size=(48, 64)):
    for number in numbers:
        write_image(folder / name.format(number), frame(number, size))
    return folder


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def video(path, length=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(1, length + 1):
        writer.write(frame(number)[..., ::-1])
    writer.release()
    return path


def opened(root, split="all", name=None):
    """Sequences by name, and that naming the format gives the same."""
    dataset = open_dataset(root, split)
    assert not dataset.problems
    found = {sequence.name: sequence for sequence in dataset.sequences}
    if name:
        again = open_dataset(root, split, name).sequences
        assert list(found) == [sequence.name for sequence in again]
    for sequence in found.values():
        assert len(sequence.boxes) == len(sequence) == len(sequence.frame_numbers)
        assert np.isfinite(sequence.boxes[0]).all()
    return found


def shows(sequence, index, number):
    """Whether a sequence's frame is that of a number."""
    np.testing.assert_allclose(sequence.frames[index][5, 5], frame(number)[5, 5], atol=8)
