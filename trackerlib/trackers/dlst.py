"""DLST: look for the target first, then decide among boxes around both places.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

from dataclasses import dataclass

import torch

from trackerlib.nets import head
from trackerlib.nets.candidates import BINS
from trackerlib.nets.dlst import Classification
from trackerlib.trackers import mdnet
from trackerlib.trackers.online.localizer import Localizer

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
    first_rate: float = 3e-3
    rate: float = 3e-3
    radius: float = 8.0  # R, of the disc that is target, in cells of the map
    region: float = 4.0  # that is searched, in sides of the target; section 3.1
    first_regions: int = 50  # to learn to locate from, in the first frame; section 4.1
    regions: int = 5  # later, per frame
    batch_regions: int = 8  # per mini-batch; section 4.1

    def __post_init__(self):
        super().__post_init__()
        for field, known in (("search", SEARCHES), ("classifier", CLASSIFIERS)):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"dlst.Config: expected {field} among {', '.join(known)}, "
                    f"got {getattr(self, field)!r}"
                )


class Tracker(mdnet.Tracker):
    """DLST on any trunk and device.

    located  the box that the localization found in the latest frame, None if none
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _head(self):
        if self.config.classifier == "connected":
            return super()._head()
        channels = self.trunk.taps["conv3"].channels
        return Classification(head.Config(BINS**2 * channels), self.generator)

    def _candidates(self):
        """Boxes around where the target was, and around where it seems to be: S_comb."""
        config = self.config
        self.located = None
        if self.localizer:
            box, score = self.localizer.locate(self.features.pixels, self.box)
            self.located = box if score > 0 else None
        found = self.box if self.located is None else self.located
        places = {"both": [self.box, found], "located": [found], "previous": [self.box]}
        around = places[config.search]
        count = config.candidates // len(around)
        drawn = [
            self.sampler.gaussian(box, config.translation, config.scale, count) for box in around
        ]
        return torch.cat(drawn)

    def _learn_first(self):
        config, self.localizer, self.located = self.config, None, None
        if config.search != "previous":
            self.localizer = Localizer(self.trunk, config, self.generator, self.device)
        super()._learn_first()
        if self.localizer:
            self.localizer.learn(1, config.first_rate, config.first_iterations)

    def _remember(self, count, most):
        near = super()._remember(count, most)
        if self.localizer:
            config = self.config
            wanted = config.regions if self.frames else config.first_regions
            around = near[:: max(1, len(near) // wanted)][:wanted]
            self.localizer.remember(self.features.pixels, around, self.box)
        return near

    def _learn(self, frames):
        super()._learn(frames)
        if self.localizer:
            self.localizer.learn(frames, self.config.rate, self.config.iterations)
