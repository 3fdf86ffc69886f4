"""DeepTrack's loop: particles are scored, the best are the target, the network is updated.

Three versions were published, [1] section III-C. That of BMVC 2014 [2] holds a pool of
networks. That of ACCV 2014 [3] holds one, truncates the loss at the same error for both
classes (`positive_factor=0`) and takes uncertain boxes as a bag of positives. That of [1],
here, is stricter with positives, and draws frames by their quality in place of bags.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016.
[2] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations by
    convolutional neural networks for visual tracking. BMVC 2014.
[3] Li, Li, Porikli: Robust online visual tracking with a single convolutional neural
    network. ACCV 2014.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib.boxes import box_iou, centres, first_box
from trackerlib.checks import first_frame, next_frame
from trackerlib.ops.threads import one_thread
from trackerlib.trackers.deeptrack.config import Config
from trackerlib.trackers.deeptrack.cues import PATCH_SIDE, PatchFeatures
from trackerlib.trackers.deeptrack.learner import Learner
from trackerlib.trackers.deeptrack.losses import structural_weights
from trackerlib.trackers.deeptrack.network import DeepTrack, score
from trackerlib.trackers.deeptrack.pool import SamplePool
from trackerlib.trackers.lost import Watch, Watched
from trackerlib.trackers.mdnet import samplers
from trackerlib.weights import inference

MIN_SIDE = 2.0  # of a box, pixels
POSITIVE_IOU = 0.5  # that divides target from background, [1] equation 6


class Tracker(Watched):
    """DeepTrack on any device.

    warnings  what was unusual about the latest frame
    score     of the latest frame's box, equation 1
    quality   Q of the latest frame, equation 15
    losses    before every training step in the latest frame; one alone if it was small enough
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config = config or Config()
        self.device = device
        self.seed = seed
        self.watch = Watch("deeptrack")
        self.dtype = inference.number_type(self.config.mode, device)

    @torch.no_grad()
    @one_thread()  # of the many small steps of learning; several would wait for each other
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB; a grey video has three equal channels
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`).
        """
        config, frame = self.config, first_frame(self, frame)
        self.box = torch.from_numpy(first_box(box, frame, MIN_SIDE))
        self.min_size = (config.min_scale * self.box[2:]).clamp(min=MIN_SIDE)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.features = PatchFeatures(self.device)
        network = DeepTrack(self.generator, self.dtype).to(self.device)
        self.classifier = Learner(network, config, self.generator)
        most = max(config.first_positives, config.positives)
        decay = 0.0 if config.temporal else config.decay
        self.positives = self._pool(config.positives_kept // config.positives, most, decay)
        most = max(config.first_negatives, config.negatives)
        self.negatives = self._pool(config.negatives_kept // config.negatives, most, config.decay)
        self.score, self.quality = 0.0, 1.0
        self.watch.begin()
        self.warnings: list[str] = []
        self.set_frame(frame)
        self.collect_samples(config.first_positives, config.first_negatives)
        self.losses = self.classifier.initialise(self.positives, self.negatives)

    @torch.no_grad()
    @one_thread()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), update the model -> box (4,) float64.

        Raises RuntimeError before `init`.
        """
        frame = next_frame(self, frame)
        self.warnings = []
        self.set_frame(frame)
        particles = self.draw_particles()
        if self.config.dense:
            scores = self.classifier.scan(*self.features.scene(particles))
        else:
            scores = self.classifier.scores(self.features(particles))
        self.choose(particles, scores)
        self.watch.see(score=self.score, quality=self.quality)
        self.collect_samples(self.config.positives, self.config.negatives)
        self.losses = self.classifier.fine_tune(self.positives, self.negatives)
        return self.box.numpy().copy()

    def _pool(self, frames: int, rows: int, decay: float) -> SamplePool:
        """An empty pool of so many frames, each of so many patches at most."""
        chance = self.config.equal_chance
        return SamplePool(frames, rows, decay, self.generator, self.device, chance)

    def set_frame(self, frame: np.ndarray) -> None:
        """Go on to a frame (H, W, 3) uint8 RGB; boxes are drawn inside it."""
        self.sampler = samplers.over(frame, MIN_SIDE, self.generator)
        self.features.set_frame(frame, self.box)

    def draw_particles(self) -> Tensor:
        """Draw boxes (particles, 4): the last one's centre and size, with normal noise."""
        config = self.config
        height = float(self.box[3])
        draws = (config.particles, 3)
        noise = torch.randn(draws, generator=self.generator, dtype=torch.float64)
        move = min(config.translation, height / 2) * noise[:, :2]
        # Of s = h / 32, a deviation of 0.01 h makes one of 0.32 h of the height: 32 times s.
        scale = config.scale * (PATCH_SIDE if config.size_deviation == "s" else 1)
        size = (self.box[2:] * (1 + scale * noise[:, 2:])).maximum(self.min_size)
        centre = (centres(self.box) + move).clamp(*self.sampler.region)
        return torch.cat((centre - size / 2, size), 1)

    def choose(self, particles: Tensor, scores: Tensor) -> None:
        """Move the box to the mean of the best particles, and measure the frame's quality.

        particles  (K, 4)
        scores     (K, 2) of target and background, on the device

        Source: [1] equations 15 and 16.
        """
        config, fused = self.config, score(scores, self.config.saturated)
        # Of particles close together, the best by chance jitters more than their mean.
        highest, best = fused.topk(min(config.averaged, len(fused)))
        self.box, self.score = particles[best.cpu()].mean(0), float(highest[0])
        # Others that score nearly as high could be the target. Where they lie far from the box,
        # their labels say background, and their errors lower the quality.
        rivals = fused > config.ambiguity * self.score
        rivals[best[0]] = True  # at least itself, even if its score is below 0
        importance, labels = self._structure(particles[rivals.cpu()])
        errors = scores[rivals] - labels
        self.quality = 1 - float(self.classifier.losses(errors, labels, importance).mean())

    def collect_samples(self, positives: int, negatives: int) -> None:
        """Remember so many boxes of the target and of the background around it."""
        quality = self.quality if self.config.noise else 1.0
        targets, background = self._draw_positives(positives), self._draw_negatives(negatives)
        for boxes, wished, what in (
            (targets, positives, "positives"),
            (background, negatives, "negatives"),
        ):
            if len(boxes) < wished:
                self.warnings.append(f"{len(boxes)} of {wished} {what} were found")
        boxes = torch.cat((targets, background))
        counts = len(targets), len(background)  # of both, patches are computed in one pass
        samples = zip(  # of either class: its pool, its patches, their importance
            (self.positives, self.negatives),
            self.features(boxes).split(counts),
            self._structure(boxes)[0].split(counts),
            strict=True,
        )
        for pool, patches, importance in samples:
            if len(patches):
                pool.add(patches, importance, quality)

    def _draw_positives(self, count: int) -> Tensor:
        """The target and boxes (n, 4) that overlap it enough."""
        config = self.config
        draw = partial(
            self.sampler.gaussian, self.box, config.positive_translation, config.positive_scale
        )
        drawn = samplers.with_iou(draw, self.box, count - 1, min_iou=config.positive_iou)
        return torch.cat((self.box[None], drawn))

    def _draw_negatives(self, count: int) -> Tensor:
        """Boxes (n, 4) that overlap the target by half at most; half of them are hard."""
        config, hard = self.config, count // 2
        ranges = (
            (config.negative_translation, config.negative_scale, count - hard),
            (config.hard_negative_translation, config.hard_negative_scale, hard),
        )
        drawn = []
        for translation, scale, share in ranges:
            draw = partial(self.sampler.uniform, self.box, translation, scale)
            drawn.append(samplers.with_iou(draw, self.box, share, max_iou=POSITIVE_IOU))
        return torch.cat(drawn)

    def _structure(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Importance (n,) and labels (n, 2) of boxes, on the device."""
        iou = box_iou(boxes, self.box)
        importance, labels = structural_weights(iou)
        if not self.config.structural:
            importance = structural_weights(torch.ones_like(iou))[0]
        return importance.float().to(self.device), labels.float().to(self.device)
