"""Adaptation layers: an eighth of the channels of their backbone's maps."""

import pytest
import torch

from trackerlib.nets import vgg19, vggm
from trackerlib.nets.adaptation import Adaptation, Config

CHANNELS = {"vggm": vggm.CHANNELS, "vgg19": vgg19.CHANNELS}


@pytest.mark.parametrize(
    ("backbone", "level", "channels"),
    [("vggm", "conv1", 12), ("vggm", "conv3", 64), ("vgg19", "conv5_4", 64)],
)
def test_an_eighth_of_the_channels_on_a_map_of_the_same_size(backbone, level, channels):
    layers = Adaptation(Config(backbone, level), CHANNELS[backbone])
    features = torch.rand(2, 8 * channels, 9, 7)
    assert layers(features, level).shape == (2, channels, 9, 7)
    kernels = {
        name.split(".")[1]: t.shape for name, t in layers.state_dict().items() if t.ndim > 1
    }
    assert kernels == {
        "3x3": (channels // 2, 8 * channels, 3, 3),
        "5x5": (channels // 2, 8 * channels, 5, 5),
    }


def test_levels_that_the_backbone_has_not_are_refused():
    with pytest.raises(ValueError, match=r"levels among conv1.*, joined by \+, got conv6"):
        Adaptation(Config("vggm", "conv3+conv6"))
