"""DeepTrack: a network that is learned online, from nothing but the video.

Three versions were published, [1] section III-C. That of BMVC 2014 [2] holds a pool of
networks. That of ACCV 2014 [3] holds one, truncates the loss at the same error for both
classes (`finer=0`) and takes uncertain boxes as a bag of positives. That of [1], here, is
finer for positives, and draws frames by their quality in place of bags.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016.
[2] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations by
    convolutional neural networks for visual tracking. BMVC 2014.
[3] Li, Li, Porikli: Robust online visual tracking with a single convolutional neural
    network. ACCV 2014.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib.boxes import centres, first_box, overlap
from trackerlib.nets.cues import Patches
from trackerlib.nets.deeptrack import DeepTrack, score
from trackerlib.nets.losses import structure
from trackerlib.trackers.online import samplers
from trackerlib.trackers.online.iterative import Learner
from trackerlib.trackers.online.temporal import Pool

SMALLEST = 2.0  # least side of a box, pixels
SHARED = 0.5  # overlap that divides target from background, [1] equation 6


@dataclass(frozen=True)
class Config:
    """Constants of [1] where no other source is given; h is the target's height.

    The first five switch a mechanism off.
    """

    structural: bool = True  # importance by overlap, equation 5; false: all matter alike
    temporal: bool = True  # positives of all frames, equation 11; false: of the latest
    noise: bool = True  # frames drawn by their quality, equation 14
    fusion: bool = True  # a layer fuses the cues; false: the mean of their scores
    lazy: bool = True  # learn above 2 epsilon only; false: in every frame
    truncation: float = 0.0025  # beta, equation 9; 0 truncates nothing
    finer: float = 3.0  # u, equation 9

    particles: int = 1500  # boxes per frame, section II-C
    translation: float = 10.0  # their deviation, pixels, or 0.5 h if that is less
    scale: float = 0.01  # their deviation, in h
    dense: bool = True  # one convolution for all particles; false: each is cut out, as in [1]
    shrunk: float = 0.2  # least size, in those of the first box; not in [1]

    positives: int = 10  # boxes per frame; section III-A: 1
    negatives: int = 150  # boxes per frame, section III-A
    positive_translation: float = 0.3  # in mean sides; not in [1], as all down to near_scale
    positive_scale: float = 1.1
    negative_translation: float = 2.0  # of half of the negatives
    negative_scale: float = 1.3
    near_translation: float = 0.5  # of the other half, which is hard to tell from the target
    near_scale: float = 1.2
    positives_kept: int = 1000  # N+
    negatives_kept: int = 500  # N-, whole frames
    decay: float = 10.0  # sigma, equation 12
    ambiguity: float = 0.75  # v, equation 16

    rate: float = 5e-2  # r, section III-B
    fusion_rate: float = 5e-3  # of the fusion layer after the first frame
    tolerance: float = 5e-3  # epsilon
    first_steps: int = 300  # at most; not in [1], as all that follow
    steps: int = 20  # at most, per frame
    batch_positives: int = 16
    batch_negatives: int = 48
    gradient_limit: float = 0.3  # norm that a cue's gradient is cut to

    def __post_init__(self):
        for kept, count in (("positives_kept", "positives"), ("negatives_kept", "negatives")):
            least, got = getattr(self, count), getattr(self, kept)
            if least < 1:
                raise ValueError(f"deeptrack.Config: expected {count} of at least 1, got {least}")
            if got < least:
                raise ValueError(
                    f"deeptrack.Config: expected {kept} of at least {least}, {count} of one "
                    f"frame, got {got}"
                )


class Tracker:
    """DeepTrack on any device.

    score    of the latest frame's box, equation 1
    quality  Q of the latest frame, equation 15
    losses   before every step of learning in the latest frame; one alone if it was small enough
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config, self.device, self.seed = config or Config(), device, seed

    @torch.no_grad()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB; a grey video has three equal channels
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`).
        """
        config = self.config
        self.box = torch.from_numpy(first_box(box, frame, SMALLEST))
        self.least = (config.shrunk * self.box[2:]).clamp(min=SMALLEST)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.features = Patches(self.device)
        network = DeepTrack(self.generator, config.fusion).to(self.device)
        self.classifier = Learner(network, config, self.generator)
        pools = (
            (
                config.positives_kept // config.positives,
                config.positives,
                0.0 if config.temporal else config.decay,
            ),
            (config.negatives_kept // config.negatives, config.negatives, config.decay),
        )
        self.positives, self.negatives = (
            Pool(*pool, self.generator, self.device) for pool in pools
        )
        self.score, self.quality = 0.0, 1.0
        self._look(frame)
        self._learn(config.first_steps, config.rate)

    @torch.no_grad()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), learn its new looks -> box (4,) float64."""
        self._look(frame)
        particles = self._particles()
        if self.config.dense:
            scores = self.classifier.scan(*self.features.scene(particles))
        else:
            scores = self.classifier.scores(self.features(particles))
        self._choose(particles, scores)
        self._learn(self.config.steps, self.config.fusion_rate)
        return self.box.numpy().copy()

    def _look(self, frame):
        self.sampler = samplers.over(frame, SMALLEST, self.generator)
        self.features.look(frame, self.box)

    def _particles(self) -> Tensor:
        """Boxes around the last one: its centre and its size, with normal noise."""
        config = self.config
        height = float(self.box[3])
        draws = (config.particles, 3)
        noise = torch.randn(draws, generator=self.generator, dtype=torch.float64)
        move = min(config.translation, height / 2) * noise[:, :2]
        size = (self.box[2:] * (1 + config.scale * noise[:, 2:])).maximum(self.least)
        centre = (centres(self.box) + move).clamp(*self.sampler.region)
        return torch.cat((centre - size / 2, size), 1)

    def _choose(self, particles, scores):
        """The box is the particle of the highest score; how many others could be it?"""
        config, fused = self.config, score(scores)
        best = int(fused.argmax())
        self.box, self.score = particles[best], float(fused[best])
        rivals = fused > config.ambiguity * self.score
        rivals[best] = True
        importance, labels = self._structure(particles[rivals.cpu()])
        errors = scores[rivals] - labels
        self.quality = 1 - float(self.classifier.losses(errors, labels, importance).mean())

    def _learn(self, steps, fusion_rate):
        """Keep the target and background around it; learn."""
        quality = self.quality if self.config.noise else 1.0
        near, far = self._near(), self._background()
        boxes = torch.cat((near, far))
        samples = zip(
            (self.positives, self.negatives),
            self.features(boxes).split((len(near), len(far))),
            self._structure(boxes)[0].split((len(near), len(far))),
            strict=True,
        )
        for pool, patches, importance in samples:
            if len(patches):
                pool.add(patches, importance, quality)
        learn = self.classifier.learn
        self.losses = learn(self.positives, self.negatives, steps, fusion_rate)

    def _near(self):
        """The target and boxes (n, 4) that overlap it by half at least."""
        config = self.config
        draw = partial(
            self.sampler.gaussian, self.box, config.positive_translation, config.positive_scale
        )
        drawn = samplers.overlapping(draw, self.box, config.positives - 1, least=SHARED)
        return torch.cat((self.box[None], drawn))

    def _background(self):
        """Boxes (n, 4) that overlap the target by half at most; half of them are near it."""
        config, half = self.config, self.config.negatives // 2
        ranges = (
            (config.negative_translation, config.negative_scale, config.negatives - half),
            (config.near_translation, config.near_scale, half),
        )
        draws = [(partial(self.sampler.uniform, self.box, *r[:2]), r[2]) for r in ranges]
        return torch.cat(
            [samplers.overlapping(draw, self.box, count, most=SHARED) for draw, count in draws]
        )

    def _structure(self, boxes):
        """Importance and labels of boxes on the device."""
        overlaps = overlap(boxes, self.box)
        importance, labels = structure(overlaps)
        if not self.config.structural:
            importance = structure(torch.ones_like(overlaps))[0]
        return importance.float().to(self.device), labels.float().to(self.device)
