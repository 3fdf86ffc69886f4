"""Losses that networks are trained with before they track: MSDAT's, MDNet's, RT-MDNet's.

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017.
[2] Liu et al.: SSD: Single shot multibox detector. ECCV 2016.
[3] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.2.
[4] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, section 3.3.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

MATCHED = 0.5  # overlap from which a default box stands for the target, [2] section 2.2
DISPLACEMENT = 0.1  # of a window; the authors' code of [2] scales by it
HARD = 3  # negatives per match, [2] section 2.2


def default_boxes(centres: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """How far a target is from every default box of a map, and which of them match it.

    centres  (N, 2) x, y of the targets, in search windows from the upper left corner
    size     units per side of a map that covers the window
    returns  (N, 2, size, size) displacement x, y, in DISPLACEMENT of a window;
             (N, size, size) bool

    A default box is a search window around a unit of the map, and so is the target's own
    box around its centre: [1] section 3.2. Those match that overlap it by MATCHED, and the
    one that overlaps it most: [2] section 2.2.
    """
    places = (torch.arange(size).to(centres) + 0.5) / size
    x, y = (centres[:, axis, None] - places for axis in (0, 1))  # (N, size)
    N = len(centres)
    displacement = torch.stack(
        (x[:, None].expand(N, size, size), y[:, :, None].expand(N, size, size)), dim=1
    )
    shared = (1 - displacement.abs()).clamp(min=0).prod(dim=1)
    overlap = shared / (2 - shared)
    best = overlap == overlap.amax((1, 2), keepdim=True)
    return displacement / DISPLACEMENT, (overlap >= MATCHED) | best


def msdat_loss(predicted: Tensor, displacement: Tensor, matched: Tensor) -> tuple[Tensor, Tensor]:
    """Objectness and displacement losses per matched default box; their sum is what is learned.

    predicted             (N, 4, H, W): x, y of the displacement, scores of background and target
    displacement, matched of `default_boxes`

    Softmax loss of all matches and of the HARD times as many negatives with the greatest
    loss; smooth L1 of the displacement of the matches. Source: [1] equations 1, 3 and 5
    with alpha = 1; hard negatives of [2]. Raises ValueError for other shapes.
    """
    N, _, H, W = shape = displacement.shape
    if predicted.shape != (N, 4, H, W) or matched.shape != (N, H, W):
        raise ValueError(
            f"msdat_loss: expected predictions {(N, 4, H, W)} and matches {(N, H, W)} for a "
            f"displacement {tuple(shape)}, got {tuple(predicted.shape)} and {tuple(matched.shape)}"
        )
    count = matched.sum()
    each = cross_entropy(predicted[:, 2:], matched.long(), reduction="none")
    negatives = each[~matched]
    hard = negatives.topk(min(HARD * int(count), len(negatives))).values
    objectness = (each[matched].sum() + hard.sum()) / count
    there = matched[:, None].expand(shape)
    missed = smooth_l1_loss(predicted[:, :2][there], displacement[there], reduction="sum")
    return objectness, missed / count


def binary_loss(positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean softmax loss of the scores (P, 2) of targets and (N, 2) of background.

    Source: [3]; [4] equation 4.
    """
    labels = torch.zeros(len(positives) + len(negatives), dtype=torch.long)
    labels[: len(positives)] = 1
    return cross_entropy(torch.cat((positives, negatives)), labels.to(positives.device))


def embedding_loss(positives: Tensor, domain: int, count: int) -> Tensor:
    """Instance embedding: how little a domain's targets stand out from the other domains.

    positives  (P, D, 2) scores of the targets in every domain: of background, of target
    domain     which of the D they are from
    count      boxes of the mini-batch, its background too

    Softmax loss over the domains of the target's scores. The background has no term in the
    sum, but counts in the mean: [4] equations 2 and 5.
    """
    own = torch.full((len(positives),), domain, device=positives.device)
    return cross_entropy(positives[..., 1], own, reduction="sum") / count
