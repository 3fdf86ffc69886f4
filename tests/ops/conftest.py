"""Triton kernels where there is no GPU: interpreted to be checked, compiled to be sure they do."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType

import pytest
import torch
from compiling import compile_kernel
from peers import load_torchvision

from trackerlib.ops import bilinear

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel's file is imported


@pytest.fixture(scope="session")
def kernel_device() -> str:
    """Where Triton kernels run: a GPU, or the interpreter with tensors of the CPU."""
    pytest.importorskip("triton", reason="needs Triton, which is not installed")
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(params=["numba", "pytorch", "triton"])
def bilinear_by(request, monkeypatch) -> str:
    """What sums and compares map cells; PyTorch's operations stand in for Numba's kernels."""
    if request.param == "pytorch":
        monkeypatch.setattr(bilinear, "for_cpu", lambda *_: None)
    return request.param


@pytest.fixture(scope="session")
def torchvision_ops() -> ModuleType:
    """torchvision.ops, where it can be loaded."""
    return load_torchvision()


@pytest.fixture(scope="session")
def compiles() -> Iterator[Callable]:
    """Compile `module.name` for two generations of GPUs, none needed; fails with the compiler.

    In one other process for all kernels, whose files this one imports to interpret them.
    """
    pytest.importorskip("triton", reason="needs Triton, which is not installed")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        yield lambda *what: other.submit(compile_kernel, *what).result()
