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
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from trackerlib.nets.backbone import Backbone, Window, convolution

MEAN = 128.0  # of every channel; the trackers' authors subtract no other
CHANNELS = {"conv1": 96, "conv2": 256, "conv3": 512, "conv4": 512, "conv5": 512}
POOL = Window(3, stride=2)
CHUNK = 2**17  # numbers normalised at a time: 512 KiB, a part of a core's cache
BAND = 2**20  # numbers normalised before they are pooled
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
            x = _normalised_pool(x, *norm)
        elif name in ("conv2", "conv3"):
            x = response_norm(x, *norm)
        return getattr(self, name)(x).relu_()


def response_norm(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Normalise local responses (N, C, H, W): x / (k + alpha * sum of squares) ** 0.75.

    The sum is over `size` channels around each, the longer half before it. On a CPU and
    without gradients, the result is stored channels-last.

    Source: Krizhevsky, Sutskever, Hinton: ImageNet classification with deep
    convolutional neural networks. NeurIPS 2012, section 3.3.
    """
    if _in_parts(x):
        return _normalise(x, size, alpha, k).to(x.dtype)
    before, after = (torch.zeros_like(x[:, :n]) for n in (size // 2, (size - 1) // 2))
    squares = torch.cat((before, x.square(), after), dim=1)
    # 7 channels and a size of 5: squares has 2 + 7 + 2, and each shift takes 7 of them.
    shifted = (squares[:, shift : shift + x.shape[1]] for shift in range(size))
    root = (alpha * reduce(torch.add, shifted) + k).rsqrt()
    return x * (root / root.rsqrt())


def _in_parts(x: Tensor) -> bool:
    """Whether to work in parts: nothing is recorded for a gradient, and no compiler fuses."""
    recorded = torch.is_grad_enabled() and x.requires_grad
    return not (x.is_cuda or recorded or torch.compiler.is_compiling())


def _normalise(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return `response_norm`, at least float32, in parts that stay in the processor's cache.

    The squares of a part lie in one row of memory, with size - 1 numbers between two cells,
    so that a shift by a channel is one by a number: 3 channels and a size of 3 are
    . a b c . . d e f . and the sums a-b, a-b-c, b-c, nothing, d-e, d-e-f, e-f. What lies
    between adds its share of k as each square does. Powers are made of rsqrt, since PyTorch
    leaves sqrt to a library that is ten times slower on some processors.
    """
    N, channels, H, W = x.shape
    cells = x.permute(0, 2, 3, 1).reshape(-1, channels)
    normalised = torch.empty_like(cells, dtype=torch.promote_types(x.dtype, torch.float32))
    count, width = min(max(1, CHUNK // channels), len(cells)), channels + size - 1
    share = torch.full((1,), k / size, dtype=normalised.dtype)
    squares = share.repeat(count * width + size - 1)
    inside = squares[: count * width].view(count, width)[:, size // 2 : size // 2 + channels]
    for part, out in zip(cells.split(count), normalised.split(count), strict=True):
        part = part.to(out.dtype)
        torch.addcmul(share, part, part, value=alpha, out=inside[: len(part)])
        root = squares.as_strided((size, len(part) * width), (1, 1)).sum(0).rsqrt_()
        root /= root.rsqrt()  # y ** -0.75 = y ** -0.5 / (y ** -0.5) ** -0.5
        torch.mul(part, root.view(-1, width)[:, :channels], out=out)
    return normalised.view(N, H, W, channels).permute(0, 3, 1, 2)


def _normalised_pool(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return the pooled `response_norm` (N, C, h, w), in bands of rows that stay in the cache."""
    if not _in_parts(x):
        return max_pool2d(response_norm(x, size, alpha, k), POOL.kernel, POOL.stride)
    N, C, H, W = x.shape
    height, width = ((side - POOL.kernel) // POOL.stride + 1 for side in (H, W))
    pooled = torch.empty((N, C, height, width), dtype=x.dtype, memory_format=torch.channels_last)
    band = max(1, BAND // (POOL.stride * C * W))
    for image, out in zip(x.split(1), pooled.split(1), strict=True):
        for top in range(0, height, band):
            rows = out[:, :, top : top + band]
            first = POOL.stride * top
            last = first + POOL.stride * (rows.shape[2] - 1) + POOL.kernel
            normalised = response_norm(image[:, :, first:last], size, alpha, k)
            rows.copy_(max_pool2d(normalised, POOL.kernel, POOL.stride))
    return pooled
