"""MDNet's fully connected layers: their first weights, dropout, loss."""

import pytest
import torch

from trackerlib.nets.head import Config, DomainHead, Head


@pytest.fixture
def head():
    return Head(Config(90), torch.Generator().manual_seed(0))


def test_the_first_weights_are_mdnets(head):
    for layer, inputs, outputs, bias in (
        (head.fc4, 90, 512, 0.1),
        (head.fc5, 512, 512, 0.1),
        (head.fc6, 512, 2, 0.0),
    ):
        assert layer.weight.shape == (outputs, inputs)
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1)
        torch.testing.assert_close(layer.bias, torch.full((outputs,), bias))


def test_the_generator_decides_the_weights(head):
    again, other = (Head(Config(90), torch.Generator().manual_seed(seed)) for seed in (0, 1))
    torch.testing.assert_close(again.state_dict(), head.state_dict(), rtol=0, atol=0)
    assert not torch.equal(other.fc6.weight, head.fc6.weight)


def test_scores_are_the_layers_in_turn(head):
    features = torch.randn(3, 90)
    x = (features @ head.fc4.weight.t() + head.fc4.bias).clamp(min=0)
    x = (x @ head.fc5.weight.t() + head.fc5.bias).clamp(min=0)
    torch.testing.assert_close(head(features), x @ head.fc6.weight.t() + head.fc6.bias)


@pytest.mark.parametrize("layers", [2, 3])
def test_the_first_layer_and_the_rest_are_the_head(layers):
    head, features = Head(Config(90, layers)), torch.randn(3, 90)
    again, whole = (torch.Generator().manual_seed(0) for _ in range(2))
    parts = head.rest(head.first(head.rows(features)), again)
    torch.testing.assert_close(parts, head(features, whole), rtol=0, atol=0)


def test_dropout_halves_the_neurons_and_keeps_their_mean(head):
    torch.nn.init.eye_(head.fc5.weight)
    torch.nn.init.zeros_(head.fc5.bias)
    torch.nn.init.constant_(head.fc6.weight, 1 / 512)
    head.fc4.weight.data.zero_()
    head.fc4.bias.data.fill_(1.0)  # so that a score is the share of neurons kept, times 4
    scores = head(torch.zeros(400, 90), torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(torch.zeros(1, 90)), torch.ones(1, 2))
    assert scores.mean().item() == pytest.approx(1, abs=0.01)
    kept = (scores[:, 0] * 128).round() / 512
    assert kept.min() > 0.15 and kept.max() < 0.35
    assert not torch.equal(scores[0], scores[1])


def test_dropout_is_its_generators(head):
    features = torch.randn(8, 90)
    first, again, other = (head(features, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


def test_with_two_layers_fc4_is_the_last_that_is_shared():
    small = Head(Config(90, layers=2))
    features = torch.randn(3, 90)
    x = (features @ small.fc4.weight.t() + small.fc4.bias).clamp(min=0)
    torch.testing.assert_close(small(features), x @ small.fc6.weight.t() + small.fc6.bias)
    with pytest.raises(ValueError, match="expected 2 or 3 layers, got 4"):
        Config(layers=4)


def test_a_video_trains_the_shared_layers_and_its_own():
    domains = DomainHead(3, Config(90))
    domains(torch.randn(8, 90), torch.tensor([1])).sum().backward()
    assert domains.fc4.weight.grad.abs().max() > 0 and domains.fc5.weight.grad.abs().max() > 0
    trained = domains.fc6.weight.grad.abs().amax(1) > 0
    assert trained.tolist() == [False, False, True, True, False, False]


def test_domains_are_scored_together_as_one_by_one():
    domains, features = DomainHead(4, Config(90)), torch.randn(5, 90)
    together = domains(features, torch.tensor([3, 0]))
    assert together.shape == (5, 2, 2)
    for place, video in enumerate((3, 0)):
        alone = domains(features, torch.tensor([video]))
        torch.testing.assert_close(together[:, place], alone[:, 0])
