"""Triton's compiler, in a process that does not interpret."""

import importlib
import os


def compile_kernel(module: str, name: str, signature: dict[str, str], constants: dict) -> None:
    """Compile `module.name` for two generations of GPUs, none needed."""
    os.environ.pop("TRITON_INTERPRET", None)  # before a kernel's file is imported
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(importlib.import_module(f"trackerlib.ops.kernels.{module}"), name)
    signature = signature | dict.fromkeys(constants, "constexpr")
    for capability in (80, 90):
        source = ASTSource(kernel, signature=signature, constexprs=constants)
        assert compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]
