"""Every constant of DeepTrack, with its unit and source.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016.
[2] Giusti, Ciresan, Masci, Gambardella, Schmidhuber: Fast image scanning with deep
    max-pooling convolutional neural networks. ICIP 2013.
"""

from dataclasses import dataclass

from trackerlib.checks import among, in_range

CHOICES = {
    "size_deviation": ("h", "s"),
    "equal_chance": ("frame", "patch"),
    "descent": ("joint", "iterative"),
    "first_descent": ("adam", "sgd"),
}
RANGES = {"scanned": (1, 2), "first_tolerance": (0.0, float("inf"))}
COUNTS = (  # of which there must be one
    "particles",
    "averaged",
    "positives",
    "negatives",
    "first_positives",
    "first_negatives",
    "steps",
    "batch_positives",
    "batch_negatives",
)


@dataclass(frozen=True)
class Config:
    """Constants of [1] where no other source is given; h is the target's height.

    The first five switch a mechanism of [1] off, to measure what it is worth: no preset does.
    """

    structural: bool = True  # importance by IoU, equation 5; false: all matter alike
    temporal: bool = True  # positives of all frames, equation 11; false: of the latest
    noise: bool = True  # frames drawn by their quality, equation 14
    fusion: bool = True  # a layer fuses the cues; false: the mean of their scores
    lazy: bool = True  # update above 2 epsilon only; false: in every frame
    truncation: float = 0.0025  # beta, equation 9; 0 truncates nothing
    positive_factor: float = 3.0  # u, equation 9
    squared: bool = True  # the norm of equations 8 and 9; as printed: false, and beta is of it

    particles: int = 1500  # boxes per frame, section II-C
    translation: float = 10.0  # their deviation, pixels, or 0.5 h if that is less
    scale: float = 0.01  # their deviation, in h: section II-C
    size_deviation: str = "h"  # of what: the height h, or s = h / 32 (section IV-A): 0.32 h
    averaged: int = 5  # of the highest scores, whose mean is the box; [1]: 1
    saturated: bool = True  # no score counts beyond its label; not in [1]
    dense: bool = True  # one convolution for all particles; false: each is cut out, as in [1]
    scanned: int = 2  # convolutions that are computed on the scene if `dense`: 1 or both
    mode: str = "auto"  # of weights.inference.MODES: bfloat16, or not; nothing is compiled
    min_scale: float = 0.2  # smallest size, in those of the first box; not in [1]

    positives: int = 10  # boxes per frame; section III-A: 1
    negatives: int = 150  # boxes per frame, section III-A
    first_positives: int = (
        50  # boxes of the first frame; not in [1], as down to hard_negative_scale
    )
    first_negatives: int = 500
    positive_iou: float = 0.8  # at least, of a positive with the target
    positive_translation: float = 0.1  # in mean sides
    positive_scale: float = 1.05
    negative_translation: float = 2.0  # of half of the negatives
    negative_scale: float = 1.3
    hard_negative_translation: float = 0.5  # of the other half, hard to tell from the target
    hard_negative_scale: float = 1.2
    positives_kept: int = 1000  # N+
    negatives_kept: int = 500  # N-, whole frames
    equal_chance: str = "frame"  # a frame counts once; "patch": as often as it has patches, [1]
    decay: float = 10.0  # sigma, equation 12
    ambiguity: float = 0.75  # v, equation 16

    lr: float = 5e-2  # r, section III-B
    fusion_lr: float = 5e-3  # of the fusion layer after the first frame
    tolerance: float = 5e-3  # epsilon
    descent: str = "joint"  # all cues and the fusion at once; "iterative": algorithm 1
    first_descent: str = (
        "adam"  # in the first frame; "sgd": as later, with the fusion from the start
    )
    first_lr: float = 2e-3  # of Adam; not in [1], as all that follow
    first_steps: int = 500
    first_tolerance: float = 1e-3  # loss that ends them, so that the first box comes sooner
    steps: int = 10  # at most, per frame
    batch_positives: int = 8
    batch_negatives: int = 24
    max_grad_norm: float = 0.3  # that a cue's gradient is clipped to

    def __post_init__(self):
        among(self, CHOICES)
        in_range(self, RANGES)
        for count in COUNTS:
            if (got := getattr(self, count)) < 1:
                raise ValueError(f"deeptrack.Config: expected {count} of at least 1, got {got}")
        for kept, count in (("positives_kept", "positives"), ("negatives_kept", "negatives")):
            needed, got = getattr(self, count), getattr(self, kept)
            if got < needed:
                raise ValueError(
                    f"deeptrack.Config: expected {kept} of at least {needed}, {count} of one "
                    f"frame, got {got}"
                )
