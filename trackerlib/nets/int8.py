"""Convolutions in integers of 8 bits, which x86 processors multiply two to four times as fast.

[1] Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko: Quantization and training of
    neural networks for efficient integer-arithmetic-only inference. CVPR 2018.
[2] Nagel, van Baalen, Blankevoort, Welling: Data-free quantization through weight
    equalization and bias correction. ICCV 2019.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from trackerlib.nets.backbone import Backbone

LARGEST = 127  # of a weight, and of a number of the input
ONEDNN = torch.ops.onednn


class Int8Convolution(nn.Module):
    """A convolution whose weights and inputs are rounded to 8 bits, and whose sums are exact.

    Weights have a scale for each output, the largest of which becomes 127; the input, which is
    not negative, has one for each call. Before that, channels of the input whose weights are
    large are made larger, and their weights smaller, so that few weights are much larger than
    the rest. Inputs could go to 255, but where a processor has no instruction for it, the sum
    of two products must fit 16 bits: 2 * 127 * 127 does.

    layer  of float32, on a CPU

    Source: [1], sections 2.1 and 3; [2], section 4.1, by root mean squares of the weights alone.
    """

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        weight = layer.weight.detach()
        # (inputs,): a channel whose weights are four times as large becomes twice as large.
        self.balance = weight.square().mean((0, 2, 3)).clamp(min=1e-24) ** 0.25
        weight = weight / self.balance[:, None, None]
        largest = weight.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
        scales = (largest / LARGEST).flatten()  # (outputs,)
        rounded = (weight / largest * LARGEST).round().to(torch.int8)
        window = layer.stride, layer.padding, layer.dilation, layer.groups
        packed = ONEDNN.qconv_prepack(rounded, scales, 1.0, 0, *window)
        # Zeros are 0 in the input and in the weights; the output is float32, and nothing follows.
        weights = packed, scales, torch.zeros(len(scales), dtype=torch.long), layer.bias
        output: tuple[Any, ...] = (1.0, 0, torch.float32, "none", [], "")
        self.arguments = 0, *weights, *window, *output

    def forward(self, x: Tensor) -> Tensor:
        """Return float32 (N, outputs, h, w) of x (N, inputs, H, W), no number of it negative."""
        scale = max((x.amax((0, 2, 3)) * self.balance).max().item(), 1e-12) / LARGEST
        rounded = (x * (self.balance / scale)[:, None, None]).round_().to(torch.uint8)
        return cast(Tensor, ONEDNN.qconv2d_pointwise(rounded, scale, *self.arguments))


def to_int8(backbone: Backbone) -> None:
    """Round the convolutions of a backbone on a CPU, but those that see the image.

    What a first convolution loses, the response norm after it makes thrice as large.
    """
    for module in list(backbone.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.in_channels > len(backbone.mean):
                setattr(module, name, Int8Convolution(layer))
