"""Bounding box regression: from the features of a box to where in and around it the target is.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 4.4: solved once, in the first frame.
[2] Girshick, Donahue, Darrell, Malik: Rich feature hierarchies for accurate object
    detection. CVPR 2014, appendix C, equations 1 to 8.
"""

from functools import partial

import torch
from torch import Tensor

from trackerlib.boxes import box_iou, centres
from trackerlib.trackers.mdnet.config import OnlineConfig
from trackerlib.trackers.mdnet.samplers import Sampler, with_iou


class BoxRegressor:
    """Ridge regression of position and size, in its dual form.

    features  (K, D) of the boxes, as the classifier sees them
    boxes     (K, 4) around the target
    target    (4,)
    """

    def __init__(self, features: Tensor, boxes: Tensor, target: Tensor, config: OnlineConfig):
        self.min_iou = config.regression_iou
        features = features.float()
        wanted = _offsets(boxes, target).to(features)  # (K, 4)
        self.mean, self.bias = features.mean(0), wanted.mean(0)
        rows = features - self.mean
        # K = 1000 boxes of D = 4608 features: a system of K equations instead of D.
        kernel = rows @ rows.T
        kernel.diagonal().add_(config.regression_ridge)
        self.weights = rows.T @ torch.linalg.solve(kernel, wanted - self.bias)  # (D, 4)

    def __call__(self, features: Tensor, boxes: Tensor) -> Tensor:
        """Return boxes (K, 4) moved onto the target; one that would move too far stays."""
        offsets = ((features - self.mean) @ self.weights + self.bias).to(boxes)
        size = boxes[:, 2:] * offsets[:, 2:].exp()
        centre = centres(boxes) + offsets[:, :2] * boxes[:, 2:]
        moved = torch.cat((centre - size / 2, size), 1)
        close = box_iou(moved, boxes) >= self.min_iou
        return torch.where(close[:, None], moved, boxes)


def examples(sampler: Sampler, box: Tensor, config: OnlineConfig) -> Tensor:
    """Draw boxes around the target to solve the regression on (n, 4)."""
    translation, scale = config.regression_translation, config.regression_scale
    draw = partial(sampler.uniform, box, translation, scale, aspect=config.regression_aspect)
    return with_iou(draw, box, config.regression_boxes, min_iou=config.regression_iou)


def _offsets(boxes: Tensor, target: Tensor) -> Tensor:
    """(K, 4): shift of the centre in widths and heights, logarithm of the change in size [2]."""
    shift = (centres(target) - centres(boxes)) / boxes[:, 2:]
    return torch.cat((shift, (target[2:] / boxes[:, 2:]).log()), 1)
