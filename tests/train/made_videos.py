"""Two videos that every network tells apart, and batches of them."""

from collections.abc import Callable

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
    count: int, scene: bool = False, mined: int = 1, **boxes: int
) -> list[tuple[int, list[BoxSamples]]]:
    """Return the boxes of the first batches of VIDEOS; positives and negatives of all frames."""
    samples = iter(Samples(VIDEOS, seed=1, scene=scene, mined=mined, **boxes))
    return [next(samples) for _ in range(count)]
