"""A made-up video for trackers."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest


def _texture(rng: np.random.Generator, height: int, width: int, blur: float) -> np.ndarray:
    noise = rng.normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


@pytest.fixture
def moving() -> Callable:
    """(w, h) -> 20 frames of 320x240 and the boxes (20, 4) of a textured target on a curve."""

    def make(width: int, height: int) -> tuple[list[np.ndarray], np.ndarray]:
        rng = np.random.default_rng(0)
        scene, target = _texture(rng, 240, 320, 6), _texture(rng, height, width, 2)
        frames, boxes = [], []
        for t in range(20):
            x, y = 60 + 4 * t, round(50 + 20 * np.sin(t / 5))
            frames.append(scene.copy())
            frames[-1][y : y + height, x : x + width] = target
            boxes.append([x, y, width, height])
        return frames, np.array(boxes, dtype=np.float64)

    return make
