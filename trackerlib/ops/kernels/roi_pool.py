"""RoIPool on a GPU: one program per bin and block of channels, which walks the bin's cells."""

import torch
import triton
import triton.language as tl

from trackerlib.ops import rois as regions
from trackerlib.ops.kernels.roi_align import region, round_away

FAR = tl.constexpr(2.0**24)  # cells: the last whole numbers of float32


@triton.jit
def whole(value):
    """The cell nearest to a border; far ones as far as FAR."""
    return tl.minimum(tl.maximum(round_away(value), -FAR), FAR).to(tl.int64)


@triton.jit
def extent(start, end, index, bound, SIDE: tl.constexpr):
    """Cells of the index-th bin along one axis: from the first to before the last."""
    first = whole(start)
    length = whole(end) - first + 1
    last = first + ((index + 1) * length + SIDE - 1) // SIDE
    first += index * length // SIDE
    return tl.minimum(tl.maximum(first, 0), bound), tl.minimum(tl.maximum(last, 0), bound)


@triton.jit
def forward_kernel(
    rows, rois, pooled, winners, scale, images, H, W, C,
    SIDE: tl.constexpr, KEEP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """rows (N * H * W, C), rois (K, 5) -> pooled and winners (K, SIDE, SIDE, C)."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channels < C
    good, image, x1, y1, x2, y2 = region(rois, bin // (SIDE * SIDE), scale, images)
    top, bottom = extent(y1, y2, bin // SIDE % SIDE, H, SIDE)
    left, right = extent(x1, x2, bin % SIDE, W, SIDE)
    best = tl.full((BLOCK,), -float("inf"), rois.dtype.element_ty)
    to_end = tl.zeros((BLOCK,), tl.int64) + ((images - image) * H - top) * W - left
    for y in range(top, bottom):
        for x in range(left, right):
            cell = (image * H + y) * W + x
            value = tl.load(rows + cell * C + channels, mask, other=0.0).to(best.dtype)
            better = (value > best) | (value != value)
            best = tl.where(better, value, best)
            to_end = tl.where(better, images * H * W - cell, to_end)
    if (top >= bottom) | (left >= right):
        best, to_end = tl.zeros_like(best), tl.zeros_like(to_end)
    best, to_end = tl.where(good, best, float("nan")), tl.where(good, to_end, 0)
    tl.store(pooled + bin * C + channels, best.to(pooled.dtype.element_ty), mask)
    if KEEP:
        tl.store(winners + bin * C + channels, to_end.to(winners.dtype.element_ty), mask)


@triton.jit
def backward_kernel(grad, winners, spread, cells, C, BLOCK: tl.constexpr):
    """grad and winners (K * n * n, C): each share is added to its winner, in spread (cells, C)."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channels < C
    share = tl.load(grad + bin * C + channels, mask, other=0.0).to(spread.dtype.element_ty)
    to_end = tl.load(winners + bin * C + channels, mask, other=0.0).to(tl.int64)
    tl.atomic_add(spread + (cells - to_end) * C + channels, share, mask & (to_end > 0))


def forward(features, rois, output_size, spatial_scale, keep):
    """(N, C, H, W), (K, 5) -> (K, C, n, n), and to keep the winners (K, n, n, C)."""
    N, C, H, W = features.shape
    pooled = regions.empty_regions(features, rois, output_size)
    shape = (len(rois), output_size, output_size, C) if keep else (0, C)
    winners = rois.new_empty(shape, dtype=regions.accumulator(features.dtype))
    rois, spatial_scale = regions.for_kernel(features, rois, spatial_scale)
    block = min(512, triton.next_power_of_2(C))
    with torch.cuda.device_of(features):
        forward_kernel[len(rois) * output_size**2, triton.cdiv(C, block)](
            regions.as_rows(features), rois, pooled, winners, spatial_scale,
            N, H, W, C, output_size, keep, block,
        )  # fmt: skip
    return pooled, winners


def backward(grad, winners, shape):
    """(K, C, n, n), winners as `forward` keeps them -> (N, C, H, W)."""
    N, C, H, W = shape
    spread = winners.new_zeros(N * H * W, C)
    block = min(512, triton.next_power_of_2(C))
    with torch.cuda.device_of(grad):
        backward_kernel[winners.numel() // C, triton.cdiv(C, block)](
            grad.permute(0, 2, 3, 1).contiguous(), winners, spread, N * H * W, C, block
        )
    return spread.view(N, H, W, C).permute(0, 3, 1, 2).to(grad.dtype)
