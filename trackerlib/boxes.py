"""The one box convention: conversions, IoU, centre distance.

A box is `x, y, w, h` in pixels, float, 0-based, with continuous edges: the
image's first pixel covers [0, 1) x [0, 1), and the centre is xy + wh / 2.
Every other format is named in the variable: `boxes_xyxy`, `polygons`, `otb`.
All functions take numpy arrays (or lists) or torch tensors and return the same kind.

Boxes of integers, as image coordinates often are, would wrap around (uint8, uint16) or
overflow, and half precision holds no area above 65504. So float32 and float64 are kept,
and every other number type becomes float64 before any arithmetic, in both libraries.
"""

from typing import Any, TypeVar

import numpy as np
import torch

__all__ = [
    "box_iou",
    "centre_distance",
    "centres",
    "first_box",
    "otb_to_xywh",
    "polygon_to_xywh",
    "xywh_to_otb",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def xywh_to_xyxy(boxes: Array) -> Array:
    """Return left, top, right, bottom edges (..., 4) of x, y, w, h (..., 4)."""
    library, boxes = _floats("xywh_to_xyxy", boxes)
    xy, wh = boxes[..., :2], boxes[..., 2:]
    return library.concatenate((xy, xy + wh), -1)


def xyxy_to_xywh(boxes_xyxy: Array) -> Array:
    """Return x, y, w, h (..., 4) of left, top, right, bottom edges (..., 4)."""
    library, boxes_xyxy = _floats("xyxy_to_xywh", boxes_xyxy)
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return library.concatenate((low, high - low), -1)


def otb_to_xywh(otb: Array) -> Array:
    """Return 0-based boxes (..., 4) of OTB's 1-based x, y, w, h (..., 4)."""
    library, otb = _floats("otb_to_xywh", otb)
    return library.concatenate((otb[..., :2] - 1, otb[..., 2:]), -1)


def xywh_to_otb(boxes: Array) -> Array:
    """Return OTB's 1-based x, y, w, h (..., 4) of boxes (..., 4)."""
    library, boxes = _floats("xywh_to_otb", boxes)
    return library.concatenate((boxes[..., :2] + 1, boxes[..., 2:]), -1)


def polygon_to_xywh(polygons: Array) -> Array:
    """Return the axis-aligned bounds (..., 4) of corners x1, y1, ..., xn, yn (..., 2n)."""
    library, polygons = _floats("polygon_to_xywh", polygons)
    x, y = polygons[..., 0::2], polygons[..., 1::2]
    left, top = library.amin(x, -1), library.amin(y, -1)
    right, bottom = library.amax(x, -1), library.amax(y, -1)
    return library.stack((left, top, right - left, bottom - top), -1)


def centres(boxes: Array) -> Array:
    """Return x, y of the centres (..., 2) of boxes (..., 4)."""
    _, boxes = _floats("centres", boxes)
    return boxes[..., :2] + boxes[..., 2:] / 2


def centre_distance(boxes: Array, others: Array) -> Array:
    """Return the pixels between centres (...) of (..., 4) and (..., 4), broadcast together."""
    _, boxes, others = _floats("centre_distance", boxes, others)
    offset = centres(boxes) - centres(others)
    return (offset**2).sum(-1) ** 0.5


def box_iou(boxes: Array, others: Array) -> Array:
    """Return the intersection over union (...) of (..., 4) and (..., 4), broadcast together.

    Two boxes without area have an IoU of 0. All pairs of (N, 4) and (M, 4), as
    torchvision's function of this name gives them, are `box_iou(boxes[:, None], others)`,
    which is (N, M); theirs takes edges, `xywh_to_xyxy` of these boxes.
    """
    library, boxes, others = _floats("box_iou", boxes, others)
    low = library.maximum(boxes[..., :2], others[..., :2])
    # Each size less what lies before `low`: unlike differences of edges, this cannot
    # round to more than the boxes hold, so a box overlaps itself by exactly 1.
    size = library.minimum(
        boxes[..., 2:] - (low - boxes[..., :2]), others[..., 2:] - (low - others[..., :2])
    )
    shared = size.clip(0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared
    return library.where(union > 0, shared / library.where(union > 0, union, 1.0), 0.0)


def first_box(
    box: np.ndarray, frame: np.ndarray, min_side: float = 1.0, where: str = "first_box"
) -> np.ndarray:
    """Return the box that a tracker starts from, checked: a copy, (4,) float64.

    box       x, y, w, h
    frame     (H, W, 3), the frame it belongs to
    min_side  of the box, pixels; one pixel itself is legal
    where     names the sequence and the frame, for the message

    Raises ValueError for a box that is not finite, too small or wholly outside the frame.
    """
    try:
        target = np.asarray(box, dtype=np.float64).copy()
    except (TypeError, ValueError) as error:  # a text, None, rows of different lengths
        raise ValueError(
            f"{where}: expected four finite numbers x, y, w, h, got {box!r}; give an array or a "
            "list of numbers"
        ) from error
    height, width = frame.shape[:2]
    if target.shape != (4,) or not np.isfinite(target).all():
        expected = "four finite numbers x, y, w, h"
    elif (target[2:] < min_side).any():
        expected = f"a width and height of at least {min_side:g} pixels"
    elif (target[:2] >= (width, height)).any() or (target[:2] + target[2:] <= 0).any():
        expected = f"a box that overlaps the {width}x{height} frame"
    else:
        return target
    got = ", ".join(f"{number:g}" for number in target.ravel())
    raise ValueError(f"{where}: expected {expected}, got {got}")


def _floats(where: str, *several: Any) -> Any:
    """Return the library of the boxes, and each of them in float32 or float64."""
    tensors = [isinstance(boxes, torch.Tensor) for boxes in several]
    if any(tensors) and not all(tensors):
        raise ValueError(
            f"{where}: expected boxes of one library, got a tensor and an array; "
            "convert one of them with torch.as_tensor or .numpy()"
        )
    library = torch if any(tensors) else np
    boxes = several if any(tensors) else [np.asarray(one) for one in several]
    for one in boxes:
        _check_sides(where, tuple(one.shape))
    kept = (library.float32, library.float64)
    return library, *(one if one.dtype in kept else _double(one) for one in boxes)


def _double(boxes: Array) -> Array:
    return boxes.double() if isinstance(boxes, torch.Tensor) else boxes.astype(np.float64)


def _check_sides(where: str, shape: tuple[int, ...]) -> None:
    polygon = where == "polygon_to_xywh"
    last = shape[-1] if shape else 0
    if last != 4 and not (polygon and last > 4 and last % 2 == 0):
        expected = "corners x1, y1, ..., xn, yn (..., 2n)" if polygon else "four numbers (..., 4)"
        raise ValueError(f"{where}: expected {expected}, got {shape}; one box per row")
