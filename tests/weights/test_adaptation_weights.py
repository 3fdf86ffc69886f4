"""Weights of adaptation layers: those that ship, one's own, and the backbones that they fit."""

import pytest
import torch
from safetensors.torch import save_file

from trackerlib import weights
from trackerlib.nets.adaptation import Adaptation, Config
from trackerlib.weights import inference
from trackerlib.weights.store import backbone_channels


@pytest.mark.parametrize("backbone", ["resnet", "vggm-msdat"])
def test_what_it_cannot_be_grafted_onto_is_refused(backbone):
    told = f"expected a backbone of the registry, got '{backbone}'"
    with pytest.raises(ValueError, match=told):
        backbone_channels(backbone)


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
        known = backbone_channels(layers.config.backbone)
        for level, channels in layers.config.channels(known).items():
            adapted = layers(torch.rand(1, channels, 8, 8), level)
            assert adapted.isfinite().all() and (adapted.std((0, 2, 3)) > 0).all()
