"""RoIPool: the maximum of every bin's map cells, the box's border rounded to whole cells.

[1] Girshick: Fast R-CNN. ICCV 2015, section 2.1; the rounding is that of the released code.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from trackerlib.ops import rois as regions
from trackerlib.ops.registration import operator

MAX_ELEMENTS = 2**19  # compared at once, so that they stay in the cache
MAX_WHOLE = 2**24  # float32 holds all whole numbers up to here


def roi_pool(
    input: Tensor,
    boxes: regions.Boxes,
    output_size: regions.Sides,
    spatial_scale: float = 1.0,
) -> Tensor:
    """Pool every box to h x w bins by their maximum, as torchvision's op does.

    input          (N, C, H, W) float; fastest if stored channels-last
    boxes          (K, 5): batch index, x1, y1, x2, y2 in image pixels, float or whole;
                   or a list of (L, 4) without index, one tensor per image
    output_size    bins: one number for both sides, or (h, w)
    spatial_scale  map cells per image pixel
    returns        (K, C, h, w), dtype of input, stored channels-last

    Both corners are rounded, and both their map cells belong to the box. Bin i of
    n covers the cells from floor(i L / n) to ceil((i + 1) L / n) of a side of L,
    cut at the map's border; one with nothing left is 0. The gradient goes to the
    input, the first of equal cells takes it. Bad values, torch.fx and TorchScript as in
    `roi_align`; quantised maps have no maximum here: pass input.dequantize().

    torchvision computes i (L / n) in floats, so that for some n of 7 and more, such as the
    last of 7 bins on 57 cells, its bin has one cell more than the fraction says.

    Source: [1]. Raises ValueError for other shapes, types, devices or settings, and for
    boxes that are not finite, end before they start or name no image.
    """
    if torch.jit.is_scripting():  # what follows is Python's; the op checks its arguments again
        rows, sides = regions.table(boxes), regions.sides(output_size)
        keep = input.requires_grad and torch.is_grad_enabled()
        return torch.ops.trackerlib.roi_pool(input, rows, sides, spatial_scale, keep)[0]
    if has_torch_function((input,)):  # torch.fx notes the call down
        settings = output_size, spatial_scale
        return handle_torch_function(roi_pool, (input,), input, boxes, *settings)
    boxes = regions.checked("roi_pool", input, boxes, spatial_scale)
    bins = regions.pair("roi_pool", output_size)
    keep = input.requires_grad and torch.is_grad_enabled()
    return torch.ops.trackerlib.roi_pool(input, boxes, bins, float(spatial_scale), keep)[0]


@operator("roi_pool", has_gradient=True)
def _roi_pool(
    input: Tensor,
    boxes: Tensor,
    output_size: Sequence[int],
    spatial_scale: float,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """Return the pooled bins and, to keep for the gradient, their winners (K, h, w, C).

    A winner is stored as the number of map cells from it to the end of the batch, 0 if there is
    none.
    """
    regions.check_values("roi_pool", input, boxes, spatial_scale)
    regions.pair("roi_pool", output_size)
    _check_count(input, keep)
    rows = regions.as_rows(regions.widened(input))
    count, C = rows.shape
    shape = len(boxes), *output_size, C
    pooled = rows.new_zeros(shape)  # what an empty bin stays
    winners = rows.new_zeros(shape if keep else (0, C))
    for bins, cells in _bins(input, boxes, output_size, spatial_scale):
        values = rows.index_select(0, cells.flatten()).view(*cells.shape, C)  # (b, T, C)
        if not keep:
            pooled.view(-1, C).index_copy_(0, bins, values.amax(1))
            continue
        column = values[:, :, None].permute(0, 3, 1, 2)  # (b, C, T, 1), stored channels-last
        maxima, order = torch.ops.aten.max_pool2d_with_indices(column, [cells.shape[1], 1])
        pooled.view(-1, C).index_copy_(0, bins, maxima.flatten(1))
        # Values 3, 5, 5 at cells 0, 1, 4 of 6, which are 6, 5, 2 cells from the end: the first
        # maximum is number 1 of the three, which is 5 from the end.
        to_end = (count - cells).to(values.dtype)
        winners.view(-1, C).index_copy_(0, bins, to_end.gather(1, order.flatten(1)))
    return pooled.permute(0, 3, 1, 2).to(input.dtype), winners


def _check_count(input: Tensor, keep: bool) -> None:
    """Raise ValueError where float32 cannot hold the winners."""
    cells = input[:, 0].numel()
    if keep and cells > MAX_WHOLE:
        raise ValueError(
            f"roi_pool: expected at most {MAX_WHOLE} cells in a batch with a gradient, "
            f"got {cells}; pool it in parts"
        )


def _bins(
    input: Tensor, boxes: Tensor, output_size: Sequence[int], scale: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield bins of one size, few at a time: which of all K * h * w (b,), their cells (b, T).

    Bins without a cell are left out.
    """
    C, H, W = input.shape[1:]
    start, end = (
        regions.round_away(corner).clamp(-MAX_WHOLE, MAX_WHOLE).long()
        for corner in regions.corners(input, boxes, scale)
    )  # (2, K)
    top, height = _extents(start[0], end[0], output_size[0], H)  # (h, K)
    left, width = _extents(start[1], end[1], output_size[1], W)  # (w, K)
    # On a 2 x 3 map, a bin of 2 x 2 cells at row 0 and column 1 has corner 1 and size 2 * 4 + 2;
    # the grid's first 2 rows and columns are cells 0, 1, 3, 4: plus the corner, 1, 2, 4, 5.
    top = top + boxes[:, 0].long() * H
    corner = regions.boxes_first(top[:, None] * W + left).flatten()  # (K * h * w,)
    sizes = regions.boxes_first(height[:, None] * (W + 1) + width).flatten()
    grid = torch.arange(H * W, device=boxes.device).view(H, W)
    for size in sizes.unique().tolist():
        cells = grid[: size // (W + 1), : size % (W + 1)].flatten()
        alike = (sizes == size).nonzero()[:, 0]
        if len(cells):
            for bins in alike.split(MAX_ELEMENTS // (len(cells) * C) + 1):
                yield bins, corner[bins, None] + cells


def _extents(start: Tensor, end: Tensor, bins: int, length: int) -> tuple[Tensor, Tensor]:
    """Return the first map cell of every bin of one axis and how many it has: two (bins, K).

    start, end  (K,) the box's first and last cell
    length      map cells of the axis
    """
    # Cells 2 to 6 in 3 bins: 5 cells, a bin is 1 2/3 of them. The bins begin 0, 1, 3 cells after
    # the first and end before 2, 4, 5 (rounded up): cells 2-3, 3-5 and 5-6. On a map of 6 cells
    # the last has cell 5 alone.
    extent = end - start + 1
    order = torch.arange(bins, device=start.device)[:, None]
    first = (start + order * extent // bins).clamp(0, length)
    last = (start - (-(order + 1) * extent // bins)).clamp(0, length)  # -(-a // b) rounds up
    return first, last - first


@torch.library.register_fake("trackerlib::roi_pool")
def _(
    input: Tensor,
    boxes: Tensor,
    output_size: Sequence[int],
    spatial_scale: float,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    pooled = regions.empty_bins(input, boxes, output_size)
    shape = pooled.permute(0, 2, 3, 1).shape if keep else (0, input.shape[1])
    return pooled, input.new_empty(shape, dtype=regions.accumulator(input.dtype))


@operator("roi_pool_backward")
def _roi_pool_backward(grad: Tensor, winners: Tensor, shape: Sequence[int]) -> Tensor:
    N, C, H, W = shape
    # Row 0 takes what has no winner; the others are the map's cells from the last to the first.
    from_end = grad.new_zeros(1 + N * H * W, C, dtype=regions.accumulator(grad.dtype))
    few = max(1, MAX_ELEMENTS // grad.shape[1:].numel())  # boxes at a time
    shares = grad.permute(0, 2, 3, 1).split(few)
    index = torch.int32 if from_end.numel() < 2**31 else torch.int64
    channels = torch.arange(C, device=grad.device, dtype=index)
    for winner, share in zip(winners.split(few), shares, strict=True):
        # By one number for a cell's channel: `scatter_add_` by cells takes twice as long.
        entries = winner.to(index).mul_(C).add_(channels)
        from_end.view(-1).index_add_(0, entries.flatten(), share.flatten().to(from_end.dtype))
    return from_end[1:].flip(0).view(N, H, W, C).permute(0, 3, 1, 2).to(grad.dtype)


@torch.library.register_fake("trackerlib::roi_pool_backward")
def _(grad: Tensor, winners: Tensor, shape: Sequence[int]) -> Tensor:
    N, C, H, W = shape
    return grad.new_empty(N, H, W, C).permute(0, 3, 1, 2)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.shape = list(inputs[0].shape)


def _gradients(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    (winners,) = ctx.saved_tensors
    of_input = torch.ops.trackerlib.roi_pool_backward(grad, winners, ctx.shape)
    return of_input, None, None, None, None


torch.library.register_autograd("trackerlib::roi_pool", _gradients, setup_context=_save)

if find_spec("triton"):  # imported with the first map on a GPU

    @torch.library.impl("trackerlib::roi_pool", "cuda")
    def _(
        input: Tensor,
        boxes: Tensor,
        output_size: Sequence[int],
        spatial_scale: float,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        from trackerlib.ops.kernels import roi_pool as kernels

        _check_count(input, keep)
        return kernels.forward(input, boxes, output_size, spatial_scale, keep)

    @torch.library.impl("trackerlib::roi_pool_backward", "cuda")
    def _(grad: Tensor, winners: Tensor, shape: Sequence[int]) -> Tensor:
        if torch.are_deterministic_algorithms_enabled():
            return _roi_pool_backward(grad, winners, shape)
        from trackerlib.ops.kernels import roi_pool as kernels

        return kernels.backward(grad, winners, shape)
