"""Adaptation layers: an eighth of the channels, of the backbone that they were learned on."""

import pytest
import torch
from safetensors.torch import save_file

from trackerlib import weights
from trackerlib.nets.adaptation import Adaptation, Config
from trackerlib.weights import inference


@pytest.mark.parametrize(
    ("backbone", "level", "channels"),
    [("vggm", "conv1", 12), ("vggm", "conv3", 64), ("vgg19", "conv5_4", 64)],
)
def test_an_eighth_of_the_channels_on_a_map_of_the_same_size(backbone, level, channels):
    layers = Adaptation(Config(backbone, level))
    features = torch.rand(2, 8 * channels, 9, 7)
    assert layers(features, level).shape == (2, channels, 9, 7)
    kernels = {
        name.split(".")[1]: t.shape for name, t in layers.state_dict().items() if t.ndim > 1
    }
    assert kernels == {
        "3x3": (channels // 2, 8 * channels, 3, 3),
        "5x5": (channels // 2, 8 * channels, 5, 5),
    }


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (Config("resnet"), "expected a backbone of the registry, got 'resnet'"),
        (Config("vggm-msdat"), "expected a backbone of the registry, got 'vggm-msdat'"),
        (Config("vggm", "conv3+conv6"), r"levels among conv1.*, joined by \+, got conv6"),
    ],
)
def test_what_it_cannot_be_grafted_onto_is_refused(config, told):
    with pytest.raises(ValueError, match=told):
        Adaptation(config)


def test_ones_own_are_added_and_loaded(folder, tmp_path):
    config = Config("vggm", "conv2")
    layers = Adaptation(config)
    save_file(layers.state_dict(), tmp_path / "mine.safetensors")
    weights.add(
        tmp_path / "mine.safetensors",
        name="mine",
        format="safetensors",
        network="adaptation",
        config={"backbone": "vggm", "levels": "conv2"},
    )
    loaded = weights.load("mine")
    assert loaded.config == config
    torch.testing.assert_close(loaded.state_dict(), layers.state_dict())
    with pytest.raises(ValueError, match="expected the name of a backbone, got 'mine'"):
        inference.load("mine", "cpu")


def test_what_ships_is_small_and_fits_its_backbone():
    for name in ("vggm-msdat", "vgg19-conv3-msdat"):
        layers = weights.load(name)
        assert name == f"{layers.config.backbone}-msdat"
        for level, channels in layers.config.channels().items():
            adapted = layers(torch.rand(1, channels, 8, 8), level)
            assert adapted.isfinite().all() and (adapted.std((0, 2, 3)) > 0).all()
