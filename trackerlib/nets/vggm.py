"""VGG-M, the backbone of MDNet and its descendants: three convolutions, or five for FDN.

[1] Chatfield, Simonyan, Vedaldi, Zisserman: Return of the devil in the details.
    BMVC 2014, table 1: "CNN-M".
[2] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.1: conv1 to conv3, no padding.
[3] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, section 3.1 and Fig. 2:
    without the second pooling and with conv3 dilated, the map is twice as dense.
[4] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 4.3 and Fig. 8: five convolutions.
"""

from dataclasses import dataclass

from torch import Tensor

from trackerlib.nets.backbone import Backbone, Window, convolution, rectified
from trackerlib.ops.response_norm import pooled_response_norm, response_norm

MEAN = 128.0  # of every channel; the trackers' authors subtract no other
CHANNELS = {"conv1": 96, "conv2": 256, "conv3": 512, "conv4": 512, "conv5": 512}
POOL = Window(3, stride=2)
NORMS = {  # (channels summed over, alpha, k) of x / (k + alpha * sum of squares) ** 0.75
    "matconvnet": (5, 1e-4, 2.0),  # [1], MDNet in MATLAB
    "py-mdnet": (2, 0.5e-4, 1.0),  # its PyTorch port: the channel and the one before
    "rt-mdnet": (1, 1e-4, 2.0),  # the channel alone
}


@dataclass(frozen=True)
class Config:
    """Which VGG-M. Weights trained with one norm need that one."""

    depth: int = 3  # convolutions: 3 [2], or 5 [4]
    dense: bool = False  # stride 8 in place of 16 at conv3 [3]
    norm: str = "matconvnet"  # of NORMS

    def __post_init__(self):
        if self.depth not in (3, 5) or (self.dense and self.depth == 5):
            raise ValueError(
                "vggm.Config: expected depth 3, or 5 with dense=False, "
                f"got depth {self.depth} with dense={self.dense}"
            )
        if self.norm not in NORMS:
            raise ValueError(
                f"vggm.Config: expected norm among {', '.join(NORMS)}, got {self.norm!r}"
            )


class VGGM(Backbone):
    """107x107 pixels give 51x51x96 at conv1, 3x3x512 at conv3 [2]; dense, stride 8 [3]."""

    def __init__(self, config: Config | None = None):
        self.config = config = config or Config()
        steps = {"conv1": [Window(7, stride=2)], "conv2": [POOL, Window(5, stride=2)]}
        steps["conv3"] = [Window(3, dilation=3)] if config.dense else [POOL, Window(3)]
        if config.depth == 5:
            # [4] leaves the padding open; 1 keeps the map's size, as in [1]
            steps |= {name: [Window(3, padding=1)] for name in ("conv4", "conv5")}
        super().__init__(steps, CHANNELS, mean=[MEAN] * 3)
        inputs = 3
        for name, windows in steps.items():
            setattr(self, name, convolution(inputs, CHANNELS[name], windows[-1]))
            inputs = CHANNELS[name]
        self.pooled = [name for name, windows in steps.items() if POOL in windows]

    def step(self, name: str, x: Tensor) -> Tensor:
        """Return a convolution's map after its ReLU.

        The norm that follows conv1 and conv2, and the pooling after it, come before the next.
        """
        norm = NORMS[self.config.norm]
        if name in self.pooled:
            x = pooled_response_norm(x, *norm, POOL.kernel, POOL.stride)
        elif name in ("conv2", "conv3"):
            x = response_norm(x, *norm)
        return rectified(getattr(self, name), x)
