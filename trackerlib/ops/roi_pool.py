"""RoIPool: the largest cell of every bin, the region's border rounded to whole cells.

[1] Girshick: Fast R-CNN. ICCV 2015, section 2.1; the rounding is that of the released code.
"""

from importlib.util import find_spec

import torch

from trackerlib.ops import rois as regions

CHUNK = 2**19  # values compared at once, so that they stay in the cache
FAR = 2**24  # cells: float32 holds all whole numbers up to here


def roi_pool(
    features: torch.Tensor, rois: torch.Tensor, output_size: int, spatial_scale: float
) -> torch.Tensor:
    """Pool every region to output_size x output_size bins by their largest cells.

    features       (N, C, H, W) float; fastest if stored channels-last
    rois           (K, 5): batch index, x1, y1, x2, y2 in image pixels
    output_size    bins per side
    spatial_scale  map cells per image pixel
    returns        (K, C, output_size, output_size), dtype of features, stored channels-last

    Both corners are rounded, and both their cells belong to the region. Bin i of
    n covers the cells from floor(i L / n) to ceil((i + 1) L / n) of a side of L,
    cut at the map's border; one with nothing left is 0. The gradient goes to
    features, the first of equal cells takes it. Bad values as in `roi_align`.

    Raises ValueError for other shapes, types, devices or settings, and for
    regions that are not finite, end before they start or name no image.
    """
    regions.check("roi_pool", features, rois, spatial_scale, output_size=output_size)
    keep = features.requires_grad and torch.is_grad_enabled()
    cells = features[:, 0].numel()
    if keep and cells > FAR:
        raise ValueError(
            f"roi_pool: expected at most {FAR} cells in a batch to learn from, got {cells}; "
            "pool it in parts"
        )
    return _roi_pool(features, rois, output_size, float(spatial_scale), keep)[0]


@torch.library.custom_op("trackerlib::roi_pool", mutates_args=())
def _roi_pool(
    features: torch.Tensor, rois: torch.Tensor, output_size: int, spatial_scale: float, keep: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The pooled bins and, to keep for the gradient, their winners (K, n, n, C).

    A winner is told by the number of cells from it to the end of the batch, 0 if there is none:
    the first of equal cells has the largest, so that one maximum finds it.
    """
    regions.check_values("roi_pool", features, rois, spatial_scale)
    rows = regions.as_rows(regions.widened(features))
    count, C = rows.shape
    shape = len(rois), output_size, output_size, C
    pooled = rows.new_empty(shape)
    winners = rows.new_empty(shape if keep else (0, C))
    for bins, cells in _bins(features, rois, output_size, spatial_scale):
        values = rows.index_select(0, cells.flatten()).view(*cells.shape, C)
        largest = values.amax(0) if len(cells) else values.new_zeros(len(bins), C)
        pooled.view(-1, C)[bins] = largest
        if keep:
            to_end = (count - cells)[..., None].to(values.dtype)
            won = values.eq_(largest).mul_(to_end)
            winners.view(-1, C)[bins] = won.amax(0) if len(cells) else largest
    return pooled.permute(0, 3, 1, 2).to(features.dtype), winners


def _bins(features, rois, n, scale):
    """Bins of one size, few at a time: which of all K * n * n (b,), and their cells (T, b)."""
    C, H, W = features.shape[1:]
    start, end = (
        regions.round_away(corner).clamp(-FAR, FAR).long()[:, None]
        for corner in regions.corners(rois.to(regions.accumulator(features.dtype)), scale)
    )  # (2, 1, K)
    length = end - start + 1
    bound = torch.tensor([[[H]], [[W]]], device=rois.device)
    order = torch.arange(n, device=rois.device)[:, None]
    first = (start + order * length // n).clamp(min=0).minimum(bound)  # (2, n, K)
    last = (start - (-(order + 1) * length // n)).clamp(min=0).minimum(bound)
    height, width = last - first
    row, column = first
    corner = regions.regions_first((row + rois[:, 0].long() * H)[:, None] * W + column).flatten()
    sizes = regions.regions_first(height[:, None] * (W + 1) + width).flatten()
    grid = torch.arange(H * W, device=rois.device).view(H, W)
    for size in sizes.unique().tolist():
        cells = grid[: size // (W + 1), : size % (W + 1)].reshape(-1, 1)
        alike = (sizes == size).nonzero()[:, 0]
        for bins in alike.split(CHUNK // (len(cells) * C + 1) + 1):
            yield bins, cells + corner[bins]


@_roi_pool.register_fake
def _(features, rois, output_size, spatial_scale, keep):
    pooled = regions.empty_regions(features, rois, output_size)
    shape = pooled.permute(0, 2, 3, 1).shape if keep else (0, features.shape[1])
    return pooled, features.new_empty(shape, dtype=regions.accumulator(features.dtype))


@torch.library.custom_op("trackerlib::roi_pool_backward", mutates_args=())
def _roi_pool_backward(
    grad: torch.Tensor, winners: torch.Tensor, shape: list[int]
) -> torch.Tensor:
    N, C, H, W = shape
    from_end = grad.new_zeros(1 + N * H * W, C, dtype=regions.accumulator(grad.dtype))
    some = max(1, CHUNK // grad.shape[1:].numel())  # regions at a time
    shares = grad.permute(0, 2, 3, 1).split(some)
    for winner, share in zip(winners.split(some), shares, strict=True):
        share = share.reshape(-1, C).to(from_end.dtype)
        from_end.scatter_add_(0, winner.view(-1, C).long(), share)
    return from_end[1:].flip(0).view(N, H, W, C).permute(0, 3, 1, 2).to(grad.dtype)


@_roi_pool_backward.register_fake
def _(grad, winners, shape):
    N, C, H, W = shape
    return grad.new_empty(N, H, W, C).permute(0, 3, 1, 2)


def _save(ctx, inputs, output):
    ctx.save_for_backward(output[1])
    ctx.shape = list(inputs[0].shape)


def _backward(ctx, grad, _):
    return _roi_pool_backward(grad, *ctx.saved_tensors, ctx.shape), *[None] * 4


_roi_pool.register_autograd(_backward, setup_context=_save)

if find_spec("triton"):  # imported with the first map on a GPU

    @_roi_pool.register_kernel("cuda")
    def _(features, rois, output_size, spatial_scale, keep):
        from trackerlib.ops.kernels import roi_pool as kernels

        return kernels.forward(features, rois, output_size, spatial_scale, keep)

    @_roi_pool_backward.register_kernel("cuda")
    def _(grad, winners, shape):
        from trackerlib.ops.kernels import roi_pool as kernels

        return kernels.backward(grad, winners, shape)
