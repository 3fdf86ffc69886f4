"""Boxes drawn around a box: candidates for the search, positives and negatives to learn from.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 4.1 and 4.4, and the authors' code.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib.boxes import box_iou, centres
from trackerlib.trackers.mdnet.config import OnlineConfig

TRIES = 16  # boxes drawn at most for one that is kept


class Sampler:
    """Draws boxes whose centres lie in a region.

    region     (2, 2) range of a centre's x and y, pixels: such as the frame's corners
    sizes      (2, 2) range of a box's width and height, pixels
    generator  of random numbers, on the CPU

    All boxes are (4,) or (count, 4) float64 on the CPU. Translations are in mean
    sides of the box, (w + h) / 2; a scale s draws sizes between 1 / s and s boxes.
    """

    def __init__(self, region: Tensor, sizes: Tensor, generator: torch.Generator):
        self.region = region
        self.sizes = sizes
        self.generator = generator

    def gaussian(self, box: Tensor, translation: float, scale: float, count: int) -> Tensor:
        """Draw mostly close to the box: normal, half the range as deviation, cut at its ends."""
        offset = translation * self._normal(count, 2)
        return self._around(box, offset, scale ** self._normal(count))

    def uniform(
        self, box: Tensor, translation: float, scale: float, count: int, aspect: float = 1.0
    ) -> Tensor:
        """Draw evenly in the range of positions and scales.

        aspect  scales width and height apart
        """
        size = scale ** self._even(count) * aspect ** self._even(count, 2)
        return self._around(box, translation * self._even(count, 2), size)

    def everywhere(self, box: Tensor, scale: float, count: int) -> Tensor:
        """Draw evenly in the region, in sizes like the box's."""
        # -1 to 1 becomes 0 to 1 of the way from the region's first corner to its second.
        first, second = self.region
        centre = torch.lerp(first, second, (self._even(count, 2) + 1) / 2)
        return self._boxes(centre, box[2:] * scale ** self._even(count))

    def _around(self, box: Tensor, offset: Tensor, scale: Tensor) -> Tensor:
        return self._boxes(centres(box) + offset * box[2:].mean(), box[2:] * scale)

    def _boxes(self, centre: Tensor, size: Tensor) -> Tensor:
        size = size.clamp(*self.sizes)  # (count, 2)
        return torch.cat((centre.clamp(*self.region) - size / 2, size), -1)

    def _normal(self, count: int, axes: int = 1) -> Tensor:
        # Half of the range is one deviation: 5 % of the draws lie beyond it, and are cut to it.
        normal = torch.randn(count, axes, generator=self.generator, dtype=torch.float64)
        return (normal / 2).clamp(-1, 1)

    def _even(self, count: int, axes: int = 1) -> Tensor:
        return 2 * torch.rand(count, axes, generator=self.generator, dtype=torch.float64) - 1


def over(
    frame: np.ndarray, min_side: float, generator: torch.Generator, region: Tensor | None = None
) -> Sampler:
    """Return a sampler of boxes in a frame (H, W, 3), or in the region of it.

    min_side  of a box, pixels; the frame's own sides are the limit above
    """
    extent = torch.tensor(frame.shape[1::-1], dtype=torch.float64)
    whole = torch.stack((torch.zeros_like(extent), extent))
    region = whole if region is None else region.clamp(*whole)
    return Sampler(region, torch.stack((torch.full_like(extent, min_side), extent)), generator)


def positives(sampler: Sampler, box: Tensor, count: int, config: OnlineConfig) -> Tensor:
    """Draw boxes that hold the target (count, 4)."""
    draw = partial(sampler.gaussian, box, config.positive_translation, config.positive_scale)
    return with_iou(draw, box, count, min_iou=config.positive_iou)


def first_negatives(sampler: Sampler, box: Tensor, config: OnlineConfig) -> Tensor:
    """Draw background of the first frame (n, 4): around the target, and half of it everywhere."""
    scale = config.first_negative_scale
    around = partial(
        sampler.uniform,
        box,
        config.first_negative_translation,
        scale,
        aspect=config.first_negative_aspect,
    )
    # Around the target they are hard; from everywhere, the classifier knows the scene.
    everywhere = partial(sampler.everywhere, box, scale)
    draws = [around, everywhere] if config.first_negatives_everywhere else [around]
    count, max_iou = config.first_negatives // len(draws), config.first_negative_iou
    return torch.cat([with_iou(draw, box, count, max_iou=max_iou) for draw in draws])


def negatives(sampler: Sampler, box: Tensor, max_iou: float, config: OnlineConfig) -> Tensor:
    """Draw background around the target (n, 4), of at most `max_iou` with it."""
    draw = partial(sampler.uniform, box, config.negative_translation, config.negative_scale)
    return with_iou(draw, box, config.negatives, max_iou=max_iou)


def with_iou(
    draw: Callable[[int], Tensor],
    box: Tensor,
    count: int,
    min_iou: float = 0.0,
    max_iou: float = 1.0,
) -> Tensor:
    """Return the first `count` boxes drawn whose IoU with `box` is in the range.

    draw     number -> so many boxes (n, 4)
    returns  (count, 4); fewer if among TRIES times as many there are no more
    """
    kept = box.new_empty(0, 4)
    for _ in range(TRIES):
        drawn = draw(count)
        iou = box_iou(drawn, box)  # (count,)
        kept = torch.cat((kept, drawn[(iou >= min_iou) & (iou <= max_iou)]))
        if len(kept) >= count:
            break
    return kept[:count]
