"""Labels and loss of DLST's localization network.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017, section 3.1.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def disc_labels(centres: Tensor, size: int, radius: float) -> Tensor:
    """Return which cells of a map lie on the target: (N, size, size) bool.

    centres  (N, 2) x, y of the targets, in cells; the first cell is at 0
    radius   of what lies on the target, in cells

    Source: [1] equation 1.
    """
    cells = torch.arange(size).to(centres)
    x, y = (cells - centres[:, axis, None] for axis in (0, 1))  # (N, size)
    return x[:, None].square() + y[:, :, None].square() <= radius**2


def balanced_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the softmax loss of the cells; targets count as much, in all, as background.

    scores  (..., 2) of background and target
    labels  (...) bool, of both classes

    Source: [1], after equation 1. Raises ValueError for other shapes.
    """
    if scores.shape != (*labels.shape, 2):
        raise ValueError(
            f"balanced_loss: expected scores {(*labels.shape, 2)} for labels "
            f"{tuple(labels.shape)}, got {tuple(scores.shape)}"
        )
    target, background = (
        cross_entropy(scores[where], labels[where].long()) for where in (labels, ~labels)
    )
    return (target + background) / 2
