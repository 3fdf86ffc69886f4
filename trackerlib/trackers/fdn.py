"""FDN: MDNet with one pass per frame, boxes pooled from its map, and updates that end in time.

[1] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, and the authors' code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from trackerlib.boxes import xywh_to_xyxy
from trackerlib.checks import among
from trackerlib.nets import head
from trackerlib.ops import crop_and_resize, roi_align, roi_pool
from trackerlib.trackers import mdnet
from trackerlib.trackers.mdnet.departures import BIASES, CLIPPING, MODE
from trackerlib.trackers.mdnet.features import BINS, FEATURE_SCALE, FILL
from trackerlib.trackers.presets import Departure
from trackerlib.trackers.protocols import BackboneLike, BoxFeatures

SHORT, LONG = 600, 1000  # pixels of a frame's sides: the short one, the long one at most, [1]
POOLING = ("align", "pool")
GEOMETRIES = ("centred", "released")


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
    """The whole frame goes through the backbone once, and boxes are pooled from its map.

    A point of the frame lies on the map where the receptive field is centred on it.

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
        # The first position of conv3, at stride 16, has its centre at 53.5: 48 pixels are added.
        self.border = self.tap.centre // self.tap.stride * self.tap.stride
        self.around = 2 * self.border + self.tap.stride
        self.offset = self.border - self.tap.centre  # of the frame from the map's first position
        self.extra = 0.0  # by which what is aligned is longer than the box, on its far side

    def set_frame(self, frame: np.ndarray, box: Tensor | None = None) -> None:
        """Make the map of the frame (H, W, 3) uint8 RGB; where the target was does not matter."""
        size = torch.tensor(frame.shape[:2], dtype=torch.float64)
        self.zoom = float(min(SHORT / size.min(), LONG / size.max()))
        height, width = (size * self.zoom + self.around).round().int().tolist()
        border = self.border / self.zoom
        window = [[-border, -border, width / self.zoom, height / self.zoom]]
        image = crop_and_resize(
            torch.from_numpy(frame).to(self.device),
            torch.tensor(window, dtype=torch.float64, device=self.device),
            (height, width),
            fill=FILL,
            antialias=True,
        )
        self.map = self.feature_scale * self.backbone(image, self.layer)[0]

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return features (K, 3 * 3 * C), channel by channel, of boxes (K, 4) float64."""
        rois = pad(self.boxes_on_map(boxes).float(), (1, 0)).to(self.device)  # (K, 5)
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
    pooled from what lies 53.5 pixels further right and down. RoIAlign's extent along an axis
    is end - start + 1 cells; RoIPool, which counts whole cells, takes start and end.
    """

    def __init__(self, *settings: Any, **named: Any):
        super().__init__(*settings, **named)
        self.border = self.around = self.offset = 0.0
        self.extra = float(self.tap.stride)  # one map cell


class Tracker(mdnet.Tracker):
    """FDN on any backbone and device."""

    config: Config

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
