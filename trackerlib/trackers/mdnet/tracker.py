"""MDNet's loop: 256 candidate boxes are scored in every frame; the best five are the target.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 4.
"""

from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from trackerlib import weights
from trackerlib.boxes import first_box
from trackerlib.checks import first_frame, next_frame
from trackerlib.nets import head
from trackerlib.trackers.lost import Watch, Watched, log_odds, of_module
from trackerlib.trackers.mdnet import regressor, samplers
from trackerlib.trackers.mdnet.classifier import Classifier
from trackerlib.trackers.mdnet.config import Config
from trackerlib.trackers.mdnet.features import BINS, CropFeatures
from trackerlib.trackers.mdnet.memory import Memory, Samples
from trackerlib.trackers.protocols import BackboneLike, BoxFeatures
from trackerlib.weights import inference

MIN_SIDE = 2.0  # of a box, pixels


class Tracker(Watched):
    """The loop of [1], which its descendants share.

    warnings  what was unusual about the latest frame
    score     of the latest frame, above 0 for a target that was found
    losses    of every iteration of fine-tuning in the latest frame
    watch     how sure it is of its target, by the best candidates: the classifier's softmax, and
              the cosine of their features with the first box's, which nothing later has changed
    """

    config: Config
    backbone: BackboneLike

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config = config or Config()
        self.device = device
        self.seed = seed
        self.watch = Watch(of_module(type(self).__module__))
        self.features = self._features()
        # Read here and not with the first frame: a file that cannot be used is no bad box.
        self.pretrained = self._pretrained()

    def _features(self) -> BoxFeatures:
        """Return what turns boxes of a frame into rows of features."""
        self.backbone = self._load_conv3(dense=False)
        return CropFeatures(
            self.backbone, feature_scale=self.config.feature_scale, device=self.device
        )

    def _load(self, **form: int | bool) -> inference.Inference:
        config = self.config
        return inference.load(config.backbone, self.device, config.mode, self.seed, **form)

    def _load_conv3(self, **form: int | bool) -> inference.Inference:
        """Return a backbone that has the layer which is VGG-M's last."""
        loaded = self._load(**form)
        if "conv3" not in loaded.taps:
            raise ValueError(
                f"{type(self).__module__}: expected a backbone with a layer conv3, as vggm, got "
                f"backbone={self.config.backbone} with {', '.join(loaded.taps)}; "
                "trackers detection and hcf take any"
            )
        return loaded

    def _head_config(self) -> head.Config:
        return head.Config(BINS**2 * self.backbone.taps["conv3"].channels)

    def _pretrained(self) -> dict[str, Tensor]:
        """Return the layers of the head that are not new in every video."""
        return weights.read_head(self.config.head, self._head_config())

    def _head(self) -> nn.Module:
        """Return the head before it is fine-tuned, for the generator's random numbers."""
        new = head.Head(self._head_config(), self.generator)
        new.load_state_dict(new.state_dict() | self.pretrained)
        return new

    @torch.no_grad()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`).
        """
        config, frame = self.config, first_frame(self, frame)
        self.box = torch.from_numpy(first_box(box, frame, MIN_SIDE))
        self.generator = torch.Generator().manual_seed(self.seed)
        self.frame_index = 0
        self.translation = config.translation
        self.score = 0.0
        self.losses: list[float] = []
        self.warnings: list[str] = []
        self._set_head(self._head().to(self.device))
        self._set_frame(frame)
        self._initialise()
        self._fit_regressor()
        self.watch.begin()
        self.first_features = self.features(self.box[None])[0].float()

    def _set_head(self, network: nn.Module) -> None:
        """Begin with this head, and with empty memories."""
        config, dtype = self.config, self.backbone.dtype
        self.classifier = Classifier(network, config, self.generator, dtype)
        width = cast(head.Config, network.config).inputs
        memory = partial(Memory, width=width, device=self.device, dtype=dtype)
        # The first frame has more positives than later ones, and may be among those kept.
        rows = max(config.first_positives, config.positives)
        rows += (config.long_term - 1) * config.positives
        self.positives = memory(config.long_term, rows)
        self.negatives = memory(config.short_term, config.short_term * config.negatives)

    def _fit_regressor(self) -> None:
        # Solved once: in later frames the box itself is not known for sure, [1] section 4.4.
        config = self.config
        boxes = regressor.examples(self.sampler, self.box, config)
        self.regressor = None
        if config.regression and self._enough(boxes, config.regression_boxes, "regression"):
            features = self.features(boxes)
            self.regressor = regressor.BoxRegressor(features, boxes, self.box, config)

    @torch.no_grad()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), update the model -> box (4,) float64.

        What is returned is regressed; the next frame is searched around what is not.
        Raises RuntimeError before `init`.
        """
        frame = next_frame(self, frame)
        self.frame_index += 1
        self.losses, self.warnings = [], []
        self._set_frame(frame)
        prediction = self._search()
        if self.score > 0:  # found: the only frames to learn from
            self.translation = self.config.translation
            self._collect_samples(self.config.positives, self.config.negative_iou)
        else:
            wider = self.translation * self.config.growth
            self.translation = min(wider, self.config.translation_limit)
        self._update_model()
        return prediction.numpy().copy()

    def _set_frame(self, frame: np.ndarray) -> None:
        """Go on to this frame; boxes are drawn inside it."""
        self.sampler = samplers.over(frame, MIN_SIDE, self.generator)
        self.features.set_frame(frame, self.box)

    def _search(self) -> Tensor:
        """Move the box to the mean of the best candidates -> the same, regressed."""
        config = self.config
        candidates = self._candidates()
        features = self.features(candidates)
        scores, best = self.classifier.scores(features).topk(config.best)
        chosen = candidates[best.cpu()]  # (best, 4)
        # Regressed boxes as the next frame's start would add up their errors: they are not kept.
        self.box, self.score = chosen.mean(0), float(scores.mean())
        if (outputs := self.classifier.outputs) is not None:
            now = log_odds(float(outputs[best].softmax(1)[:, 1].mean()))
            likeness = torch.cosine_similarity(
                features[best].float().mean(0), self.first_features, 0
            )
            self.watch.see(now=now, cosine=float(likeness))
        if self.score > 0 and self.regressor and self.score > config.regression_score:
            return self.regressor(features[best], chosen).mean(0)
        return self.box

    def _candidates(self) -> Tensor:
        config = self.config
        return self.sampler.gaussian(self.box, self.translation, config.scale, config.candidates)

    def _initialise(self) -> None:
        """Fine-tune the head on the first frame."""
        config = self.config
        boxes = samplers.first_negatives(self.sampler, self.box, config)
        positives = self._collect_samples(config.first_positives, config.first_negative_iou)
        if self._enough(boxes, config.first_negatives, "first negatives"):
            targets, background = self._first_samples(positives, boxes)
            self.losses = self.classifier.fine_tune(
                targets,
                background,
                config.first_lr,
                config.first_iterations,
                config.first_loss_threshold,
            )

    def _first_samples(self, positives: Tensor, negatives: Tensor) -> tuple[Samples, Samples]:
        """Return features of both; the positives' are in the memory already."""
        # Thousands, for this frame alone: they do not go into the memory.
        background = self.features(negatives).to(self.backbone.dtype)
        return self.positives.latest(1), Samples(background, torch.arange(len(background)))

    def _collect_samples(self, count: int, max_iou: float) -> Tensor:
        """Remember features of positives and negatives of this frame -> the positives (n, 4)."""
        config = self.config
        positives = samplers.positives(self.sampler, self.box, count, config)
        if not self._enough(positives, count, "positives"):  # such as a box wider than the frame
            positives = self.box[None]
        self.positives.add(self.features(positives))
        negatives = samplers.negatives(self.sampler, self.box, max_iou, config)
        if self._enough(negatives, config.negatives, "negatives"):
            self.negatives.add(self.features(negatives))
        return positives

    def _update_model(self) -> None:
        """Update short-term after a failure, long-term every so many frames, [1] section 3.3."""
        config = self.config
        if self.score < 0:
            self._fine_tune(config.short_term)
        elif self.frame_index % config.update_every == 0:
            self._fine_tune(config.long_term)

    def _fine_tune(self, max_frames: int) -> None:
        """Fine-tune the head on the positives of so many frames."""
        config = self.config
        positives = self.positives.latest(max_frames)
        # Old negatives mislead: the background changes more than the target, [1] section 3.3.
        negatives = self.negatives.latest(config.short_term)
        if len(positives.rows) and len(negatives.rows):
            self.losses = self.classifier.fine_tune(
                positives,
                negatives,
                config.lr,
                config.iterations,
                config.loss_threshold,
                config.mining,
            )

    def _enough(self, boxes: Tensor, wished: int, what: str) -> int:
        """Return how many boxes there are; warn if fewer than wished for were found."""
        if len(boxes) < wished:
            self.warnings.append(f"{len(boxes)} of {wished} {what} were found")
        return len(boxes)
