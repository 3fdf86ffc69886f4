"""What kernels for a CPU share: Numba compiles them, PyTorch's threads share the work.

Numbers of bfloat16, which Numba does not know, come as the int16 of their bits. What is
compiled is kept on disk for the next process.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

__all__ = ["compiled", "inlined", "narrow", "numbers", "rise", "share", "widen"]

SHARED = 2**16  # numbers for which a second thread is worth its call
# Sums may be taken in another order, but NaN and infinity are what they are.
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}

# Part of those that call it: it is neither compiled nor optimised twice.
inlined = numba.njit(inline="always")


def compiled(function: Callable[..., Any]) -> Any:
    """Compile when it is first called; in memory alone if there is no place to keep files."""
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


def numbers(x: Tensor) -> np.ndarray:
    """Return the numbers of a tensor, of bfloat16 the bits; they lie in memory row by row."""
    x = x.detach().contiguous()
    return (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()


def share(run: Callable[[int, int], None], count: int, size: int) -> None:
    """Call run(first, last) on parts of range(count), one for each of PyTorch's threads.

    size  of the work, in numbers; little is not shared
    """
    threads = min(count, torch.get_num_threads()) if size > SHARED else 1
    if threads <= 1:
        run(0, count)
        return
    edges = [count * part // threads for part in range(threads + 1)]
    list(_threads(threads).map(run, edges, edges[1:]))


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "kernels")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # it has none of its parent's threads


# What follows is Numba's Python: loops that become machine code, for float32, float64 and bits.
# A first call waits for it, so that loops stand where `copy[:] = cells` would take two seconds.


@inlined
def widen(cells, wide):  # type: ignore[no-untyped-def]
    """Copy numbers (n, C), bits of bfloat16 to float32."""
    if cells.itemsize == 2:
        bits = wide.view(np.int32)
        for i in range(cells.shape[0]):
            for c in range(cells.shape[1]):
                bits[i, c] = np.int32(cells[i, c]) << np.int32(16)
    else:
        _copy(cells, wide)


@inlined
def narrow(wide, cells):  # type: ignore[no-untyped-def]
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


@inlined
def _copy(cells, copy):  # type: ignore[no-untyped-def]
    for i in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            copy[i, c] = cells[i, c]


@inlined
def rise(result, values):  # type: ignore[no-untyped-def]
    """Raise `result` (C,) to those of values (C,) that are larger; NaN is larger than all."""
    for c in range(len(result)):
        value = values[c]
        result[c] = value if value > result[c] or value != value else result[c]
