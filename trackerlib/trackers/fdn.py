"""FDN: MDNet with one pass per frame, boxes pooled from its map, and updates that end in time.

[1] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, and the authors' code.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from trackerlib.boxes import centres, xywh_to_xyxy
from trackerlib.checks import among
from trackerlib.nets import head
from trackerlib.ops import crop_and_resize, roi_align, roi_pool
from trackerlib.trackers import mdnet
from trackerlib.trackers.mdnet import samplers
from trackerlib.trackers.mdnet.departures import BIASES, CLIPPING, MODE
from trackerlib.trackers.mdnet.features import BINS, FEATURE_SCALE, FILL
from trackerlib.trackers.mdnet.tracker import MIN_SIDE
from trackerlib.trackers.presets import Departure
from trackerlib.trackers.protocols import BackboneLike, BoxFeatures

SHORT, LONG = 600, 1000  # pixels of a frame's sides: the short one, the long one at most, [1]
POOLING = ("align", "pool")
GEOMETRIES = ("centred", "released")
STEP = 0.2  # of the target to the next frame, as it is expected, in its mean sides


@dataclass(frozen=True)
class Config(mdnet.Config):
    """What [1] changes; its ablations are other values of the first six."""

    pooling: str = "align"  # RoIAlign; "pool" for RoIPool, section 4.3
    samples: int = 2  # points per side of a bin: 1, 2 or 3, section 3.2
    geometry: str = "centred"  # where boxes lie on the map; "released" as in the authors' code
    layer: str = "conv3"  # of VGG-M; conv5 has five convolutions, section 4.4
    fc_layers: int = 3  # fully connected ones; 2 in section 4.4
    backbone: str = "vggm"  # a name in the registry of weights, or "random"
    head: str = "vggm-fdn"  # "random": no training on videos, section 4.5
    best: int = 1  # section 3.4: the box of the highest score
    iterations: int = 10  # at most, section 3.4
    loss_threshold: float = 0.01  # l, section 3.4
    first_iterations: int = 30  # authors' code
    lr: float = 1.5e-3  # section 3.4
    candidates: int = 512  # authors' code

    def __post_init__(self):
        super().__post_init__()
        among(self, {"pooling": POOLING, "geometry": GEOMETRIES})


class FrameFeatures:
    """The frame goes through the backbone once, and boxes are pooled from its map.

    A point of the frame lies on the map where the receptive field is centred on it. Positions
    of the map that no box has needed are not made: `first` and `end` tell which there are.

    backbone       its map of the frame is what boxes are pooled from
    layer          whose map it is
    pooling        "align", the largest of samples x samples points in each of 3x3 bins, or
                   "pool", the largest of the map cells in a bin that is rounded to whole cells
    feature_scale  what features are multiplied by
    device         where the backbone is

    Raises ValueError for another pooling.
    """

    def __init__(
        self,
        backbone: BackboneLike,
        layer: str,
        pooling: str = "align",
        samples: int = 2,
        feature_scale: float = FEATURE_SCALE,
        device: str = "cpu",
    ):
        if pooling not in POOLING:
            raise ValueError(
                f"FrameFeatures: expected pooling {' or '.join(POOLING)}, got {pooling!r}"
            )
        self.backbone = backbone
        self.layer = layer
        self.tap = backbone.taps[layer]
        self.pooling = pooling
        self.samples = samples
        self.feature_scale = feature_scale
        self.device = device
        # Without padding no map position is at the frame's edge: the frame goes on beyond it.
        # The first position of conv3, at stride 16, has its centre at 37.5: 32 pixels are added.
        self.border = self.tap.centre // self.tap.stride * self.tap.stride
        self.around = 2 * self.border + self.tap.stride
        self.offset = self.border - self.tap.centre  # of the frame from the map's first position
        self.extra = 0.0  # by which what is aligned is longer than the box, on its far side

    def set_frame(
        self, frame: np.ndarray, box: Tensor | None = None, later: Tensor | None = None
    ) -> None:
        """Go on to a frame (H, W, 3) uint8 RGB, and make its map.

        box    (4,) that boxes lie in: only their part of the map is made, and more of it when
               one lies elsewhere; None makes the whole map
        later  (4,) that boxes are likely to lie in later on: their part is made with the other,
               which costs less than to make both of them again
        """
        self.pixels = torch.from_numpy(frame).to(self.device)
        size = torch.tensor(frame.shape[:2], dtype=torch.float64)
        self.zoom = float(min(SHORT / size.min(), LONG / size.max()))
        self.sides = (size * self.zoom + self.around).round().long()  # (2,) y, x: pixels
        self.limit = (self.sides - int(2 * self.tap.centre)) // self.tap.stride + 1  # positions
        self.first, self.end = self.limit, torch.zeros_like(self.limit)  # none is there
        if box is None:
            self._make(torch.zeros_like(self.limit), self.limit)
        else:
            self.cover(torch.stack((box, box if later is None else later)))

    def cover(self, boxes: Tensor) -> None:
        """Make the part of the map that boxes (K, 4), K > 0, are pooled from, if it is missing."""
        first, end = self._needed(boxes)
        if (first < self.first).any() or (end > self.end).any():
            self._make(first.minimum(self.first), end.maximum(self.end))

    def _needed(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map positions boxes (K, 4) are pooled from: first and end, each (2,) y, x.

        Boxes outside the map need what is nearest to them: the map's border.
        """
        # A box from 2.4 to 5.7 has points from 2.4 to 5.7, which read cells 2 to 6; rounded, it
        # has cells 2 to 6: the end is 7. A box is at least one cell long.
        left, top, right, bottom = (self.boxes_on_map(boxes) / self.tap.stride).unbind(1)
        start, end = torch.stack((top, left)), torch.stack((bottom, right))  # (2, K)
        end = end.maximum(start + 1) + self.extra / self.tap.stride
        first = start.amin(1).floor().clamp(min=0).minimum(self.limit - 1)
        end = (end.amax(1).floor() + 2).maximum(first + 1).minimum(self.limit)
        return first.long(), end.long()

    def _make(self, first: Tensor, end: Tensor) -> None:
        """Make the map from the first position to the end, each (2,) y, x, as in the whole map."""
        # Whole strides that are cut off leave other positions where they were. But where the
        # layer's convolutions pad, the nearest positions see zeros for what was cut off.
        stride, tap = self.tap.stride, self.tap
        seen = math.ceil((tap.receptive_field / 2 - tap.centre) / stride)  # of conv3 0, of conv5 2
        start, stop = (first - seen).clamp(min=0), (end + seen).minimum(self.limit)
        height, width = (self.sides - (self.limit - stop + start) * stride).tolist()
        y, x = ((start * stride - self.border) / self.zoom).tolist()
        window = [[x, y, width / self.zoom, height / self.zoom]]
        image = crop_and_resize(
            self.pixels,
            torch.tensor(window, dtype=torch.float64, device=self.device),
            (height, width),
            fill=FILL,
            antialias=True,
        )
        made = self.backbone(image, self.layer)[0]
        (top, left), (bottom, right) = (first - start).tolist(), (stop - end).tolist()
        made = made[:, :, top : made.shape[2] - bottom, left : made.shape[3] - right]
        self.map = self.feature_scale * made
        self.first, self.end = first, end

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return features (K, 3 * 3 * C), channel by channel, of boxes (K, 4) float64."""
        if len(boxes):
            self.cover(boxes)
        # Rounded to float32 as on the whole map, so that the same cells are read.
        corner = self.first.flip(0).repeat(2) * self.tap.stride  # (4,) x, y, x, y
        rois = pad(self.boxes_on_map(boxes).float() - corner, (1, 0)).to(self.device)  # (K, 5)
        scale = 1 / self.tap.stride
        if self.pooling == "pool":
            return roi_pool(self.map, rois, BINS, scale).flatten(1)
        rois[:, 3:] += self.extra
        pooled = roi_align(
            self.map, rois, BINS, scale, self.samples, reduce="max", points="interior"
        )
        return pooled.flatten(1)

    def boxes_on_map(self, boxes: Tensor) -> Tensor:
        """Return edges (K, 4) in pixels of the resized frame; the map's first position is at 0."""
        return xywh_to_xyxy(boxes) * self.zoom + self.offset


class ReleasedFeatures(FrameFeatures):
    """The same where the authors' code has boxes on the map; settings as of `FrameFeatures`.

    Nothing is added to the frame. A point of it lies at its pixel over the product of the
    strides, as if the map's first position were at the frame's corner: with VGG-M, a box is
    pooled from what lies 37.5 pixels further right and down. RoIAlign's extent along an axis
    is end - start + 1 cells; RoIPool, which counts whole cells, takes start and end.
    """

    def __init__(self, *settings: Any, **named: Any):
        super().__init__(*settings, **named)
        self.border = self.around = self.offset = 0.0
        self.extra = float(self.tap.stride)  # one map cell


def surroundings(box: Tensor, translation: float, scale: float) -> Tensor:
    """Return a box (4,) that all boxes lie in which a sampler draws around this one.

    translation, scale  of `samplers.Sampler`
    """
    half = translation * box[2:].mean() + scale * box[2:] / 2
    return torch.cat((centres(box) - half, 2 * half))


class Tracker(mdnet.Tracker):
    """FDN on any backbone and device."""

    config: Config
    features: FrameFeatures

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _features(self) -> BoxFeatures:
        config = self.config
        deep = config.layer in ("conv4", "conv5")
        self.backbone = self._load(dense=False, depth=5 if deep else 3)
        if config.layer not in self.backbone.taps:
            known = ", ".join(self.backbone.taps)
            raise ValueError(f"fdn.Tracker: expected layer among {known}, got {config.layer!r}")
        make = ReleasedFeatures if config.geometry == "released" else FrameFeatures
        return make(
            self.backbone,
            config.layer,
            config.pooling,
            config.samples,
            config.feature_scale,
            self.device,
        )

    def _set_frame(self, frame: np.ndarray) -> None:
        """Go on to this frame; its map is made of what the candidates can reach."""
        config = self.config
        self.sampler = samplers.over(frame, MIN_SIDE, self.generator)
        if self.frame_index == 0:  # boxes come from everywhere
            self.features.set_frame(frame)
        else:
            candidates = surroundings(self.box, self.translation, config.scale)
            # A target that was lost is likely to be lost again: no samples would follow.
            later = self._of_samples(STEP) if self.score > 0 else None
            self.features.set_frame(frame, candidates, later)

    def _collect_samples(self, count: int, max_iou: float) -> Tensor:
        self.features.cover(self._of_samples()[None])  # at once for positives and negatives
        return super()._collect_samples(count, max_iou)

    def _of_samples(self, step: float = 0.0) -> Tensor:
        """Return a box (4,) that positives and negatives around the target lie in.

        step  by which it may have moved, in its mean sides
        """
        config = self.config
        translation = step + max(config.positive_translation, config.negative_translation)
        scale = max(config.positive_scale, config.negative_scale)
        return surroundings(self.box, translation, scale)

    def _head_config(self) -> head.Config:
        channels = self.backbone.taps[self.config.layer].channels
        return head.Config(BINS**2 * channels, self.config.fc_layers)


UNPUBLISHED = "its weights are not known to be published: a name of the registry once they are"
DEPARTURES = (
    Departure("backbone", source="[1] section 3.3: VGG-M, trained on 58 videos", why=UNPUBLISHED),
    Departure("head", source="[1] section 3.3: 58 videos", why=UNPUBLISHED),
    Departure(
        "feature_scale",
        source="the authors' code, which takes features as they are",
        why="features of the bundled backbone are smaller; 1 for one with the authors' scale",
    ),
    MODE,
    Departure(
        "geometry",
        source="the authors' RoIAlign: end - start + 1 cells, no centring, no padding; [1]: open",
        why="a box is pooled from where it lies; the map reaches the frame's edges",
        authors="released",
    ),
    Departure(
        "threshold_after_step",
        source="the authors' code; [1] section 3.4: iterations stop if the loss is less than l",
        why="a batch of so small a loss changes little: the text's example calls it ineffective",
        authors=True,
    ),
    Departure(
        "first_loss_threshold",
        source="the authors' code, whose function trains the first frame too; [1]: updates",
        why="the text speaks of updates alone",
        authors=0.01,
    ),
    CLIPPING,
    *BIASES,
)
