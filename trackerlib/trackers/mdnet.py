"""MDNet: tracking as classification. 256 boxes are cut out of every frame; is one the target?

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 4.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib.boxes import first_box
from trackerlib.nets import head, inference, weights
from trackerlib.nets.candidates import BINS, GAIN, Crops
from trackerlib.trackers import online
from trackerlib.trackers.online import regressor, samplers
from trackerlib.trackers.online.classifier import Classifier
from trackerlib.trackers.online.memory import Memory, Samples

SMALLEST = 2.0  # least side of a box, pixels


@dataclass(frozen=True)
class Config(online.Config):
    """Which network; the rest is in `online.Config`."""

    trunk: str = "vggm"  # a name in the registry of weights, or "random"
    head: str = "vggm-mdnet"  # a name in the registry: fc4 and fc5; or "random"
    gain: float = GAIN  # of the features; 1 for the authors' weights
    mode: str = "auto"  # how the network runs, of nets.inference.MODES


class Tracker:
    """The loop of [1], which its descendants share.

    remarks  what was unusual about the latest frame
    score    of the latest frame, above 0 for a target that was found
    losses   of every iteration of learning in the latest frame
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config, self.device, self.seed = config or Config(), device, seed
        self.features = self._features()

    def _features(self):
        """What turns boxes of a frame into rows of features."""
        self.trunk = self._load(dense=False)
        return Crops(self.trunk, gain=self.config.gain, device=self.device)

    def _load(self, **form):
        config = self.config
        return inference.load(config.trunk, self.device, config.mode, self.seed, **form)

    def _head(self):
        """The head before it learns, for the generator's random numbers."""
        width = BINS**2 * self.trunk.taps["conv3"].channels
        return weights.load_head(self.config.head, head.Config(width), self.generator)

    @torch.no_grad()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`).
        """
        config = self.config
        self.box = torch.from_numpy(first_box(box, frame, SMALLEST))
        self.generator = torch.Generator().manual_seed(self.seed)
        self.frames, self.translation = 0, config.translation
        self.score, self.losses, self.remarks = 0.0, [], []
        network = self._head().to(self.device)
        self.classifier = Classifier(network, config, self.generator, self.trunk.dtype)
        kept = partial(Memory, device=self.device, dtype=self.trunk.dtype)
        width = network.config.inputs
        rows = max(config.first_positives, config.positives)
        rows += (config.long_term - 1) * config.positives
        self.positives = kept(config.long_term, rows, width)
        self.negatives = kept(config.short_term, config.short_term * config.negatives, width)
        self._look(frame)
        self._learn_first()
        around = regressor.examples(self.sampler, self.box, config)
        self.regress = None
        if config.regression and self._enough(around, config.regression_boxes, "regression"):
            seen = self.features(around)
            self.regress = regressor.Regressor(seen, around, self.box, config)

    @torch.no_grad()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), learn its new looks -> box (4,) float64.

        What is returned is regressed; the next frame is searched around what is not.
        """
        config = self.config
        self.frames += 1
        self.losses, self.remarks = [], []
        self._look(frame)
        candidates = self._candidates()
        features = self.features(candidates)
        scores, best = self.classifier.scores(features).topk(config.best)
        chosen = candidates[best.cpu()]
        self.box, self.score = chosen.mean(0), float(scores.mean())
        answer = self.box
        if self.score > 0:
            if self.regress and self.score > config.regression_score:
                answer = self.regress(features[best], chosen).mean(0)
            self.translation = config.translation
            self._remember(config.positives, config.negative_overlap)
        else:
            self.translation = min(self.translation * config.growth, config.translation_limit)
        if self.score < 0 or self.frames % config.update_every == 0:
            self._learn(config.short_term if self.score < 0 else config.long_term)
        return answer.numpy().copy()

    def _look(self, frame):
        """Go on to this frame; boxes are drawn inside it."""
        self.sampler = samplers.over(frame, SMALLEST, self.generator)
        self.features.look(frame)

    def _candidates(self):
        config = self.config
        return self.sampler.gaussian(self.box, self.translation, config.scale, config.candidates)

    def _learn_first(self):
        config = self.config
        boxes = samplers.first_negatives(self.sampler, self.box, config)
        self._remember(config.first_positives, config.first_negative_overlap)
        if self._enough(boxes, config.first_negatives, "first negatives"):
            background = self.features(boxes).to(self.trunk.dtype)
            far = Samples(background, torch.arange(len(background)))
            near = self.positives.latest(1)
            learn = self.classifier.learn
            self.losses = learn(near, far, config.first_rate, config.first_iterations)

    def _remember(self, count, most):
        config = self.config
        near = samplers.positives(self.sampler, self.box, count, config)
        if not self._enough(near, count, "positives"):
            near = self.box[None]
        self.positives.add(self.features(near))
        far = samplers.negatives(self.sampler, self.box, most, config)
        if self._enough(far, config.negatives, "negatives"):
            self.negatives.add(self.features(far))
        return near

    def _learn(self, frames):
        config = self.config
        near, far = self.positives.latest(frames), self.negatives.latest(config.short_term)
        if len(near.places) and len(far.places):
            learn = self.classifier.learn
            limits = config.iterations, config.loss_threshold
            self.losses = learn(near, far, config.rate, *limits)

    def _enough(self, boxes: Tensor, wished: int, what: str) -> int:
        """How many boxes there are; a remark if fewer than wished for were found."""
        if len(boxes) < wished:
            self.remarks.append(f"{len(boxes)} of {wished} {what} were found")
        return len(boxes)
