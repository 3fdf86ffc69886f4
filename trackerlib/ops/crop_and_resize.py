"""Crops of one frame, resized to one size and normalised, ready for a network.

Bilinear interpolation is a weighted sum of two neighbours along each axis, and
antialiasing takes more of them. So both are two rounds of weighted sums: of the
pixels of every line that a crop touches, then of those lines. Weighted sums of
rows of a table are what `embedding_bag` computes; as a row holds all channels
of a pixel, the crops come out channels-last.

[1] Nam, Han: Learning Multi-Domain Convolutional Neural Networks for Visual
    Tracking. CVPR 2016. Its candidates are crops of 107 x 107.
[2] Heckbert: Fundamentals of Texture Mapping and Image Warping. Master's thesis,
    UC Berkeley, 1989: filters stretched by the scale, against aliasing.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from trackerlib.ops.registration import operator
from trackerlib.ops.rois import is_whole

MAX_PIXELS = 2**19  # weighted at a time, so that what they need stays in the cache


@operator("crop_and_resize")
def _crop_and_resize(
    image: Tensor,
    boxes: Tensor,
    size: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    fill: Sequence[float],
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    _check_values(boxes)
    if len(boxes) == 0:
        return _fake(image, boxes, size, mean, std, fill, antialias, dtype)
    crops = _empty((len(boxes), *size, image.shape[2]), dtype, image.device)
    rows, row_weights = _taps(boxes[:, 1::2], size[0], image.shape[0], antialias)
    columns, column_weights = _taps(boxes[:, ::2], size[1], image.shape[1], antialias)
    (top, bottom), (left, right) = ([int(v) for v in t.aminmax()] for t in (rows, columns))
    rows, columns, width = rows - top, columns - left, right + 1 - left
    # As differences from `fill`, pixels outside are zero and need no term in the sums.
    pixels = _scale(image[top : bottom + 1, left : right + 1], fill, std)
    outside = _scale(pixels.new_tensor(fill).expand(1, size[1], -1), mean, std).flatten()

    # A crop's strip is the lines that it touches. All strips are as high as the tallest, so that
    # they make one tensor; near the lower end they begin earlier, to stay inside.
    first = rows[:, 0, 0]
    height = int((rows[:, -1, -1] - first).max()) + 1  # of the tallest crop's strip
    first = first.clamp(max=bottom + 1 - top - height)
    starts = (first[:, None] + torch.arange(height).to(first)) * width  # of lines, (K, height)
    rows = rows - first[:, None, None]
    row_weights, column_weights = (w.to(pixels.dtype) for w in (row_weights, column_weights))

    count = max(1, MAX_PIXELS // (height * columns[0].numel()))
    chunks = crops, starts, columns, column_weights, rows, row_weights
    for crop, start, column, column_weight, row, row_weight in zip(
        *(tensor.split(count) for tensor in chunks), strict=True
    ):
        taps = start[..., None, None] + column[:, None]  # (k, height, w, taps)
        strips = _sums(pixels, taps, column_weight[:, None].expand_as(taps))
        strips = strips.view(start.numel(), -1)  # (k * height, w * C)
        taps = row + height * torch.arange(len(row)).to(row)[:, None, None]  # (k, h, taps)
        lines = _sums(strips, taps, row_weight).view(len(row), size[0], -1)  # (k, h, w * C)
        torch.add(lines, outside, out=crop.flatten(2))
    return crops.permute(0, 3, 1, 2)


@torch.library.register_fake("trackerlib::crop_and_resize")
def _fake(
    image: Tensor,
    boxes: Tensor,
    size: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    fill: Sequence[float],
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    shape = boxes.shape[0], *size, image.shape[2]
    return torch.empty(shape, dtype=dtype, device=image.device).permute(0, 3, 1, 2)


if find_spec("triton"):  # imported at the first call, as a machine without a GPU needs none

    @torch.library.impl("trackerlib::crop_and_resize", "cuda")
    def _(
        image: Tensor,
        boxes: Tensor,
        size: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        fill: Sequence[float],
        antialias: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        from trackerlib.ops.kernels import crop_and_resize as kernels

        _check_values(boxes)
        crops = _fake(image, boxes, size, mean, std, fill, antialias, dtype)
        return kernels.forward(image, boxes, mean, std, fill, antialias, crops)


def _check_values(boxes: Tensor) -> None:
    """Raise ValueError for boxes that are not finite or have no area."""
    good = boxes.isfinite().all(1) & (boxes[:, 2:] > 0).all(1)
    if not good.all():
        bad = int(good.logical_not().nonzero()[0])
        raise ValueError(
            "crop_and_resize: expected finite boxes x, y, w, h of positive size, "
            f"got {boxes[bad].tolist()} in row {bad}; leave it out, or give it an area"
        )


def _empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return memory as torch.empty does, on a CPU from numpy, which asks for huge pages.

    Touching 35 MB of crops for the first time takes 3 ms with them, 14 ms without.
    """
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    memory = np.empty(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(memory).view(dtype).view(shape)


def _taps(spans: Tensor, count: int, side: int, antialias: bool) -> tuple[Tensor, Tensor]:
    """Return which of `side` pixels make each of `count` samples, and their shares.

    spans    (K, 2): start and extent of each box along the axis
    returns  (K, count, taps) int32 indices, ascending, all within the image
             (K, count, taps) float64 weights, of sum 1 with those outside the image
    """
    # From 0.25 over an extent of 4, 2 samples of an axis of 4 pixels: the scale is 2 and the
    # samples' centres 0.75 and 2.75. Bilinear, the first takes pixels 0 and 1, at distances 0.75
    # and 0.25, with weights 0.25 and 0.75; the second takes pixels 2 and 3. With antialias the
    # triangle reaches 2 pixels: for the first sample its heights at pixels -1 to 2 are 0.125,
    # 0.625, 0.875, 0.375, of sum 2. The weights of pixels 0 to 3 are [0.3125, 0.4375, 0.1875, 0];
    # what they lack of 1 is the share of pixel -1, outside, which is `fill`.
    start, extent = spans.double()[..., None].unbind(1)  # (K, 1)
    scale = extent / count
    centre = start + (torch.arange(count).to(start) + 0.5) * scale - 0.5  # (K, count)
    support = scale.clamp(min=1) if antialias else torch.ones_like(scale)
    taps = min(side, int((2 * support).max().ceil()))
    first = ((centre - support).floor() + 1).clamp(0, side - taps)
    indices = first[..., None] + torch.arange(taps).to(start)
    weights = (1 - (indices - centre[..., None]).abs() / support[..., None]).clamp(min=0)
    before = centre - centre.floor()  # from the nearest pixel at or before the sample
    total = _half(before, support) + _half(1 - before, support)
    return indices.int(), weights / total[..., None]


def _half(nearest: Tensor, support: Tensor) -> Tensor:
    """Return a triangle's heights summed at distances nearest, nearest + 1, ..., support."""
    # Heights 1 - d / support at d = 0.25, 1.25 of support 2: 2 - 2 * (0.25 + 0.5) / 2 = 1.25
    terms = (support - nearest).ceil()
    return terms - terms * (nearest + (terms - 1) / 2) / support


def _scale(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return pixels (H, W, C) as rows (H * W, C) float, (value - mean) / std in each channel."""
    width, C = pixels.shape[1:]
    lines = pixels.flatten(1).to(torch.promote_types(pixels.dtype, torch.float32)).contiguous()
    # Repeated for a whole line of pixels, the constants make long inner loops.
    means, stds = (lines.new_tensor(values).repeat(width) for values in (mean, std))
    return ((lines - means) / stds).view(-1, C)


def _sums(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Return weighted sums (N, D) of rows of a table (R, D); rows and weights (..., taps)."""
    rows, weights = rows.flatten(0, -2), weights.flatten(0, -2)
    return embedding_bag(rows, table, mode="sum", per_sample_weights=weights)


def crop_and_resize(
    image: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    *,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    fill: float | Sequence[float] | None = None,
    antialias: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Cut boxes out of a frame, resize them to one size, normalise them.

    image      (H, W, C) uint8 or float, any strides
    boxes      (K, 4) x, y, w, h in pixels, float or whole numbers, on the image's
               device; they may lie partly or wholly outside
    size       height and width of a crop, pixels
    mean, std  what a value becomes: (value - mean) / std; one number or C, in
               the image's units
    fill       value of all pixels outside, one number or C, in the image's
               units; None stands for `mean`, which gives 0
    antialias  where a crop shrinks its box, weight all pixels under a triangle
               as wide as two of the crop's pixels [2]; otherwise bilinear
    dtype      of the crops, floating
    returns    (K, C, h, w), channels-last in memory: what convolutions are fastest on;
               on a CPU the memory is numpy's, which `resize_` cannot grow

    Sample i along an axis lies at start + (i + 0.5) * extent / count - 0.5,
    where pixel j has its centre at j. A sample at the border mixes the image
    with `fill`. Sums are in float32, or in float64 for a float64 image, and
    rounded to `dtype` once. On a GPU the check of the boxes waits for the device.
    On a CPU, with antialias, every crop of a call costs what the largest box
    needs: give boxes many times larger than the rest a call of their own.

    Source: candidates of [1]; their mean, 128, is the authors' code's.
    Raises ValueError for other ranks, types, devices or sizes, for boxes not
    finite or without area, and for inputs that require gradients: it has none.
    """
    _check(image, boxes, size, dtype)
    boxes = boxes.double() if is_whole(boxes) else boxes
    C = image.shape[2]
    means = _per_channel("mean", mean, C)
    stds = _per_channel("std", std, C)
    fills = _per_channel("fill", mean if fill is None else fill, C)
    if 0 in stds:
        raise ValueError(
            f"crop_and_resize: expected std other than 0, got {stds}; 1 changes nothing"
        )
    return torch.ops.trackerlib.crop_and_resize(
        image, boxes, size, means, stds, fills, antialias, dtype
    )


def _check(image: Tensor, boxes: Tensor, size: tuple[int, int], dtype: torch.dtype) -> None:
    """Raise ValueError for what `crop_and_resize` does not take; values are checked in the op."""
    if not isinstance(image, Tensor) or not isinstance(boxes, Tensor):
        expected = "an image and boxes that are tensors"
        got = f"{type(image).__name__} and {type(boxes).__name__}; use torch.as_tensor"
    elif image.ndim != 3 or 0 in image.shape or not _is_pixels(image):
        expected = "an image (H, W, C) uint8 or float of at least one pixel"
        got = f"{tuple(image.shape)} {image.dtype}; bring it there with permute and to"
    elif boxes.ndim != 2 or boxes.shape[1] != 4 or not _is_real(boxes):
        expected = "float boxes (K, 4) of x, y, w, h, or whole numbers"
        got = f"{tuple(boxes.shape)} {boxes.dtype}; use boxes.float(), boxes[None] for one"
    elif boxes.device != image.device:
        expected = f"boxes on the image's device {image.device}"
        got = f"{boxes.device}; move them with boxes.to(image.device)"
    elif not _is_size(size):
        expected = "a size (height, width) of integers, at least (1, 1)"
        got = f"{size!r}; count the crop's pixels along each side"
    elif not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        expected = "a floating dtype such as torch.float32"
        got = f"{dtype!r}; convert the crops afterwards"
    elif torch.is_grad_enabled() and (image.requires_grad or boxes.requires_grad):
        expected = "an image and boxes without gradient, as a crop passes none back"
        got = "one that requires it; detach it, or call under torch.no_grad()"
    else:
        return
    raise ValueError(f"crop_and_resize: expected {expected}, got {got}")


def _is_pixels(image: Tensor) -> bool:
    number = image.dtype == torch.uint8 or image.is_floating_point()
    return number and image.layout == torch.strided


def _is_real(boxes: Tensor) -> bool:
    return boxes.is_floating_point() or is_whole(boxes)


def _is_size(size: object) -> bool:
    """Tell whether that is (height, width), whole numbers above 0."""
    if not isinstance(size, Sequence) or len(size) != 2:
        return False
    whole = all(isinstance(side, Integral) and not isinstance(side, bool) for side in size)
    return whole and min(size) >= 1


def _per_channel(name: str, value: Any, channels: int) -> list[float]:
    """Return one number for each channel; raise ValueError for anything that is not."""
    numbers = value.tolist() if isinstance(value, Tensor | np.ndarray) else value
    values: list[Any] = list(numbers) if isinstance(numbers, Sequence) else [numbers] * channels
    # Not math.isfinite, which torch.compile does not take.
    finite = all(isinstance(v, Real) for v in values) and all(abs(v) < math.inf for v in values)
    if len(values) != channels or not finite:
        raise ValueError(
            f"crop_and_resize: expected {name} as one finite number or one for each of the "
            f"image's {channels} channels, got {value!r}; a grey image is (H, W, 1)"
        )
    return [float(v) for v in values]
