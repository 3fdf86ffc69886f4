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
from trackerlib.nets import inference
from trackerlib.nets.cues import Patches
from trackerlib.nets.deeptrack import DeepTrack, score
from trackerlib.nets.losses import structure
from trackerlib.trackers.online import samplers
from trackerlib.trackers.online.iterative import Learner
from trackerlib.trackers.online.temporal import Pool

SMALLEST = 2.0  # least side of a box, pixels
SHARED = 0.5  # overlap that divides target from background, [1] equation 6
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
    averaged: int = 5  # of the highest scores, whose mean is the box; [1]: 1
    saturated: bool = True  # no score counts beyond its label; not in [1]
    dense: bool = True  # one convolution for all particles; false: each is cut out, as in [1]
    mode: str = "auto"  # of nets.inference.MODES: bfloat16, or not; nothing is compiled
    shrunk: float = 0.2  # least size, in those of the first box; not in [1]

    positives: int = 10  # boxes per frame; section III-A: 1
    negatives: int = 150  # boxes per frame, section III-A
    first_positives: int = 50  # boxes of the first frame; not in [1], as all down to near_scale
    first_negatives: int = 500
    positive_overlap: float = 0.8  # least of a positive with the target
    positive_translation: float = 0.1  # in mean sides
    positive_scale: float = 1.05
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
    first_rate: float = 2e-3  # of Adam; not in [1], as all that follow
    first_steps: int = 500
    steps: int = 10  # at most, per frame
    batch_positives: int = 8
    batch_negatives: int = 24
    gradient_limit: float = 0.3  # norm that a cue's gradient is cut to

    def __post_init__(self):
        for count in COUNTS:
            if (got := getattr(self, count)) < 1:
                raise ValueError(f"deeptrack.Config: expected {count} of at least 1, got {got}")
        for kept, count in (("positives_kept", "positives"), ("negatives_kept", "negatives")):
            least, got = getattr(self, count), getattr(self, kept)
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
        self.dtype = inference.number_type(self.config.mode, device)

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
        network = DeepTrack(self.generator, self.dtype).to(self.device)
        self.classifier = Learner(network, config, self.generator)
        pools = (
            (
                config.positives_kept // config.positives,
                max(config.first_positives, config.positives),
                0.0 if config.temporal else config.decay,
            ),
            (
                config.negatives_kept // config.negatives,
                max(config.first_negatives, config.negatives),
                config.decay,
            ),
        )
        self.positives, self.negatives = (
            Pool(*pool, self.generator, self.device) for pool in pools
        )
        self.score, self.quality = 0.0, 1.0
        self._look(frame)
        self._keep(config.first_positives, config.first_negatives)
        self.losses = self.classifier.begin(self.positives, self.negatives)

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
        self._keep(self.config.positives, self.config.negatives)
        self.losses = self.classifier.learn(self.positives, self.negatives)
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
        """The box is the mean of the best particles; how many others could be it?"""
        config, fused = self.config, score(scores, self.config.saturated)
        highest, best = fused.topk(min(config.averaged, len(fused)))
        self.box, self.score = particles[best.cpu()].mean(0), float(highest[0])
        rivals = fused > config.ambiguity * self.score
        rivals[best[0]] = True
        importance, labels = self._structure(particles[rivals.cpu()])
        errors = scores[rivals] - labels
        self.quality = 1 - float(self.classifier.losses(errors, labels, importance).mean())

    def _keep(self, positives, negatives):
        """Remember so many boxes of the target and of the background around it."""
        quality = self.quality if self.config.noise else 1.0
        near, far = self._near(positives), self._background(negatives)
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

    def _near(self, count):
        """The target and boxes (n, 4) that overlap it enough."""
        config = self.config
        draw = partial(
            self.sampler.gaussian, self.box, config.positive_translation, config.positive_scale
        )
        least = config.positive_overlap
        drawn = samplers.overlapping(draw, self.box, count - 1, least=least)
        return torch.cat((self.box[None], drawn))

    def _background(self, count):
        """Boxes (n, 4) that overlap the target by half at most; half of them are near it."""
        config, half = self.config, count // 2
        ranges = (
            (config.negative_translation, config.negative_scale, count - half),
            (config.near_translation, config.near_scale, half),
        )
        draws = [(partial(self.sampler.uniform, self.box, *r[:2]), r[2]) for r in ranges]
        return torch.cat(
            [samplers.overlapping(draw, self.box, share, most=SHARED) for draw, share in draws]
        )

    def _structure(self, boxes):
        """Importance and labels of boxes on the device."""
        overlaps = overlap(boxes, self.box)
        importance, labels = structure(overlaps)
        if not self.config.structural:
            importance = structure(torch.ones_like(overlaps))[0]
        return importance.float().to(self.device), labels.float().to(self.device)
