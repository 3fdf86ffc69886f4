"""VGG-19, the backbone of HCF and MSDAT: sixteen 3x3 convolutions, four poolings between them.

[1] Simonyan, Zisserman: Very deep convolutional networks for large-scale image
    recognition. ICLR 2015, table 1, column E.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import max_pool2d

from trackerlib.nets.backbone import Backbone, Window, convolution, ended, rectified

BLOCKS = {1: (2, 64), 2: (2, 128), 3: (4, 256), 4: (4, 512), 5: (4, 512)}  # layers, channels
CHANNELS = {
    f"conv{block}_{layer}": channels
    for block, (layers, channels) in BLOCKS.items()
    for layer in range(1, layers + 1)
}
POOL = Window(2, stride=2)
INPUTS: dict[str, dict[str, Any]] = {  # how the weights want RGB from 0 to 255
    "caffe": {"mean": (103.939, 116.779, 123.68), "bgr": True},  # the authors' weights
    "matconvnet": {"mean": (123.68, 116.779, 103.939)},  # the same, turned to RGB
    "torchvision": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
}


@dataclass(frozen=True)
class Config:
    """How much of VGG-19, and what its weights were trained on."""

    depth: str = "conv5_4"  # last convolution
    input: str = "caffe"  # of INPUTS

    def __post_init__(self):
        ended(list(CHANNELS), self.depth, "vgg19.Config")
        if self.input not in INPUTS:
            raise ValueError(
                f"vgg19.Config: expected input among {', '.join(INPUTS)}, got {self.input!r}"
            )


class VGG19(Backbone):
    """conv3_4, conv4_4 and conv5_4 have 256, 512 and 512 channels at strides 4, 8 and 16."""

    def __init__(self, config: Config | None = None):
        self.config = config = config or Config()
        names = ended(list(CHANNELS), config.depth, "VGG19")
        convolve = Window(3, padding=1)
        steps = {name: [POOL, convolve] if _begins_block(name) else [convolve] for name in names}
        super().__init__(steps, CHANNELS, **INPUTS[config.input])
        inputs = 3
        for name in names:
            setattr(self, name, convolution(inputs, CHANNELS[name], convolve))
            inputs = CHANNELS[name]

    def step(self, name: str, x: Tensor) -> Tensor:
        """Return a convolution's map after its ReLU; a block begins with a pooling."""
        if _begins_block(name):
            x = max_pool2d(x, POOL.kernel, POOL.stride)
        return rectified(getattr(self, name), x)


def _begins_block(name: str) -> bool:
    return name.endswith("_1") and name != "conv1_1"
