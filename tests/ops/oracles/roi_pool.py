"""RoIPool from its definition, one cell at a time in float64.

Girshick: Fast R-CNN. ICCV 2015, sections 2.1 and 2.3.
"""

import math

import numpy as np


def forward(features, rois, bins, scale):
    """(N, C, H, W), (K, 5) -> (K, C, bins, bins): the largest cell of each bin, 0 without any."""
    pooled = np.zeros((len(rois), features.shape[1], bins, bins))
    for k, c, i, j in np.ndindex(*pooled.shape):
        winner = _winner(features, rois[k], c, (i, j), bins, scale)
        if winner is not None:
            pooled[k, c, i, j] = features[winner]
    return pooled


def backward(gradient, features, rois, bins, scale):
    """The gradient (K, C, bins, bins) given back to the winners: (N, C, H, W)."""
    shares = np.zeros(features.shape)
    for k, c, i, j in np.ndindex(*gradient.shape):
        winner = _winner(features, rois[k], c, (i, j), bins, scale)
        if winner is not None:
            shares[winner] += gradient[k, c, i, j]
    return shares


def _winner(features, roi, c, bin_, bins, scale):
    """Where the bin's maximum is, the first of equals, or None; a NaN beats every number."""
    image, x1, y1, x2, y2 = roi
    rows = _cells(y1 * scale, y2 * scale, bin_[0], bins, features.shape[2])
    columns = _cells(x1 * scale, x2 * scale, bin_[1], bins, features.shape[3])
    places = [(int(image), c, y, x) for y in rows for x in columns]
    return max(places, key=lambda at: (math.isnan(features[at]), features[at]), default=None)


def _cells(start, stop, i, bins, length):
    """The cells of the map that bin i covers along one axis; neighbouring bins may share one."""
    start, stop = _round_half_away(start), _round_half_away(stop)
    size = max(stop - start + 1, 1)
    first = start + i * size // bins
    beyond = start - (-(i + 1) * size // bins)  # minus the floor of the opposite: the ceiling
    return range(max(first, 0), min(beyond, length))


def _round_half_away(number):
    return int(math.copysign(math.floor(abs(number) + 0.5), number))
