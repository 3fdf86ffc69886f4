"""The one box convention: conversions, overlap, centre distance.

A box is `x, y, w, h` in pixels, float, 0-based, with continuous edges: the
image's first pixel covers [0, 1) x [0, 1), and the centre is xy + wh / 2.
Every other format is named in the variable: `boxes_xyxy`, `polygons`, `otb`.
All functions take numpy arrays or torch tensors and return the same kind.
"""

from types import ModuleType
from typing import TypeVar

import numpy as np
import torch

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def _library(boxes: Array) -> ModuleType:
    return torch if isinstance(boxes, torch.Tensor) else np


def xywh_to_xyxy(boxes: Array) -> Array:
    """(..., 4) x, y, w, h -> (..., 4) left, top, right, bottom edges."""
    xy, wh = boxes[..., :2], boxes[..., 2:]
    return _library(boxes).concatenate((xy, xy + wh), -1)


def xyxy_to_xywh(boxes_xyxy: Array) -> Array:
    """(..., 4) left, top, right, bottom edges -> (..., 4) x, y, w, h."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return _library(boxes_xyxy).concatenate((low, high - low), -1)


def otb_to_xywh(otb: Array) -> Array:
    """(..., 4) OTB's 1-based x, y, w, h -> the 0-based convention."""
    return otb - _first_pixel(otb)


def xywh_to_otb(boxes: Array) -> Array:
    """(..., 4) x, y, w, h -> OTB's 1-based x, y, w, h."""
    return boxes + _first_pixel(boxes)


def _first_pixel(boxes: Array) -> Array:
    counted_from = np.array([1, 1, 0, 0], dtype=np.float32)  # the sum keeps the boxes' precision
    if _library(boxes) is torch:
        return torch.as_tensor(counted_from, device=boxes.device)
    return counted_from


def polygon_to_xywh(polygons: Array) -> Array:
    """(..., 2n) corners x1, y1, ..., xn, yn -> their axis-aligned bounds."""
    x, y = polygons[..., 0::2], polygons[..., 1::2]
    left, top = _library(polygons).amin(x, -1), _library(polygons).amin(y, -1)
    right, bottom = _library(polygons).amax(x, -1), _library(polygons).amax(y, -1)
    return _library(polygons).stack((left, top, right - left, bottom - top), -1)


def centres(boxes: Array) -> Array:
    """(..., 4) -> (..., 2) x, y of the centres."""
    return boxes[..., :2] + boxes[..., 2:] / 2


def centre_distance(boxes: Array, others: Array) -> Array:
    """(..., 4), (..., 4), broadcast together -> (...) pixels between centres."""
    offset = centres(boxes) - centres(others)
    return (offset**2).sum(-1) ** 0.5


def overlap(boxes: Array, others: Array) -> Array:
    """Intersection over union of (..., 4) and (..., 4), broadcast together -> (...).

    Two boxes without area have overlap 0. For all pairs of (N, 4) and (M, 4):
    `overlap(boxes[:, None], others)`, which is (N, M).
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
    box: np.ndarray, frame: np.ndarray, least: float = 1.0, where: str = "first_box"
) -> np.ndarray:
    """The box that a tracker starts from, checked -> a copy, (4,) float64.

    box    x, y, w, h
    frame  (H, W, 3), the frame it belongs to
    least  smallest width and height, pixels; one pixel itself is legal
    where  names the sequence and the frame, for the message

    Raises ValueError for a box that is not finite, too small or wholly outside the frame.
    """
    target = np.array(box, dtype=np.float64)
    height, width = frame.shape[:2]
    if target.shape != (4,) or not np.isfinite(target).all():
        expected = "four finite numbers x, y, w, h"
    elif (target[2:] < least).any():
        expected = f"a width and height of at least {least:g} pixels"
    elif (target[:2] >= (width, height)).any() or (target[:2] + target[2:] <= 0).any():
        expected = f"a box that overlaps the {width}x{height} frame"
    else:
        return target
    got = ", ".join(f"{number:g}" for number in target.ravel())
    raise ValueError(f"{where}: expected {expected}, got {got}")
