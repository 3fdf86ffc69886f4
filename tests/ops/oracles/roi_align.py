"""RoIAlign from its definition, one sample point at a time in float64.

points="midpoints": He et al.: Mask R-CNN. ICCV 2017, section 3; sampling_ratio and aligned
as torchvision.ops.roi_align defines them.
points="interior", reduce="max": Cui et al. 2018 (FDN), section 3.2.
"""

import math

import numpy as np


def forward(input, boxes, bins, scale, **settings):
    """(N, C, H, W), (K, 5) -> (K, C, h, w); bins one number or (h, w)."""
    pooled = np.zeros((len(boxes), input.shape[1], *pair(bins)))
    for k, c, i, j in np.ndindex(*pooled.shape):
        plane = input[int(boxes[k][0]), c]
        sampled = _sampled(plane.shape, boxes[k], (i, j), pair(bins), scale, **settings)
        values = [_value(plane, point) for point in sampled]
        if values and settings.get("reduce") == "max":
            pooled[k, c, i, j] = max(values)
        elif values:
            pooled[k, c, i, j] = sum(values) / len(values)
    return pooled


def backward(gradient, input, boxes, bins, scale, **settings):
    """The gradient (K, C, h, w) given back to the map cells: (N, C, H, W)."""
    shares = np.zeros(input.shape)
    for k, c, i, j in np.ndindex(*gradient.shape):
        plane, share = input[int(boxes[k][0]), c], shares[int(boxes[k][0]), c]
        sampled = _sampled(plane.shape, boxes[k], (i, j), pair(bins), scale, **settings)
        if sampled and settings.get("reduce") == "max":
            values = [_value(plane, point) for point in sampled]
            sampled = [sampled[values.index(max(values))]]  # the first of equals
        for point in sampled:
            for cell, weight in point:
                share[cell] += weight * gradient[k, c, i, j] / len(sampled)
    return shares


def pair(bins):
    return (bins, bins) if isinstance(bins, int) else tuple(bins)


def _value(plane, point):
    return sum(weight * plane[cell] for cell, weight in point)


def _sampled(shape, box, bin_, bins, scale, **settings):
    """The bin's points, row by row, each a list of ((y, x), weight); one worth 0 is empty."""
    settings.pop("reduce", None)
    _, x1, y1, x2, y2 = box
    rows = _positions(y1 * scale, y2 * scale, bin_[0], bins[0], shape[0], **settings)
    columns = _positions(x1 * scale, x2 * scale, bin_[1], bins[1], shape[1], **settings)
    sampled = []
    for p in rows:
        for q in columns:
            across = [] if p is None or q is None else _neighbours(p, shape[0])
            along = [] if p is None or q is None else _neighbours(q, shape[1])
            sampled.append([((y, x), v * w) for y, v in across for x, w in along])
    return sampled


def _positions(start, stop, i, bins, length, sampling_ratio=-1, aligned=False, points="midpoints"):
    """Where bin i is sampled along one axis, in cells; None for a position that is worth 0."""
    if aligned:
        start, stop = start - 0.5, stop - 0.5
        size = stop - start
    else:
        size = max(stop - start, 1)
    samples = sampling_ratio if sampling_ratio > 0 else math.ceil(size / bins)
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
