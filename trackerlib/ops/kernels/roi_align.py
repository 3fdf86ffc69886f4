"""RoIAlign and adaptive RoIAlign on a GPU: one program per bin and block of channels.

The map lies channels-last, so that a program reads a cell's channels in one go;
what it sums or compares stays in registers until the bin is done. The backward
pass adds to the cells atomically, in no fixed order: last digits vary from run to run.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from trackerlib.ops import rois as regions

RULES = {"midpoints": 0, "interior": 1, "adaptive": 2}
MIDPOINTS, INTERIOR, ADAPTIVE = (tl.constexpr(rule) for rule in RULES.values())


@triton.jit
def region(rois, k, scale, images):
    """The k-th region in map cells: whether it is a good one, its image, its corners."""
    rois += k * 5
    image = tl.load(rois)
    x1, y1 = tl.load(rois + 1) * scale, tl.load(rois + 2) * scale
    x2, y2 = tl.load(rois + 3) * scale, tl.load(rois + 4) * scale
    finite = (tl.abs(x1) < float("inf")) & (tl.abs(y1) < float("inf"))
    finite = finite & (tl.abs(x2) < float("inf")) & (tl.abs(y2) < float("inf"))
    good = finite & (x1 <= x2) & (y1 <= y2)
    good = good & (image >= 0) & (image < images) & (image == tl.floor(image))
    image = tl.where(good, image, 0.0).to(tl.int64)
    x1, y1 = tl.where(good, x1, 0.0), tl.where(good, y1, 0.0)
    x2, y2 = tl.where(good, x2, 0.0), tl.where(good, y2, 0.0)
    return good, image, x1, y1, x2, y2


@triton.jit
def round_away(value):
    """Nearest whole number, halves away from 0."""
    size = tl.abs(value)
    down = tl.floor(size)
    near = tl.where(size - down < 0.5, down, down + 1)
    return tl.where(value < 0, -near, near)


@triton.jit
def quotient(a, b):
    """a / b rounded to the nearest, as everywhere else: Triton's own is not, in float32."""
    if a.dtype == tl.float64:
        return a / b
    else:
        return tl.div_rn(a, b)


@triton.jit
def neighbours(
    start, end, index, length, BINS: tl.constexpr, SAMPLES: tl.constexpr, RULE: tl.constexpr
):
    """Along one axis the two cells around a point and their weights, which are 0 outside."""
    if RULE == ADAPTIVE:
        size = quotient(end - start + 1, tl.full((), BINS, start.dtype))
        position = start + index * size
        inside = (position >= 0) & (position < length)
        step = tl.maximum(round_away(size), 1.0)
    else:
        size = tl.maximum(end - start, 1.0)
        bin, point = (index // SAMPLES).to(start.dtype), (index % SAMPLES).to(start.dtype)
        low, high = start + size * (bin / BINS), start + size * ((bin + 1) / BINS)
        if RULE == INTERIOR:
            low = tl.minimum(tl.maximum(low, 0.0), length)
            high = tl.minimum(tl.maximum(high, 0.0), length)
            position = low + (high - low) * ((point + 1) / (SAMPLES + 1))
            inside = high > low
        else:
            position = low + (high - low) * ((point + 0.5) / SAMPLES)
            inside = (position >= -1) & (position <= length)
        position = tl.minimum(tl.maximum(position, 0.0), length - 1.0)
        step = 1.0
    position = tl.where(inside, position, 0.0)
    near = tl.floor(position)
    far = near + step
    share = (position - near) / step
    share_near = tl.where(inside, 1 - share, 0.0)
    share_far = tl.where(inside & (far < length), share, 0.0)
    return near.to(tl.int64), tl.minimum(far, length - 1.0).to(tl.int64), share_near, share_far


@triton.jit
def around(
    x1, y1, x2, y2, y, x, H, W, BINS: tl.constexpr, SAMPLES: tl.constexpr, RULE: tl.constexpr
):
    """The four cells around point (y, x) of a region's grid, and their weights."""
    top, bottom, up, down = neighbours(y1, y2, y, H, BINS, SAMPLES, RULE)
    left, right, before, after = neighbours(x1, x2, x, W, BINS, SAMPLES, RULE)
    cells = top * W + left, top * W + right, bottom * W + left, bottom * W + right
    return cells, (up * before, up * after, down * before, down * after)


@triton.jit
def blend(rows, cells, weights, C, channels, mask):
    """Weighted sum of four cells' channels."""
    value = tl.load(rows + cells[0] * C + channels, mask, other=0.0) * weights[0]
    value += tl.load(rows + cells[1] * C + channels, mask, other=0.0) * weights[1]
    value += tl.load(rows + cells[2] * C + channels, mask, other=0.0) * weights[2]
    value += tl.load(rows + cells[3] * C + channels, mask, other=0.0) * weights[3]
    return value


@triton.jit
def forward_kernel(
    rows, rois, pooled, scale, images, H, W, C,
    BINS: tl.constexpr, SAMPLES: tl.constexpr, SIDE: tl.constexpr, WINDOW: tl.constexpr,
    STRIDE: tl.constexpr, RULE: tl.constexpr, MAX_SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """rows (N * H * W, C), rois (K, 5) -> pooled (K, SIDE, SIDE, C)."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channels < C
    good, image, x1, y1, x2, y2 = region(rois, bin // (SIDE * SIDE), scale, images)
    rows += image * H * W * C
    result = tl.full((BLOCK,), -float("inf") if MAX_SIZE else 0.0, rois.dtype.element_ty)
    for point in tl.static_range(WINDOW * WINDOW):
        y = bin // SIDE % SIDE * STRIDE + point // WINDOW
        x = bin % SIDE * STRIDE + point % WINDOW
        cells, weights = around(x1, y1, x2, y2, y, x, H, W, BINS, SAMPLES, RULE)
        value = blend(rows, cells, weights, C, channels, mask)
        if MAX_SIZE:
            result = tl.maximum(result, value, propagate_nan=tl.PropagateNan.ALL)
        else:
            result += value / (WINDOW * WINDOW)
    result = tl.where(good, result, float("nan"))
    tl.store(pooled + bin * C + channels, result.to(pooled.dtype.element_ty), mask)


@triton.jit
def backward_kernel(
    grad, rows, rois, spread, scale, images, H, W, C,
    BINS: tl.constexpr, SAMPLES: tl.constexpr, SIDE: tl.constexpr, WINDOW: tl.constexpr,
    STRIDE: tl.constexpr, RULE: tl.constexpr, MAX_SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """grad (K, SIDE, SIDE, C) is added to spread (N * H * W, C); the first of equals takes it."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    good, image, x1, y1, x2, y2 = region(rois, bin // (SIDE * SIDE), scale, images)
    mask = channels < C
    rows += image * H * W * C
    spread += image * H * W * C
    share = tl.load(grad + bin * C + channels, mask, other=0.0).to(rois.dtype.element_ty)
    share = tl.where(good, share, 0.0)
    if MAX_SIZE:
        best = tl.full((BLOCK,), -float("inf"), rois.dtype.element_ty)
        winner = tl.zeros((BLOCK,), tl.int32)
        for point in tl.static_range(WINDOW * WINDOW):
            y = bin // SIDE % SIDE * STRIDE + point // WINDOW
            x = bin % SIDE * STRIDE + point % WINDOW
            cells, weights = around(x1, y1, x2, y2, y, x, H, W, BINS, SAMPLES, RULE)
            value = blend(rows, cells, weights, C, channels, mask)
            winner = tl.where(value > best, point, winner)
            best = tl.maximum(best, value)
    else:
        share /= WINDOW * WINDOW
    for point in tl.static_range(WINDOW * WINDOW):
        y = bin // SIDE % SIDE * STRIDE + point // WINDOW
        x = bin % SIDE * STRIDE + point % WINDOW
        cells, weights = around(x1, y1, x2, y2, y, x, H, W, BINS, SAMPLES, RULE)
        takes = mask & (winner == point) if MAX_SIZE else mask
        for corner in tl.static_range(4):
            place = spread + cells[corner] * C + channels
            tl.atomic_add(place, share * weights[corner], takes)


class Sampling(NamedTuple):
    """Where a region's points lie, and what becomes of those in a window."""

    bins: int  # per side
    samples: int  # points per bin and side
    window: int  # points per side that make one output
    stride: int  # points from one window to the next
    reduce: str  # "mean" or "max" of a window
    rule: str  # one of RULES


def forward(features, rois, spatial_scale, sampling):
    """(N, C, H, W), (K, 5) -> (K, C, n, n), n windows per side."""
    side = (sampling.bins * sampling.samples - sampling.window) // sampling.stride + 1
    pooled = regions.empty_regions(features, rois, side)
    sources = (regions.as_rows(features),)
    _launch(forward_kernel, sources, pooled, side, features, rois, spatial_scale, sampling)
    return pooled


def backward(grad, features, rois, spatial_scale, sampling):
    """(K, C, n, n) -> like features."""
    shape = features[:, 0].numel(), features.shape[1]
    spread = features.new_zeros(shape, dtype=regions.accumulator(features.dtype))
    rows = regions.as_rows(features) if sampling.reduce == "max" else spread  # a mean reads no map
    grad = grad.permute(0, 2, 3, 1).contiguous()
    sources, side = (grad, rows), grad.shape[1]
    _launch(backward_kernel, sources, spread, side, features, rois, spatial_scale, sampling)
    return regions.as_map(spread, features)


def _launch(kernel, sources, target, side, features, rois, spatial_scale, sampling):
    N, C, H, W = features.shape
    bins, samples, window, stride, reduce, rule = sampling
    block = min(512, triton.next_power_of_2(C))
    rois, spatial_scale = regions.for_kernel(features, rois, spatial_scale)
    with torch.cuda.device_of(features):
        kernel[len(rois) * side * side, triton.cdiv(C, block)](
            *sources, rois, target, spatial_scale, N, H, W, C,
            bins, samples, side, window, stride, RULES[rule], reduce == "max", block,
        )  # fmt: skip
