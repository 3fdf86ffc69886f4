"""Adaptive RoIAlign: the larger a box, the farther apart the map cells that a point reads.

[1] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, section 3.2.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from trackerlib.ops import bilinear
from trackerlib.ops import rois as regions
from trackerlib.ops.registration import operator

WINDOW, STRIDE = 3, 2  # of the max-pooling that follows, [1]


def adaptive_roi_align(
    input: Tensor,
    boxes: regions.Boxes,
    grid: int,
    spatial_scale: float = 1.0,
    pool: bool = True,
) -> Tensor:
    """Sample every box at grid x grid points, then max-pool 3 x 3 with stride 2.

    input          (N, C, H, W) float; fastest if stored channels-last
    boxes          (K, 5): batch index, x1, y1, x2, y2 in image pixels, float or whole;
                   or a list of (L, 4) without index, one tensor per image
    grid           points per side; 7 in [1], which makes 3 x 3 after pooling
    spatial_scale  map cells per image pixel
    pool           False returns the points themselves
    returns        (K, C, n, n), dtype of input, stored channels-last;
                   n = (grid - 3) // 2 + 1, or grid without pooling

    A box extends over end - start + 1 map cells, a grid-th of which is the bin
    size b. A point stands at each bin's first edge p and reads floor(p) and the
    map cell s = max(1, round(b)) further, with weights 1 - distance / s; what lies outside
    the map counts 0, and so does a point outside. Sums, gradients and bad values are those
    of `roi_align`, and so are torch.fx, TorchScript and boxes of whole numbers.

    The released kernel differs for points on the map's last row and column: it clamps floor(p)
    to the last cell but one, from which it also takes the distance. On cells 10, 20, 30, 40 with
    s = 1, the point 3.5 is 45 there, -0.5 * 30 + 1.5 * 40, and 20 here, 0.5 * 40.

    Source: [1]; the paper gives the bandwidth s, the authors' code the rest.
    Raises ValueError as `roi_align` does, and for a grid too small to be pooled.
    """
    window, stride = (3, 2) if pool else (1, 1)  # TorchScript knows no WINDOW of a module
    if torch.jit.is_scripting():  # what follows is Python's; the op checks its arguments again
        rows = regions.table(boxes)
        keep = input.requires_grad and torch.is_grad_enabled()
        return torch.ops.trackerlib.adaptive_roi_align(
            input, rows, grid, spatial_scale, window, stride, keep
        )[0]
    if has_torch_function((input,)):  # torch.fx notes the call down
        settings = grid, spatial_scale, pool
        return handle_torch_function(adaptive_roi_align, (input,), input, boxes, *settings)
    boxes = regions.checked("adaptive_roi_align", input, boxes, spatial_scale)
    _check_grid(grid, window)
    keep = input.requires_grad and torch.is_grad_enabled()
    return torch.ops.trackerlib.adaptive_roi_align(
        input, boxes, grid, float(spatial_scale), window, stride, keep
    )[0]


def _check_grid(grid: int, window: int) -> None:
    regions.check_count("adaptive_roi_align", "grid", grid)
    if grid < window:
        raise ValueError(
            f"adaptive_roi_align: expected a grid of at least {window} to max-pool, got {grid}; "
            "use pool=False"
        )


@operator("adaptive_roi_align", has_gradient=True)
def _adaptive_roi_align(
    input: Tensor,
    boxes: Tensor,
    grid: int,
    spatial_scale: float,
    window: int,
    stride: int,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """Return the maxima and, to keep for the gradient, their winners (K, n, n, C).

    A winner is the number of a point of the grid, row by row.
    """
    regions.check_values("adaptive_roi_align", input, boxes, spatial_scale)
    _check_grid(grid, window)
    neighbours = _neighbours(input, boxes, grid, spatial_scale)
    winners = _winners(input, boxes, grid, window, stride, keep)
    # Winners are found among sums of float32: their nearest bfloat16 may be equal.
    rows = regions.as_addends(regions.widened(input) if keep else input)
    pooled = bilinear.max_weighted_sum(
        rows, neighbours, (window, window), (stride, stride), winners if keep else None
    )
    return pooled.permute(0, 3, 1, 2).to(input.dtype), winners


def _winners(
    input: Tensor, boxes: Tensor, grid: int, window: int, stride: int, keep: bool
) -> Tensor:
    """Return room for the winners of maxima (K, n, n, C), or none (0, n, n, C)."""
    side = (grid - window) // stride + 1
    shape = boxes.shape[0] if keep else 0, side, side, input.shape[1]
    return input.new_empty(shape, dtype=bilinear.winner_type(grid * grid))


@torch.library.register_fake("trackerlib::adaptive_roi_align")
def _(
    input: Tensor,
    boxes: Tensor,
    grid: int,
    spatial_scale: float,
    window: int,
    stride: int,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    side = (grid - window) // stride + 1
    pooled = regions.empty_bins(input, boxes, (side, side))
    return pooled, _winners(input, boxes, grid, window, stride, keep)


@operator("adaptive_roi_align_backward")
def _adaptive_roi_align_backward(
    grad: Tensor,
    winners: Tensor,
    input: Tensor,
    boxes: Tensor,
    grid: int,
    spatial_scale: float,
    window: int,
    stride: int,
) -> Tensor:
    neighbours = _neighbours(input, boxes, grid, spatial_scale)
    grad = grad.permute(0, 2, 3, 1).to(neighbours.weights.dtype).contiguous()
    count, windows = input[:, 0].numel(), ((window, window), (stride, stride))
    total = bilinear.scatter_add_max(grad, winners, neighbours, count, *windows)
    return regions.as_map(total, input)


@torch.library.register_fake("trackerlib::adaptive_roi_align_backward")
def _(grad: Tensor, winners: Tensor, input: Tensor, *settings: Any) -> Tensor:
    return regions.empty_map(input)


def _neighbours(input: Tensor, boxes: Tensor, grid: int, scale: float) -> bilinear.Neighbours:
    """Return the map cells of every point, and their weights."""
    H, W = input.shape[2:]
    start, end = regions.corners(input, boxes, scale)  # (2, K)
    rows, columns = (
        _along(start[axis], end[axis], grid, length) for axis, length in enumerate((H, W))
    )
    return bilinear.neighbours(rows, columns, boxes[:, 0], (H, W))


def _along(start: Tensor, end: Tensor, grid: int, length: int) -> bilinear.Axis:
    """Return the map cells around the points of one axis.

    start, end  (K,) map cells
    grid        points
    length      map cells of the axis
    """
    # From 1.5 to 8.5 with a grid of 3: the extent is 8 cells, a bin 2.67, so that s = 3. Points
    # stand at 1.5, 4.17 and 6.83. The first reads cells 1 and 4, with weights 1 - 0.5 / 3 = 0.83
    # and 0.17; the last reads 6 and 9, with 0.72 and 0.28, or 6 alone if the map ends at 9.
    size = (end - start + 1) / grid  # (K,)
    order = torch.arange(grid, device=start.device, dtype=start.dtype)[:, None, None]
    position = start + order * size  # (grid, 1, K)
    inside = (position >= 0) & (position < length)
    step = regions.round_away(size).clamp(min=1)
    return bilinear.along(position, inside, step, length)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    input, boxes, *ctx.settings, _ = inputs
    ctx.save_for_backward(output[1], input, boxes)


def _gradients(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    winners, input, boxes = ctx.saved_tensors
    of_input = torch.ops.trackerlib.adaptive_roi_align_backward(
        grad, winners, input, boxes, *ctx.settings
    )
    return of_input, *[None] * (2 + len(ctx.settings))


torch.library.register_autograd("trackerlib::adaptive_roi_align", _gradients, setup_context=_save)

if find_spec("triton"):  # imported with the first map on a GPU

    @torch.library.impl("trackerlib::adaptive_roi_align", "cuda")
    def _(
        input: Tensor,
        boxes: Tensor,
        grid: int,
        spatial_scale: float,
        window: int,
        stride: int,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        from trackerlib.ops.kernels import roi_align as kernels

        sampling = kernels.Sampling((grid, grid), 1, window, stride, "max", "adaptive")
        winners = _winners(input, boxes, grid, window, stride, keep)
        return kernels.forward(input, boxes, spatial_scale, sampling, winners), winners

    @torch.library.impl("trackerlib::adaptive_roi_align_backward", "cuda")
    def _(
        grad: Tensor,
        winners: Tensor,
        input: Tensor,
        boxes: Tensor,
        grid: int,
        spatial_scale: float,
        window: int,
        stride: int,
    ) -> Tensor:
        if torch.are_deterministic_algorithms_enabled():
            return _adaptive_roi_align_backward(
                grad, winners, input, boxes, grid, spatial_scale, window, stride
            )
        from trackerlib.ops.kernels import roi_align as kernels

        sampling = kernels.Sampling((grid, grid), 1, window, stride, "max", "adaptive")
        return kernels.backward(grad, winners, input, boxes, spatial_scale, sampling)
