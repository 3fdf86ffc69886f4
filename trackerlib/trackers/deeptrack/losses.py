"""DeepTrack's loss: structural weights and labels, and a truncated norm.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, section II-D.
"""

import torch
from torch import Tensor


def structural_weights(iou: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much patches matter for learning, and whether they are the target.

    iou      (N,) of the patches' boxes with the target's, 0 to 1
    returns  importance (N,), 0 to 0.245; labels (N, 2): (1, 0) above one half, or (0, 1)

    An IoU of one half could be either, and has no importance: 0.4, 0.5 and 1 give about
    0.05, 0 and 0.245. Source: [1] equations 5 and 6.
    """
    importance = (2 * torch.sigmoid(iou - 0.5) - 1).abs()
    target = iou > 0.5
    return importance, torch.stack((target, ~target), 1).to(iou.dtype)


def truncated_l2(
    errors: Tensor,
    labels: Tensor,
    threshold: float,
    positive_factor: float,
    squared: bool = True,
) -> Tensor:
    """Return norms of errors (..., 2), 0 for those that are small enough -> (...).

    labels           (..., 2), as `structural_weights` returns them
    threshold        beta, of background; of the target it is 1 + positive_factor times smaller
    positive_factor  u, 0 in the version before [1]
    squared          whether norms, and what is compared with the threshold, are squared

    Source: [1] equations 8 and 9.
    """
    # The gradient of torch's norm at 0 is 0, that of a square root would be infinite.
    norms = errors.square().sum(-1) if squared else torch.linalg.vector_norm(errors, dim=-1)
    return norms * (norms > threshold / (1 + positive_factor * labels[..., 0]))
