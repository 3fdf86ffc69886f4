"""Local response normalisation on a CPU in one pass over its numbers, compiled by Numba.

PyTorch makes a pass over memory for every step of the formula, and there are ten: four times
as long in all, and longer than VGG-M's convolutions. Maps are channels-last; numbers of bfloat16
come as the int16 of their bits. What is compiled is kept on disk for the next process.
"""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

__all__ = ["normalise", "normalise_and_pool", "normalise_gradient"]

SHARED = 2**16  # numbers for which a second thread is worth its call
# Sums may be taken in another order, but NaN and infinity are what they are.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}


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
    cells = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    return (cells.view(torch.int16) if x.dtype == torch.bfloat16 else cells).numpy()


def _rows(x: Tensor) -> np.ndarray:
    """Return the same as (N * H, W, C)."""
    maps = _maps(x)
    return maps.reshape(-1, *maps.shape[2:])


def _over_rows(
    kernel: Callable[..., None], arrays: list[np.ndarray], alpha: float, k: float, *sizes: int
) -> None:
    """Call a kernel on ranges of the rows of its last array, one for each of PyTorch's threads."""
    *_, out = arrays
    real = np.float64 if out.dtype == np.float64 else np.float32
    run = partial(kernel, *[*arrays, np.array((alpha, k, 1), real), *sizes])
    rows = math.prod(out.shape[:-2])
    threads = min(rows, torch.get_num_threads()) if arrays[0].size > SHARED else 1
    if threads <= 1:
        run(0, rows)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    list(_threads(threads).map(run, edges, edges[1:]))


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "kernels")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # it has none of its parent's threads


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile when it is first called; in memory alone if there is no place to keep files."""
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


# Part of those that call it: it is neither compiled nor optimised twice.
_inlined = numba.njit(inline="always")


# What follows is Numba's Python: loops that become machine code, for float32, float64 and bits.
# A first call waits for it, so that loops stand where `copy[:] = cells` would take two seconds.


@_inlined
def _widen(cells, wide):  # type: ignore[no-untyped-def]
    """Copy numbers (n, C), bits of bfloat16 to float32."""
    if cells.itemsize == 2:
        bits = wide.view(np.int32)
        for i in range(cells.shape[0]):
            for c in range(cells.shape[1]):
                bits[i, c] = np.int32(cells[i, c]) << np.int32(16)
    else:
        _copy(cells, wide)


@_inlined
def _narrow(wide, cells):  # type: ignore[no-untyped-def]
    """Copy them back, float32 to bits of the nearest bfloat16; of two, to the even one."""
    if cells.itemsize == 2:
        bits = wide.view(np.uint32)
        for i in range(cells.shape[0]):
            for c in range(cells.shape[1]):
                odd = np.uint32(np.uint32(bits[i, c] >> np.uint32(16)) & np.uint32(1))
                rounded = np.uint32(bits[i, c] + np.uint32(odd + np.uint32(0x7FFF)))
                cells[i, c] = np.int16(np.uint32(rounded >> np.uint32(16)))
    else:
        _copy(wide, cells)


@_inlined
def _copy(cells, copy):  # type: ignore[no-untyped-def]
    """Copy numbers (n, C)."""
    for i in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            copy[i, c] = cells[i, c]


@_inlined
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


@_inlined
def _normalise_cells(cells, numbers, size, padded, sums):  # type: ignore[no-untyped-def]
    """Normalise numbers (n, C) in place."""
    alpha, k, one = numbers
    width = cells.shape[1] + size - 1
    _windowed(cells, cells, size // 2, size, padded, sums)
    for i in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            root = one / math.sqrt(k + alpha * sums[i * width + c])
            cells[i, c] *= root * math.sqrt(root)  # y ** -0.75 = y ** -0.5 * y ** -0.25


@_compiled
def _normalise_and_pool(x, out, numbers, size, kernel, stride, first, last):  # type: ignore[no-untyped-def]
    """Make rows first to last of all images' rows; pooled rows of x are kept while needed."""
    height, width, channels = out.shape[1:]
    row = np.empty(x.shape[2:], numbers.dtype)
    rows = np.empty((kernel, width, channels), numbers.dtype)
    largest = np.empty((width, channels), numbers.dtype)
    padded = np.zeros(x.shape[2] * (channels + size - 1), numbers.dtype)
    sums = np.empty_like(padded)
    known = 0
    for job in range(first, last):
        image, top = job // height, stride * (job % height)
        known = top if job == first else max(known, top) if top else 0
        for y in range(known, top + kernel):
            _widen(x[image, y], row)
            _normalise_cells(row, numbers, size, padded, sums)
            for j in range(width):
                _maximum(row[stride * j : stride * j + kernel], rows[y % kernel, j])
        known = top + kernel
        for j in range(width):
            _maximum(rows[:, j], largest[j])
        _narrow(largest, out[image, job % height])


@_inlined
def _maximum(cells, result):  # type: ignore[no-untyped-def]
    """Find the largest of each column of cells (n, C), n > 0; NaN is larger than all."""
    for c in range(len(result)):
        result[c] = cells[0, c]
    for i in range(1, cells.shape[0]):
        for c in range(len(result)):
            value = cells[i, c]
            result[c] = value if value > result[c] or value != value else result[c]


@_compiled
def _normalise_gradient(gradient, x, out, numbers, size, first, last):  # type: ignore[no-untyped-def]
    """With y = k + alpha * (sum of squares) and the gradient g, the gradient by x is

    g * y ** -0.75 - 1.5 * alpha * x * (sum of x * g * y ** -1.75 over those in whose sum x is).
    """
    alpha, k, one = numbers
    count, channels = x.shape[1:]
    width, slope = channels + size - 1, alpha + alpha / 2
    row = np.empty((count, channels), numbers.dtype)
    given, scaled = np.empty_like(row), np.empty_like(row)
    padded = np.zeros(count * width, numbers.dtype)
    mirrored, sums = np.zeros_like(padded), np.empty_like(padded)
    for r in range(first, last):
        _widen(x[r], row)
        _widen(gradient[r], given)
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
        _narrow(given, out[r])
