"""Crops on a GPU: a program makes a tile of samples of one crop, from taps it works out itself.

The taps and their weights are those of the PyTorch body, `_taps` in
trackerlib/ops/crop_and_resize.py, without a table of them in memory: a crop
costs the bytes of its pixels and its samples, nothing between.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

SAMPLES = 128  # per program


@triton.jit
def _half(nearest, support):
    """Return a triangle's heights summed at distances nearest, nearest + 1, ..., support."""
    terms = tl.ceil(support - nearest)
    return terms - terms * (nearest + (terms - 1) / 2) / support


@triton.jit
def _taps(start, extent, sample, count, side, ANTIALIAS: tl.constexpr):
    """Return each sample's first pixel, its distance, the support, the sum of heights, taps."""
    scale = extent / count
    centre = start + (sample + 0.5) * scale - 0.5
    support = tl.maximum(scale, 1) if ANTIALIAS else tl.full((), 1, scale.dtype)
    taps = tl.minimum(tl.ceil(2 * support), side).to(tl.int32)
    first = tl.minimum(tl.maximum(tl.floor(centre - support) + 1, 0), side - taps)
    before = centre - tl.floor(centre)
    total = _half(before, support) + _half(1 - before, support)
    return first.to(tl.int32), first - centre, support, total, taps


@triton.jit
def _kernel(
    image, boxes, constants, crops,
    row_stride, column_stride, channel_stride, box_stride, number_stride,
    H, W, C, h, w,
    CHANNELS: tl.constexpr, SAMPLES: tl.constexpr, ANTIALIAS: tl.constexpr,
):  # fmt: skip
    tiles = tl.cdiv(h * w, SAMPLES)
    crop = (tl.program_id(0) // tiles).to(tl.int64)
    samples = tl.program_id(0) % tiles * SAMPLES + tl.arange(0, SAMPLES)
    channels = tl.arange(0, CHANNELS)
    mask = (samples < h * w)[:, None] & (channels < C)
    mean = tl.load(constants + channels, channels < C, 0)
    std = tl.load(constants + C + channels, channels < C, 1)
    fill = tl.load(constants + 2 * C + channels, channels < C, 0)

    boxes += crop * box_stride  # positions in float64: a pixel's share is exact in large images
    x = tl.load(boxes).to(tl.float64)
    y = tl.load(boxes + number_stride).to(tl.float64)
    width = tl.load(boxes + 2 * number_stride).to(tl.float64)
    height = tl.load(boxes + 3 * number_stride).to(tl.float64)
    top, dy, reach_y, total_y, rows = _taps(y, height, samples // w, h, H, ANTIALIAS)
    left, dx, reach_x, total_x, columns = _taps(x, width, samples % w, w, W, ANTIALIAS)
    dy, dx = dy.to(mean.dtype), dx.to(mean.dtype)
    reach_y, reach_x = reach_y.to(mean.dtype), reach_x.to(mean.dtype)

    sums = tl.zeros((SAMPLES, CHANNELS), mean.dtype)
    for row in range(rows):
        row_weight = tl.maximum(1 - tl.abs(dy + row) / reach_y, 0)
        line = image + (top + row).to(tl.int64) * row_stride
        for column in range(columns):
            weight = row_weight * tl.maximum(1 - tl.abs(dx + column) / reach_x, 0)
            pixels = line + (left + column).to(tl.int64) * column_stride
            values = tl.load(pixels[:, None] + channels * channel_stride, mask, 0)
            sums += weight[:, None] * (values.to(mean.dtype) - fill)
    sums /= (total_y * total_x).to(mean.dtype)[:, None]
    crops += crop * h * w * C + samples[:, None] * C + channels
    tl.store(crops, (sums + (fill - mean)) / std, mask)


def forward(
    image: Tensor,
    boxes: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    fill: Sequence[float],
    antialias: bool,
    crops: Tensor,
) -> Tensor:
    """Fill `crops` (K, C, h, w), channels-last in memory, and return them."""
    K, C, h, w = crops.shape
    if K == 0:
        return crops
    precision = torch.promote_types(image.dtype, torch.float32)
    constants = torch.tensor([mean, std, fill], dtype=precision, device=image.device)
    H, W, _ = image.shape
    row_stride, column_stride, channel_stride = image.stride()
    box_stride, number_stride = boxes.stride()
    with torch.cuda.device_of(image):
        _kernel[(K * triton.cdiv(h * w, SAMPLES),)](
            image, boxes, constants, crops,
            row_stride, column_stride, channel_stride, box_stride, number_stride,
            H, W, C, h, w,
            triton.next_power_of_2(C), SAMPLES, antialias,
        )  # fmt: skip
    return crops
