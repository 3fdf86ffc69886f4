"""Local response normalisation, and the max-pooling that follows it.

[1] Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
    networks. NeurIPS 2012, section 3.3.
"""

from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d

from trackerlib.ops.kernels import for_cpu


def response_norm(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Normalise local responses (N, C, H, W): x / (k + alpha * sum of squares) ** 0.75.

    The sum is over `size` channels around each, the longer half before it. On a CPU that has
    Numba it is one pass, whose result is stored channels-last.

    Source: [1].
    """
    kernels = _kernels(x)
    if kernels is None:
        return composed(x, size, alpha, k)
    if torch.is_grad_enabled() and x.requires_grad:
        return _WithGradient.apply(x, size, alpha, k)
    return kernels.normalise(x, size, alpha, k)


def pooled_response_norm(
    x: Tensor, size: int, alpha: float, k: float, kernel: int, stride: int
) -> Tensor:
    """Return max_pool2d(response_norm(x, size, alpha, k), kernel, stride).

    Without gradients, and as there, it is one pass too.
    """
    kernels = None if torch.is_grad_enabled() and x.requires_grad else _kernels(x)
    if kernels is not None:
        return kernels.normalise_and_pool(x, size, alpha, k, kernel, stride)
    return max_pool2d(response_norm(x, size, alpha, k), kernel, stride)


def composed(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return `response_norm` of PyTorch's own operations, on any device and for any compiler."""
    before, after = (torch.zeros_like(x[:, :n]) for n in (size // 2, (size - 1) // 2))
    squares = torch.cat((before, x.square(), after), dim=1)
    # 7 channels and a size of 5: squares has 2 + 7 + 2, and each shift takes 7 of them.
    shifted = (squares[:, shift : shift + x.shape[1]] for shift in range(size))
    root = (alpha * reduce(torch.add, shifted) + k).rsqrt()
    return x * (root / root.rsqrt())  # y ** -0.75 = y ** -0.5 / (y ** -0.5) ** -0.5


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *numbers: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.numbers = numbers
        return _kernels(x).normalise(x, *numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        return _kernels(x).normalise_gradient(gradient, x, *ctx.numbers), None, None, None


def _kernels(x: Tensor) -> Any:
    return for_cpu("response_norm", x)
