"""Features of boxes, MDNet's way: one crop for each, which goes through the backbone alone.

FDN and RT-MDNet pool theirs from one map instead: `fdn.FrameFeatures`,
`rtmdnet.SceneFeatures`.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.1 and the authors' code.
"""

import numpy as np
import torch
from torch import Tensor

from trackerlib.ops import crop_and_resize
from trackerlib.trackers.protocols import BackboneLike

FILL = 128.0  # grey level of what lies outside the frame
CROP_SIDE = 107  # pixels of a crop, [1]
CONTEXT = 16  # pixels of them that lie beside the box, on each side, [1]
BINS = 3  # per side of a box's features, [1]
FEATURE_SCALE = 8.0  # of the bundled backbone's features, for which the published lr is then right
MAX_CROPS = 64  # in memory at a time


class CropFeatures:
    """Every box is cut out with some context, and goes through the backbone alone.

    backbone       its map of a crop has 3x3 positions
    layer          whose map it is
    feature_scale  what features are multiplied by
    device         where the backbone is
    """

    def __init__(
        self,
        backbone: BackboneLike,
        layer: str = "conv3",
        feature_scale: float = FEATURE_SCALE,
        device: str = "cpu",
    ):
        self.backbone = backbone
        self.layer = layer
        self.feature_scale = feature_scale
        self.device = device

    def set_frame(self, frame: np.ndarray, box: Tensor | None = None) -> None:
        """Go on to a frame (H, W, 3) uint8 RGB; where the target was makes no difference."""
        self.pixels = torch.from_numpy(frame).to(self.device)

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return features (K, 3 * 3 * C), channel by channel, of boxes (K, 4) float64."""
        # The authors' code adds 16 / 107 of the box on each side, not of the crop: a box
        # 107 wide becomes 139, of which 107 pixels are made.
        border = boxes[:, 2:] * (CONTEXT / CROP_SIDE)
        boxes = torch.cat((boxes[:, :2] - border, boxes[:, 2:] + 2 * border), 1)
        return torch.cat([self._features(chunk) for chunk in boxes.split(MAX_CROPS)])

    def _features(self, boxes: Tensor) -> Tensor:
        size = (CROP_SIDE, CROP_SIDE)
        crops = crop_and_resize(self.pixels, boxes.to(self.device), size, fill=FILL)
        return self.feature_scale * self.backbone(crops, self.layer)[0].flatten(1)
