"""VGG-M against the figures of the papers."""

import pytest
import torch
from torch.nn.functional import conv2d, local_response_norm, max_pool2d

from trackerlib.nets.vggm import NORMS, VGGM, Config


def crop(side: int = 107) -> torch.Tensor:
    return 255 * torch.rand(1, 3, side, side)


def test_maps_of_mdnet_and_dlst():
    """Nam and Han 2016, Fig. 1; DLST, section 3: 51x51x96 and 3x3x512 from 107x107."""
    shapes = [tuple(x.shape[1:]) for x in VGGM()(crop(), "conv1", "conv2", "conv3")]
    assert shapes == [(96, 51, 51), (256, 11, 11), (512, 3, 3)]


def test_the_dense_form_has_stride_8_and_the_same_receptive_field():
    """Jung et al. 2018, section 3.1; a receptive field of 75 pixels in their code."""
    plain, dense = VGGM().taps["conv3"], VGGM(Config(dense=True)).taps["conv3"]
    assert (plain.stride, dense.stride) == (16, 8)
    assert plain.receptive_field == dense.receptive_field == 75
    assert VGGM(Config(dense=True))(crop(), "conv3")[0].shape == (1, 512, 5, 5)


def test_five_convolutions_keep_the_size():
    conv3, conv5 = VGGM(Config(depth=5))(crop(), "conv3", "conv5")
    assert conv3.shape == conv5.shape


def test_parameters_are_counted_right():
    """96 * (7 * 7 * 3 + 1) + 256 * (5 * 5 * 96 + 1) + 512 * (3 * 3 * 256 + 1)"""
    assert sum(p.numel() for p in VGGM().parameters()) == 1_809_024


@pytest.mark.parametrize("norm", NORMS)
def test_conv3_is_the_chain_of_the_papers(norm):
    # In float64: of thousands of products that nearly cancel, the last bits differ.
    net, x = VGGM(Config(norm=norm)).double(), crop().double()
    size, alpha, k = NORMS[norm]
    y = x - 128
    for layer in (net.conv1, net.conv2):
        y = conv2d(y, layer.weight, layer.bias, stride=2).relu()
        y = local_response_norm(y, size, alpha * size, 0.75, k)
        y = max_pool2d(y, 3, 2)
    y = conv2d(y, net.conv3.weight, net.conv3.bias).relu()
    torch.testing.assert_close(net(x, "conv3")[0], y, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("side", [79, 85, 91, 107])
def test_maps_are_those_with_a_gradient(side):
    net, x = VGGM().double(), torch.cat([crop(side), crop(side)]).double()
    with torch.no_grad():
        found = net(x, "conv1", "conv2", "conv3")
    for one, other in zip(found, net(x, "conv1", "conv2", "conv3"), strict=True):
        assert other.requires_grad
        torch.testing.assert_close(one, other.detach())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"depth": 4}, "depth 4"),
        ({"depth": 5, "dense": True}, "dense"),
        ({"norm": "bn"}, "rt-mdnet"),
    ],
)
def test_other_configurations_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Config(**settings)
