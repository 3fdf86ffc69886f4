"""Cues of a video that DeepTrack learns from: patches of three low-level images.

Cues are computed once, on the surroundings of the target at the scale of a patch, and all
patches are cut out of them.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, sections II-B, II-C and IV-A.
[2] Jarrett, Kavukcuoglu, Ranzato, LeCun: What is the best multi-stage architecture for
    object recognition? ICCV 2009, section 2: local contrast normalisation.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from trackerlib.ops import crop_and_resize
from trackerlib.trackers.mdnet.features import FILL

PATCH_SIDE = 32  # pixels of a patch, [1] section II-A
CUES = 3
RGB_TO_BRIGHTNESS = (0.299, 0.587, 0.114)
RADII = 0.1, 0.15  # of the two normalisations, in heights of the target, [1] section II-B
MAX_CUE = 10.0  # highest value of a cue, [1] section II-C
MAX_GRADIENT = 0.25  # brightness, 0 to 1, per pixel; steeper gradients count as this
DEVIATIONS = 3.0  # from the local mean, of the highest and the lowest normalised value
MIN_DEVIATION = 1e-3  # that brightness is divided by


class PatchFeatures:
    """Boxes of a frame as patches of three cues.

    device  where cues are computed

    The network sees them less `centre`, the mean of each cue in the first patches: around
    values from 0 to 10 the published rate makes gradient descent diverge.
    """

    def __init__(self, device: str = "cpu"):
        self.device = device
        self.centre: Tensor | None = None

    def set_frame(self, frame: np.ndarray, box: Tensor) -> None:
        """Go on to a frame (H, W, 3) uint8 RGB, in which this box (4,) becomes 32x32 pixels.

        The first frame decides whether the video is grey.
        """
        self.pixels = torch.from_numpy(frame).to(self.device)
        self.zoom = PATCH_SIDE / box[2:]
        if self.centre is None:
            self.grey = bool((self.pixels == self.pixels[..., :1]).all())

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return patches (K, CUES, PATCH_SIDE, PATCH_SIDE) of boxes (K, 4) float64."""
        scene, boxes = self.scene(boxes)
        values = scene.permute(1, 2, 0).contiguous()
        patches = crop_and_resize(values, boxes, (PATCH_SIDE, PATCH_SIDE))
        if self.centre is None:
            self.centre = patches.mean((0, 2, 3))
            patches = patches - self.centre[:, None, None]
        return patches

    def scene(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return cues (CUES, H, W) of what the boxes (K, 4) cover, and the boxes in its pixels."""
        low, high = boxes[:, :2].amin(0), (boxes[:, :2] + boxes[:, 2:]).amax(0)
        width, height = size = ((high - low) * self.zoom).ceil().int() + 1
        window = torch.cat((low, size / self.zoom))[None].to(self.device)
        shape = int(height), int(width)
        image = crop_and_resize(self.pixels, window, shape, fill=FILL, antialias=True)
        values = (grey_cues if self.grey else colour_cues)(image[0] / 255)
        if self.centre is not None:
            values = values - self.centre[:, None, None]
        corners = (boxes[:, :2] - low) * self.zoom
        return values, torch.cat((corners, boxes[:, 2:] * self.zoom), 1).to(self.device)


def colour_cues(image: Tensor) -> Tensor:
    """Return hue, value and gradient (3, H, W), 0 to 10, of an RGB image (3, H, W), 0 to 1."""
    hue, value = hue_and_value(image)
    return torch.stack((MAX_CUE * hue, MAX_CUE * value, gradient(_brightness(image))))


def grey_cues(image: Tensor) -> Tensor:
    """Return two local contrast normalisations and the gradient of such an image."""
    brightness = _brightness(image)
    contrasts = [local_contrast(brightness, radius * PATCH_SIDE) for radius in RADII]
    return torch.stack((*contrasts, gradient(brightness)))


def hue_and_value(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return H and V of an RGB image's (3, H, W) HSV colours, 0 to 1; a grey has hue 0."""
    red, green, blue = image
    value, dominant = image.max(0)
    span = value - image.amin(0)
    divisor = span.clamp(min=1e-6)
    sixths = torch.stack(((green - blue) % (6 * divisor), blue - red, red - green)) / divisor
    sixths += torch.tensor([0.0, 2.0, 4.0], device=image.device)[:, None, None]
    hue = sixths.gather(0, dominant[None])[0] / 6
    return torch.where(span > 1e-6, hue, 0), value


def gradient(brightness: Tensor) -> Tensor:
    """Return the magnitude of the gradient of a brightness (H, W), 0 to 10."""
    magnitude = torch.hypot(*torch.gradient(brightness))
    return MAX_CUE * (magnitude / MAX_GRADIENT).clamp(max=1)


def local_contrast(brightness: Tensor, radius: float) -> Tensor:
    """Return (H, W) less the mean around every pixel, over the deviation there [2], 0 to 10.

    radius  r_mu and r_sigma of [1]: deviation of the Gaussian weights, pixels

    The deviation that is divided by is at least the image's mean deviation.
    """
    difference = brightness - _blurred(brightness, radius)
    deviation = _blurred(difference.square(), radius).sqrt()
    contrast = difference / deviation.clamp(min=max(float(deviation.mean()), MIN_DEVIATION))
    return MAX_CUE / 2 * (1 + (contrast / DEVIATIONS).clamp(-1, 1))


def _brightness(image: Tensor) -> Tensor:
    return torch.einsum("chw,c->hw", image, image.new_tensor(RGB_TO_BRIGHTNESS))


def _blurred(image: Tensor, radius: float) -> Tensor:
    reach = math.ceil(2 * radius)
    steps = torch.arange(-reach, reach + 1).to(image)
    weights = torch.exp(-(steps**2) / (2 * radius**2))
    weights /= weights.sum()
    rows = pad(image[None, None], (reach,) * 4, mode="replicate")
    return conv2d(conv2d(rows, weights[None, None, None]), weights[None, None, :, None])[0, 0]
