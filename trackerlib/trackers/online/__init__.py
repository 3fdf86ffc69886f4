"""What MDNet and its descendants share while they track: the parts, and their constants.

samplers    boxes around the target: candidates, positives, negatives
memory      features of the latest frames
classifier  the head, fine-tuned on hard negatives
regressor   from the features of a box to a better box

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 4 and the authors' code.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Constants of [1], sections 4.1 to 4.4, where no other source is given.

    Translations are in mean sides of the target, (w + h) / 2; a scale s draws
    sizes between 1 / s and s targets; overlaps are intersection over union.
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
    positive_overlap: float = 0.7  # least
    first_negative_overlap: float = 0.5  # greatest, first frame
    negative_overlap: float = 0.3  # greatest, later
    positive_translation: float = 0.1  # authors' code, as the next five
    positive_scale: float = 1.3
    first_negative_translation: float = 1.0
    first_negative_scale: float = 1.6
    negative_translation: float = 2.0
    negative_scale: float = 1.3

    long_term: int = 100  # frames whose positives are kept
    short_term: int = 20  # frames whose negatives are kept, and of a short-term update
    update_every: int = 10  # frames between long-term updates

    first_iterations: int = 50  # mini-batches; authors' PyTorch code (MATLAB: 30)
    iterations: int = 15  # mini-batches per update; authors' PyTorch code
    first_rate: float = 5e-4  # learning rate; authors' PyTorch code (MATLAB: 1e-4)
    rate: float = 1e-3  # of the updates; authors' PyTorch code (MATLAB: 3e-4)
    fc6_factor: float = 10.0  # of the learning rate in the last layer
    momentum: float = 0.9
    weight_decay: float = 5e-4
    gradient_limit: float = 10.0  # norm that gradients are cut to; authors' code
    batch_positives: int = 32  # per mini-batch
    batch_negatives: int = 96  # per mini-batch, the hardest of the pool
    pool: int = 1024  # negatives that are scored for a mini-batch
    loss_threshold: float = 0.0  # below which a later update ends early; MDNet has none

    regression: bool = True  # of the box that is answered
    regression_score: float = 0.0  # above which it is
    regression_boxes: int = 1000  # around the target in the first frame; authors' code, as all
    regression_translation: float = 0.3
    regression_scale: float = 1.6
    regression_aspect: float = 1.1  # scale of width and height apart
    regressed_overlap: float = 0.6  # least, of a box with the target, and with what it becomes
    regression_ridge: float = 1000.0  # in squares of the features' unit

    def __post_init__(self):
        if self.pool < self.batch_negatives:
            raise ValueError(
                f"online.Config: expected a pool of at least {self.batch_negatives} negatives, "
                f"as many as a mini-batch takes of it, got {self.pool}"
            )
