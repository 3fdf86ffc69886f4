"""Tracking by detection in its plainest form: MDNet's loop on one feature map per frame.

A measure of trunks: whatever network makes the map, the rest stays the same.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016: the loop, the samples, the updates.
[2] Girshick: Fast R-CNN. ICCV 2015, section 2: boxes are pooled from one map.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

from trackerlib.boxes import centres, first_box, xywh_to_xyxy
from trackerlib.nets import inference
from trackerlib.nets.head import Head
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.ops.roi_align import roi_align
from trackerlib.trackers import online
from trackerlib.trackers.online import regressor, samplers
from trackerlib.trackers.online.classifier import Classifier
from trackerlib.trackers.online.memory import Memory, Samples

GREY = 128.0  # what lies outside the frame
SMALLEST = 2.0  # least side of a box, pixels


@dataclass(frozen=True)
class Config(online.Config):
    """Which map, and how a frame becomes it; the rest is MDNet's but for four values."""

    trunk: str = "vggm"  # a name in the registry of weights, or "random": dense VGG-M
    tap: str = "conv3"  # the map's name in the trunk
    mode: str = "auto"  # how the trunk runs, of nets.inference.MODES
    target_size: int = 96  # sqrt(w * h) of the target as the trunk sees it, pixels
    scene: float = 4.0  # side of what the trunk sees, in sqrt(w * h)
    bins: int = 3  # per side of a pooled box; MDNet's map of a candidate is 3x3
    pool: int = 256  # [1]: 1024, whose scores would take most of the time on a CPU
    first_rate: float = 2e-3  # [1]: 5e-4, for layers that were trained before
    # [1]: 0.3 and 1.3. On one map a box inside the target looks like the target, and
    # the estimate shrinks unless smaller boxes stay among the negatives.
    negative_overlap: float = 0.5
    negative_scale: float = 1.6


class Tracker:
    """The loop of [1], section 4.4, on any trunk and device."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config, self.device, self.seed = config or Config(), device, seed
        self.trunk = inference.load(self.config.trunk, device, self.config.mode, seed)
        if self.config.tap not in self.trunk.taps:
            raise ValueError(
                f"detection.Tracker: expected tap among {', '.join(self.trunk.taps)}, the maps of "
                f"trunk={self.config.trunk}, got {self.config.tap!r}"
            )
        self.tap = self.trunk.taps[self.config.tap]

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
        self.map = self._look(frame)
        self.unit = self.map.square().mean().sqrt()  # so that all trunks learn at one rate
        self.map = self.map / self.unit
        width = self.tap.channels * config.bins**2
        head = Head(width, self.generator).to(self.device)
        self.classifier = Classifier(head, config, self.generator)
        rows = max(config.first_positives, config.positives)
        rows += (config.long_term - 1) * config.positives
        self.positives = Memory(config.long_term, rows, width, self.device)
        rows = config.short_term * config.negatives
        self.negatives = Memory(config.short_term, rows, width, self.device)
        self._learn_first()
        around = regressor.examples(self.sampler, self.box, config)
        self.regress = regressor.Regressor(self._features(around), around, self.box, config)

    @torch.no_grad()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), learn its new looks -> box (4,) float64.

        What is returned is regressed; the next frame is searched around what is not.
        """
        config = self.config
        self.frames += 1
        self.map = self._look(frame) / self.unit
        candidates = self.sampler.gaussian(
            self.box, self.translation, config.scale, config.candidates
        )
        features = self._features(candidates)
        scores, best = self.classifier.scores(features).topk(config.best)
        chosen = candidates[best.cpu()]
        self.box, score = chosen.mean(0), float(scores.mean())
        answer = self.box
        if score > 0:
            answer = self.regress(features[best], chosen).mean(0)
            self.translation = config.translation
            self._remember(config.positives, config.negative_overlap)
        else:
            self.translation = min(self.translation * config.growth, config.translation_limit)
        if score < 0 or self.frames % config.update_every == 0:
            self._learn(config.short_term if score < 0 else config.long_term)
        return answer.numpy().copy()

    def _look(self, frame):
        """The map (1, C, h, w) of a square scene around the box; boxes are drawn inside it."""
        config = self.config
        extent = torch.tensor(frame.shape[1::-1], dtype=torch.float64)
        target = float(self.box[2:].prod().sqrt())
        side = config.scene * target
        centre, margin = centres(self.box), (side - self.box[2:]) / 2
        self.zoom = config.target_size / target
        low = (centre - margin).clamp(min=0).minimum(centre)
        high = (centre + margin).minimum(extent).maximum(centre)
        sizes = torch.stack((torch.full_like(extent, SMALLEST), extent))
        self.sampler = samplers.Sampler(torch.stack((low, high)), sizes, self.generator)
        # A trunk without padding has no units at the border: the crop goes on beyond it.
        border = self.tap.centre // self.tap.stride * self.tap.stride
        side += 2 * border / self.zoom
        self.corner = centre - side / 2
        window = torch.tensor([[*self.corner, side, side]], device=self.device)
        size = [round(config.scene * config.target_size + 2 * border)] * 2
        pixels = torch.from_numpy(frame).to(self.device)
        image = crop_and_resize(pixels, window, size, fill=GREY, antialias=True)
        return self.trunk(image, config.tap)[0]

    def _features(self, boxes):
        """(K, 4) in the frame -> (K, bins * bins * C), the channels of a bin together."""
        corners = (xywh_to_xyxy(boxes) - self.corner.repeat(2)) * self.zoom - self.tap.centre
        rois = pad(corners.float(), (1, 0)).to(self.device)
        pooled = roi_align(self.map, rois, self.config.bins, 1 / self.tap.stride)
        return pooled.permute(0, 2, 3, 1).flatten(1)

    def _learn_first(self):
        config = self.config
        background = self._features(samplers.first_negatives(self.sampler, self.box, config))
        self._remember(config.first_positives, config.first_negative_overlap)
        far = Samples(background, torch.arange(len(background)))
        near = self.positives.latest(1)
        self.classifier.learn(near, far, config.first_rate, config.first_iterations)

    def _remember(self, count, most):
        near = samplers.positives(self.sampler, self.box, count, self.config)
        self.positives.add(self._features(near))
        far = samplers.negatives(self.sampler, self.box, most, self.config)
        self.negatives.add(self._features(far))

    def _learn(self, frames):
        near = self.positives.latest(frames)
        far = self.negatives.latest(self.config.short_term)
        self.classifier.learn(near, far, self.config.rate, self.config.iterations)
