"""Every constant of MDNet, with its unit and source; its descendants change some of them.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 4.1 to 4.4, and the authors' code.
"""

import math
from dataclasses import dataclass

from trackerlib.checks import among, in_range
from trackerlib.trackers.mdnet.features import FEATURE_SCALE

MINING = "iteration", "update"


@dataclass(frozen=True)
class OnlineConfig:
    """How candidates are drawn and the head is fine-tuned: constants of [1].

    Translations are in mean sides of the target, (w + h) / 2; a scale s draws sizes
    between 1 / s and s targets; a positive or negative is told by its IoU with the target.
    """

    candidates: int = 256  # boxes per frame
    translation: float = 0.6  # of the candidates
    scale: float = 1.05  # of the candidates
    best: int = 5  # candidates whose mean is the estimate; authors' code
    growth: float = 1.1  # of the translation per frame after a failure; authors' code
    translation_limit: float = 1.5  # where it ends; authors' code

    first_positives: int = 500  # boxes in the first frame
    first_negatives: int = 5000  # boxes in the first frame
    positives: int = 50  # boxes per frame later
    negatives: int = 200  # boxes per frame later
    positive_iou: float = 0.7  # at least
    first_negative_iou: float = 0.5  # at most, first frame
    negative_iou: float = 0.3  # at most, later
    positive_translation: float = 0.1  # authors' code, as the next five
    positive_scale: float = 1.3
    first_negative_translation: float = 1.0
    first_negative_scale: float = 1.6
    first_negative_aspect: float = 1.0  # scale of width and height apart; RT-MDNet's code: 1.1
    first_negatives_everywhere: bool = True  # half of them; RT-MDNet's code: all around the target
    negative_translation: float = 2.0
    negative_scale: float = 1.3

    long_term: int = 100  # frames whose positives are kept
    short_term: int = 20  # frames whose negatives are kept, and of a short-term update
    update_every: int = 10  # frames between long-term updates

    first_iterations: int = 50  # mini-batches; authors' PyTorch code (MATLAB: 30)
    iterations: int = 15  # mini-batches per update; authors' PyTorch code
    first_lr: float = 5e-4  # learning rate; authors' PyTorch code (MATLAB: 1e-4)
    lr: float = 1e-3  # of the updates; authors' PyTorch code (MATLAB: 3e-4)
    fc6_factor: float = 10.0  # of the learning rate in the last layer
    bias_factor: float = 1.0  # of the learning rate of biases; authors' code in MATLAB: 2
    bias_decay: bool = True  # whether biases decay, too; authors' code in MATLAB: not
    momentum: float = 0.9
    weight_decay: float = 5e-4
    max_grad_norm: float = 10.0  # that gradients are clipped to; in MATLAB inf, which clips none
    batch_positives: int = 32  # per mini-batch
    batch_negatives: int = 96  # per mini-batch, the hardest of those mined
    mining_pool: int = 1024  # negatives scored for a mini-batch: hard negative mining
    # "update": all mini-batches of a later update share one pool. No preset has it; it exists
    # because fc4 then moves in the span of few rows, see `span`: an update takes half as long.
    mining: str = "iteration"  # a new pool for every mini-batch
    loss_threshold: float = 0.0  # below which a later update ends early; MDNet has none
    first_loss_threshold: float = 0.0  # the same in the first frame; FDN's authors' code: 0.01
    threshold_after_step: bool = False  # whether that loss is learned from; FDN's authors' code

    regression: bool = True  # bounding box regression of the box that is returned
    regression_score: float = 0.0  # above which it is regressed
    regression_boxes: int = 1000  # around the target in the first frame; authors' code, as all
    regression_translation: float = 0.3
    regression_scale: float = 1.6
    regression_aspect: float = 1.1  # scale of width and height apart
    regression_iou: float = 0.6  # at least, of a box with the target, and with what it becomes
    regression_ridge: float = 1000.0  # in squares of the features' unit

    def __post_init__(self):
        among(self, {"mining": MINING})
        in_range(self, {"bias_factor": (0, math.inf)})
        if not self.max_grad_norm > 0:
            raise ValueError(
                "mdnet.Config: expected a max_grad_norm above 0, or inf, which clips nothing, got "
                f"{self.max_grad_norm}"
            )
        if self.mining_pool < self.batch_negatives:
            raise ValueError(
                f"mdnet.Config: expected a mining_pool of at least {self.batch_negatives} "
                f"negatives, as many as a mini-batch takes of it, got {self.mining_pool}"
            )


@dataclass(frozen=True)
class Config(OnlineConfig):
    """Which network; the rest is in `OnlineConfig`."""

    backbone: str = "vggm"  # a name in the registry of weights, or "random"
    head: str = "vggm-mdnet"  # a name in the registry: fc4 and fc5; or "random"
    feature_scale: float = FEATURE_SCALE  # of the features; 1 for the authors' weights
    mode: str = "auto"  # how the network runs, of weights.inference.MODES
