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

from trackerlib.ops.kernels.on_cpu import (
    compiled,
    inlined,
    narrowed,
    numbers,
    rise,
    share,
    widened,
)

__all__ = ["normalise", "normalise_and_pool", "normalise_gradient"]


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
    run = partial(kernel, *[*arrays, np.array((alpha, k, 1, 1.5 * alpha), real), *sizes])
    share(run, math.prod(out.shape[:-2]), arrays[0].size)


# What follows is Numba's Python, see `on_cpu`. Channels (C,) of one map cell stay in the fastest
# cache from step to step.


@inlined
def _windowed(products, size, sums):  # type: ignore[no-untyped-def]
    """Sum products (C + size - 1,) over windows of `size` channels, to sums (C,)."""
    p = products
    if size == 5:  # VGG-M's, in one pass
        for c in range(len(sums)):
            sums[c] = p[c] + p[c + 1] + p[c + 2] + p[c + 3] + p[c + 4]
        return
    for c in range(len(sums)):
        sums[c] = p[c]
    for shift in range(1, size):
        for c in range(len(sums)):
            sums[c] += p[c + shift]


@inlined
def _squares(cells, squares, size):  # type: ignore[no-untyped-def]
    """Square cells (C,), between the zeros at both ends of squares (C + size - 1,)."""
    for c in range(len(cells)):
        value = widened(cells[c])
        squares[size // 2 + c] = value * value


@inlined
def _divided(cells, sums, alpha, k, one, result):  # type: ignore[no-untyped-def]
    """Divide cells (C,) by (k + alpha * sums) ** 0.75."""
    for c in range(len(cells)):
        root = one / math.sqrt(k + alpha * sums[c])
        power = root * math.sqrt(root)  # y ** -0.75 = y ** -0.5 * y ** -0.25
        result[c] = widened(cells[c]) * power


@compiled
def _normalise_and_pool(x, out, constants, size, kernel, stride, first, last):  # type: ignore[no-untyped-def]
    """Make rows first to last of all images' rows; pooled rows of x are kept while needed."""
    alpha, k, one, _ = constants
    height, width, channels = out.shape[1:]
    row = np.empty(x.shape[2:], constants.dtype)
    rows = np.empty((kernel, width, channels), constants.dtype)
    squares = np.zeros(channels + size - 1, constants.dtype)
    sums, largest = np.empty_like(row[0]), np.empty_like(row[0])
    known = 0
    for job in range(first, last):
        image, top = job // height, stride * (job % height)
        known = top if job == first else max(known, top) if top else 0
        for y in range(known, top + kernel):
            for i in range(len(row)):
                _squares(x[image, y, i], squares, size)
                _windowed(squares, size, sums)
                _divided(x[image, y, i], sums, alpha, k, one, row[i])
            for j in range(width):
                _maximum(row[stride * j : stride * j + kernel], rows[y % kernel, j])
        known = top + kernel
        for j in range(width):
            _maximum(rows[:, j], largest)
            cells = out[image, job % height, j]
            for c in range(channels):
                cells[c] = narrowed(largest[c], cells[c])


@inlined
def _maximum(cells, result):  # type: ignore[no-untyped-def]
    """Find the largest of each column of cells (n, C)."""
    for c in range(len(result)):
        result[c] = cells[0, c]
    for i in range(1, cells.shape[0]):
        rise(result, cells[i])


@compiled
def _normalise_gradient(gradient, x, out, constants, size, first, last):  # type: ignore[no-untyped-def]
    """With y = k + alpha * (sum of squares) and the gradient g, the gradient by x is

    g * y ** -0.75 - 1.5 * alpha * x * (sum of x * g * y ** -1.75 over those in whose sum x is).
    """
    alpha, k, one, slope = constants
    channels = x.shape[2]
    squares = np.zeros(channels + size - 1, constants.dtype)
    mirrored, sums = np.zeros_like(squares), np.empty(channels, constants.dtype)
    powers = np.empty_like(sums)
    for r in range(first, last):
        for i in range(x.shape[1]):
            cells, given, result = x[r, i], gradient[r, i], out[r, i]
            _squares(cells, squares, size)
            _windowed(squares, size, sums)
            for c in range(channels):
                root = one / math.sqrt(k + alpha * sums[c])
                powers[c] = root * math.sqrt(root)
                both = widened(cells[c]) * widened(given[c])
                mirrored[(size - 1) // 2 + c] = both * powers[c] * root * root
            _windowed(mirrored, size, sums)
            for c in range(channels):
                rest = slope * widened(cells[c]) * sums[c]
                result[c] = narrowed(widened(given[c]) * powers[c] - rest, result[c])
