"""What DLST changes of MDNet's constants.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

from dataclasses import dataclass

from trackerlib.checks import among
from trackerlib.trackers import mdnet

SEARCHES = ("both", "located", "previous")
CLASSIFIERS = ("pooled", "connected")


@dataclass(frozen=True)
class Config(mdnet.Config):
    """What [1] changes; the rows of its table 1 are other values of the first two."""

    search: str = "both"  # S_comb; "located" is DLST-sloc, "previous" DLST-nloc
    classifier: str = "pooled"  # 1x1 convolutions, averaged; "connected" is DLST-fc
    head: str = "random"  # section 4.2: no training on videos; otherwise for "connected" alone
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
        among(self, {"search": SEARCHES, "classifier": CLASSIFIERS})
        if self.head != "random" and self.classifier != "connected":
            raise ValueError(
                "dlst.Config: expected head=random, or classifier=connected, whose layers a file "
                f"holds, got head={self.head} with classifier={self.classifier}"
            )
