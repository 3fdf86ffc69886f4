"""Local response normalisation, and the max-pooling that follows it.

[1] Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
    networks. NeurIPS 2012, section 3.3.
"""

from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

CHUNK = 2**20  # numbers normalised at a time: few calls, and still in the cache
BAND = 2**22  # numbers normalised before they are pooled


def response_norm(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Normalise local responses (N, C, H, W): x / (k + alpha * sum of squares) ** 0.75.

    The sum is over `size` channels around each, the longer half before it. On a CPU and
    without gradients, the result is stored channels-last.

    Source: [1].
    """
    if _in_parts(x):
        return _normalise(x, size, alpha, k).to(x.dtype)
    before, after = (torch.zeros_like(x[:, :n]) for n in (size // 2, (size - 1) // 2))
    squares = torch.cat((before, x.square(), after), dim=1)
    # 7 channels and a size of 5: squares has 2 + 7 + 2, and each shift takes 7 of them.
    shifted = (squares[:, shift : shift + x.shape[1]] for shift in range(size))
    root = (alpha * reduce(torch.add, shifted) + k).rsqrt()
    return x * (root / root.rsqrt())


def pooled_response_norm(
    x: Tensor, size: int, alpha: float, k: float, kernel: int, stride: int
) -> Tensor:
    """Return max_pool2d(response_norm(x, size, alpha, k), kernel, stride).

    On a CPU and without gradients, in bands of rows that stay in the cache between the two.
    """
    if not _in_parts(x):
        return max_pool2d(response_norm(x, size, alpha, k), kernel, stride)
    N, C, H, W = x.shape
    height, width = ((side - kernel) // stride + 1 for side in (H, W))
    pooled = torch.empty((N, C, height, width), dtype=x.dtype, memory_format=torch.channels_last)
    few = max(1, BAND // (C * H * W))  # images, if they are small
    band = max(1, BAND // (few * stride * C * W))
    for images, out in zip(x.split(few), pooled.split(few), strict=True):
        for top in range(0, height, band):
            rows = out[:, :, top : top + band]
            first = stride * top
            last = first + stride * (rows.shape[2] - 1) + kernel
            normalised = response_norm(images[:, :, first:last], size, alpha, k)
            rows.copy_(max_pool2d(normalised, kernel, stride))
    return pooled


def _in_parts(x: Tensor) -> bool:
    """Whether to work in parts: nothing is recorded for a gradient, and no compiler fuses."""
    recorded = torch.is_grad_enabled() and x.requires_grad
    return not (x.is_cuda or recorded or torch.compiler.is_compiling())


def _normalise(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return `response_norm`, at least float32, in parts that stay in the processor's cache.

    The squares of a part lie in one row of memory, with size - 1 numbers between two cells,
    so that a shift by a channel is one by a number: 3 channels and a size of 3 are
    . a b c . . d e f . and the sums a-b, a-b-c, b-c, nothing, d-e, d-e-f, e-f. What lies
    between adds its share of k as each square does. Powers are made of rsqrt, since PyTorch
    leaves sqrt to a library that is ten times slower on some processors.
    """
    N, channels, H, W = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(-1, channels)
    normalised = torch.empty_like(cells, dtype=torch.promote_types(x.dtype, torch.float32))
    count, width = min(max(1, CHUNK // channels), len(cells)), channels + size - 1
    share = torch.full((1,), k / size, dtype=normalised.dtype)
    squares = share.repeat(count * width + size - 1)
    inside = squares[: count * width].view(count, width)[:, size // 2 : size // 2 + channels]
    for part, out in zip(cells.split(count), normalised.split(count), strict=True):
        part = part.to(out.dtype)
        torch.addcmul(share, part, part, value=alpha, out=inside[: len(part)])
        root = squares.as_strided((size, len(part) * width), (1, 1)).sum(0).rsqrt_()
        root /= root.rsqrt()  # y ** -0.75 = y ** -0.5 / (y ** -0.5) ** -0.5
        torch.mul(part, root.view(-1, width)[:, :channels], out=out)
    return normalised.view(N, H, W, channels).permute(0, 3, 1, 2)
