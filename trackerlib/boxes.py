"""The one box convention: conversions, IoU, centre distance.

A box is `x, y, w, h` in pixels, float, 0-based, with continuous edges: the
image's first pixel covers [0, 1) x [0, 1), and the centre is xy + wh / 2.
Every other format is named in the variable: `boxes_xyxy`, `polygons`, `otb`.
All functions take numpy arrays or torch tensors and return the same kind.
"""

from types import ModuleType
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


def _library(boxes: Array) -> ModuleType:
    return torch if isinstance(boxes, torch.Tensor) else np


def xywh_to_xyxy(boxes: Array) -> Array:
    """Return left, top, right, bottom edges (..., 4) of x, y, w, h (..., 4)."""
    xy, wh = boxes[..., :2], boxes[..., 2:]
    return _library(boxes).concatenate((xy, xy + wh), -1)


def xyxy_to_xywh(boxes_xyxy: Array) -> Array:
    """Return x, y, w, h (..., 4) of left, top, right, bottom edges (..., 4)."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return _library(boxes_xyxy).concatenate((low, high - low), -1)


def otb_to_xywh(otb: Array) -> Array:
    """Return 0-based boxes (..., 4) of OTB's 1-based x, y, w, h (..., 4)."""
    return otb - _first_pixel(otb)


def xywh_to_otb(boxes: Array) -> Array:
    """Return OTB's 1-based x, y, w, h (..., 4) of boxes (..., 4)."""
    return boxes + _first_pixel(boxes)


def _first_pixel(boxes: Array) -> Any:
    counted_from = np.array([1, 1, 0, 0], dtype=np.float32)  # the sum keeps the boxes' precision
    if _library(boxes) is torch:
        return torch.as_tensor(counted_from, device=boxes.device)
    return counted_from


def polygon_to_xywh(polygons: Array) -> Array:
    """Return the axis-aligned bounds (..., 4) of corners x1, y1, ..., xn, yn (..., 2n)."""
    x, y = polygons[..., 0::2], polygons[..., 1::2]
    left, top = _library(polygons).amin(x, -1), _library(polygons).amin(y, -1)
    right, bottom = _library(polygons).amax(x, -1), _library(polygons).amax(y, -1)
    return _library(polygons).stack((left, top, right - left, bottom - top), -1)


def centres(boxes: Array) -> Array:
    """Return x, y of the centres (..., 2) of boxes (..., 4)."""
    return boxes[..., :2] + boxes[..., 2:] / 2


def centre_distance(boxes: Array, others: Array) -> Array:
    """Return the pixels between centres (...) of (..., 4) and (..., 4), broadcast together."""
    offset = centres(boxes) - centres(others)
    return (offset**2).sum(-1) ** 0.5


def box_iou(boxes: Array, others: Array) -> Array:
    """Return the intersection over union (...) of (..., 4) and (..., 4), broadcast together.

    Two boxes without area have an IoU of 0. All pairs of (N, 4) and (M, 4), as
    torchvision's function of this name gives them, are `box_iou(boxes[:, None], others)`,
    which is (N, M); theirs takes edges, `xywh_to_xyxy` of these boxes.
    """
    library = _library(boxes)
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
    target = np.array(box, dtype=np.float64)
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
