"""The box regressor: from the features of a box to where in and around it the target is.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 4.4: solved once, in the first frame.
[2] Girshick, Donahue, Darrell, Malik: Rich feature hierarchies for accurate object
    detection. CVPR 2014, appendix C, equations 1 to 8.
"""

from functools import partial

import torch
from torch import Tensor

from trackerlib.boxes import centres, overlap
from trackerlib.trackers.online import Config
from trackerlib.trackers.online.samplers import Sampler, overlapping


class Regressor:
    """Ridge regression of position and size, in its dual form.

    features  (K, D) of the boxes, as the classifier sees them
    boxes     (K, 4) around the target
    target    (4,)
    """

    def __init__(self, features: Tensor, boxes: Tensor, target: Tensor, config: Config):
        self.least = config.regressed_overlap
        features = features.float()
        wanted = _offsets(boxes, target).to(features)
        self.mean, self.bias = features.mean(0), wanted.mean(0)
        rows = features - self.mean
        kernel = rows @ rows.T
        kernel.diagonal().add_(config.regression_ridge)
        self.weights = rows.T @ torch.linalg.solve(kernel, wanted - self.bias)

    def __call__(self, features: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (K, 4) moved onto the target; one that would move too far stays as it is."""
        shift = ((features - self.mean) @ self.weights + self.bias).to(boxes)
        size = boxes[:, 2:] * shift[:, 2:].exp()
        centre = centres(boxes) + shift[:, :2] * boxes[:, 2:]
        moved = torch.cat((centre - size / 2, size), 1)
        near = overlap(moved, boxes) >= self.least
        return torch.where(near[:, None], moved, boxes)


def examples(sampler: Sampler, box: Tensor, config: Config) -> Tensor:
    """Boxes around the target to solve the regression on (n, 4)."""
    translation, scale = config.regression_translation, config.regression_scale
    draw = partial(sampler.uniform, box, translation, scale, aspect=config.regression_aspect)
    return overlapping(draw, box, config.regression_boxes, least=config.regressed_overlap)


def _offsets(boxes, target):
    """(K, 4): shift of the centre in widths and heights, logarithm of the change in size [2]."""
    shift = (centres(target) - centres(boxes)) / boxes[:, 2:]
    return torch.cat((shift, (target[2:] / boxes[:, 2:]).log()), 1)
