"""DLST's networks: the paper's sizes, 1x1 convolutions, the average over a box's cells."""

import pytest
import torch
from torch.nn.functional import conv2d, relu

from trackerlib.nets.head import Config, Head
from trackerlib.trackers.dlst.networks import Classification, Localization


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def convolved(layer, maps):
    return conv2d(maps, layer.weight[:, :, None, None], layer.bias)


def test_both_together_have_the_papers_parameters_and_mdnets_head_has_its():
    both = parameters(Localization()) + parameters(Classification(Config()))
    assert round(both / 1e6, 2) == 0.35
    assert round(parameters(Head()) / 1e6, 1) == 2.6


def test_the_localization_is_two_1x1_convolutions():
    network, maps = Localization(6, generator()), torch.randn(2, 6, 4, 5)
    expected = convolved(network.conv2, relu(convolved(network.conv1, maps)))
    torch.testing.assert_close(network(maps.permute(0, 2, 3, 1)), expected.permute(0, 2, 3, 1))


def test_the_classification_is_three_1x1_convolutions_and_their_average():
    network, features = Classification(Config(4 * 9), generator()), torch.randn(7, 4 * 9)
    x = relu(convolved(network.conv1, features.view(7, 4, 3, 3)))
    x = convolved(network.conv3, relu(convolved(network.conv2, x)))
    torch.testing.assert_close(network(features), x.mean((2, 3)))
    torch.testing.assert_close(network.cells(features), x.flatten(2).mT)


def test_the_first_layer_and_the_rest_are_the_classification():
    network, features = Classification(Config(36), generator()), torch.randn(5, 36)
    rows = network.rows(features)
    assert rows.shape == (5, 9, 4)
    parts = network.rest(network.first(rows), generator(1))
    torch.testing.assert_close(parts, network(features, generator(1)), rtol=0, atol=0)


def test_the_classification_does_not_see_where_a_cell_is():
    network, features = Classification(Config(4 * 9), generator()), torch.randn(7, 4, 9)
    shuffled = features[..., torch.randperm(9, generator=generator())]
    torch.testing.assert_close(network(features.flatten(1)), network(shuffled.flatten(1)))
    head = Head(Config(4 * 9), generator())
    assert not torch.allclose(head(features.flatten(1)), head(shuffled.flatten(1)), atol=1e-5)


@pytest.mark.parametrize(
    ("network", "shape"),
    [(Localization(6), (2, 4, 5, 6)), (Classification(Config(36)), (8, 36))],
    ids=["localization", "classification"],
)
def test_dropout_is_its_generators(network, shape):
    features = torch.randn(shape)
    first, again, other = (network(features, generator(s)) for s in (3, 3, 4))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)
    torch.testing.assert_close(network(features), network(features), rtol=0, atol=0)
