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

from trackerlib.nets.candidates import GREY
from trackerlib.ops.crop_and_resize import crop_and_resize

SIDE = 32  # pixels of a patch, [1] section II-A
CUES = 3
BRIGHTNESS = (0.299, 0.587, 0.114)  # weights of R, G, B
RADII = 0.1, 0.15  # of the two normalisations, in heights of the target, [1] section II-B
TOP = 10.0  # greatest value of a cue, [1] section II-C
STEEPEST = 0.25  # gradient, in brightness from 0 to 1 per pixel, that has the greatest value
DEVIATIONS = 3.0  # from the local mean, of the greatest and the least normalised value
FAINT = 1e-3  # least deviation that brightness is divided by


class Patches:
    """Boxes of a frame as patches of three cues.

    device  where cues are computed

    The network sees them less `centre`, the mean of each cue in the first patches: around
    values from 0 to 10 the published rate makes gradient descent diverge.
    """

    def __init__(self, device: str = "cpu"):
        self.device, self.centre = device, None

    def look(self, frame: np.ndarray, target: Tensor) -> None:
        """The frame (H, W, 3) uint8 RGB that the next boxes lie in, the box (4,) that is 32x32.

        The first frame decides whether the video is grey.
        """
        self.pixels = torch.from_numpy(frame).to(self.device)
        self.zoom = SIDE / target[2:]
        if self.centre is None:
            self.grey = bool((self.pixels == self.pixels[..., :1]).all())

    def __call__(self, boxes: Tensor) -> Tensor:
        """(K, 4) x, y, w, h float64 -> (K, CUES, SIDE, SIDE) float32 on the device."""
        scene, boxes = self.scene(boxes)
        values = scene.permute(1, 2, 0).contiguous()
        patches = crop_and_resize(values, boxes, (SIDE, SIDE))
        if self.centre is None:
            self.centre = patches.mean((0, 2, 3))
            patches = patches - self.centre[:, None, None]
        return patches

    def scene(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Cues (CUES, H, W) of what the boxes (K, 4) cover, and the boxes in its pixels."""
        low, high = boxes[:, :2].amin(0), (boxes[:, :2] + boxes[:, 2:]).amax(0)
        width, height = size = ((high - low) * self.zoom).ceil().int() + 1
        window = torch.cat((low, size / self.zoom))[None].to(self.device)
        shape = int(height), int(width)
        image = crop_and_resize(self.pixels, window, shape, fill=GREY, antialias=True)
        values = (grey_cues if self.grey else colour_cues)(image[0] / 255)
        if self.centre is not None:
            values = values - self.centre[:, None, None]
        corners = (boxes[:, :2] - low) * self.zoom
        return values, torch.cat((corners, boxes[:, 2:] * self.zoom), 1).to(self.device)


def colour_cues(image: Tensor) -> Tensor:
    """Hue, value and gradient of an RGB image (3, H, W), 0 to 1 -> (3, H, W), 0 to 10."""
    hue, value = hue_and_value(image)
    return torch.stack((TOP * hue, TOP * value, gradient(_brightness(image))))


def grey_cues(image: Tensor) -> Tensor:
    """Two local contrast normalisations and the gradient of such an image, also 0 to 10."""
    brightness = _brightness(image)
    contrasts = [local_contrast(brightness, radius * SIDE) for radius in RADII]
    return torch.stack((*contrasts, gradient(brightness)))


def hue_and_value(image: Tensor) -> tuple[Tensor, Tensor]:
    """H and V of the HSV colours of an RGB image (3, H, W), 0 to 1; the hue of a grey is 0."""
    red, green, blue = image
    value, most = image.max(0)
    span = value - image.amin(0)
    divisor = span.clamp(min=1e-6)
    sixths = torch.stack(((green - blue) % (6 * divisor), blue - red, red - green)) / divisor
    sixths += torch.tensor([0.0, 2.0, 4.0], device=image.device)[:, None, None]
    hue = sixths.gather(0, most[None])[0] / 6
    return torch.where(span > 1e-6, hue, 0), value


def gradient(brightness: Tensor) -> Tensor:
    """Magnitude of the gradient of (H, W), 0 to 10."""
    magnitude = torch.hypot(*torch.gradient(brightness))
    return TOP * (magnitude / STEEPEST).clamp(max=1)


def local_contrast(brightness: Tensor, radius: float) -> Tensor:
    """(H, W) less the mean around every pixel, over the deviation there [2] -> 0 to 10.

    radius  r_mu and r_sigma of [1]: deviation of the Gaussian weights, pixels

    The deviation that is divided by is the image's mean at least.
    """
    difference = brightness - _blurred(brightness, radius)
    deviation = _blurred(difference.square(), radius).sqrt()
    contrast = difference / deviation.clamp(min=max(float(deviation.mean()), FAINT))
    return TOP / 2 * (1 + (contrast / DEVIATIONS).clamp(-1, 1))


def _brightness(image):
    return torch.einsum("chw,c->hw", image, image.new_tensor(BRIGHTNESS))


def _blurred(image, radius):
    reach = math.ceil(2 * radius)
    steps = torch.arange(-reach, reach + 1).to(image)
    weights = torch.exp(-(steps**2) / (2 * radius**2))
    weights /= weights.sum()
    rows = pad(image[None, None], (reach,) * 4, mode="replicate")
    return conv2d(conv2d(rows, weights[None, None, None]), weights[None, None, :, None])[0, 0]
