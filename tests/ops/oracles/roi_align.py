"""RoIAlign from its definition, one sample point at a time in float64.

points="midpoints": He et al.: Mask R-CNN. ICCV 2017, section 3.
points="interior", reduce="max": Cui et al. 2018 (FDN), section 3.2.
"""

import math

import numpy as np


def forward(features, rois, bins, scale, samples=2, reduce="mean", points="midpoints"):
    """(N, C, H, W), (K, 5) -> (K, C, bins, bins)."""
    pooled = np.zeros((len(rois), features.shape[1], bins, bins))
    for k, c, i, j in np.ndindex(*pooled.shape):
        plane = features[int(rois[k][0]), c]
        sampled = _sampled(plane.shape, rois[k], (i, j), bins, scale, samples, points)
        values = [_value(plane, point) for point in sampled]
        pooled[k, c, i, j] = max(values) if reduce == "max" else sum(values) / samples**2
    return pooled


def backward(gradient, features, rois, bins, scale, samples=2, reduce="mean", points="midpoints"):
    """The gradient (K, C, bins, bins) given back to the cells: (N, C, H, W)."""
    shares = np.zeros(features.shape)
    for k, c, i, j in np.ndindex(*gradient.shape):
        plane, share = features[int(rois[k][0]), c], shares[int(rois[k][0]), c]
        sampled = _sampled(plane.shape, rois[k], (i, j), bins, scale, samples, points)
        part = gradient[k, c, i, j] / samples**2
        if reduce == "max":
            values = [_value(plane, point) for point in sampled]
            sampled = [sampled[values.index(max(values))]]  # the first of equals
            part = gradient[k, c, i, j]
        for point in sampled:
            for cell, weight in point:
                share[cell] += weight * part
    return shares


def _value(plane, point):
    return sum(weight * plane[cell] for cell, weight in point)


def _sampled(shape, roi, bin_, bins, scale, samples, points):
    """The bin's points, row by row, each a list of ((y, x), weight); one worth 0 is empty."""
    _, x1, y1, x2, y2 = roi
    rows = _positions(y1 * scale, y2 * scale, bin_[0], bins, samples, points, shape[0])
    columns = _positions(x1 * scale, x2 * scale, bin_[1], bins, samples, points, shape[1])
    sampled = []
    for p in rows:
        for q in columns:
            across = [] if p is None or q is None else _neighbours(p, shape[0])
            along = [] if p is None or q is None else _neighbours(q, shape[1])
            sampled.append([((y, x), v * w) for y, v in across for x, w in along])
    return sampled


def _positions(start, stop, i, bins, samples, points, length):
    """Where bin i is sampled along one axis, in cells; None for a position that is worth 0."""
    size = max(stop - start, 1)
    low, high = start + i * size / bins, start + (i + 1) * size / bins
    if points == "midpoints":
        steps = [(k + 0.5) / samples for k in range(samples)]
    else:
        steps = [k / (samples + 1) for k in range(1, samples + 1)]
        low, high = min(max(low, 0), length), min(max(high, 0), length)
        if high <= low:
            return [None] * samples
    found = [low + step * (high - low) for step in steps]
    return [min(max(p, 0), length - 1) if -1 <= p <= length else None for p in found]


def _neighbours(p, length):
    left = math.floor(p)
    pairs = ((left, 1 - (p - left)), (left + 1, p - left))
    return [(cell, weight) for cell, weight in pairs if cell < length]
