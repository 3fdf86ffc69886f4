"""Boxes drawn around a box: candidates for the search, positives and negatives to learn from.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 4.1 and 4.4, and the authors' code.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib.boxes import centres, overlap
from trackerlib.trackers.online import Config

TRIES = 16  # boxes drawn at most for one that is kept


class Sampler:
    """Draws boxes whose centres lie in a region.

    region     (2, 2) least and greatest x and y of a centre, pixels: such as the frame's corners
    sizes      (2, 2) least and greatest width and height of a box, pixels
    generator  of random numbers, on the CPU

    All boxes are (4,) or (count, 4) float64 on the CPU. Translations are in mean
    sides of the box, (w + h) / 2; a scale s draws sizes between 1 / s and s boxes.
    """

    def __init__(self, region: Tensor, sizes: Tensor, generator: torch.Generator):
        self.region, self.sizes, self.generator = region, sizes, generator

    def gaussian(self, box: Tensor, translation: float, scale: float, count: int) -> Tensor:
        """Mostly near the box: normal, half the range as deviation, cut at the range's ends."""
        return self._around(
            box, translation * self._normal(count, 2), scale ** self._normal(count)
        )

    def uniform(
        self, box: Tensor, translation: float, scale: float, count: int, aspect: float = 1.0
    ) -> Tensor:
        """Evenly in the range of positions and scales; `aspect` scales width and height apart."""
        size = scale ** self._even(count) * aspect ** self._even(count, 2)
        return self._around(box, translation * self._even(count, 2), size)

    def everywhere(self, box: Tensor, scale: float, count: int) -> Tensor:
        """Evenly in the region, in sizes like the box's."""
        centre = torch.lerp(*self.region, (self._even(count, 2) + 1) / 2)
        return self._boxes(centre, box[2:] * scale ** self._even(count))

    def _around(self, box, offset, scale):
        return self._boxes(centres(box) + offset * box[2:].mean(), box[2:] * scale)

    def _boxes(self, centre, size):
        size = size.clamp(*self.sizes)
        return torch.cat((centre.clamp(*self.region) - size / 2, size), -1)

    def _normal(self, count, axes=1):
        normal = torch.randn(count, axes, generator=self.generator, dtype=torch.float64)
        return (normal / 2).clamp(-1, 1)

    def _even(self, count, axes=1):
        return 2 * torch.rand(count, axes, generator=self.generator, dtype=torch.float64) - 1


def over(
    frame: np.ndarray, least: float, generator: torch.Generator, region: Tensor | None = None
) -> Sampler:
    """Draws in a frame (H, W, 3) or in its region, boxes from `least` pixels to the frame's."""
    extent = torch.tensor(frame.shape[1::-1], dtype=torch.float64)
    whole = torch.stack((torch.zeros_like(extent), extent))
    region = whole if region is None else region.clamp(*whole)
    return Sampler(region, torch.stack((torch.full_like(extent, least), extent)), generator)


def positives(sampler: Sampler, box: Tensor, count: int, config: Config) -> Tensor:
    """Boxes that hold the target (count, 4)."""
    draw = partial(sampler.gaussian, box, config.positive_translation, config.positive_scale)
    return overlapping(draw, box, count, least=config.positive_overlap)


def first_negatives(sampler: Sampler, box: Tensor, config: Config) -> Tensor:
    """Background of the first frame, half around the target and half everywhere (n, 4)."""
    scale, count = config.first_negative_scale, config.first_negatives // 2
    around = partial(sampler.uniform, box, config.first_negative_translation, scale)
    draws = around, partial(sampler.everywhere, box, scale)
    most = config.first_negative_overlap
    return torch.cat([overlapping(draw, box, count, most=most) for draw in draws])


def negatives(sampler: Sampler, box: Tensor, most: float, config: Config) -> Tensor:
    """Background around the target, overlapping it by at most `most` (n, 4)."""
    draw = partial(sampler.uniform, box, config.negative_translation, config.negative_scale)
    return overlapping(draw, box, config.negatives, most=most)


def overlapping(
    draw: Callable[[int], Tensor], box: Tensor, count: int, least: float = 0.0, most: float = 1.0
) -> Tensor:
    """The first `count` boxes drawn whose overlap with `box` is from `least` to `most`.

    draw     number -> so many boxes (n, 4)
    returns  (count, 4); fewer if among TRIES times as many there are no more
    """
    kept = box.new_empty(0, 4)
    for _ in range(TRIES):
        drawn = draw(count)
        shared = overlap(drawn, box)
        kept = torch.cat((kept, drawn[(shared >= least) & (shared <= most)]))
        if len(kept) >= count:
            break
    return kept[:count]
