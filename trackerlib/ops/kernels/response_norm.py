"""Local response normalisation on a CPU in one pass over its numbers, compiled by Numba.

PyTorch makes a pass over memory for every step of the formula, and there are ten: four times
as long in all, and longer than VGG-M's convolutions. Maps are channels-last; numbers of bfloat16
come as the int16 of their bits. What is compiled is kept on disk for the next process.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib.ops.kernels.on_cpu import compiled, inlined, narrow, numbers, rise, share, widen

__all__ = ["normalise", "normalise_and_pool", "normalise_gradient"]

BLOCK = 8  # cells whose numbers stay in the fastest cache from step to step


def normalise(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return x / (k + alpha * sum of squares over `size` channels) ** 0.75 of x (N, C, H, W)."""
    return normalise_and_pool(x, size, alpha, k, kernel=1, stride=1)


def normalise_gradient(gradient: Tensor, x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return the gradient by x, from that by what `normalise` returns of it."""
    out = torch.empty_like(x, memory_format=torch.channels_last)
    arrays = [_rows(tensor) for tensor in (gradient.to(x.dtype), x, out)]
    _over_rows(_normalise_gradient, arrays, alpha, k, size)
    return out


def normalise_and_pool(
    x: Tensor, size: int, alpha: float, k: float, kernel: int, stride: int
) -> Tensor:
    """Return what max-pooling makes of `normalise`, (N, C, h, w)."""
    height, width = ((side - kernel) // stride + 1 for side in x.shape[2:])
    out = torch.empty(
        (*x.shape[:2], height, width), dtype=x.dtype, memory_format=torch.channels_last
    )
    _over_rows(_normalise_and_pool, [_maps(x), _maps(out)], alpha, k, size, kernel, stride)
    return out


def _maps(x: Tensor) -> np.ndarray:
    """Return the numbers of a map as (N, H, W, C), a view if it is channels-last."""
    return numbers(x.permute(0, 2, 3, 1))


def _rows(x: Tensor) -> np.ndarray:
    """Return the same as (N * H, W, C)."""
    maps = _maps(x)
    return maps.reshape(-1, *maps.shape[2:])


def _over_rows(
    kernel: Callable[..., None], arrays: list[np.ndarray], alpha: float, k: float, *sizes: int
) -> None:
    """Call a kernel on ranges of the rows of its last array."""
    *_, out = arrays
    real = np.float64 if out.dtype == np.float64 else np.float32
    run = partial(kernel, *[*arrays, np.array((alpha, k, 1), real), *sizes])
    share(run, math.prod(out.shape[:-2]), arrays[0].size)


# What follows is Numba's Python, see `on_cpu`.


@inlined
def _windowed(values, factors, before, size, padded, sums):  # type: ignore[no-untyped-def]
    """Sum products of two (n, C) over windows of `size` channels, `before` of them before each.

    padded  (n * (C + size - 1),): the products as they lie in memory, with zeros between two
            cells, so that a shift by a channel is one by a number
    sums    as many; of each C + size - 1, the first C are the result
    """
    count, channels = values.shape
    width = channels + size - 1
    for i in range(count):
        for c in range(channels):
            padded[i * width + c + before] = values[i, c] * factors[i, c]
    inside = count * width - size + 1
    for i in range(inside):
        sums[i] = padded[i]
    for shift in range(1, size):
        for i in range(inside):
            sums[i] += padded[i + shift]


@inlined
def _normalise_cells(cells, constants, size, padded, sums):  # type: ignore[no-untyped-def]
    """Normalise numbers (n, C) in place."""
    alpha, k, one = constants
    width = cells.shape[1] + size - 1
    _windowed(cells, cells, size // 2, size, padded, sums)
    for i in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            root = one / math.sqrt(k + alpha * sums[i * width + c])
            cells[i, c] *= root * math.sqrt(root)  # y ** -0.75 = y ** -0.5 * y ** -0.25


@compiled
def _normalise_and_pool(x, out, constants, size, kernel, stride, first, last):  # type: ignore[no-untyped-def]
    """Make rows first to last of all images' rows; pooled rows of x are kept while needed."""
    height, width, channels = out.shape[1:]
    row = np.empty(x.shape[2:], constants.dtype)
    rows = np.empty((kernel, width, channels), constants.dtype)
    largest = np.empty((width, channels), constants.dtype)
    padded = np.zeros(BLOCK * (channels + size - 1), constants.dtype)
    sums = np.empty_like(padded)
    known = 0
    for job in range(first, last):
        image, top = job // height, stride * (job % height)
        known = top if job == first else max(known, top) if top else 0
        for y in range(known, top + kernel):
            widen(x[image, y], row)
            for start in range(0, len(row), BLOCK):
                _normalise_cells(row[start : start + BLOCK], constants, size, padded, sums)
            for j in range(width):
                _maximum(row[stride * j : stride * j + kernel], rows[y % kernel, j])
        known = top + kernel
        for j in range(width):
            _maximum(rows[:, j], largest[j])
        narrow(largest, out[image, job % height])


@inlined
def _maximum(cells, result):  # type: ignore[no-untyped-def]
    """Find the largest of each column of cells (n, C)."""
    for c in range(len(result)):
        result[c] = -np.inf
    for i in range(cells.shape[0]):
        rise(result, cells[i])


@compiled
def _normalise_gradient(gradient, x, out, constants, size, first, last):  # type: ignore[no-untyped-def]
    """With y = k + alpha * (sum of squares) and the gradient g, the gradient by x is

    g * y ** -0.75 - 1.5 * alpha * x * (sum of x * g * y ** -1.75 over those in whose sum x is).
    """
    alpha, k, one = constants
    count, channels = x.shape[1:]
    width, slope = channels + size - 1, alpha + alpha / 2
    row = np.empty((count, channels), constants.dtype)
    given, scaled = np.empty_like(row), np.empty_like(row)
    padded = np.zeros(count * width, constants.dtype)
    mirrored, sums = np.zeros_like(padded), np.empty_like(padded)
    for r in range(first, last):
        widen(x[r], row)
        widen(gradient[r], given)
        _windowed(row, row, size // 2, size, padded, sums)
        for i in range(count):
            for c in range(channels):
                root = one / math.sqrt(k + alpha * sums[i * width + c])
                given[i, c] *= root * math.sqrt(root)
                scaled[i, c] = given[i, c] * root * root
        _windowed(row, scaled, (size - 1) // 2, size, mirrored, sums)
        for i in range(count):
            for c in range(channels):
                given[i, c] -= slope * row[i, c] * sums[i * width + c]
        narrow(given, out[r])
