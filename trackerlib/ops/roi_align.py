"""RoIAlign: regions of a feature map pooled to a fixed grid without rounding their borders.

[1] He, Gkioxari, Dollár, Girshick: Mask R-CNN. ICCV 2017, section 3, "RoIAlign".
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.2: the largest point instead of the average.
"""

from importlib.util import find_spec

import torch

from trackerlib.ops import bilinear
from trackerlib.ops import rois as regions

REDUCE = ("mean", "max")
POINTS = ("midpoints", "interior")


def roi_align(
    features: torch.Tensor,
    rois: torch.Tensor,
    output_size: int,
    spatial_scale: float,
    samples: int = 2,
    reduce: str = "mean",
    points: str = "midpoints",
) -> torch.Tensor:
    """Pool every region to output_size x output_size bins by bilinear sampling.

    features       (N, C, H, W) float; fastest if stored channels-last
    rois           (K, 5): batch index, x1, y1, x2, y2 in image pixels
    output_size    bins per side
    spatial_scale  map cells per image pixel
    samples        points per bin and side
    reduce         "mean" of a bin's points, or "max" [2]
    points         "midpoints" of samples equal parts of the bin: [1] as released,
                   torchvision's aligned=False; a point more than one cell outside
                   the map is 0, a nearer one takes the border's value.
                   "interior", at k / (samples + 1) of the bin: [2] as released; bins
                   are cut at the map's border, and one with nothing left is 0.
    returns        (K, C, output_size, output_size), dtype of features, stored channels-last

    A region is at least one cell wide and high. Sums are float32 (float64 for
    float64 maps). The gradient goes to features; of equally large points the
    first takes it. Maps are taken to be finite. On a GPU with Triton the values of
    rois are not read back to be checked, which would stall it: a bad region gives
    NaN there, and no gradient. The gradient is summed in no fixed order there, so
    that its last digits vary.

    Raises ValueError for other shapes, types, devices or settings, and for
    regions that are not finite, end before they start or name no image.
    """
    regions.check(
        "roi_align", features, rois, spatial_scale, output_size=output_size, samples=samples
    )
    for name, value, known in (("reduce", reduce, REDUCE), ("points", points, POINTS)):
        if value not in known:
            raise ValueError(
                f"roi_align: expected {name} to be one of {known}, got {value!r}; "
                "Mask R-CNN is mean of midpoints, FDN max of interior points"
            )
    return _roi_align(features, rois, output_size, float(spatial_scale), samples, reduce, points)


@torch.library.custom_op("trackerlib::roi_align", mutates_args=())
def _roi_align(
    features: torch.Tensor,
    rois: torch.Tensor,
    output_size: int,
    spatial_scale: float,
    samples: int,
    reduce: str,
    points: str,
) -> torch.Tensor:
    regions.check_values("roi_align", features, rois, spatial_scale)
    rows = regions.as_addends(features)
    taps = _taps(features, rois, output_size, spatial_scale, samples, reduce, points)
    if reduce == "mean":
        pooled = bilinear.blend(rows, taps)
    else:
        pooled = bilinear.max_weighted_sum(rows, taps, window=samples, stride=samples)
    return pooled.permute(0, 3, 1, 2).to(features.dtype)


@_roi_align.register_fake
def _(features, rois, output_size, spatial_scale, samples, reduce, points):
    return regions.empty_regions(features, rois, output_size)


@torch.library.custom_op("trackerlib::roi_align_backward", mutates_args=())
def _roi_align_backward(
    grad: torch.Tensor,
    features: torch.Tensor,
    rois: torch.Tensor,
    output_size: int,
    spatial_scale: float,
    samples: int,
    reduce: str,
    points: str,
) -> torch.Tensor:
    taps = _taps(features, rois, output_size, spatial_scale, samples, reduce, points)
    grad = grad.permute(0, 2, 3, 1).to(taps.weights.dtype)
    if reduce == "mean":
        spread = bilinear.spread(grad, taps, features[:, 0].numel())
    else:
        rows = regions.as_rows(regions.widened(features))
        spread = bilinear.scatter_add_max(grad, rows, taps, window=samples, stride=samples)
    return regions.as_map(spread, features)


@_roi_align_backward.register_fake
def _(grad, features, rois, output_size, spatial_scale, samples, reduce, points):
    return regions.empty_map(features)


def _taps(features, rois, bins, scale, samples, reduce, points):
    """Cells and weights of every bin, or of every point where a bin's points are compared."""
    start, end = regions.corners(rois.to(regions.accumulator(features.dtype)), scale)  # (2, K)
    length = torch.tensor(features.shape[2:], device=rois.device)[:, None, None]
    edges = torch.arange(bins + 1, device=rois.device, dtype=start.dtype)[:, None] / bins
    edges = start[:, None] + (end - start).clamp(min=1)[:, None] * edges  # (2, bins + 1, K)
    part = torch.arange(samples, device=rois.device, dtype=start.dtype)[:, None]
    if points == "midpoints":
        part = (part + 0.5) / samples
    else:
        part = (part + 1) / (samples + 1)
        edges = edges.clamp(min=0).minimum(length)
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    position = low + (high - low) * part  # (2, bins, samples, K)
    length = length[..., None]
    if points == "midpoints":
        inside = (position >= -1) & (position <= length)
    else:
        inside = (high > low).expand_as(position)
    position = position.clamp(min=0).minimum(length - 1)
    if reduce == "max":
        position, inside = position.flatten(1, 2)[:, :, None], inside.flatten(1, 2)[:, :, None]
    return bilinear.taps(position, inside, 1, rois[:, 0], features.shape[2:])


def _save(ctx, inputs, output):
    features, rois, *ctx.settings = inputs
    ctx.save_for_backward(features, rois)


def _backward(ctx, grad):
    return _roi_align_backward(grad, *ctx.saved_tensors, *ctx.settings), *[None] * 6


_roi_align.register_autograd(_backward, setup_context=_save)

if find_spec("triton"):  # imported with the first map on a GPU

    @_roi_align.register_kernel("cuda")
    def _(features, rois, output_size, spatial_scale, samples, reduce, points):
        from trackerlib.ops.kernels import roi_align as kernels

        sampling = kernels.Sampling(output_size, *[samples] * 3, reduce, points)
        return kernels.forward(features, rois, spatial_scale, sampling)

    @_roi_align_backward.register_kernel("cuda")
    def _(grad, features, rois, output_size, spatial_scale, samples, reduce, points):
        from trackerlib.ops.kernels import roi_align as kernels

        sampling = kernels.Sampling(output_size, *[samples] * 3, reduce, points)
        return kernels.backward(grad, features, rois, spatial_scale, sampling)
