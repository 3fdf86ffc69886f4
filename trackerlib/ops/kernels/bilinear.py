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
    inputs = [numbers(x) for x in (rows, cells.flatten(1, 2), weights.flatten(1, 2))]
    outputs = [None if x is None else numbers(x.flatten(1, 2)) for x in (maxima, winners)]
    # Points and maxima in a row, then rows and columns of each.
    sides = cells.shape[2], maxima.shape[2], window[0], window[1], stride[0], stride[1]
    run = partial(_max_weighted_sum, *(inputs + outputs), sides)
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
    tables = (grad, winners, cells, weights.to(grad.dtype))
    arrays = [numbers(x.flatten(1, 2)) for x in tables]
    # Of several boxes that share a cell, one thread adds in their order: each has some channels.
    run = partial(_scatter_add_max, *arrays, numbers(total))
    share(run, grad.shape[-1], cells.numel() * grad.shape[-1])
    return total


# What follows is Numba's Python, see `on_cpu`. Points and maxima of a box are numbered row by row.


@compiled
def _max_weighted_sum(rows, cells, weights, maxima, winners, sides, first, last):  # type: ignore[no-untyped-def]
    width, across, _, _, down, right = sides
    points = np.empty((cells.shape[1], rows.shape[1]), weights.dtype)
    largest = np.empty(rows.shape[1], weights.dtype)
    for box in range(first, last):
        for point in range(len(points)):
            _sum(rows, cells[box, point], weights[box, point], points[point])
        for n in range(maxima.shape[1]):
            start = n // across * down * width + n % across * right
            if winners is None:
                _largest(points, start, sides, largest)
            else:
                _largest_and_first(points, start, sides, largest, winners[box, n])
            _store(largest, maxima[box, n])


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
def _largest(points, start, sides, result):  # type: ignore[no-untyped-def]
    """Find the largest of a window of points (P, C) in each channel."""
    for c in range(len(result)):
        result[c] = -np.inf
    for y in range(sides[2]):
        for x in range(sides[3]):
            rise(result, points[start + y * sides[0] + x])


@inlined
def _largest_and_first(points, start, sides, result, winners):  # type: ignore[no-untyped-def]
    """Find the same, and which point is the first that has it; of NaN the last, as in PyTorch."""
    for c in range(len(result)):
        result[c] = -np.inf
        winners[c] = start
    for n in range(sides[2] * sides[3]):
        number = start + n // sides[3] * sides[0] + n % sides[3]
        point = points[number]
        for c in range(len(result)):
            larger = point[c] > result[c] or point[c] != point[c]
            winners[c] = number if larger else winners[c]
        rise(result, point)


@inlined
def _store(values, cells):  # type: ignore[no-untyped-def]
    """Write numbers (C,) to cells, of which bits are kept if they are bits."""
    for c in range(len(values)):
        cells[c] = narrowed(values[c], cells[c])


@compiled
def _scatter_add_max(grad, winners, cells, weights, total, first, last):  # type: ignore[no-untyped-def]
    points = np.empty((cells.shape[1], last - first), total.dtype)
    for box in range(len(cells)):
        for point in range(len(points)):
            for c in range(last - first):
                points[point, c] = 0
        for n in range(grad.shape[1]):
            _to_points(grad[box, n, first:last], winners[box, n, first:last], points)
        for point in range(len(points)):
            _to_cells(points[point], cells[box, point], weights[box, point], total, first, last)


@inlined
def _to_points(grad, winners, points):  # type: ignore[no-untyped-def]
    """Give the gradient of a maximum (C,) to the points that it is of."""
    for c in range(len(grad)):
        points[winners[c], c] += grad[c]


@inlined
def _to_cells(point, cells, weights, total, first, last):  # type: ignore[no-untyped-def]
    """Give a point's gradient to the cells that it was summed from, in some channels."""
    for t in range(len(cells)):
        cell, weight = total[cells[t], first:last], weights[t]
        for c in range(len(point)):
            cell[c] += weight * point[c]
