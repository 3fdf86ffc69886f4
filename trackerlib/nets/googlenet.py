"""GoogLeNet: inception modules, four kinds of filters side by side.

[1] Szegedy et al.: Going deeper with convolutions. CVPR 2015, table 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from trackerlib.nets.backbone import Backbone, Window, convolution, ended
from trackerlib.nets.vggm import response_norm

MEAN = (104.0, 117.0, 123.0)  # B, G, R
NORM = (5, 2e-5, 1.0)  # channels, alpha, k
MODULES = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection: [1], table 1
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}
CHANNELS = {"conv1": 64, "conv2": 192} | {
    name: one + three + five + pool for name, (one, _, three, _, five, pool) in MODULES.items()
}
POOL = Window(3, stride=2)
POOLED = ("conv2", "inception_3a", "inception_4a", "inception_5a")  # begin with a pooling


@dataclass(frozen=True)
class Config:
    """How much of GoogLeNet."""

    depth: str = "inception_5b"  # last module

    def __post_init__(self):
        ended(list(CHANNELS), self.depth, "googlenet.Config")


class GoogLeNet(Backbone):
    """inception_3b, 4e and 5b have 480, 832 and 1024 channels at strides 8, 16 and 32."""

    def __init__(self, config: Config | None = None):
        self.config = config = config or Config()
        steps = {"conv1": [Window(7, stride=2, padding=3)]}
        for name in ended(list(CHANNELS), config.depth, "GoogLeNet")[1:]:
            kernel = 3 if name == "conv2" else 5
            window = Window(kernel, padding=kernel // 2)
            steps[name] = [POOL] * (name in POOLED) + [window]
        super().__init__(steps, CHANNELS, MEAN, bgr=True)
        self.conv1 = nn.ModuleDict({"7x7_s2": convolution(3, 64, *steps.pop("conv1"))})
        inputs = 64
        for name in steps:
            setattr(self, name, Conv2() if name == "conv2" else Inception(inputs, *MODULES[name]))
            inputs = CHANNELS[name]

    def step(self, name: str, x: Tensor) -> Tensor:
        """Return the map of conv1, conv2 or an inception module, after its ReLU.

        Norms and poolings come before the layer that follows them.
        """
        if name == "conv1":
            return relu(self.conv1["7x7_s2"](x))
        if name == "inception_3a":
            x = response_norm(x, *NORM)
        if name in POOLED:
            x = max_pool2d(x, POOL.kernel, POOL.stride, ceil_mode=True)
        if name == "conv2":
            x = response_norm(x, *NORM)
        return relu(getattr(self, name)(x))


class Conv2(nn.ModuleDict):
    """A 1x1 convolution that reduces, then a 3x3 one."""

    def __init__(self):
        super().__init__()
        self["3x3_reduce"] = convolution(64, 64, Window(1))
        self["3x3"] = convolution(64, 192, Window(3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 192, H, W), before the ReLU, of (N, 64, H, W)."""
        return self["3x3"](relu(self["3x3_reduce"](x)))


class Inception(nn.ModuleDict):
    """1x1, 3x3 and 5x5 filters and a pooling side by side [1], Fig. 2b."""

    def __init__(self, inputs: int, *channels: int):
        one, reduce3, three, reduce5, five, pool = channels
        super().__init__()
        self["1x1"] = convolution(inputs, one, Window(1))
        self["3x3_reduce"] = convolution(inputs, reduce3, Window(1))
        self["3x3"] = convolution(reduce3, three, Window(3, padding=1))
        self["5x5_reduce"] = convolution(inputs, reduce5, Window(1))
        self["5x5"] = convolution(reduce5, five, Window(5, padding=2))
        self["pool_proj"] = convolution(inputs, pool, Window(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H, W), before the ReLU, of (N, inputs, H, W)."""
        three = self["3x3"](relu(self["3x3_reduce"](x)))
        five = self["5x5"](relu(self["5x5_reduce"](x)))
        pooled = self["pool_proj"](max_pool2d(x, 3, stride=1, padding=1))
        return torch.cat((self["1x1"](x), three, five, pooled), dim=1)
