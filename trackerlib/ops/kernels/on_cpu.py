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
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

__all__ = ["compiled", "inlined", "narrowed", "numbers", "rise", "share", "widened"]

WORD = ir.IntType(32)

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


# What follows is Numba's Python, for float32, float64 and bits of bfloat16. A first call waits
# for its compilation: loops stand where `copy[:] = cells` would take two seconds.


@intrinsic
def widened(context: Any, cell: types.Number) -> Any:
    """Return a number as it is, bits of bfloat16 as float32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        if cell != types.int16:
            return value
        bits = builder.shl(builder.zext(value, WORD), WORD(16))
        return builder.bitcast(bits, ir.FloatType())

    return (types.float32 if cell == types.int16 else cell)(cell), code


@intrinsic
def narrowed(context: Any, value: types.Number, cell: types.Number) -> Any:
    """Return a number as it is, or, for cells of bits, those of the nearest bfloat16.

    Of two that are as near, it is the even one.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if cell != types.int16:
            return arguments[0]
        bits = builder.bitcast(arguments[0], WORD)
        is_odd = builder.and_(builder.lshr(bits, WORD(16)), WORD(1))
        rounded = builder.add(bits, builder.add(is_odd, WORD(0x7FFF)))
        return builder.trunc(builder.lshr(rounded, WORD(16)), ir.IntType(16))

    return (types.int16 if cell == types.int16 else value)(value, cell), code


@inlined
def rise(result, values):  # type: ignore[no-untyped-def]
    """Raise `result` (C,) to those of values (C,) that are larger; NaN is larger than all."""
    for c in range(len(result)):
        value = values[c]
        result[c] = value if value > result[c] or value != value else result[c]
