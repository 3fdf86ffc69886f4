"""From boxes in a frame to what the head sees of them: one crop each, or one map for all.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.1 and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, sections 3.1 and 3.2, and the authors' code.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from trackerlib.nets.trunk import Tap
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.ops.roi_align import roi_align
from trackerlib.ops.roi_pool import roi_pool

GREY = 128.0  # what lies outside the frame
SIDE, CONTEXT = 107, 16  # pixels of a crop, and how many of them lie beside the box, [1]
BINS = 3  # per side of a box
SHORT, LONG = (
    600,
    1000,
)  # pixels of a frame's sides: of the short one, of the long one at most, [2]
GAIN = 8.0  # of the bundled trunk's features, for which the published rates are then right
TOGETHER = 64  # crops that are in memory at a time
POOLING = ("align", "pool")

Trunk = Callable[..., tuple[Tensor, ...]]  # images, tap -> the map


class Crops:
    """MDNet's: every box is cut out with what is around it, and goes through the trunk alone.

    trunk   images (N, 3, H, W), tap -> its map, of 3x3 units for a crop of SIDE pixels
    gain    what features are multiplied by
    device  where the trunk is
    """

    def __init__(self, trunk: Trunk, tap: str = "conv3", gain: float = GAIN, device: str = "cpu"):
        self.trunk, self.tap, self.gain, self.device = trunk, tap, gain, device

    def look(self, frame: np.ndarray) -> None:
        """The frame (H, W, 3) uint8 RGB that the next boxes lie in."""
        self.pixels = torch.from_numpy(frame).to(self.device)

    def __call__(self, boxes: Tensor) -> Tensor:
        """(K, 4) x, y, w, h float64 -> (K, 3 * 3 * C), channel by channel."""
        border = boxes[:, 2:] * (CONTEXT / SIDE)
        boxes = torch.cat((boxes[:, :2] - border, boxes[:, 2:] + 2 * border), 1)
        return torch.cat([self._features(some) for some in boxes.split(TOGETHER)])

    def _features(self, boxes):
        crops = crop_and_resize(self.pixels, boxes.to(self.device), (SIDE, SIDE), fill=GREY)
        return self.gain * self.trunk(crops, self.tap)[0].flatten(1)


class Frame:
    """FDN's: the whole frame goes through the trunk once, and boxes are pooled from its map.

    trunk    images (N, 3, H, W), tap -> its map
    tap      name and geometry of the map
    pooling  "align", the largest of samples x samples points in each of 3x3 bins, or
             "pool", the largest of the cells in a bin that is rounded to whole cells
    gain     what features are multiplied by
    device   where the trunk is

    Raises ValueError for another pooling.
    """

    def __init__(
        self,
        trunk: Trunk,
        tap: tuple[str, Tap],
        pooling: str = "align",
        samples: int = 2,
        gain: float = GAIN,
        device: str = "cpu",
    ):
        if pooling not in POOLING:
            raise ValueError(f"Frame: expected pooling {' or '.join(POOLING)}, got {pooling!r}")
        self.trunk, (self.name, self.tap) = trunk, tap
        self.pooling, self.samples, self.gain, self.device = pooling, samples, gain, device
        # A trunk without padding has no units at the border: the frame goes on beyond it.
        self.border = self.tap.centre // self.tap.stride * self.tap.stride

    def look(self, frame: np.ndarray) -> None:
        """Make the map of the frame (H, W, 3) uint8 RGB."""
        size = torch.tensor(frame.shape[:2], dtype=torch.float64)
        self.zoom = float(min(SHORT / size.min(), LONG / size.max()))
        around = 2 * self.border + self.tap.stride
        height, width = (size * self.zoom + around).round().int().tolist()
        border = self.border / self.zoom
        seen = [[-border, -border, width / self.zoom, height / self.zoom]]
        window = torch.tensor(seen, dtype=torch.float64, device=self.device)
        pixels = torch.from_numpy(frame).to(self.device)
        image = crop_and_resize(pixels, window, (height, width), fill=GREY, antialias=True)
        self.map = self.gain * self.trunk(image, self.name)[0]

    def __call__(self, boxes: Tensor) -> Tensor:
        """(K, 4) x, y, w, h float64 -> (K, 3 * 3 * C), channel by channel."""
        rois = pad(self.places(boxes).float(), (1, 0)).to(self.device)
        scale = 1 / self.tap.stride
        if self.pooling == "pool":
            return roi_pool(self.map, rois, BINS, scale).flatten(1)
        pooled = roi_align(self.map, rois, BINS, scale, self.samples, "max", "interior")
        return pooled.flatten(1)

    def places(self, boxes: Tensor) -> Tensor:
        """Edges (K, 4) of boxes on the map, in pixels of the resized frame; unit 0 is at 0."""
        corners = torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1)
        return corners * self.zoom + (self.border - self.tap.centre)
