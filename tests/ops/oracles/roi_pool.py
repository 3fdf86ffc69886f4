"""RoIPool from its definition, one cell at a time in float64.

Girshick: Fast R-CNN. ICCV 2015, sections 2.1 and 2.3.
"""

import math

import numpy as np


def forward(input, boxes, bins, scale):
    """(N, C, H, W), (K, 5) -> (K, C, h, w): the maximum of each bin's cells, 0 without any.

    bins  one number or (h, w)
    """
    pooled = np.zeros((len(boxes), input.shape[1], *_pair(bins)))
    for k, c, i, j in np.ndindex(*pooled.shape):
        winner = _winner(input, boxes[k], c, (i, j), _pair(bins), scale)
        if winner is not None:
            pooled[k, c, i, j] = input[winner]
    return pooled


def backward(gradient, input, boxes, bins, scale):
    """The gradient (K, C, h, w) given back to the winners: (N, C, H, W)."""
    shares = np.zeros(input.shape)
    for k, c, i, j in np.ndindex(*gradient.shape):
        winner = _winner(input, boxes[k], c, (i, j), _pair(bins), scale)
        if winner is not None:
            shares[winner] += gradient[k, c, i, j]
    return shares


def _pair(bins):
    return (bins, bins) if isinstance(bins, int) else tuple(bins)


def _winner(input, box, c, bin_, bins, scale):
    """Where the bin's maximum is, the first of equals, or None; a NaN beats every number."""
    image, x1, y1, x2, y2 = box
    rows = _cells(y1 * scale, y2 * scale, bin_[0], bins[0], input.shape[2])
    columns = _cells(x1 * scale, x2 * scale, bin_[1], bins[1], input.shape[3])
    cells = [(int(image), c, y, x) for y in rows for x in columns]
    return max(cells, key=lambda at: (math.isnan(input[at]), input[at]), default=None)


def _cells(start, stop, i, bins, length):
    """The cells of the map that bin i covers along one axis; neighbouring bins may share one."""
    start, stop = _round_half_away(start), _round_half_away(stop)
    size = max(stop - start + 1, 1)
    first = start + i * size // bins
    beyond = start - (-(i + 1) * size // bins)  # minus the floor of the opposite: the ceiling
    return range(max(first, 0), min(beyond, length))


def _round_half_away(number):
    return int(math.copysign(math.floor(abs(number) + 0.5), number))
