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

MATCH_IOU = 0.5  # with the target, from which a default box stands for it, [2] section 2.2
DISPLACEMENT = 0.1  # of a window; the authors' code of [2] scales by it
NEGATIVES_PER_MATCH = 3  # [2] section 2.2
OBJECTNESS = "softmax", "smooth_l1"  # losses of MSDAT's confidence: [2]; [1] section 3.2


def default_boxes(centres: Tensor, size: int, unit: float = DISPLACEMENT) -> tuple[Tensor, Tensor]:
    """Return how far a target is from every default box of a map, and which of them match it.

    centres  (N, 2) x, y of the targets, in search windows from the upper left corner
    size     positions per side of a map that covers the window
    unit     of the displacement, in windows; 1 where it is not normalised, [1] equation 3
    returns  (N, 2, size, size) displacement x, y, in units; (N, size, size) bool

    A default box is a search window around a map position, and so is the target's own
    box around its centre: [1] section 3.2. Those match whose IoU with it is MATCH_IOU, and the
    one of the highest IoU: [2] section 2.2.
    """
    positions = (torch.arange(size).to(centres) + 0.5) / size
    x, y = (centres[:, axis, None] - positions for axis in (0, 1))  # (N, size)
    N = len(centres)
    displacement = torch.stack(
        (x[:, None].expand(N, size, size), y[:, :, None].expand(N, size, size)), dim=1
    )
    # Two windows of area 1, a quarter apart along x, share 0.75 of 2 - 0.75: an IoU of 0.6.
    intersection = (1 - displacement.abs()).clamp(min=0).prod(dim=1)
    iou = intersection / (2 - intersection)
    best = iou == iou.amax((1, 2), keepdim=True)
    return displacement / unit, (iou >= MATCH_IOU) | best


def msdat_loss(
    predicted: Tensor, displacement: Tensor, matched: Tensor, objectness: str = "softmax"
) -> tuple[Tensor, Tensor]:
    """Return objectness and displacement losses () per match; training minimises their sum.

    predicted     (N, 4, H, W): x, y of the displacement, scores of background and target
    displacement  (N, 2, H, W), of `default_boxes`
    matched       (N, H, W) bool, of `default_boxes`
    objectness    "softmax", or "smooth_l1" of both scores from 1 for the class, 0 for the other

    Loss of the scores of all matches and of the negatives where it is highest,
    NEGATIVES_PER_MATCH times as many: hard negative mining. Smooth L1 of the displacement of the
    matches.

    Source: [1] equations 1, 3 and 5 with alpha = 1; softmax and hard negatives of [2].
    Raises ValueError for other shapes, and for an objectness that is none of OBJECTNESS.
    """
    N, _, H, W = shape = displacement.shape
    if predicted.shape != (N, 4, H, W) or matched.shape != (N, H, W):
        raise ValueError(
            f"msdat_loss: expected predictions {(N, 4, H, W)} and matches {(N, H, W)} for a "
            f"displacement {tuple(shape)}, got {tuple(predicted.shape)} and {tuple(matched.shape)}"
        )
    if objectness not in OBJECTNESS:
        raise ValueError(
            f"msdat_loss: expected objectness among {', '.join(OBJECTNESS)}, got {objectness!r}"
        )
    count, scores = matched.sum(), predicted[:, 2:]
    if objectness == "softmax":
        each = cross_entropy(scores, matched.long(), reduction="none")
    else:
        wanted = torch.stack((~matched, matched), 1).to(scores)  # (N, 2, H, W)
        each = smooth_l1_loss(scores, wanted, reduction="none").sum(1)
    negatives = each[~matched]
    hard = negatives.topk(min(NEGATIVES_PER_MATCH * int(count), len(negatives))).values
    confidence = (each[matched].sum() + hard.sum()) / count
    both_axes = matched[:, None].expand(shape)  # (N, 2, H, W)
    errors = smooth_l1_loss(predicted[:, :2][both_axes], displacement[both_axes], reduction="sum")
    return confidence, errors / count


def binary_loss(positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the mean softmax loss () of scores (P, 2) of positives and (N, 2) of negatives.

    Source: [3]; [4] equation 4.
    """
    labels = torch.zeros(len(positives) + len(negatives), dtype=torch.long)
    labels[: len(positives)] = 1
    return cross_entropy(torch.cat((positives, negatives)), labels.to(positives.device))


def embedding_loss(positives: Tensor, domain: int, count: int) -> Tensor:
    """Return the instance embedding loss (): it sets a domain's targets apart from the others'.

    positives  (P, D, 2) scores of the positives in every domain: of background, of target
    domain     which of the D they are from
    count      boxes that it is averaged over: all of the mini-batch, negatives too [4]; in the
               authors' code the positives alone, which with three negatives for each makes
               the loss four times as large

    Softmax loss over the domains of the target's scores. Negatives have no term in the sum.

    Source: [4] equations 2 and 5.
    """
    own = torch.full((len(positives),), domain, device=positives.device)
    return cross_entropy(positives[..., 1], own, reduction="sum") / count
