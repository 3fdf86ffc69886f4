"""What the RoI ops share: their arguments in one form, and boxes in map cells."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Boxes = Tensor | Sequence[Tensor]  # (K, 5), or (L, 4) for each image


def checked(op: str, input: Tensor, boxes: Boxes, scale: float) -> Tensor:
    """Return the boxes as (K, 5); their values are checked where the op runs, by `check_values`.

    input  (N, C, H, W) float, no side 0
    boxes  (K, 5) float: batch index, x1, y1, x2, y2; or a list of at most N tensors (L, 4),
           of image 0, 1 and so on; on the input's device, without gradient
    scale  map cells per image pixel, above 0

    Raises ValueError for anything else.
    """
    if input.ndim != 4 or not input.is_floating_point() or not all(input.shape):
        raise ValueError(
            f"{op}: expected input (N, C, H, W) of a float type without a side of 0, "
            f"got {tuple(input.shape)} {input.dtype}; "
            "add a batch axis with input[None], convert with input.float()"
        )
    if not isinstance(boxes, Tensor):
        boxes = _with_image(op, boxes, input.shape[0])
    if boxes.ndim != 2 or boxes.shape[1] != 5 or not boxes.is_floating_point():
        raise ValueError(
            f"{op}: expected boxes (K, 5), rows of batch index, x1, y1, x2, y2 of a float type, "
            f"got {tuple(boxes.shape)} {boxes.dtype}; "
            "pass corners (L, 4) of one image as a list, [corners]"
        )
    if boxes.device != input.device:
        raise ValueError(
            f"{op}: expected boxes on the input's device {input.device}, "
            f"got {boxes.device}; move them with boxes.to(input.device)"
        )
    if boxes.requires_grad:
        raise ValueError(
            f"{op}: expected boxes without gradient, got boxes that require one; "
            "only the input gets a gradient: pass boxes.detach()"
        )
    if not 0 < scale < math.inf:
        raise ValueError(
            f"{op}: expected spatial_scale in map cells per pixel, above 0, got {scale}; "
            "a map of stride 16 has 1 / 16"
        )
    return boxes


def _with_image(op: str, boxes: Sequence[Tensor], images: int) -> Tensor:
    """Return the boxes (L, 4) of every image as rows (K, 5) that begin with its index."""
    shapes = [tuple(corners.shape) for corners in boxes]
    if not 1 <= len(boxes) <= images or any(len(s) != 2 or s[1] != 4 for s in shapes):
        raise ValueError(
            f"{op}: expected a list of boxes (L, 4), one tensor for each of {images} images, "
            f"got shapes {shapes}; an image without boxes has boxes.new_empty(0, 4)"
        )
    # [[x1, y1, x2, y2]] and [[...], [...]] -> rows of images 0, 1, 1
    indices = [torch.full_like(corners[:, :1], image) for image, corners in enumerate(boxes)]
    return torch.cat((torch.cat(indices), torch.cat(list(boxes))), 1)


def check_count(op: str, name: str, count: int) -> None:
    """Raise ValueError for anything but a whole number above 0."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(
            f"{op}: expected {name} to be a whole number above 0, got {count!r}; "
            "convert it with int()"
        )


def pair(op: str, output_size: int | Sequence[int]) -> tuple[int, int]:
    """Return bins along rows and columns, from one number for both or a pair (h, w).

    Raises ValueError for anything but whole numbers above 0.
    """
    if not isinstance(output_size, Sequence):
        check_count(op, "output_size", output_size)
        return output_size, output_size
    if len(output_size) != 2:
        raise ValueError(
            f"{op}: expected output_size to be a whole number or a pair (h, w), "
            f"got {output_size!r}; give one number for both sides"
        )
    height, width = output_size
    check_count(op, "output_size[0]", height)
    check_count(op, "output_size[1]", width)
    return height, width


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """Return the type that an op computes in: float32, or float64 for a float64 map."""
    return torch.promote_types(dtype, torch.float32)


def widened(input: Tensor) -> Tensor:
    """Return the map in the type that an op computes in."""
    return input.to(accumulator(input.dtype))


def check_values(op: str, input: Tensor, boxes: Tensor, scale: float) -> None:
    """Raise ValueError with the first of boxes (K, 5) that is no region of one of the images."""
    image, edges = boxes[:, 0], boxes[:, 1:].to(accumulator(input.dtype)) * scale
    right = edges.isfinite().all(1) & (boxes[:, 3:] >= boxes[:, 1:3]).all(1)
    right &= (image >= 0) & (image < len(input)) & (image == image.floor())
    if not right.all():
        first = int(right.logical_not().nonzero()[0])
        raise ValueError(
            f"{op}: expected boxes of finite numbers with x1 <= x2, y1 <= y2 and a batch index "
            f"among 0 to {len(input) - 1}, got {boxes[first].tolist()} in row {first}; "
            "boxes x, y, w, h become corners with boxes.xywh_to_xyxy"
        )


def corners(input: Tensor, boxes: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return where boxes (K, 5) start and end, in map cells: two (2, K), rows of y, then x."""
    # Boxes are widened before they are scaled: half types do not hold the fractions of a cell.
    x1, y1, x2, y2 = boxes.to(accumulator(input.dtype))[:, 1:].t() * scale
    return torch.stack((y1, x1)), torch.stack((y2, x2))


def for_kernel(input: Tensor, boxes: Tensor, scale: float) -> tuple[Tensor, float]:
    """Return boxes and scale as Triton takes them: a kernel's own numbers are float32 at most."""
    boxes = boxes.to(accumulator(input.dtype)).contiguous()
    if boxes.dtype == torch.float64:
        return torch.cat((boxes[:, :1], boxes[:, 1:] * scale), 1), 1.0
    return boxes, scale


def round_away(values: Tensor) -> Tensor:
    """Return the nearest whole numbers, halves away from 0 as C rounds (torch: to even)."""
    down = values.abs().floor()
    return (down + (values.abs() - down >= 0.5)).copysign(values)


def boxes_first(values: Tensor) -> Tensor:
    """Return (..., K) as (K, ...), contiguous."""
    *shape, K = values.shape
    return values.flatten(end_dim=-2).t().contiguous().view(K, *shape)


def as_rows(input: Tensor) -> Tensor:
    """Return (N, C, H, W) as (N * H * W, C): the channels of a map cell lie together in memory.

    Nothing is copied if the map is stored channels-last.
    """
    # Flat in between: of a map of one channel, the rows' second stride could be anything, and
    # the sums would be made in another order.
    return input.permute(0, 2, 3, 1).flatten().contiguous().view(-1, input.shape[1])


def as_addends(input: Tensor) -> Tensor:
    """Return the rows of a map in a type that is summed without loss; bfloat16 stays as it is."""
    kept = input.dtype == torch.bfloat16
    return as_rows(input if kept else widened(input))


def as_map(rows: Tensor, input: Tensor) -> Tensor:
    """Return (N * H * W, C) as (N, C, H, W), a channels-last map like input."""
    N, C, H, W = input.shape
    return rows.view(N, H, W, C).permute(0, 3, 1, 2).to(input.dtype)


def empty_bins(input: Tensor, boxes: Tensor, output_size: Sequence[int]) -> Tensor:
    """Return what a RoI op returns, unfilled: (K, C, h, w), stored as (K, h, w, C)."""
    height, width = output_size
    # Not len(boxes): a compiler would compile again for every number of boxes.
    return input.new_empty(boxes.shape[0], height, width, input.shape[1]).permute(0, 3, 1, 2)


def empty_map(input: Tensor) -> Tensor:
    """Return a channels-last map like input, unfilled: what a RoI op's gradient is."""
    N, C, H, W = input.shape
    return input.new_empty(N, H, W, C).permute(0, 3, 1, 2)
