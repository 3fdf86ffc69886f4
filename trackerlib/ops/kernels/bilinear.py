"""Maxima of weighted sums of map cells on a CPU, and their gradient, compiled by Numba.

A box's points stay in the cache until their maxima are found; `embedding_bag` and max-pooling,
which they are made of in PyTorch, take three to five times as long, and their gradients twice.
"""

from functools import partial

import numpy as np
from torch import Tensor

from trackerlib.ops.kernels.on_cpu import (
    compiled,
    inlined,
    narrowed,
    numbers,
    rise,
    share,
    widened,
)

__all__ = ["max_weighted_sum", "scatter_add_max"]

Pair = tuple[int, int]


def max_weighted_sum(
    rows: Tensor,
    cells: Tensor,
    weights: Tensor,
    window: Pair,
    stride: Pair,
    maxima: Tensor,
    winners: Tensor | None,
) -> None:
    """Fill maxima (K, H, W, C), and winners likewise, as `ops.bilinear.max_weighted_sum`.

    rows            (cells, C)
    cells, weights  (K, h, w, T), as `ops.bilinear.Neighbours`
    """
    inputs = [numbers(x) for x in (rows, cells, weights)]
    outputs = [numbers(maxima), None if winners is None else numbers(winners)]
    run = partial(_max_weighted_sum, *inputs, *outputs, *window, *stride)
    share(run, len(cells), cells.numel() * rows.shape[1])


def scatter_add_max(
    grad: Tensor,
    winners: Tensor,
    cells: Tensor,
    weights: Tensor,
    count: int,
) -> Tensor:
    """Return the gradient (count, C) of `max_weighted_sum`, from that of the maxima."""
    total = grad.new_zeros(count, grad.shape[-1])
    arrays = [numbers(x) for x in (grad, winners, cells, weights.to(grad.dtype), total)]
    # Of several boxes that share a cell, one thread adds in their order: each has some channels.
    share(partial(_scatter_add_max, *arrays), grad.shape[-1], cells.numel() * grad.shape[-1])
    return total


# What follows is Numba's Python, see `on_cpu`.


@compiled
def _max_weighted_sum(  # type: ignore[no-untyped-def]
    rows, cells, weights, maxima, winners, height, width, down, right, first, last
):
    h, w = cells.shape[1:3]
    H, W, C = maxima.shape[1:]
    points = np.empty((h * w, C), weights.dtype)
    largest = np.empty(C, weights.dtype)
    for box in range(first, last):
        for y in range(h):
            for x in range(w):
                _sum(rows, cells[box, y, x], weights[box, y, x], points[y * w + x])
        for i in range(H):
            for j in range(W):
                start = i * down * w + j * right
                for c in range(C):
                    largest[c] = -np.inf
                    if winners is not None:
                        winners[box, i, j, c] = start
                for y in range(height):
                    for x in range(width):
                        number = start + y * w + x
                        if winners is not None:
                            _note(number, points[number], largest, winners[box, i, j])
                        rise(largest, points[number])
                found = maxima[box, i, j]
                for c in range(C):
                    found[c] = narrowed(largest[c], found[c])


@inlined
def _sum(rows, cells, weights, result):  # type: ignore[no-untyped-def]
    """Add up rows (cells, C) by their weights; there are four for each sample."""
    for t in range(0, len(cells), 4):
        a, b, c, d = rows[cells[t]], rows[cells[t + 1]], rows[cells[t + 2]], rows[cells[t + 3]]
        p, q, r, s = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        if t == 0:
            for i in range(len(result)):
                result[i] = p * widened(a[i]) + q * widened(b[i])
                result[i] += r * widened(c[i]) + s * widened(d[i])
        else:
            for i in range(len(result)):
                result[i] += p * widened(a[i]) + q * widened(b[i])
                result[i] += r * widened(c[i]) + s * widened(d[i])


@inlined
def _note(number, point, largest, winners):  # type: ignore[no-untyped-def]
    """Write the number of a point (C,) where it is larger than what was the largest."""
    for c in range(len(point)):
        larger = point[c] > largest[c] or point[c] != point[c]
        winners[c] = number if larger else winners[c]


@compiled
def _scatter_add_max(grad, winners, cells, weights, total, first, last):  # type: ignore[no-untyped-def]
    h, w, count = cells.shape[1:]
    points = np.zeros((h * w, last - first), total.dtype)
    for box in range(len(cells)):
        points[:] = 0
        for i in range(grad.shape[1]):
            for j in range(grad.shape[2]):
                for c in range(first, last):
                    points[winners[box, i, j, c], c - first] += grad[box, i, j, c]
        for y in range(h):
            for x in range(w):
                point = points[y * w + x]
                for t in range(count):
                    cell, weight = total[cells[box, y, x, t], first:last], weights[box, y, x, t]
                    for c in range(len(point)):
                        cell[c] += weight * point[c]
