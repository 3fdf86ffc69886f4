"""From boxes in a frame to what the head sees of them: one crop each, or one map for all.

The map is of the whole frame or of the scene around the target.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.1 and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, sections 3.1 and 3.2, and the authors' code.
[3] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, sections 3.2 and 4.3, and
    the authors' code.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from trackerlib.nets.trunk import Tap
from trackerlib.ops.adaptive_roi_align import STRIDE, WINDOW, adaptive_roi_align
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.ops.roi_align import roi_align
from trackerlib.ops.roi_pool import roi_pool

GREY = 128.0  # what lies outside the frame
SIDE, CONTEXT = 107, 16  # pixels of a crop, and how many of them lie beside the box, [1]
BINS = 3  # per side of a box
SHORT, LONG = 600, 1000  # pixels of a frame's sides: the short one, the long one at most, [2]
GRID = 7  # points per side of a box, before they are max-pooled to BINS, [3]
PADDED = 1.6  # sides of a box that are pooled; [3] has 1.2, too little for the bundled trunk
REACH = 1.0  # of boxes in a scene: centres from the target's, in its mean sides
LARGEST = 1.3  # of boxes in a scene, in sides of the target
ROUNDED = 16  # pixels that a scene's sides are multiples of, so that few sizes are compiled
ZOOMS = [1.1**power for power in (0, -2, -1, 1, 2)]  # of the first frame's scenes, [3]
SHIFT, FARTHEST = 2.0, 4.0  # of those: deviation and limit, pixels, [3]
GAIN = 8.0  # of the bundled trunk's features, for which the published rates are then right
TOGETHER = 64  # crops that are in memory at a time
POOLING = ("align", "pool")
SCENE_POOLING = ("adaptive", "align", "pool")

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


def reachable(box: Tensor, zoom: float = 1.0) -> Tensor:
    """Least and greatest centre (2, 2) of boxes that lie in the scene around a box (4,).

    zoom  of the scene
    """
    spare = PADDED * LARGEST * box[2:]
    reach = ((2 * REACH * box[2:].mean() + spare) / zoom - spare) / 2
    centre = box[:2] + box[2:] / 2
    return torch.stack((centre - reach, centre + reach))


class Scene:
    """RT-MDNet's: what surrounds the target, which is resized to a square of SIDE pixels.

    A box is pooled with some of what is around it, from those units of the map whose
    receptive fields lie inside, and those beside them where a point lies between.

    trunk    images (N, 3, H, W), tap -> its map, without padding
    tap      name and geometry of the map
    pooling  "adaptive", the paper's RoIAlign; "align", that of Mask R-CNN, whose points are
             max-pooled likewise; or "pool", the largest of the cells in each of 3x3 bins
    gain     what features are multiplied by
    device   where the trunk is
    dtype    of the map and the features

    Raises ValueError for another pooling.
    """

    def __init__(
        self,
        trunk: Trunk,
        tap: tuple[str, Tap],
        pooling: str = "adaptive",
        gain: float = GAIN,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        if pooling not in SCENE_POOLING:
            known = ", ".join(SCENE_POOLING)
            raise ValueError(f"Scene: expected pooling among {known}, got {pooling!r}")
        self.trunk, (self.name, self.tap) = trunk, tap
        self.pooling, self.gain, self.device, self.dtype = pooling, gain, device, dtype

    def look(self, frame: np.ndarray, box: Tensor, augment: torch.Generator | None = None) -> None:
        """Make the map of the scene around a box (4,) of the frame (H, W, 3) uint8 RGB.

        augment  makes several of them, at ZOOMS and shifted a little; boxes are then
                 pooled from each in turn
        """
        zooms, shifts = torch.ones(1, 1, dtype=box.dtype), torch.zeros(1, 2, dtype=box.dtype)
        if augment:
            zooms = torch.tensor(ZOOMS, dtype=box.dtype)[:, None]
            shifts = SHIFT * torch.randn(len(ZOOMS), 2, generator=augment, dtype=box.dtype)
        self.zooms = SIDE / box[2:] * zooms
        sides = SIDE * (2 * REACH * box[2:].mean() / box[2:] + PADDED * LARGEST)
        sides = (sides / ROUNDED).ceil() * ROUNDED
        sizes = sides / self.zooms
        shifts = shifts.clamp(-FARTHEST, FARTHEST) / self.zooms
        self.corners = box[:2] + (box[2:] - sizes) / 2 + shifts
        windows = torch.cat((self.corners, sizes), 1).to(self.device)
        pixels = torch.from_numpy(frame).to(self.device)
        size = [int(side) for side in sides.flip(0)]
        images = crop_and_resize(pixels, windows, size, fill=GREY, antialias=True)
        maps = [self.trunk(image[None], self.name)[0] for image in images]
        self.map = (self.gain * torch.cat(maps)).to(self.dtype)

    def __call__(self, boxes: Tensor) -> Tensor:
        """(K, 4) x, y, w, h float64 -> (K, 3 * 3 * C), channel by channel."""
        rois, scale = self.rois(boxes).float().to(self.device), 1 / self.tap.stride
        if self.pooling == "adaptive":
            return adaptive_roi_align(self.map, rois, GRID, scale).flatten(1)
        if self.pooling == "align":
            points = roi_align(self.map, rois, GRID, scale)
            return max_pool2d(points, WINDOW, STRIDE).flatten(1)
        return roi_pool(self.map, rois, BINS, scale).flatten(1)

    def rois(self, boxes: Tensor) -> Tensor:
        """Which map, and edges on it in pixels of the scene (K, 5); unit 0 is at 0."""
        which = torch.arange(len(boxes)) % len(self.zooms)
        size = PADDED * boxes[:, 2:]
        start = boxes[:, :2] + (boxes[:, 2:] - size) / 2 - self.corners[which]
        start, size = start * self.zooms[which], size * self.zooms[which]
        end = start + (size - self.tap.receptive_field).clamp(min=1)
        return torch.cat((which[:, None], start, end), 1)
