"""RT-MDNet: MDNet in real time, by adaptive RoIAlign on a dense map of the scene.

[1] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, and the authors' code.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from trackerlib.boxes import centres
from trackerlib.checks import among, in_range
from trackerlib.ops import adaptive_roi_align, crop_and_resize, roi_align, roi_pool
from trackerlib.ops.adaptive_roi_align import STRIDE, WINDOW
from trackerlib.trackers import mdnet
from trackerlib.trackers.mdnet import samplers
from trackerlib.trackers.mdnet.departures import MODE
from trackerlib.trackers.mdnet.features import BINS, CROP_SIDE, FEATURE_SCALE, FILL
from trackerlib.trackers.mdnet.memory import Samples
from trackerlib.trackers.mdnet.tracker import MIN_SIDE
from trackerlib.trackers.presets import Departure
from trackerlib.trackers.protocols import BackboneLike, BoxFeatures

GRID = 7  # points per side of a box, before they are max-pooled to BINS, [1] section 3.2
SAMPLES = 2  # points per side of a bin, of Mask R-CNN's RoIAlign in table 2
ROI_PADDING = 1.6  # sides of a box that are pooled; authors' code: 1.2
REACH = 1.0  # of boxes in a scene: centres from the target's, in its mean sides
MAX_SCALE = 1.3  # of boxes in a scene, in sides of the target
SIDE_MULTIPLE = 16  # pixels that a scene's sides are multiples of: few sizes are compiled
ZOOMS = [1.1**power for power in (0, -2, -1, 1, 2)]  # of the first frame's scenes, authors' code
SHIFT_STD, MAX_SHIFT = 2.0, 4.0  # of those scenes, pixels, authors' code
POOLING = ("adaptive", "align", "pool")
SCENES = ("turns", "all")


@dataclass(frozen=True)
class Config(mdnet.Config):
    """What [1] changes; the rows of its tables 2 and 3 are other values of the first three.

    Without instance embedding is head=vggm-rtmdnet-binary, without box regression
    regression=false.
    """

    pooling: str = "adaptive"  # "align" and "pool" in table 2
    dense: bool = True  # map of stride 8; false for 16, in table 2
    head: str = "vggm-rtmdnet"  # a name in the registry: fc4 and fc5; or "random"
    padding: float = ROI_PADDING
    reach: float = REACH
    augment: bool = True  # the first frame's scene, authors' code
    scenes: str = "turns"  # of the first frame: boxes take them in turn; authors' code: "all"
    growth: float = REACH / 0.6  # at once to its limit, as in the authors' code
    translation_limit: float = REACH  # authors' code: 1.4, for which the scene is too small
    negative_translation: float = REACH  # authors' code: 2, likewise
    first_lr: float = 5e-4  # authors' code: 1e-4, too little for the bundled backbone
    lr: float = 3e-4  # section 4.3
    mining_pool: int = 256  # section 4.2: 1024, whose scores take most of the time on a CPU
    regression_score: float = 0.5  # section 4.1

    def __post_init__(self):
        super().__post_init__()
        among(self, {"pooling": POOLING, "scenes": SCENES})
        in_range(self, {"padding": (1, 4), "reach": (0.1, 4)})


def reachable_centres(
    box: Tensor, zoom: float = 1.0, reach: float = REACH, padding: float = ROI_PADDING
) -> Tensor:
    """Return the range (2, 2) of the centres of boxes that lie in the scene around a box (4,).

    zoom            of the scene
    reach, padding  as in `Config`
    """
    spare = padding * MAX_SCALE * box[2:]
    half = ((2 * reach * box[2:].mean() + spare) / zoom - spare) / 2
    centre = centres(box)
    return torch.stack((centre - half, centre + half))


class SceneFeatures:
    """What surrounds the target is resized so that it is a square of 107 pixels.

    A box is pooled with some context, from those positions of the map whose receptive
    fields lie inside, and those beside them where a sampling point lies between.

    backbone       without padding
    layer          whose map boxes are pooled from
    pooling        "adaptive", the paper's RoIAlign; "align", that of Mask R-CNN, whose points
                   are max-pooled likewise; or "pool", the largest map cell of each of 3x3 bins
    feature_scale  what features are multiplied by
    device         where the backbone is
    dtype          of the map and the features

    padding, reach  attributes, as in `Config`

    Raises ValueError for another pooling.
    """

    padding = ROI_PADDING
    reach = REACH

    def __init__(
        self,
        backbone: BackboneLike,
        layer: str,
        pooling: str = "adaptive",
        feature_scale: float = FEATURE_SCALE,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        if pooling not in POOLING:
            known = ", ".join(POOLING)
            raise ValueError(f"SceneFeatures: expected pooling among {known}, got {pooling!r}")
        self.backbone = backbone
        self.layer = layer
        self.tap = backbone.taps[layer]
        self.pooling = pooling
        self.feature_scale = feature_scale
        self.device = device
        self.dtype = dtype

    def set_frame(self, frame: np.ndarray, box: Tensor) -> None:
        """Make the map of the scene around a box (4,) of the frame (H, W, 3) uint8 RGB."""
        zooms = torch.ones(1, 1, dtype=box.dtype)
        shifts = torch.zeros(1, 2, dtype=box.dtype)
        self._set_scenes(frame, box, zooms, shifts)

    def set_first_frame(self, frame: np.ndarray, box: Tensor, generator: torch.Generator) -> None:
        """Make several maps of the scene, at ZOOMS and shifted a little; boxes take turns."""
        zooms = torch.tensor(ZOOMS, dtype=box.dtype)[:, None]
        shifts = SHIFT_STD * torch.randn(len(ZOOMS), 2, generator=generator, dtype=box.dtype)
        self._set_scenes(frame, box, zooms, shifts)

    def _set_scenes(self, frame: np.ndarray, box: Tensor, zooms: Tensor, shifts: Tensor) -> None:
        """Zooms (S, 1) of the target's 107 pixels, shifts (S, 2) in pixels of the scene."""
        self.zooms = CROP_SIDE / box[2:] * zooms  # (S, 2): x and y
        sides = CROP_SIDE * (2 * self.reach * box[2:].mean() / box[2:] + self.padding * MAX_SCALE)
        sides = (sides / SIDE_MULTIPLE).ceil() * SIDE_MULTIPLE
        sizes = sides / self.zooms
        shifts = shifts.clamp(-MAX_SHIFT, MAX_SHIFT) / self.zooms
        self.corners = box[:2] + (box[2:] - sizes) / 2 + shifts
        images = crop_and_resize(
            torch.from_numpy(frame).to(self.device),
            torch.cat((self.corners, sizes), 1).to(self.device),
            (int(sides[1]), int(sides[0])),
            fill=FILL,
            antialias=True,
        )
        maps = [self.backbone(image[None], self.layer)[0] for image in images]
        self.map = (self.feature_scale * torch.cat(maps)).to(self.dtype)

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return features (K, 3 * 3 * C), channel by channel, of boxes (K, 4) float64."""
        return self._pooled(self.rois(boxes))

    def of_all_scenes(self, boxes: Tensor) -> Tensor:
        """Return features (S * K, 3 * 3 * C) of boxes (K, 4) in each of S scenes, one by one."""
        scenes = [torch.full((len(boxes),), scene) for scene in range(len(self.zooms))]
        return torch.cat([self._pooled(self.rois(boxes, scene)) for scene in scenes])

    def _pooled(self, rois: Tensor) -> Tensor:
        rois = rois.float().to(self.device)
        scale = 1 / self.tap.stride
        if self.pooling == "adaptive":
            return adaptive_roi_align(self.map, rois, GRID, scale).flatten(1)
        if self.pooling == "align":
            points = roi_align(self.map, rois, GRID, scale, SAMPLES)
            return max_pool2d(points, WINDOW, STRIDE).flatten(1)
        return roi_pool(self.map, rois, BINS, scale).flatten(1)

    def rois(self, boxes: Tensor, which: Tensor | None = None) -> Tensor:
        """Return which map, and edges on it in pixels of the scene (K, 5); position 0 is at 0.

        which  map of each box (K,); None: boxes take the maps in turn

        A box 80 pixels wide, padded to 128, keeps 128 - 75 = 53: positions whose receptive
        field of 75 pixels lies inside it.
        """
        if which is None:
            which = torch.arange(len(boxes)) % len(self.zooms)
        size = self.padding * boxes[:, 2:]
        start = boxes[:, :2] + (boxes[:, 2:] - size) / 2 - self.corners[which]
        start, size = start * self.zooms[which], size * self.zooms[which]
        end = start + (size - self.tap.receptive_field).clamp(min=1)
        return torch.cat((which[:, None], start, end), 1)


class Tracker(mdnet.Tracker):
    """RT-MDNet on any backbone and device."""

    config: Config
    features: SceneFeatures

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _features(self) -> BoxFeatures:
        config = self.config
        self.backbone = self._load_conv3(dense=config.dense)
        features = SceneFeatures(
            self.backbone,
            "conv3",
            config.pooling,
            config.feature_scale,
            self.device,
            self.backbone.dtype,
        )
        features.padding, features.reach = config.padding, config.reach
        return features

    def _set_frame(self, frame: np.ndarray) -> None:
        """Make the map of the scene around the box; boxes are drawn inside it."""
        config, zoom = self.config, 1.0
        if config.augment and self.frame_index == 0:
            self.features.set_first_frame(frame, self.box, self.generator)
            zoom = max(ZOOMS)
        else:
            self.features.set_frame(frame, self.box)
        region = reachable_centres(self.box, zoom, config.reach, config.padding)
        self.sampler = samplers.over(frame, MIN_SIDE, self.generator, region)

    def _first_samples(self, positives: Tensor, negatives: Tensor) -> tuple[Samples, Samples]:
        if self.config.scenes == "turns":
            return super()._first_samples(positives, negatives)
        # 2500 and 25000 rows of 500 and 5000 boxes; the memory keeps those of the turns.
        tables = [self.features.of_all_scenes(boxes) for boxes in (positives, negatives)]
        targets, background = (Samples(table, torch.arange(len(table))) for table in tables)
        return targets, background


UNPUBLISHED = "the authors' weights are not in the registry: a name of it once they are"
DEPARTURES = (
    Departure(
        "backbone", source="[1] section 4.3: VGG-M, trained on ImageNet-VID", why=UNPUBLISHED
    ),
    Departure("head", source="[1] section 4.3: ImageNet-VID", why=UNPUBLISHED),
    Departure(
        "feature_scale",
        source="the authors' code, which takes features as they are",
        why="features of the bundled backbone are smaller; 1 for one with the authors' scale",
    ),
    MODE,
    Departure(
        "best",
        source="[1] equation 6: the arg max; code: the mean of five",
        why="the code's mean of five",
        paper=1,
        authors=5,
    ),
    Departure(
        "padding",
        source="opts['padding']",
        why="heads were trained so; trained for 1.2 they are not better on held-out clips",
        authors=1.2,
    ),
    Departure(
        "reach",
        source="[1] section 4.3: the scene encloses all samples; negatives' translation is 2",
        why="a wider scene costs time in every frame",
        paper=2.0,
        authors=2.0,
    ),
    Departure(
        "growth",
        source="trans_f_expand: 1.4 at once, where the translation is 0.6",
        why="at once to the limit, which is another one here",
        authors=1.4 / 0.6,
    ),
    Departure(
        "translation_limit",
        source="trans_f_expand; [1] does not say that the search widens",
        why="a wider scene costs time in every frame",
        authors=1.4,
    ),
    Departure(
        "negative_translation",
        source="the authors' code",
        why="a wider scene costs time in every frame",
        authors=2.0,
    ),
    Departure("positive_scale", source="the authors' code", why="as MDNet", authors=1.2),
    Departure("first_negative_aspect", source="the authors' code", why="as MDNet", authors=1.1),
    Departure(
        "first_negatives_everywhere",
        source="the authors' code: uniform around the target only",
        why="as MDNet",
        authors=False,
    ),
    Departure("first_negative_scale", source="the authors' code", why="as MDNet", authors=2.0),
    Departure(
        "first_lr",
        source="lr_init; [1] section 4.3 prints none for the first frame",
        why="1e-4 is too little for the bundled backbone",
        authors=1e-4,
    ),
    Departure(
        "mining_pool",
        source="[1] section 4.2; batch_neg_cand",
        why="to score 1024 negatives takes most of the time on a CPU",
        paper=1024,
        authors=1024,
    ),
    Departure(
        "regression_score",
        source="[1] section 4.1; success_thr",
        why="the text's",
        paper=0.5,
        authors=0.0,
    ),
    Departure(
        "augment",
        source="[1] section 4.3: 500 and 5000 samples, of one scene; jitter",
        why="the code's",
        paper=False,
        authors=True,
    ),
    Departure(
        "scenes",
        source="the authors' code: 2500 positives and 25000 negatives of all five scenes",
        why="boxes in turn take a fifth of the time",
        authors="all",
    ),
)
