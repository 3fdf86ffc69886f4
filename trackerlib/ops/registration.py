"""How a function becomes an operator of PyTorch, known to autograd, torch.compile, TorchScript.

Not by `torch.library.custom_op`, whose first call imports all of torch.compile: seconds that
every tracker's first frame would pay.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import torch

Body = TypeVar("Body", bound=Callable)


def operator(name: str, *, has_gradient: bool = False) -> Callable[[Body], Body]:
    """Register a function as the operator `torch.ops.trackerlib.NAME`, on every device.

    Its annotations are the operator's schema; it must not change its arguments nor return one.
    Kernels, `register_fake` and `register_autograd` of torch.library go by "trackerlib::NAME".

    has_gradient  `register_autograd` follows; otherwise a backward pass that reaches the
                  operator raises RuntimeError
    """

    def refuse(ctx: Any, *grads: Any) -> NoReturn:
        raise RuntimeError(
            f"trackerlib::{name}: expected no backward pass through it, got one, and it has no "
            "gradient; detach its inputs, or leave create_graph out of the first backward pass"
        )

    def register(body: Body) -> Body:
        qualified = f"trackerlib::{name}"
        torch.library.define(qualified, torch.library.infer_schema(body, mutates_args=()))
        torch.library.impl(qualified, "default", body)
        if not has_gradient:  # without any, autograd would record what the body does
            torch.library.register_autograd(qualified, refuse)
        return body

    return register
