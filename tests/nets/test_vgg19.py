"""VGG-19 against the figures of the papers."""

import pytest
import torch

from trackerlib.nets.vgg19 import CHANNELS, VGG19, Config


def test_sixteen_convolutions():
    """Simonyan and Zisserman 2015, table 1, column E; their pad-1 filters keep the size."""
    net = VGG19()
    assert list(net.taps) == list(CHANNELS) and len(CHANNELS) == 16
    counts = [
        sum(p.numel() for p in VGG19(Config(d)).parameters()) for d in ("conv3_4", "conv5_4")
    ]
    assert counts == [2_325_568, 20_024_384]


def test_strides_and_channels_of_hcf_and_msdat():
    """HCF's three levels: 56x56x256, 28x28x512 and 14x14x512 from 224x224."""
    net = VGG19().eval()
    levels = "conv3_4", "conv4_4", "conv5_4"
    with torch.inference_mode():
        maps = net(torch.zeros(1, 3, 224, 224), *levels)
    assert [tuple(m.shape[1:]) for m in maps] == [(256, 56, 56), (512, 28, 28), (512, 14, 14)]
    assert [net.taps[level].stride for level in levels] == [4, 8, 16]
    assert [net.taps[level].receptive_field for level in levels] == [48, 116, 252]


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("caffe", [0 - 103.939, 127.5 - 116.779, 255 - 123.68]),
        ("torchvision", [2.2489, 0.1964, -1.8044]),
    ],
)
def test_the_two_inputs_are_their_authors(kind, seen):
    """A pixel of red 255, green 127.5, blue 0, as it comes to a layer that copies it."""
    net = VGG19(Config("conv1_1", kind))
    torch.nn.init.dirac_(net.conv1_1.weight)
    pixel = torch.tensor([255, 127.5, 0]).view(1, 3, 1, 1).expand(1, 3, 3, 3)
    features = net(pixel, "conv1_1")[0][0, :3, 1, 1]
    torch.testing.assert_close(features, torch.tensor(seen).clamp(min=0), atol=1e-3, rtol=0)


def test_other_configurations_are_refused():
    with pytest.raises(ValueError, match="conv5_4"):
        Config("conv6_1")
    with pytest.raises(ValueError, match="torchvision"):
        Config(input="keras")
