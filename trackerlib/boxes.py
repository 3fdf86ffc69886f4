"""The one box convention: conversions, overlap, centre distance.

A box is `x, y, w, h` in pixels, float, 0-based, with continuous edges: the
image's first pixel covers [0, 1) x [0, 1), and the centre is xy + wh / 2.
Every other format is named in the variable: `boxes_xyxy`, `polygons`, `otb`.
All functions take numpy arrays or torch tensors and return the same kind.
"""

import numpy as np
import torch


def _library(boxes):
    return torch if isinstance(boxes, torch.Tensor) else np


def xywh_to_xyxy(boxes):
    """(..., 4) x, y, w, h -> (..., 4) left, top, right, bottom edges."""
    xy, wh = boxes[..., :2], boxes[..., 2:]
    return _library(boxes).concatenate((xy, xy + wh), -1)


def xyxy_to_xywh(boxes_xyxy):
    """(..., 4) left, top, right, bottom edges -> (..., 4) x, y, w, h."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return _library(boxes_xyxy).concatenate((low, high - low), -1)


def otb_to_xywh(otb):
    """(..., 4) OTB's 1-based x, y, w, h -> the 0-based convention."""
    shift = np.array([1.0, 1.0, 0.0, 0.0])
    return otb - (torch.as_tensor(shift) if _library(otb) is torch else shift)


def xywh_to_otb(boxes):
    """(..., 4) x, y, w, h -> OTB's 1-based x, y, w, h."""
    shift = np.array([1.0, 1.0, 0.0, 0.0])
    return boxes + (torch.as_tensor(shift) if _library(boxes) is torch else shift)


def polygon_to_xywh(polygons):
    """(..., 2n) corners x1, y1, ..., xn, yn -> their axis-aligned bounds."""
    x, y = polygons[..., 0::2], polygons[..., 1::2]
    left, top = _library(polygons).amin(x, -1), _library(polygons).amin(y, -1)
    right, bottom = _library(polygons).amax(x, -1), _library(polygons).amax(y, -1)
    return _library(polygons).stack((left, top, right - left, bottom - top), -1)


def centres(boxes):
    """(..., 4) -> (..., 2) x, y of the centres."""
    return boxes[..., :2] + boxes[..., 2:] / 2


def centre_distance(boxes, others):
    """(..., 4), (..., 4), broadcast together -> (...) pixels between centres."""
    offset = centres(boxes) - centres(others)
    return (offset**2).sum(-1) ** 0.5


def overlap(boxes, others):
    """Intersection over union of (..., 4) and (..., 4), broadcast together -> (...).

    Two boxes without area have overlap 0. For all pairs of (N, 4) and (M, 4):
    `overlap(boxes[:, None], others)`, which is (N, M).
    """
    a, b = xywh_to_xyxy(boxes), xywh_to_xyxy(others)
    library = _library(boxes)
    low = library.maximum(a[..., :2], b[..., :2])
    high = library.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clip(0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared
    return library.where(union > 0, shared / library.where(union > 0, union, 1.0), 0.0)
