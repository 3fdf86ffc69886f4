"""Convolutions in integers: exact sums of what was rounded, on every processor."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from trackerlib import weights
from trackerlib.nets.int8 import LARGEST, Int8Convolution, to_int8

WINDOWS = {
    "3x3": {"kernel_size": 3},
    "padded": {"kernel_size": 3, "padding": 1},
    "strided": {"kernel_size": 5, "stride": 2},
    "dilated": {"kernel_size": 3, "dilation": 3},
}


def layer(inputs=6, outputs=10, **window):
    torch.manual_seed(0)
    made = nn.Conv2d(inputs, outputs, **({"kernel_size": 3} | window)).requires_grad_(False)
    return made.to(memory_format=torch.channels_last)


def features(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) ** 4 * 50


def by_integers(conv, x):
    """Return the sums of equation 4 without a limit to integers, of balanced channels."""
    balance = conv.weight.square().mean((0, 2, 3)).sqrt().sqrt()[:, None, None]
    weight, x = conv.weight / balance, x * balance
    weight_scale = weight.abs().amax((1, 2, 3)) / LARGEST
    scale = x.max() / LARGEST
    rounded = (weight / weight_scale[:, None, None, None]).round().double()
    window = conv.stride, conv.padding, conv.dilation
    sums = conv2d((x / scale).round().double(), rounded, None, *window)
    return (sums * (scale * weight_scale)[:, None, None] + conv.bias[:, None, None]).float()


@torch.inference_mode()
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("shape", [(1, 6, 19, 23), (3, 6, 13, 13)])
def test_it_is_the_sum_of_rounded_products(window, shape):
    conv, x = layer(**window), features(*shape)
    found = Int8Convolution(conv)(x.contiguous(memory_format=torch.channels_last))
    assert found.dtype == torch.float32 and found.shape == conv(x).shape
    torch.testing.assert_close(found, by_integers(conv, x), rtol=1e-5, atol=1e-4)
    assert (found - conv(x)).norm() < 0.02 * conv(x).norm()


@torch.inference_mode()
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_products_do_not_overflow(sign):
    """Where a processor adds two products in 16 bits, 2 * 255 * 127 would."""
    conv, x = layer(64, 8), torch.full((1, 64, 9, 9), 3.0)
    conv.weight.fill_(sign * 0.5)
    torch.testing.assert_close(Int8Convolution(conv)(x), conv(x), rtol=1e-4, atol=1e-2)


@torch.inference_mode()
def test_nothing_stays_nothing():
    conv = layer()
    conv.weight[0] = 0  # an output that has no scale
    conv.weight[:, 1] = 0  # and an input
    found = Int8Convolution(conv)(torch.zeros(2, 6, 9, 9))
    torch.testing.assert_close(found, conv.bias[:, None, None].expand(2, 10, 7, 7))
    assert Int8Convolution(conv)(features(1, 6, 9, 9))[:, 0].eq(conv.bias[0]).all()


@torch.inference_mode()
def test_one_layer_takes_images_of_any_size():
    conv = layer()
    run = Int8Convolution(conv)
    for side in (9, 31, 12):
        x = features(1, 6, side, side)
        torch.testing.assert_close(run(x), by_integers(conv, x), rtol=1e-5, atol=1e-4)


@torch.inference_mode()
def test_a_channel_of_large_weights_costs_the_others_little():
    conv, x = layer(64, 8), features(1, 64, 9, 9)
    conv.weight[:, 0] *= 100
    x[:, 0] /= 100
    true = conv(x) - conv.bias[:, None, None]
    assert (Int8Convolution(conv)(x) - conv(x)).norm() < 0.06 * true.norm()  # 0.33 without balance


def test_all_layers_but_the_first_are_rounded():
    backbone = weights.load("vggm")
    to_int8(backbone)
    kinds = {name: type(child) for name, child in backbone.named_children()}
    assert kinds == {"conv1": nn.Conv2d, "conv2": Int8Convolution, "conv3": Int8Convolution}
