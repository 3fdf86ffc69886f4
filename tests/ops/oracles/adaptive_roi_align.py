"""Adaptive RoIAlign from its definition, one grid point at a time in float64.

Jung et al.: Real-Time MDNet. ECCV 2018, section 3.2.
"""

import math

import numpy as np


def forward(input, boxes, grid, scale, pool=True, released=False):
    """(N, C, H, W), (K, 5) -> (K, C, grid, grid), or its 3x3 max-pool with stride 2.

    released  as the authors' kernel has it: no point begins on the last row or column
    """
    layer = np.zeros((len(boxes), input.shape[1], grid, grid))
    for k, c, i, j in np.ndindex(*layer.shape):
        plane = input[int(boxes[k][0]), c]
        point = _point(plane.shape, boxes[k], (i, j), grid, scale, released)
        layer[k, c, i, j] = sum(weight * plane[cell] for cell, weight in point)
    if not pool:
        return layer
    pooled = np.zeros((*layer.shape[:2], *[(grid - 3) // 2 + 1] * 2))
    for k, c, i, j in np.ndindex(*pooled.shape):
        pooled[k, c, i, j] = layer[k, c][_winner(layer[k, c], i, j)]
    return pooled


def backward(gradient, input, boxes, grid, scale, pool=True):
    """The gradient of what `forward` returns, given back to the cells: (N, C, H, W)."""
    layer = forward(input, boxes, grid, scale, pool=False)
    spread = np.zeros(layer.shape)
    for k, c, i, j in np.ndindex(*gradient.shape):
        spread[k, c][_winner(layer[k, c], i, j) if pool else (i, j)] += gradient[k, c, i, j]
    shares = np.zeros(input.shape)
    for k, c, i, j in np.ndindex(*layer.shape):
        for cell, weight in _point(input.shape[2:], boxes[k], (i, j), grid, scale):
            shares[int(boxes[k][0]), c][cell] += weight * spread[k, c, i, j]
    return shares


def _winner(plane, i, j):
    """The largest of the 3 x 3 points around (2 i + 1, 2 j + 1), the first of equals."""
    window = [(y, x) for y in range(2 * i, 2 * i + 3) for x in range(2 * j, 2 * j + 3)]
    return max(window, key=lambda at: plane[at])


def _point(shape, box, at, grid, scale, released=False):
    """The cells that a grid point is made of, as ((y, x), weight)."""
    _, x1, y1, x2, y2 = box
    across = _neighbours(y1 * scale, y2 * scale, at[0], grid, shape[0], released)
    along = _neighbours(x1 * scale, x2 * scale, at[1], grid, shape[1], released)
    return [((y, x), v * w) for y, v in across for x, w in along]


def _neighbours(start, stop, k, grid, length, released):
    """The one or two cells of the map next to point k of an axis; none if it is outside."""
    bin_ = (stop - start + 1) / grid
    p = start + k * bin_
    if not 0 <= p < length:
        return []
    step = max(1, math.floor(bin_ + 0.5))
    left = min(math.floor(p), length - 2) if released else math.floor(p)
    far = (p - left) / step
    return [(cell, w) for cell, w in ((left, 1 - far), (left + step, far)) if cell < length]
