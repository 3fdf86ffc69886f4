"""Compiled kernels, imported by the first tensor that needs one: Triton's for GPUs, Numba's."""

import warnings
from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

TYPES = (torch.float32, torch.float64, torch.bfloat16)  # that Numba's know


def for_cpu(name: str, x: Tensor) -> ModuleType | None:
    """Return the module of Numba's kernels of this name, or None where a tensor is not for them.

    That is on a GPU, in a graph that another compiler makes, and where Numba does not load,
    which a warning says once.
    """
    is_plain = x.device.type == "cpu" and not torch.compiler.is_compiling()
    fits = is_plain and x.dtype in TYPES and _numba_loads()
    return import_module(f"trackerlib.ops.kernels.{name}") if fits else None


@cache
def _numba_loads() -> bool:
    try:
        import trackerlib.ops.kernels.on_cpu  # noqa: F401
    except ImportError as error:
        warnings.warn(
            f"trackerlib.ops: Numba does not load, so normalisation and pooling take up to four "
            f"times as long ({error}); pip install numba",
            stacklevel=5,
        )
        return False
    return True
