"""What the RoI ops share: their arguments in one form, and boxes in map cells."""

import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

Boxes = Tensor | list[Tensor]  # (K, 5), or (L, 4) for each image; TorchScript's types
Sides = int | tuple[int, int] | list[int]  # one number for both, or rows and columns


def checked(op: str, input: Tensor, boxes: Boxes | Sequence[Tensor], scale: float) -> Tensor:
    """Return the boxes as (K, 5); their values are checked where the op runs, by `check_values`.

    input  (N, C, H, W) float, no side 0
    boxes  (K, 5): batch index, x1, y1, x2, y2; or a list of at most N tensors (L, 4),
           of image 0, 1 and so on; float, or whole numbers, which become float; on the
           input's device, without gradient
    scale  map cells per image pixel, above 0

    Raises ValueError for anything else.
    """
    _check_input(op, input)
    if isinstance(boxes, Tensor):
        boxes = widened_whole(boxes, input)
    else:
        boxes = table(_checked_list(op, boxes, input))
    check_tensors(op, input, boxes, scale)
    return boxes


def is_whole(numbers: Tensor) -> bool:
    """Tell whether a tensor holds whole numbers, of whatever size, with or without sign."""
    dtype = numbers.dtype
    fractions = dtype.is_floating_point or dtype.is_complex or numbers.is_quantized
    return not fractions and dtype != torch.bool


def widened_whole(boxes: Tensor, input: Tensor) -> Tensor:
    """Return boxes of whole numbers in the type that an op computes in, others as they are."""
    return boxes.to(accumulator(input.dtype)) if is_whole(boxes) else boxes


def _check_input(op: str, input: Tensor) -> None:
    if not isinstance(input, Tensor):
        raise ValueError(
            f"{op}: expected input to be a tensor (N, C, H, W), got {type(input).__name__}; "
            "make one with torch.as_tensor(input)"
        )
    whole = input.layout == torch.strided and all(input.shape)
    if input.ndim != 4 or not input.is_floating_point() or not whole:
        raise ValueError(
            f"{op}: expected input (N, C, H, W) of a float type without a side of 0, "
            f"got {tuple(input.shape)} {input.dtype} {input.layout}; add a batch axis with "
            "input[None], convert with input.float(), input.dequantize() or input.to_dense()"
        )


def check_tensors(op: str, input: Tensor, boxes: Tensor, scale: float) -> None:
    """Raise ValueError for what `checked` does not take, but for a list or whole numbers."""
    _check_input(op, input)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ValueError(
            f"{op}: expected boxes (K, 5), rows of batch index, x1, y1, x2, y2, "
            f"got {tuple(boxes.shape)} {boxes.dtype}; "
            "pass corners (L, 4) of one image as a list, [corners]"
        )
    _check_numbers(op, input, boxes)
    if boxes.requires_grad:
        raise ValueError(
            f"{op}: expected boxes without gradient, got boxes that require one; "
            "only the input gets a gradient: pass boxes.detach()"
        )
    if not isinstance(scale, Real | Tensor) or not 0 < scale < math.inf:
        raise ValueError(
            f"{op}: expected spatial_scale in map cells per pixel, above 0, got {scale}; "
            "a map of stride 16 has 1 / 16"
        )


def _check_numbers(op: str, input: Tensor, boxes: Tensor) -> None:
    if not boxes.is_floating_point():
        raise ValueError(
            f"{op}: expected boxes of a float type, or whole numbers, got {boxes.dtype}; "
            "convert them with boxes.float() or boxes.dequantize()"
        )
    if boxes.device != input.device:
        raise ValueError(
            f"{op}: expected boxes on the input's device {input.device}, "
            f"got {boxes.device}; move them with boxes.to(input.device)"
        )


def _checked_list(op: str, boxes: Sequence[Tensor], input: Tensor) -> list[Tensor]:
    images = input.shape[0]
    if not isinstance(boxes, Sequence) or not all(isinstance(part, Tensor) for part in boxes):
        raise ValueError(
            f"{op}: expected boxes to be a tensor (K, 5) or a list of tensors (L, 4), got "
            f"{type(boxes).__name__}; make tensors of arrays and lists with torch.as_tensor"
        )
    shapes = [tuple(corners.shape) for corners in boxes]
    if not 1 <= len(boxes) <= images or any(len(s) != 2 or s[1] != 4 for s in shapes):
        raise ValueError(
            f"{op}: expected a list of boxes (L, 4), one tensor for each of {images} images, "
            f"got shapes {shapes}; an image without boxes has boxes.new_empty(0, 4)"
        )
    boxes = [widened_whole(corners, input) for corners in boxes]
    for corners in boxes:
        _check_numbers(op, input, corners)
    return boxes


def table(boxes: Boxes) -> Tensor:
    """Return the boxes (L, 4) of every image as rows (K, 5) that begin with its index."""
    if isinstance(boxes, Tensor):
        return boxes
    # [[x1, y1, x2, y2]] and [[...], [...]] -> rows of images 0, 1, 1; in float32, which holds
    # the index of every image, as half types do not.
    indices = [
        torch.full_like(corners[:, :1], image, dtype=torch.float32)
        for image, corners in enumerate(boxes)
    ]
    return torch.cat((torch.cat(indices), torch.cat(boxes)), 1)


def sides(output_size: Sides) -> list[int]:
    """Return bins along rows and columns, unchecked: what TorchScript has of `pair`."""
    if isinstance(output_size, int):
        return [output_size, output_size]
    elif isinstance(output_size, list):  # TorchScript needs every branch
        return output_size
    else:
        return [output_size[0], output_size[1]]


def check_count(op: str, name: str, count: int) -> None:
    """Raise ValueError for anything but a whole number above 0."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(
            f"{op}: expected {name} to be a whole number above 0, got {count!r}; "
            "convert it with int()"
        )


def pair(op: str, output_size: Sides | Sequence[int]) -> tuple[int, int]:
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
    """Raise ValueError with the first of boxes (K, 5) that is no region of one of the images.

    What `checked` has seen is seen again, as TorchScript calls the op without it.
    """
    check_tensors(op, input, boxes, scale)
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
