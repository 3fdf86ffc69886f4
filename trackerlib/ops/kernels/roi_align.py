"""RoIAlign and adaptive RoIAlign on a GPU: one program per bin and block of channels.

The map lies channels-last, so that a program reads a map cell's channels in one go;
what it sums or compares stays in registers until the bin is done. The backward
pass adds to the cells atomically, in no fixed order: last digits vary from run to run.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackerlib.ops import rois as regions

RULES = {"midpoints": 0, "interior": 1, "adaptive": 2}
MIDPOINTS, INTERIOR, ADAPTIVE = (tl.constexpr(rule) for rule in RULES.values())
MAX_BLOCK = 512  # channels of a program: they fit its registers


@triton.jit
def region(boxes, k, scale, images):
    """Return box k in map cells: whether it is a good one, its image, its corners."""
    boxes += k * 5
    image = tl.load(boxes)
    x1, y1 = tl.load(boxes + 1) * scale, tl.load(boxes + 2) * scale
    x2, y2 = tl.load(boxes + 3) * scale, tl.load(boxes + 4) * scale
    finite = (tl.abs(x1) < float("inf")) & (tl.abs(y1) < float("inf"))
    finite = finite & (tl.abs(x2) < float("inf")) & (tl.abs(y2) < float("inf"))
    good = finite & (x1 <= x2) & (y1 <= y2)
    good = good & (image >= 0) & (image < images) & (image == tl.floor(image))
    image = tl.where(good, image, 0.0).to(tl.int64)  # a bad box must not address memory
    x1, y1 = tl.where(good, x1, 0.0), tl.where(good, y1, 0.0)
    x2, y2 = tl.where(good, x2, 0.0), tl.where(good, y2, 0.0)
    return good, image, x1, y1, x2, y2


@triton.jit
def round_away(value):
    """Return the nearest whole number, halves away from 0."""
    size = tl.abs(value)
    down = tl.floor(size)
    nearest = tl.where(size - down < 0.5, down, down + 1)
    return tl.where(value < 0, -nearest, nearest)


@triton.jit
def quotient(a, b):
    """Return a / b rounded to the nearest, as everywhere else: Triton's own is not, in float32."""
    if a.dtype == tl.float64:
        return a / b
    else:
        return tl.div_rn(a, b)


@triton.jit
def neighbours(
    start, end, index, length,
    BINS: tl.constexpr, SAMPLES: tl.constexpr, RULE: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """Return the two map cells around a point of one axis and their weights, which are 0 outside.

    start, end  of the box, in map cells
    index       of the point among BINS * SAMPLES
    """
    if RULE == ADAPTIVE:
        size = quotient(end - start + 1, tl.full((), BINS, start.dtype))
        position = start + index * size
        inside = (position >= 0) & (position < length)
        step = tl.maximum(round_away(size), 1.0)
    else:
        if ALIGNED:
            start, end = start - 0.5, end - 0.5
            size = end - start
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
    first = tl.floor(position)
    second = first + step
    share = (position - first) / step
    first_weight = tl.where(inside, 1 - share, 0.0)
    second_weight = tl.where(inside & (second < length), share, 0.0)
    second = tl.minimum(second, length - 1.0)
    return first.to(tl.int64), second.to(tl.int64), first_weight, second_weight


@triton.jit
def around(
    x1, y1, x2, y2, y, x, H, W, BINS_Y: tl.constexpr, BINS_X: tl.constexpr,
    SAMPLES: tl.constexpr, RULE: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """Return the four map cells around point (y, x) of a box's grid, and their weights."""
    top, bottom, up, down = neighbours(y1, y2, y, H, BINS_Y, SAMPLES, RULE, ALIGNED)
    left, right, before, after = neighbours(x1, x2, x, W, BINS_X, SAMPLES, RULE, ALIGNED)
    cells = top * W + left, top * W + right, bottom * W + left, bottom * W + right
    return cells, (up * before, up * after, down * before, down * after)


@triton.jit
def weighted_sum(rows, cells, weights, C, channels, mask):
    """Return the weighted sum of four map cells' channels."""
    value = tl.load(rows + cells[0] * C + channels, mask, other=0.0) * weights[0]
    value += tl.load(rows + cells[1] * C + channels, mask, other=0.0) * weights[1]
    value += tl.load(rows + cells[2] * C + channels, mask, other=0.0) * weights[2]
    value += tl.load(rows + cells[3] * C + channels, mask, other=0.0) * weights[3]
    return value


@triton.jit
def forward_kernel(
    rows, boxes, pooled, winners, scale, images, H, W, C,
    BINS_Y: tl.constexpr, BINS_X: tl.constexpr, SAMPLES: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WINDOW: tl.constexpr, STRIDE: tl.constexpr,
    RULE: tl.constexpr, ALIGNED: tl.constexpr, IS_MAX: tl.constexpr, KEEP: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill pooled, winners (K, ROWS, COLUMNS, C) from rows (N * H * W, C) and boxes (K, 5)."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channels < C
    good, image, x1, y1, x2, y2 = region(boxes, bin // (ROWS * COLUMNS), scale, images)
    rows += image * H * W * C
    result = tl.full((BLOCK,), -float("inf") if IS_MAX else 0.0, boxes.dtype.element_ty)
    winner = tl.zeros((BLOCK,), tl.int64)
    for point in tl.static_range(WINDOW * WINDOW):
        y = bin // COLUMNS % ROWS * STRIDE + point // WINDOW
        x = bin % COLUMNS * STRIDE + point % WINDOW
        cells, weights = around(x1, y1, x2, y2, y, x, H, W, BINS_Y, BINS_X, SAMPLES, RULE, ALIGNED)
        value = weighted_sum(rows, cells, weights, C, channels, mask)
        if IS_MAX:
            if KEEP:
                better = (value > result) | (point == 0)
                winner = tl.where(better, y * (BINS_X * SAMPLES) + x, winner)
            result = tl.maximum(result, value, propagate_nan=tl.PropagateNan.ALL)
        else:
            result += value / (WINDOW * WINDOW)
    result = tl.where(good, result, float("nan"))
    tl.store(pooled + bin * C + channels, result.to(pooled.dtype.element_ty), mask)
    if KEEP:
        tl.store(winners + bin * C + channels, winner.to(winners.dtype.element_ty), mask)


@triton.jit
def backward_kernel(
    grad, winners, boxes, total, scale, images, H, W, C,
    BINS_Y: tl.constexpr, BINS_X: tl.constexpr, SAMPLES: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WINDOW: tl.constexpr, STRIDE: tl.constexpr,
    RULE: tl.constexpr, ALIGNED: tl.constexpr, IS_MAX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add grad (K, ROWS, COLUMNS, C) to total (N * H * W, C); of maxima, to their winners."""
    bin = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    good, image, x1, y1, x2, y2 = region(boxes, bin // (ROWS * COLUMNS), scale, images)
    mask = channels < C
    total += image * H * W * C
    share = tl.load(grad + bin * C + channels, mask, other=0.0).to(boxes.dtype.element_ty)
    share = tl.where(good, share, 0.0)
    if IS_MAX:
        winner = tl.load(winners + bin * C + channels, mask, other=0)
    else:
        share /= WINDOW * WINDOW
    for point in tl.static_range(WINDOW * WINDOW):
        y = bin // COLUMNS % ROWS * STRIDE + point // WINDOW
        x = bin % COLUMNS * STRIDE + point % WINDOW
        cells, weights = around(x1, y1, x2, y2, y, x, H, W, BINS_Y, BINS_X, SAMPLES, RULE, ALIGNED)
        takes = mask & (winner == y * (BINS_X * SAMPLES) + x) if IS_MAX else mask
        for corner in tl.static_range(4):
            tl.atomic_add(total + cells[corner] * C + channels, share * weights[corner], takes)


class Sampling(NamedTuple):
    """Where a box's points lie, and what becomes of those in a window."""

    bins: tuple[int, int]  # along rows and columns
    samples: int  # points per bin and side
    window: int  # points per side that make one output
    stride: int  # points from one window to the next
    reduce: str  # "mean" or "max" of a window
    rule: str  # one of RULES
    aligned: bool = False  # a cell's value stands at its centre, and no box is enlarged


def forward(
    input: Tensor,
    boxes: Tensor,
    spatial_scale: float,
    sampling: Sampling,
    winners: Tensor | None = None,
) -> Tensor:
    """Return h x w windows of each box, (K, C, h, w); input (N, C, H, W), boxes (K, 5).

    winners  of maxima, (K, h, w, C), filled with the numbers of points; None or (0, ...) for none
    """
    winners = boxes.new_empty(0) if winners is None else winners
    N, C, H, W = input.shape
    height, width = (
        (bins * sampling.samples - sampling.window) // sampling.stride + 1
        for bins in sampling.bins
    )
    pooled = regions.empty_bins(input, boxes, (height, width))
    boxes, scale = regions.for_kernel(input, boxes, spatial_scale)
    constants = _constants(sampling, height, width, C) | {"KEEP": len(winners) > 0}
    programs = len(boxes) * height * width, triton.cdiv(C, constants["BLOCK"])
    with torch.cuda.device_of(input):
        forward_kernel[programs](
            regions.as_rows(input), boxes, pooled, winners, scale, N, H, W, C, **constants
        )
    return pooled


def backward(
    grad: Tensor,
    winners: Tensor,
    input: Tensor,
    boxes: Tensor,
    spatial_scale: float,
    sampling: Sampling,
) -> Tensor:
    """Return the gradient of the input, (N, C, H, W), for grad (K, C, h, w)."""
    N, C, H, W = input.shape
    total = input.new_zeros((N * H * W, C), dtype=regions.accumulator(input.dtype))
    grad = grad.permute(0, 2, 3, 1).contiguous()  # (K, h, w, C)
    boxes, scale = regions.for_kernel(input, boxes, spatial_scale)
    constants = _constants(sampling, grad.shape[1], grad.shape[2], C)
    programs = grad.shape[:3].numel(), triton.cdiv(C, constants["BLOCK"])
    with torch.cuda.device_of(input):
        backward_kernel[programs](grad, winners, boxes, total, scale, N, H, W, C, **constants)
    return regions.as_map(total, input)


def _constants(sampling: Sampling, height: int, width: int, channels: int) -> dict[str, int]:
    """Return what a kernel is compiled for."""
    return {
        "BINS_Y": sampling.bins[0],
        "BINS_X": sampling.bins[1],
        "SAMPLES": sampling.samples,
        "ROWS": height,
        "COLUMNS": width,
        "WINDOW": sampling.window,
        "STRIDE": sampling.stride,
        "RULE": RULES[sampling.rule],
        "ALIGNED": sampling.aligned,
        "IS_MAX": sampling.reduce == "max",
        "BLOCK": min(MAX_BLOCK, triton.next_power_of_2(channels)),
    }
