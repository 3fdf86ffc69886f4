"""Adaptive RoIAlign: the larger a region, the farther apart the cells that a point reads.

[1] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, section 3.2.
"""

from importlib.util import find_spec

import torch

from trackerlib.ops import bilinear
from trackerlib.ops import rois as regions

WINDOW, STRIDE = 3, 2  # of the max-pooling that follows, [1]


def adaptive_roi_align(
    features: torch.Tensor,
    rois: torch.Tensor,
    grid: int,
    spatial_scale: float,
    pool: bool = True,
) -> torch.Tensor:
    """Sample every region at grid x grid points, then max-pool 3 x 3 with stride 2.

    features       (N, C, H, W) float; fastest if stored channels-last
    rois           (K, 5): batch index, x1, y1, x2, y2 in image pixels
    grid           points per side; 7 in [1], which makes 3 x 3 after pooling
    spatial_scale  map cells per image pixel
    pool           False returns the points themselves
    returns        (K, C, n, n), dtype of features, stored channels-last;
                   n = (grid - 3) // 2 + 1, or grid without pooling

    A region extends over end - start + 1 cells, a grid-th of which is the bin
    size b. A point stands at each bin's leading edge p and reads floor(p) and the
    cell s = max(1, round(b)) further, with weights 1 - distance / s; cells outside
    the map count 0, and so does a point outside. (The paper gives the bandwidth s,
    the authors' code the rest.) Sums, gradients and bad values as in `roi_align`.

    Raises ValueError as `roi_align` does, and for a grid too small to be pooled.
    """
    regions.check("adaptive_roi_align", features, rois, spatial_scale, grid=grid)
    if pool and grid < WINDOW:
        raise ValueError(
            f"adaptive_roi_align: expected a grid of at least {WINDOW} to max-pool, got {grid}; "
            "use pool=False"
        )
    return _adaptive_roi_align(features, rois, grid, float(spatial_scale), *_window(pool))


def _window(pool):
    return (WINDOW, STRIDE) if pool else (1, 1)


@torch.library.custom_op("trackerlib::adaptive_roi_align", mutates_args=())
def _adaptive_roi_align(
    features: torch.Tensor,
    rois: torch.Tensor,
    grid: int,
    spatial_scale: float,
    window: int,
    stride: int,
) -> torch.Tensor:
    regions.check_values("adaptive_roi_align", features, rois, spatial_scale)
    taps = _taps(features, rois, grid, spatial_scale)
    pooled = bilinear.max_weighted_sum(regions.as_addends(features), taps, window, stride)
    return pooled.permute(0, 3, 1, 2).to(features.dtype)


@_adaptive_roi_align.register_fake
def _(features, rois, grid, spatial_scale, window, stride):
    return regions.empty_regions(features, rois, (grid - window) // stride + 1)


@torch.library.custom_op("trackerlib::adaptive_roi_align_backward", mutates_args=())
def _adaptive_roi_align_backward(
    grad: torch.Tensor,
    features: torch.Tensor,
    rois: torch.Tensor,
    grid: int,
    spatial_scale: float,
    window: int,
    stride: int,
) -> torch.Tensor:
    taps = _taps(features, rois, grid, spatial_scale)
    grad = grad.permute(0, 2, 3, 1).to(taps.weights.dtype)
    rows = regions.as_rows(regions.widened(features))
    return regions.as_map(bilinear.scatter_add_max(grad, rows, taps, window, stride), features)


@_adaptive_roi_align_backward.register_fake
def _(grad, features, rois, grid, spatial_scale, window, stride):
    return regions.empty_map(features)


def _taps(features, rois, grid, scale):
    """Cells and weights of every point."""
    start, end = regions.corners(rois.to(regions.accumulator(features.dtype)), scale)
    length = torch.tensor(features.shape[2:], device=rois.device)[:, None, None, None]
    size = ((end - start + 1) / grid)[:, None, None]
    order = torch.arange(grid, device=rois.device, dtype=start.dtype)[:, None, None]
    position = start[:, None, None] + order * size  # (2, grid, 1, K)
    inside = (position >= 0) & (position < length)
    step = regions.round_away(size).clamp(min=1)
    return bilinear.taps(position, inside, step, rois[:, 0], features.shape[2:])


def _save(ctx, inputs, output):
    features, rois, *ctx.settings = inputs
    ctx.save_for_backward(features, rois)


def _backward(ctx, grad):
    return _adaptive_roi_align_backward(grad, *ctx.saved_tensors, *ctx.settings), *[None] * 5


_adaptive_roi_align.register_autograd(_backward, setup_context=_save)

if find_spec("triton"):  # imported with the first map on a GPU

    @_adaptive_roi_align.register_kernel("cuda")
    def _(features, rois, grid, spatial_scale, window, stride):
        from trackerlib.ops.kernels import roi_align as kernels

        sampling = kernels.Sampling(grid, 1, window, stride, "max", "adaptive")
        return kernels.forward(features, rois, spatial_scale, sampling)

    @_adaptive_roi_align_backward.register_kernel("cuda")
    def _(grad, features, rois, grid, spatial_scale, window, stride):
        from trackerlib.ops.kernels import roi_align as kernels

        sampling = kernels.Sampling(grid, 1, window, stride, "max", "adaptive")
        return kernels.backward(grad, features, rois, spatial_scale, sampling)
