"""DLST's loop: locate the target first, then choose among boxes around both places.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

import torch
from torch import Tensor, nn

from trackerlib.trackers import mdnet
from trackerlib.trackers.dlst.classifier import ProbabilityClassifier
from trackerlib.trackers.dlst.config import Config
from trackerlib.trackers.dlst.localizer import Localizer
from trackerlib.trackers.dlst.networks import Classification
from trackerlib.trackers.mdnet.features import CropFeatures


class Tracker(mdnet.Tracker):
    """DLST on any backbone and device.

    located  the box that the localization found in the latest frame, None if none
    score    of the latest frame less `update_score`, above 0 for a target that was found
    """

    config: Config
    features: CropFeatures
    localizer: Localizer | None
    located: Tensor | None

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _head(self) -> nn.Module:
        if self.config.classifier == "connected":
            return super()._head()
        return Classification(self._head_config(), self.generator)

    def _set_head(self, network: nn.Module) -> None:
        super()._set_head(network)
        if self.config.score == "probability":
            self.classifier = ProbabilityClassifier(
                network, self.config, self.generator, self.backbone.dtype
            )

    def _search(self) -> Tensor:
        prediction = super()._search()
        self.score -= self.config.update_score  # MDNet's loop asks whether it is above 0
        return prediction

    def _candidates(self) -> Tensor:
        """Draw boxes around where the target was, and around where it seems to be: S_comb."""
        config = self.config
        self.located = None  # a frame whose response is negative everywhere shows no target
        if self.localizer:
            box, response = self.localizer.locate(self.features.pixels, self.box)
            self.located = box if response > 0 else None
        located = self.box if self.located is None else self.located
        places = {"both": [self.box, located], "located": [located], "previous": [self.box]}
        around = places[config.search]
        count = config.candidates // len(around)  # 128 and 128, by default
        drawn = [
            self.sampler.gaussian(box, config.translation, config.scale, count) for box in around
        ]
        return torch.cat(drawn)

    def _initialise(self) -> None:
        config, self.localizer, self.located = self.config, None, None
        if config.search != "previous":
            self.localizer = Localizer(self.backbone, config, self.generator, self.device)
        super()._initialise()  # which collects the first regions, too
        if self.localizer:
            self.localizer.fine_tune(1, config.first_lr, config.first_iterations)

    def _collect_samples(self, count: int, max_iou: float) -> Tensor:
        positives = super()._collect_samples(count, max_iou)
        if self.localizer:
            config = self.config
            wanted = config.regions if self.frame_index else config.first_regions
            # Evenly spaced among the positives: of 50, every tenth for 5 regions.
            around = positives[:: max(1, len(positives) // wanted)][:wanted]
            self.localizer.remember(self.features.pixels, around, self.box)
        return positives

    def _update_model(self) -> None:
        config = self.config
        # What was found has been remembered by now. Frames count from 0 here.
        if self.score <= 0 and self.frame_index < config.trusted_frames:
            self._collect_samples(config.positives, config.negative_iou)
        super()._update_model()

    def _fine_tune(self, max_frames: int) -> None:
        super()._fine_tune(max_frames)
        if self.localizer:
            self.localizer.fine_tune(max_frames, self.config.lr, self.config.iterations)
