"""SqueezeNet 1.1: a small classifier whose fire5 has the stride of the dense VGG-M.

[1] Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer: SqueezeNet. arXiv:1602.07360,
    section 3; version 1.1 of the authors' release pools earlier.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from trackerlib.nets.backbone import Backbone, Window, convolution, ended

MEAN = (104.0, 117.0, 123.0)  # B, G, R
SQUEEZED = {  # channels after the 1x1 convolution of each module; four times as many on each side
    "fire2": 16,
    "fire3": 16,
    "fire4": 32,
    "fire5": 32,
    "fire6": 48,
    "fire7": 48,
    "fire8": 64,
    "fire9": 64,
}
CHANNELS = {"conv1": 64} | {name: 8 * squeezed for name, squeezed in SQUEEZED.items()}
POOL = Window(3, stride=2)
POOLED = ("fire2", "fire4", "fire6")  # begin with a pooling


@dataclass(frozen=True)
class Config:
    """How much of SqueezeNet."""

    depth: str = "fire9"  # last module

    def __post_init__(self):
        ended(list(CHANNELS), self.depth, "squeezenet.Config")


class SqueezeNet(Backbone):
    """fire3, fire5 and fire9 have 128, 256 and 512 channels at strides 4, 8 and 16."""

    def __init__(self, config: Config | None = None):
        self.config = config = config or Config()
        steps = {"conv1": [Window(3, stride=2)]}
        for name in ended(list(CHANNELS), config.depth, "SqueezeNet")[1:]:
            steps[name] = [POOL] * (name in POOLED) + [Window(3, padding=1)]
        super().__init__(steps, CHANNELS, MEAN, bgr=True)
        self.conv1 = convolution(3, 64, *steps.pop("conv1"))
        inputs = 64
        for name in steps:
            setattr(self, name, Fire(inputs, SQUEEZED[name]))
            inputs = CHANNELS[name]

    def step(self, name: str, x: Tensor) -> Tensor:
        """Return the map of conv1 or of a fire module, after its ReLU."""
        if name in POOLED:
            x = max_pool2d(x, POOL.kernel, POOL.stride, ceil_mode=True)
        return relu(getattr(self, name)(x))


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1 and 3x3 filters side by side [1], Fig. 1."""

    def __init__(self, inputs: int, squeezed: int):
        super().__init__()
        self.squeeze1x1 = convolution(inputs, squeezed, Window(1))
        self.expand1x1 = convolution(squeezed, 4 * squeezed, Window(1))
        self.expand3x3 = convolution(squeezed, 4 * squeezed, Window(3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 8 * squeezed, H, W), before the ReLU, of (N, inputs, H, W)."""
        x = relu(self.squeeze1x1(x))
        return torch.cat((self.expand1x1(x), self.expand3x3(x)), dim=1)
