"""Tracking by detection in its plainest form: MDNet's loop on one feature map per frame.

A measure of backbones: whatever network makes the map, the rest stays the same.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016: the loop, the samples, the updates.
[2] Girshick: Fast R-CNN. ICCV 2015, section 2: boxes are pooled from one map.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from trackerlib.boxes import centres, xywh_to_xyxy
from trackerlib.nets import head
from trackerlib.ops import crop_and_resize, roi_align
from trackerlib.trackers import mdnet
from trackerlib.trackers.mdnet import samplers
from trackerlib.trackers.mdnet.features import FILL
from trackerlib.trackers.mdnet.tracker import MIN_SIDE
from trackerlib.trackers.protocols import BackboneLike, BoxFeatures

SAMPLES = 2  # points per side of a bin


@dataclass(frozen=True)
class Config(mdnet.OnlineConfig):
    """Which map, and how a frame becomes it; the rest is MDNet's but for four values."""

    backbone: str = "vggm"  # a name in the registry of weights, or "random": dense VGG-M
    layer: str = "conv3"  # of the backbone, whose map boxes are pooled from
    mode: str = "auto"  # how the backbone runs, of weights.inference.MODES
    target_size: int = 96  # sqrt(w * h) of the target as the backbone sees it, pixels
    scene: float = 4.0  # side of what the backbone sees, in sqrt(w * h)
    bins: int = 3  # per side of a pooled box; MDNet's map of a candidate is 3x3
    mining_pool: int = 256  # [1]: 1024, whose scores would take most of the time on a CPU
    first_lr: float = 2e-3  # [1]: 5e-4, for layers that were trained before
    # [1]: 0.3 and 1.3. On one map a box inside the target looks like the target, and
    # the estimate shrinks unless smaller boxes stay among the negatives.
    negative_iou: float = 0.5
    negative_scale: float = 1.6


class SquareFeatures:
    """A square around the target is resized, and boxes are pooled from its one map.

    All backbones are to learn at one rate: maps are divided by the first one's RMS value.
    """

    def __init__(self, backbone: BackboneLike, config: Config, device: str = "cpu"):
        self.backbone = backbone
        self.config = config
        self.device = device
        self.tap = backbone.taps[config.layer]
        self.rms: Tensor | None = None

    def set_frame(self, frame: np.ndarray, box: Tensor) -> None:
        """Make the map of the square around a box (4,) of the frame (H, W, 3) uint8 RGB."""
        config = self.config
        target = float(box[2:].prod().sqrt())
        self.zoom = config.target_size / target
        # A backbone without padding has no positions at the border: the crop goes on beyond it.
        border = self.tap.centre // self.tap.stride * self.tap.stride
        pixels = round(config.scene * config.target_size + 2 * border)
        side = config.scene * target + 2 * border / self.zoom
        self.corner = centres(box) - side / 2
        image = crop_and_resize(
            torch.from_numpy(frame).to(self.device),
            torch.tensor([[*self.corner, side, side]], device=self.device),
            (pixels, pixels),
            fill=FILL,
            antialias=True,
        )
        features = self.backbone(image, config.layer)[0]
        if self.rms is None:
            self.rms = features.square().mean().sqrt()
        self.map = features / self.rms

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return features (K, bins * bins * C), the channels of a bin together."""
        corners = (xywh_to_xyxy(boxes) - self.corner.repeat(2)) * self.zoom - self.tap.centre
        rois = pad(corners.float(), (1, 0)).to(self.device)
        pooled = roi_align(self.map, rois, self.config.bins, 1 / self.tap.stride, SAMPLES)
        return pooled.permute(0, 2, 3, 1).flatten(1)


class Tracker(mdnet.Tracker):
    """The loop of [1], section 4.4, on any backbone and device."""

    # What only mdnet.Config has is for features and a head that this tracker replaces.
    config: Config  # type: ignore[assignment]
    features: SquareFeatures

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)  # type: ignore[arg-type]

    def _features(self) -> BoxFeatures:
        config = self.config
        self.backbone = self._load()
        if config.layer not in self.backbone.taps:
            raise ValueError(
                f"detection.Tracker: expected layer among {', '.join(self.backbone.taps)}, "
                f"the maps of backbone={config.backbone}, got {config.layer!r}"
            )
        return SquareFeatures(self.backbone, config, self.device)

    def _head_config(self) -> head.Config:
        return head.Config(self.backbone.taps[self.config.layer].channels * self.config.bins**2)

    def _pretrained(self) -> dict[str, Tensor]:
        return {}

    def _set_frame(self, frame: np.ndarray) -> None:
        """Make the map of the square around the box; boxes are drawn inside it."""
        if self.frame_index == 0:  # another target: another scale of the features
            self.features.rms = None
        self.features.set_frame(frame, self.box)
        extent = torch.tensor(frame.shape[1::-1], dtype=torch.float64)
        side = self.config.scene * float(self.box[2:].prod().sqrt())
        centre, margin = centres(self.box), (side - self.box[2:]) / 2
        low = (centre - margin).clamp(min=0).minimum(centre)
        high = (centre + margin).minimum(extent).maximum(centre)
        sizes = torch.stack((torch.full_like(extent, MIN_SIDE), extent))
        self.sampler = samplers.Sampler(torch.stack((low, high)), sizes, self.generator)
