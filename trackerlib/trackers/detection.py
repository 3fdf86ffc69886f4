"""Tracking by detection in its plainest form: MDNet's loop on one feature map per frame.

A measure of trunks: whatever network makes the map, the rest stays the same.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016: the loop, the samples, the updates.
[2] Girshick: Fast R-CNN. ICCV 2015, section 2: boxes are pooled from one map.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from trackerlib.boxes import centres, xywh_to_xyxy
from trackerlib.nets import head
from trackerlib.nets.candidates import GREY
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.ops.roi_align import roi_align
from trackerlib.trackers import mdnet, online
from trackerlib.trackers.online import samplers


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


class Tracker(mdnet.Tracker):
    """The loop of [1], section 4.4, on any trunk and device."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _features(self):
        config = self.config
        self.trunk = self._load()
        if config.tap not in self.trunk.taps:
            raise ValueError(
                f"detection.Tracker: expected tap among {', '.join(self.trunk.taps)}, the maps of "
                f"trunk={config.trunk}, got {config.tap!r}"
            )
        self.tap = self.trunk.taps[config.tap]
        return self._pooled

    def _head(self):
        width = self.tap.channels * self.config.bins**2
        return head.Head(head.Config(width), self.generator)

    def _look(self, frame):
        """Make the map of a square scene around the box; boxes are drawn inside it."""
        config = self.config
        extent = torch.tensor(frame.shape[1::-1], dtype=torch.float64)
        target = float(self.box[2:].prod().sqrt())
        side = config.scene * target
        centre, margin = centres(self.box), (side - self.box[2:]) / 2
        self.zoom = config.target_size / target
        low = (centre - margin).clamp(min=0).minimum(centre)
        high = (centre + margin).minimum(extent).maximum(centre)
        sizes = torch.stack((torch.full_like(extent, mdnet.SMALLEST), extent))
        self.sampler = samplers.Sampler(torch.stack((low, high)), sizes, self.generator)
        # A trunk without padding has no units at the border: the crop goes on beyond it.
        border = self.tap.centre // self.tap.stride * self.tap.stride
        side += 2 * border / self.zoom
        self.corner = centre - side / 2
        window = torch.tensor([[*self.corner, side, side]], device=self.device)
        size = [round(config.scene * config.target_size + 2 * border)] * 2
        pixels = torch.from_numpy(frame).to(self.device)
        image = crop_and_resize(pixels, window, size, fill=GREY, antialias=True)
        features = self.trunk(image, config.tap)[0]
        if self.frames == 0:  # all trunks are to learn at one rate
            self.unit = features.square().mean().sqrt()
        self.map = features / self.unit

    def _pooled(self, boxes):
        """(K, 4) in the frame -> (K, bins * bins * C), the channels of a bin together."""
        corners = (xywh_to_xyxy(boxes) - self.corner.repeat(2)) * self.zoom - self.tap.centre
        rois = pad(corners.float(), (1, 0)).to(self.device)
        pooled = roi_align(self.map, rois, self.config.bins, 1 / self.tap.stride)
        return pooled.permute(0, 2, 3, 1).flatten(1)
