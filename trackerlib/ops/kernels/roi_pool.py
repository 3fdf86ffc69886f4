"""RoIPool on a GPU: one program per bin and block of channels, which walks the bin's cells."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackerlib.ops import rois as regions
from trackerlib.ops.kernels.roi_align import MAX_BLOCK, region, round_away

MAX_WHOLE = tl.constexpr(2.0**24)  # float32 holds all whole numbers up to here


@triton.jit
def whole(value):
    """Return the map cell nearest to a border, at most MAX_WHOLE away from the first."""
    return tl.minimum(tl.maximum(round_away(value), -MAX_WHOLE), MAX_WHOLE).to(tl.int64)


@triton.jit
def extent(start, end, index, bound, BINS: tl.constexpr):
    """Return the map cells of bin `index` along one axis: the first, and the one past the last."""
    first = whole(start)
    length = whole(end) - first + 1
    last = first + ((index + 1) * length + BINS - 1) // BINS  # rounded up
    first += index * length // BINS
    return tl.minimum(tl.maximum(first, 0), bound), tl.minimum(tl.maximum(last, 0), bound)


@triton.jit
def forward_kernel(
    rows, boxes, pooled, winners, scale, images, H, W, C,
    BINS_Y: tl.constexpr, BINS_X: tl.constexpr, KEEP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill pooled and winners (K, BINS_Y, BINS_X, C) from rows (N * H * W, C), boxes (K, 5)."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channels < C
    good, image, x1, y1, x2, y2 = region(boxes, bin // (BINS_Y * BINS_X), scale, images)
    top, bottom = extent(y1, y2, bin // BINS_X % BINS_Y, H, BINS_Y)
    left, right = extent(x1, x2, bin % BINS_X, W, BINS_X)
    best = tl.full((BLOCK,), -float("inf"), boxes.dtype.element_ty)
    # A winner is stored by its distance to the end of the batch, as the PyTorch body does;
    # the first cell wins where all are minus infinity.
    to_end = tl.zeros((BLOCK,), tl.int64) + ((images - image) * H - top) * W - left
    for y in range(top, bottom):
        for x in range(left, right):
            cell = (image * H + y) * W + x
            value = tl.load(rows + cell * C + channels, mask, other=0.0).to(best.dtype)
            better = (value > best) | (value != value)  # NaN beats every number
            best = tl.where(better, value, best)
            to_end = tl.where(better, images * H * W - cell, to_end)
    if (top >= bottom) | (left >= right):
        best, to_end = tl.zeros_like(best), tl.zeros_like(to_end)
    best, to_end = tl.where(good, best, float("nan")), tl.where(good, to_end, 0)
    tl.store(pooled + bin * C + channels, best.to(pooled.dtype.element_ty), mask)
    if KEEP:
        tl.store(winners + bin * C + channels, to_end.to(winners.dtype.element_ty), mask)


@triton.jit
def backward_kernel(grad, winners, total, cells, C, BLOCK: tl.constexpr):
    """Add each share of grad (K * h * w, C) to its winner's row of total (cells, C)."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channels < C
    share = tl.load(grad + bin * C + channels, mask, other=0.0).to(total.dtype.element_ty)
    to_end = tl.load(winners + bin * C + channels, mask, other=0.0).to(tl.int64)
    tl.atomic_add(total + (cells - to_end) * C + channels, share, mask & (to_end > 0))


def forward(
    input: Tensor, boxes: Tensor, output_size: Sequence[int], spatial_scale: float, keep: bool
) -> tuple[Tensor, Tensor]:
    """Return pooled bins (K, C, h, w) and, to keep for the gradient, their winners (K, h, w, C).

    input (N, C, H, W), boxes (K, 5), output_size h and w
    """
    N, C, H, W = input.shape
    height, width = output_size
    pooled = regions.empty_bins(input, boxes, output_size)
    shape = (len(boxes), height, width, C) if keep else (0, C)
    winners = input.new_empty(shape, dtype=regions.accumulator(input.dtype))
    boxes, scale = regions.for_kernel(input, boxes, spatial_scale)
    block = min(MAX_BLOCK, triton.next_power_of_2(C))
    with torch.cuda.device_of(input):
        forward_kernel[len(boxes) * height * width, triton.cdiv(C, block)](
            regions.as_rows(input), boxes, pooled, winners, scale,
            N, H, W, C, height, width, keep, block,
        )  # fmt: skip
    return pooled, winners


def backward(grad: Tensor, winners: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the gradient of a map of `shape`: grad (K, C, h, w), winners as `forward` keeps."""
    N, C, H, W = shape
    total = winners.new_zeros(N * H * W, C)
    block = min(MAX_BLOCK, triton.next_power_of_2(C))
    with torch.cuda.device_of(grad):
        backward_kernel[winners.numel() // C, triton.cdiv(C, block)](
            grad.permute(0, 2, 3, 1).contiguous(), winners, total, N * H * W, C, block
        )
    return total.view(N, H, W, C).permute(0, 3, 1, 2).to(grad.dtype)
