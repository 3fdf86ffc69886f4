"""Triton kernels where there is no GPU: interpreted to be checked, compiled to be sure they do."""

import os
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from peers import load_torchvision

from trackerlib.ops import bilinear

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel's file is imported

COMPILE = """
import importlib, sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

module, name, signature, constants = sys.argv[1], sys.argv[2], eval(sys.argv[3]), eval(sys.argv[4])
kernel = getattr(importlib.import_module(f"trackerlib.ops.kernels.{module}"), name)
signature |= dict.fromkeys(constants, "constexpr")
for capability in (80, 90):
    source = ASTSource(kernel, signature=signature, constexprs=constants)
    assert triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]
"""


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
def compiles():
    """Compile `module.name` for two generations of GPUs, none needed; fails with the compiler."""
    pytest.importorskip("triton", reason="needs Triton, which is not installed")

    def check(module: str, name: str, signature: dict[str, str], constants: dict) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
        command = [sys.executable, "-c", COMPILE, module, name, str(signature), str(constants)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return check
