"""What DLST changes of MDNet's constants.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

from dataclasses import dataclass
from math import inf

from trackerlib.checks import among, in_range
from trackerlib.trackers import mdnet

SEARCHES = ("both", "located", "previous")
CLASSIFIERS = ("pooled", "connected")
SCORES = ("raw", "probability")


@dataclass(frozen=True)
class Config(mdnet.Config):
    """What [1] changes; the rows of its table 1 are other values of the first two.

    score  "raw"          s+, the last layer's number for the target, any number: authors' code
           "probability"  f+ of section 3.2, s+ and s- after the softmax, 0 to 1

    `update_score` and `regression_score` are in the unit of `score`. f+ is 0.5 where s+ equals
    s-, whatever their size; s+ is 0 somewhere else: [1] and its code have not the same rule.
    """

    search: str = "both"  # S_comb; "located" is DLST-sloc, "previous" DLST-nloc
    classifier: str = "pooled"  # 1x1 convolutions, averaged; "connected" is DLST-fc
    head: str = "random"  # section 4.2: no training on videos; otherwise for "connected" alone
    score: str = "raw"  # what candidates and hard negatives are ranked by, and thresholds are of
    update_score: float = 0.0  # below: short-term update; above: data is kept; section 3.3: 0.5
    trusted_frames: int = 1  # the first, whose data is kept whatever their score; authors' code: 3
    best: int = 1  # section 3.2: the box of the highest score
    growth: float = 1.0  # section 4.1: the deviation stays
    first_iterations: int = 30  # section 4.1, as the next four
    iterations: int = 10
    first_lr: float = 3e-3
    lr: float = 3e-3
    radius: float = 8.0  # R, of the disc that is target, in map cells
    region: float = 4.0  # that is searched, in sides of the target; section 3.1
    first_regions: int = 50  # to learn to locate from, in the first frame; section 4.1
    regions: int = 5  # later, per frame
    batch_regions: int = 8  # per mini-batch; section 4.1

    def __post_init__(self):
        super().__post_init__()
        among(self, {"search": SEARCHES, "classifier": CLASSIFIERS, "score": SCORES})
        in_range(self, {"trusted_frames": (1, inf)})
        if self.score == "probability":
            in_range(self, {"update_score": (0, 1), "regression_score": (0, 1)})
        if self.head != "random" and self.classifier != "connected":
            raise ValueError(
                "dlst.Config: expected head=random, or classifier=connected, whose layers a file "
                f"holds, got head={self.head} with classifier={self.classifier}"
            )
