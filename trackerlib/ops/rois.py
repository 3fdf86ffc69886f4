"""What the RoI ops share: what they take, and the regions in cells of the map."""

import math

import torch


def check(op: str, features: torch.Tensor, rois: torch.Tensor, scale: float, **counts: int):
    """ValueError for anything but what every RoI op takes; values are looked at in `check_values`.

    features  (N, C, H, W) float, no side 0
    rois      (K, 5) float on the same device, without gradient
    scale     map cells per image pixel, above 0
    counts    whole numbers above 0, by name
    """
    if features.ndim != 4 or not features.is_floating_point() or not all(features.shape):
        raise ValueError(
            f"{op}: expected features (N, C, H, W) of a float type without a side of 0, "
            f"got {tuple(features.shape)} {features.dtype}; "
            "add a batch axis with features[None], convert with features.float()"
        )
    if rois.ndim != 2 or rois.shape[1] != 5 or not rois.is_floating_point():
        raise ValueError(
            f"{op}: expected rois (K, 5), rows of batch index, x1, y1, x2, y2 of a float type, "
            f"got {tuple(rois.shape)} {rois.dtype}; "
            "put a column of zeros before the corners if there is one image"
        )
    if rois.device != features.device:
        raise ValueError(
            f"{op}: expected rois on the features' device {features.device}, "
            f"got {rois.device}; move them with rois.to(features.device)"
        )
    if rois.requires_grad:
        raise ValueError(
            f"{op}: expected rois without gradient, got rois that require one; "
            "only features get a gradient: pass rois.detach()"
        )
    if not 0 < scale < math.inf:
        raise ValueError(
            f"{op}: expected spatial_scale in map cells per pixel, above 0, got {scale}; "
            "a map of stride 16 has 1 / 16"
        )
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(
                f"{op}: expected {name} to be a whole number above 0, got {count!r}; "
                "convert it with int()"
            )


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """What an op computes in: float32, or float64 for a float64 map."""
    return torch.promote_types(dtype, torch.float32)


def widened(features: torch.Tensor) -> torch.Tensor:
    """The map in the type that an op computes in."""
    return features.to(accumulator(features.dtype))


def check_values(op: str, features: torch.Tensor, rois: torch.Tensor, scale: float) -> None:
    """ValueError with the first of rois (K, 5) that is no region of one of the images."""
    image, edges = rois[:, 0], rois[:, 1:].to(accumulator(features.dtype)) * scale
    right = edges.isfinite().all(1) & (rois[:, 3:] >= rois[:, 1:3]).all(1)
    right &= (image >= 0) & (image < len(features)) & (image == image.floor())
    if not right.all():
        first = int(right.logical_not().nonzero()[0])
        raise ValueError(
            f"{op}: expected rois of finite numbers with x1 <= x2, y1 <= y2 and a batch index "
            f"among 0 to {len(features) - 1}, got {rois[first].tolist()} in row {first}; "
            "boxes x, y, w, h become corners with boxes.xywh_to_xyxy"
        )


def corners(rois: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the regions start and end, in map cells: two (2, K), rows of y, then x."""
    x1, y1, x2, y2 = rois[:, 1:].t() * scale
    return torch.stack((y1, x1)), torch.stack((y2, x2))


def for_kernel(features: torch.Tensor, rois: torch.Tensor, scale: float):
    """Regions and scale as Triton takes them: a kernel's own numbers are float32 at most."""
    rois = rois.to(accumulator(features.dtype)).contiguous()
    if rois.dtype == torch.float64:
        return torch.cat((rois[:, :1], rois[:, 1:] * scale), 1), 1.0
    return rois, scale


def round_away(values: torch.Tensor) -> torch.Tensor:
    """Nearest whole number, halves away from 0, as C rounds (torch rounds them to even)."""
    down = values.abs().floor()
    return (down + (values.abs() - down >= 0.5)).copysign(values)


def regions_first(values: torch.Tensor) -> torch.Tensor:
    """(..., K) -> (K, ...), contiguous."""
    *shape, K = values.shape
    return values.flatten(end_dim=-2).t().contiguous().view(K, *shape)


def as_rows(features: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N * H * W, C): the channels of a cell lie together in memory.

    Nothing is copied if the map is stored channels-last.
    """
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]).contiguous()


def as_addends(features: torch.Tensor) -> torch.Tensor:
    """The rows of a map in a type that is summed without loss: its own, if that is bfloat16."""
    kept = features.dtype == torch.bfloat16
    return as_rows(features if kept else widened(features))


def as_map(rows: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """(N * H * W, C) -> (N, C, H, W), a channels-last map like features."""
    N, C, H, W = features.shape
    return rows.view(N, H, W, C).permute(0, 3, 1, 2).to(features.dtype)


def empty_regions(features: torch.Tensor, rois: torch.Tensor, side: int) -> torch.Tensor:
    """What a RoI op returns, unfilled: (K, C, side, side), stored as (K, side, side, C)."""
    shape = rois.shape[0], side, side, features.shape[1]
    return features.new_empty(shape).permute(0, 3, 1, 2)


def empty_map(features: torch.Tensor) -> torch.Tensor:
    """A channels-last map like features, unfilled: what a RoI op's gradient is."""
    N, C, H, W = features.shape
    return features.new_empty(N, H, W, C).permute(0, 3, 1, 2)
