"""The classifier: that it learns, from which negatives, how fast which layer."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import linear

from trackerlib.nets.head import Config as HeadConfig
from trackerlib.nets.head import Head
from trackerlib.trackers.dlst.classifier import ProbabilityClassifier
from trackerlib.trackers.dlst.networks import Classification, Localization
from trackerlib.trackers.fdn import Config as FDNConfig
from trackerlib.trackers.mdnet.classifier import Classifier, make_optimizer
from trackerlib.trackers.mdnet.config import Config
from trackerlib.trackers.mdnet.descent import SGD
from trackerlib.trackers.mdnet.memory import Samples

CONFIG = replace(Config(), mining_pool=128)


def classifier(config=CONFIG, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Classifier(Head(HeadConfig(36), generator), config, generator)


def samples(mean, count=200, seed=0):
    noise = torch.randn(count, 36, generator=torch.Generator().manual_seed(seed))
    return Samples(noise + mean, torch.arange(count))


def test_it_learns_to_tell_targets_from_background():
    learner, targets, background = classifier(), samples(1.0), samples(-1.0, seed=1)
    losses = learner.fine_tune(targets, background, lr=1e-2, iterations=30)
    assert losses[-1] < 0.1 < losses[0] and len(losses) == 30
    assert (learner.scores(targets.table) > 0).all()
    assert (learner.scores(background.table) < 0).all()


def test_the_hardest_negatives_of_the_pool_are_learned(monkeypatch):
    learner = classifier(replace(CONFIG, batch_negatives=10))
    seen = []
    score = learner.head.fc4  # scores are the features 0 and 1 of its first two outputs
    learner.head.fc4.weight.data[:2] = torch.eye(2, 36)
    learner.head.fc4.bias.data.zero_()
    monkeypatch.setattr(
        learner.head, "rest", lambda x, dropout=None: seen.append(x[:, :2]) or x[:, :2]
    )
    background = samples(0.0, count=128, seed=2)
    monkeypatch.setattr(score, "forward", lambda x: seen.append(x) or linear(x, score.weight))
    learner.fine_tune(samples(5.0), background, lr=0.0, iterations=1)
    rows, pool, batch = seen
    assert len(rows) == 32 + 128 and len(pool) == 128 and len(batch) == 32 + 10
    torch.testing.assert_close(batch[:32], rows[:32, :2])
    hardest = background.table[:, 1].topk(10).values
    torch.testing.assert_close(batch[32:, 1], hardest)


class Plain(torch.nn.Module):
    """A head that does not tell its first layer: all of it is left to autograd."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, features, dropout=None):
        return self.head(features, dropout)


@pytest.fixture
def in_the_order_of_the_pool(monkeypatch):
    """Take the hardest in the pool's order: two that score the same swap no dropouts."""
    hardest = Classifier._hardest
    monkeypatch.setattr(Classifier, "_hardest", lambda *args: hardest(*args).sort().values)


@pytest.mark.usefixtures("in_the_order_of_the_pool")
@pytest.mark.parametrize("kind", [ProbabilityClassifier, Classifier])
@pytest.mark.parametrize(
    "network", [Head, lambda *args: Head(HeadConfig(36, layers=2), args[1]), Classification]
)
def test_what_is_known_of_the_first_layer_gives_the_same_losses_and_weights(network, kind):
    """Mini-batch by mini-batch, as by autograd through all layers."""
    found = []
    for wrap in (lambda head: head, Plain):
        generator = torch.Generator().manual_seed(4)
        head = network(HeadConfig(36), generator)
        learner = kind(wrap(head), CONFIG, generator)
        losses = learner.fine_tune(samples(1.0), samples(-1.0, seed=1), lr=1e-2, iterations=8)
        found.append((torch.tensor(losses), head.state_dict()))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bias_factor": 2.0, "bias_decay": False, "weight_decay": 0.1},
        {"max_grad_norm": 0.1},
        {"max_grad_norm": math.inf},
        {"batch_positives": 3, "batch_negatives": 7, "mining_pool": 7},
    ],
)
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.usefixtures("in_the_order_of_the_pool")
def test_the_span_of_one_pool_takes_the_steps_of_the_weights(changes, layers):
    """As by autograd through all layers, with the same pool in every iteration."""
    found = []
    for wrap in (lambda head: head, Plain):
        generator = torch.Generator().manual_seed(2)
        head = Head(HeadConfig(36, layers), generator)
        learner = Classifier(wrap(head), replace(CONFIG, **changes), generator)
        rows = samples(1.0), samples(-1.0, seed=1)
        losses = [learner.fine_tune(*rows, 1e-2, 8, 0.0, "update") for _ in range(2)]
        found.append((torch.tensor(losses), head.state_dict()))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("after", [False, True])
def test_an_update_in_the_span_ends_below_the_threshold(after):
    learner = classifier(replace(CONFIG, threshold_after_step=after))
    before = [p.detach().clone() for p in learner.head.parameters()]
    losses = learner.fine_tune(samples(1.0), samples(-1.0), 1e-2, 5, 10.0, "update")
    moved = [not torch.equal(a, b) for a, b in zip(before, learner.head.parameters(), strict=True)]
    assert len(losses) == 1 and any(moved) == after


def test_an_update_in_the_span_learns_in_bfloat16_too():
    generator = torch.Generator().manual_seed(0)
    learner = Classifier(Head(HeadConfig(36)), CONFIG, generator, torch.bfloat16)
    rows = [
        Samples(part.table.bfloat16(), part.rows) for part in (samples(1.0), samples(-1.0, seed=1))
    ]
    losses = learner.fine_tune(*rows, 1e-2, 20, 0.0, "update")
    assert learner.head.fc4.weight.dtype == torch.float32 and losses[-1] < 0.2 < losses[0]


def test_mining_is_one_of_two():
    assert Config().mining == "iteration"
    with pytest.raises(ValueError, match="expected mining among iteration, update, got 'never'"):
        Config(mining="never")


def test_in_bfloat16_the_first_layer_learns_in_float32():
    learner = Classifier(
        Head(HeadConfig(36)), CONFIG, torch.Generator().manual_seed(0), torch.bfloat16
    )
    tables = (samples(1.0), samples(-1.0, seed=1))
    rows = [Samples(part.table.bfloat16(), part.rows) for part in tables]
    losses = learner.fine_tune(*rows, lr=1e-2, iterations=20)
    assert learner.head.fc4.weight.dtype == torch.float32 and losses[-1] < 0.2 < losses[0]


def test_the_last_layer_learns_ten_times_as_fast():
    steps = []
    for factor in (1.0, 10.0):
        learner = classifier(replace(CONFIG, fc6_factor=factor, weight_decay=0.0))
        before = {k: v.clone() for k, v in learner.head.state_dict().items()}
        learner.fine_tune(samples(1.0), samples(-1.0, seed=1), lr=1e-3, iterations=1)
        steps.append({k: v - before[k] for k, v in learner.head.state_dict().items()})
    torch.testing.assert_close(steps[1]["fc6.weight"], 10 * steps[0]["fc6.weight"])
    torch.testing.assert_close(steps[1]["fc4.weight"], steps[0]["fc4.weight"])
    assert steps[0]["fc4.weight"].abs().max() > 0


def step_by_hand(config, parameters, gradients, rate, velocity):
    """One SGD step of MatConvNet in words, number by number, as lists -> where they are.

    Gradients are clipped together; a weight's velocity is momentum times itself plus gradient
    plus decay times weight; biases have another rate, and perhaps no decay.
    """
    flat = [g for gradient in gradients.values() for g in gradient]
    norm = math.sqrt(sum(g * g for g in flat))
    cut = min(1.0, config.max_grad_norm / (norm + 1e-6))
    after = {}
    for name, values in parameters.items():
        is_bias = name.endswith("bias")
        factor = (10.0 if name.startswith("fc6") else 1.0) * (config.bias_factor if is_bias else 1)
        decay = 0.0005 if config.bias_decay or not is_bias else 0.0
        moved = []
        for i, (value, gradient) in enumerate(zip(values, gradients[name], strict=True)):
            pull = cut * gradient + decay * value
            velocity[name][i] = 0.9 * velocity[name][i] + pull
            moved.append(value - rate * factor * velocity[name][i])
        after[name] = moved
    return after


@pytest.mark.parametrize(
    "changes",
    [
        {},  # what it was: biases as weights, clipped at 10
        {"bias_factor": 2.0},
        {"bias_decay": False},
        {"max_grad_norm": math.inf},
        {"bias_factor": 2.0, "bias_decay": False, "max_grad_norm": math.inf},  # in MATLAB
    ],
)
def test_two_steps_of_sgd_against_a_loop(changes):
    config = replace(CONFIG, **changes)
    head = Head(HeadConfig(9), torch.Generator().manual_seed(0))
    parts = {"fc5.bias", "fc6.weight", "fc6.bias"}  # of which loops are short
    named = {name: p for name, p in head.named_parameters() if name in parts}
    optimizer = make_optimizer(head, 1e-2, config)
    numbers = {name: p.detach().flatten().tolist() for name, p in named.items()}
    velocity = {name: [0.0] * len(values) for name, values in numbers.items()}
    for step in range(2):
        torch.manual_seed(step)
        for name, parameter in head.named_parameters():
            kept = 3.0 if name in parts else 0.0
            parameter.grad = kept * torch.randn_like(parameter)
        gradients = {name: p.grad.flatten().tolist() for name, p in named.items()}
        torch.nn.utils.clip_grad_norm_(head.parameters(), config.max_grad_norm)
        optimizer.step()
        numbers = step_by_hand(config, numbers, gradients, 1e-2, velocity)
    for name, parameter in named.items():
        expected = torch.tensor(numbers[name])
        torch.testing.assert_close(parameter.detach().flatten(), expected, rtol=1e-4, atol=1e-5)


def test_the_steps_are_those_of_pytorchs_class():
    config, heads = Config(bias_factor=2.0, bias_decay=False), []
    for make in (make_optimizer, lambda *given: torch_class(make_optimizer(*given))):
        head = Head(HeadConfig(9), torch.Generator().manual_seed(0))
        optimizer = make(head, 1e-2, config)
        for step in range(3):
            optimizer.zero_grad()
            torch.manual_seed(step)
            head(torch.randn(5, 9)).square().sum().backward()
            optimizer.step()
        heads.append(head.state_dict())
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())


def torch_class(ours):
    return torch.optim.SGD(ours.param_groups, momentum=ours.momentum, fused=True)


def test_a_first_box_does_not_wait_for_torch_dynamo():
    script = """
import sys, numpy as np
from trackerlib.trackers import parse
tracker = parse("rtmdnet:first_iterations=1,first_negatives=200").build()
frame = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
tracker.init(frame, [60, 40, 30, 30])
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_biases_are_as_weights_by_default():
    config = Config()
    assert (config.bias_factor, config.bias_decay, config.max_grad_norm) == (1, True, 10)
    matlab = Head(HeadConfig(9), torch.Generator().manual_seed(0))
    groups = make_optimizer(matlab, 1.0, replace(config, bias_factor=2.0)).param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in matlab.named_parameters()}
    assert found == {
        **{"fc4.weight": 1, "fc4.bias": 2, "fc5.weight": 1, "fc5.bias": 2},
        **{"fc6.weight": 10, "fc6.bias": 20},  # as FDN's and MDNet's layers have it in MATLAB
    }


@pytest.mark.parametrize(
    "network", [Head(HeadConfig(9)), Localization(), Classification(HeadConfig(9))]
)
def test_the_biases_of_every_network_are_told_from_its_weights(network):
    groups = make_optimizer(network, 1.0, Config(bias_factor=3.0, bias_decay=False)).param_groups
    decays = {id(p): group["weight_decay"] > 0 for group in groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        assert decays[id(parameter)] == name.endswith("weight")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias_factor": -1.0}, r"expected bias_factor from 0 to inf, got -1.0"),
        ({"max_grad_norm": 0.0}, r"a max_grad_norm above 0, or inf, which clips nothing, got 0.0"),
        ({"max_grad_norm": math.nan}, r"a max_grad_norm above 0, or inf, .*got nan"),
    ],
)
def test_settings_of_a_step_that_cannot_be_are_told(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


def test_a_large_gradient_is_cut():
    learner = classifier(replace(CONFIG, fc6_factor=1.0, weight_decay=0.0, max_grad_norm=0.5))
    before = torch.cat([p.detach().flatten() for p in learner.head.parameters()])
    learner.fine_tune(samples(1e3), samples(-1e3, seed=1), lr=1e-3, iterations=1)
    after = torch.cat([p.detach().flatten() for p in learner.head.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.5e-3, rel=1e-2)


def test_the_seed_decides_what_is_learned():
    scores = []
    for seed in (0, 0, 1):
        learner = classifier(seed=seed)
        learner.fine_tune(samples(1.0), samples(-1.0, seed=1), lr=1e-2, iterations=3)
        scores.append(learner.scores(samples(0.0, seed=3).table))
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=0)
    assert not torch.equal(scores[0], scores[2])


def stepped(config, threshold, iterations=5):
    """Losses of an update on a batch that is always the same, and how often weights moved."""
    learner, moved = classifier(config), []
    rest = learner.head.rest
    learner.head.rest = lambda x, dropout=None: rest(x)  # without dropout a loss is repeatable
    step = SGD.step

    def counted(optimizer, *arguments):
        moved.append(True)
        return step(optimizer, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SGD, "step", counted)
        one, other = torch.ones(1, 36), -torch.ones(1, 36)
        rows = torch.zeros(128, dtype=torch.long)
        losses = learner.fine_tune(
            Samples(one, rows), Samples(other, rows), 1e-3, iterations, threshold
        )
    weights = [parameter.detach().clone() for parameter in learner.head.parameters()]
    return losses, len(moved), weights


@pytest.mark.parametrize("after", [False, True])
def test_the_threshold_ends_an_update_before_or_after_the_step(after):
    """By hand: losses fall; the first below l ends the update, and is learned from or not."""
    config = replace(CONFIG, threshold_after_step=after)
    falling, steps, _ = stepped(config, threshold=0.0)
    assert steps == len(falling) == 5 and falling == sorted(falling, reverse=True)
    for last in range(5):
        between = falling[last] + 1e-6
        losses, steps, _ = stepped(config, threshold=between)
        assert losses == falling[: last + 1]
        assert steps == (last + 1 if after else last)


def test_an_update_below_the_threshold_from_the_start_still_steps_in_the_released_order():
    """FDN's table 1 counts one iteration in frames 7 to 9: it is a step in the code alone."""
    start = [p.detach().clone() for p in classifier().head.parameters()]
    for after in (False, True):
        losses, steps, weights = stepped(replace(CONFIG, threshold_after_step=after), 10.0)
        assert len(losses) == 1 and steps == after
        assert any(not torch.equal(a, b) for a, b in zip(start, weights, strict=True)) == after


def test_the_threshold_of_fdn_is_as_it_was_by_default():
    assert not FDNConfig().threshold_after_step and FDNConfig().first_loss_threshold == 0


def test_a_pool_smaller_than_its_share_of_a_mini_batch_is_refused():
    with pytest.raises(ValueError, match=r"a mining_pool of at least 96 negatives, .*got 64"):
        Config(mining_pool=64)
