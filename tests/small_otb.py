"""Two sequences in OTB's folder format, small enough for the command line's tests."""

from pathlib import Path

import cv2
import numpy as np


def write_otb(root: Path) -> Path:
    """Write sequences Left and Right of eight frames: a square that moves 3 px a frame."""
    target = np.random.default_rng(0).integers(100, 255, (16, 16, 3))
    for name in ("Left", "Right"):
        folder = root / name
        (folder / "img").mkdir(parents=True)
        rows = [(21 + 3 * index, 15, 16, 16) for index in range(8)]
        for number, (x, y, w, h) in enumerate(rows, 1):
            frame = np.full((48, 64, 3), 40)
            frame[y - 1 : y - 1 + h, x - 1 : x - 1 + w] = target
            cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), frame)
        np.savetxt(folder / "groundtruth_rect.txt", rows, "%d", ",")
    return root
