"""Algorithm 1: when it learns, from which patches, what moves and by how much."""

from dataclasses import replace

import pytest
import torch

from trackerlib.trackers.deeptrack import Config
from trackerlib.trackers.deeptrack.learner import Learner
from trackerlib.trackers.deeptrack.losses import truncated_l2
from trackerlib.trackers.deeptrack.network import DeepTrack
from trackerlib.trackers.deeptrack.pool import SamplePool

PLAIN = Config(max_grad_norm=1e9, batch_positives=4, batch_negatives=8, lr=1e-3, steps=1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def task():
    """Learner, positives and negatives that a line tells apart."""

    def make(config=PLAIN):
        draws = generator(1)
        bright, dark = (torch.randn(n, 3, 32, 32, generator=draws) for n in (1, 30))
        bright[..., 10:20] += 3
        positives, negatives = (SamplePool(1, rows, 0.0, draws) for rows in (1, 30))
        positives.add(bright, torch.full((1,), 0.245), 1.0)
        negatives.add(dark, torch.linspace(0.1, 0.245, 30), 1.0)
        network = DeepTrack(generator())
        if config.fusion:
            network.fuse()
        return Learner(network, config, draws), positives, negatives

    return make


def test_it_learns_until_the_loss_is_below_epsilon(task):
    quick = replace(PLAIN, lr=5e-2, fusion_lr=5e-2, max_grad_norm=0.3, steps=200)
    learner, positives, negatives = task(quick)
    losses = learner.fine_tune(positives, negatives)
    assert losses[0] > 0.05 and losses[-1] < 5e-3 and min(losses[:-1]) >= 5e-3
    assert len(learner.kept) == len(losses) - 1


def test_the_first_frame_takes_all_steps(task):
    config = replace(PLAIN, first_steps=150, first_tolerance=0.0, max_grad_norm=0.3)
    learner, positives, negatives = task(replace(config, fusion=False))
    losses = learner.initialise(positives, negatives)
    assert not learner.network.fused
    assert len(losses) == len(learner.kept) == 150 and losses[0] > 0.05 > 0.02 > losses[-1]


def test_the_first_frame_can_end_at_a_loss(task):
    """The steps are the same until then."""
    config = replace(PLAIN, first_steps=150, max_grad_norm=0.3, fusion=False)
    whole, *pools = task(replace(config, first_tolerance=0.0))
    losses = whole.initialise(*pools)
    learner, *pools = task(replace(config, first_tolerance=0.02))
    found = learner.initialise(*pools)
    assert found == losses[: len(found)] and found[-1] < 0.02 <= min(found[:-1])
    assert len(learner.kept) == len(found) - 1


def test_after_the_first_frame_the_fusion_layer_is_in_use(task):
    learner, positives, negatives = task(replace(PLAIN, fusion=False, first_steps=3))
    learner.config = replace(learner.config, fusion=True)
    learner.initialise(positives, negatives)
    patches = learner._batch(positives, negatives)[0]
    assert learner.network.fused
    torch.testing.assert_close(learner.scores(patches), learner.network.cues(patches).mean(1))


def test_it_begins_above_twice_epsilon_only(task):
    learner, positives, negatives = task()
    loss = learner.fine_tune(positives, negatives)[0]
    before = learner.network.state_dict()["cues.conv1.weight"].clone()
    lazy, positives, negatives = task(replace(PLAIN, tolerance=0.7 * loss))
    assert lazy.fine_tune(positives, negatives) == [pytest.approx(loss)]
    assert lazy.kept == []
    eager, positives, negatives = task(replace(PLAIN, tolerance=0.7 * loss, lazy=False))
    eager.fine_tune(positives, negatives)
    assert len(eager.kept) == 1
    assert not torch.equal(eager.network.cues.conv1.weight, lazy.network.cues.conv1.weight)
    torch.testing.assert_close(before, eager.network.cues.conv1.weight)


@pytest.mark.parametrize("threshold", [0.0, 0.0025, 1.0])
def test_a_step_is_the_gradient_of_the_whole_batch(task, threshold):
    """Patches that are left out would have added nothing; and the fusion layer's by autograd."""
    config = replace(PLAIN, truncation=threshold, fusion_lr=0.1)
    learner, positives, negatives = task(config)
    learner._batch = lambda *_: batch
    other, *pools = task(config)
    batch = patches, importance, labels = other._batch(*pools)
    network = other.network

    def loss(scores):
        return (importance * truncated_l2(scores - labels, labels, threshold, 3.0)).mean()

    fused = loss(network.fusion(network.cues.neurons(patches).detach()))
    fusion = torch.autograd.grad(fused, list(network.fusion.parameters()))
    own = sum(loss(scores) for scores in network.cues(patches).unbind(1))
    slopes = torch.autograd.grad(own, list(network.cues.parameters()))
    assert learner.fine_tune(positives, negatives) == [pytest.approx(fused.item())]
    for moved, start, slope in zip(
        learner.network.cues.parameters(), network.cues.parameters(), slopes, strict=True
    ):
        torch.testing.assert_close(moved, start - config.lr * slope)
    for moved, start, slope in zip(
        learner.network.fusion.parameters(), network.fusion.parameters(), fusion, strict=True
    ):
        torch.testing.assert_close(moved, start - 0.1 * slope)


def test_where_most_patches_are_cut_only_the_others_back_propagate(task):
    start, *pools = task()
    batch = patches, _, labels = start._batch(*pools)
    with torch.no_grad():
        squares = (start.network.cues(patches) - labels[:, None]).square().sum(2)
    threshold = float(squares.amax(1).quantile(0.7))
    learner, *pools = task(replace(PLAIN, truncation=threshold, positive_factor=0.0, tolerance=0))
    learner._batch, seen = lambda *_: batch, []
    learner.network.cues.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    learner.fine_tune(*pools)
    kept = int((squares > threshold).any(1).sum())
    assert seen == [kept] and 0 < kept < 6
    assert learner.kept == [pytest.approx(float((squares > threshold).double().mean()))]


def test_the_gradients_of_each_cue_and_of_the_fusion_are_cut_to_the_limit(task):
    """Those that are small enough stay as they are."""
    start, *pools = task()
    batch, before = start._batch(*pools), start.network

    def moved(limit):
        config = replace(PLAIN, max_grad_norm=limit, lr=1.0, fusion_lr=1.0, truncation=0.0)
        learner, *pools = task(config)
        learner._batch = lambda *_: batch
        learner.fine_tune(*pools)
        moves = [
            p.detach() - q
            for p, q in zip(learner.network.parameters(), before.parameters(), strict=True)
        ]
        cues = torch.cat([move.view(3, -1) for move in moves[:-2]], 1)
        return torch.cat(
            (cues.norm(dim=1), torch.cat([m.flatten() for m in moves[-2:]]).norm()[None])
        )

    free = moved(1e9).detach()
    limit = float(free.median()) * 1.01
    torch.testing.assert_close(moved(limit), free.clamp(max=limit), rtol=1e-3, atol=0)
    assert (free > limit).sum() == 2


def test_without_fusion_its_layer_stays(task):
    learner, positives, negatives = task(replace(PLAIN, fusion=False, fusion_lr=1.0, steps=5))
    before = learner.network.fusion.weight.clone()
    learner.fine_tune(positives, negatives)
    torch.testing.assert_close(learner.network.fusion.weight, before, rtol=0, atol=0)


def test_learning_that_diverges_says_so(task):
    learner, positives, negatives = task(replace(PLAIN, lr=1e30, steps=9))
    with pytest.raises(FloatingPointError, match=r"diverged after 1 training steps.*lower `lr`"):
        learner.fine_tune(positives, negatives)


def test_half_of_the_positives_are_mirrored(task):
    learner, positives, negatives = task(replace(PLAIN, batch_positives=200))
    patches, _, labels = learner._batch(positives, negatives)
    positive = positives.draw(1)[0][0]
    mirrored = [torch.equal(patch.flip(-1), positive) for patch in patches[:200]]
    straight = [torch.equal(patch, positive) for patch in patches[:200]]
    assert sum(straight) + sum(mirrored) == 200 and 60 < sum(mirrored) < 140
    assert (labels[:200, 0] == 1).all() and (labels[200:, 1] == 1).all()


def norm(error, label, squared):
    """Equation 9 of two numbers, truncated at 0.0025 and, for the target, a quarter of it."""
    square = sum((a - b) ** 2 for a, b in zip(error, label, strict=True))
    value = square if squared else square**0.5
    return value if value > 0.0025 / (1 + 3 * label[0]) else 0.0


@pytest.mark.parametrize("squared", [True, False])
def test_losses_are_equation_10_with_either_norm(task, squared):
    """Of an error of (0.03, 0) the norm is above beta, and its square below."""
    learner, *_ = task(replace(PLAIN, squared=squared))
    scores = [[1.03, 0.0], [1.0, 0.0], [0.2, 0.7], [0.03, 1.0], [0.3, 0.4]]
    labels = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    importance = [0.245, 0.1, 0.2, 0.245, 0.05]
    errors = torch.tensor(scores) - torch.tensor(labels)
    found = learner.losses(errors, torch.tensor(labels), torch.tensor(importance))
    rows = zip(importance, scores, labels, strict=True)
    expected = [weight * norm(score, label, squared) for weight, score, label in rows]
    torch.testing.assert_close(found, torch.tensor(expected))
    assert (found[3] > 0) != squared


def test_a_norm_of_0_has_a_gradient(task):
    errors = torch.zeros(2, 2, requires_grad=True)
    truncated_l2(errors, torch.eye(2), 0.0, 3.0, squared=False).sum().backward()
    assert torch.equal(errors.grad, torch.zeros(2, 2))


def stepwise(network, batch, config):
    """Section III-A in its order: a cue's network, then the fusion's weights of that cue."""
    patches, importance, labels = batch

    def loss(scores):
        terms = [
            weight * error.square().sum()
            for weight, error in zip(importance, scores - labels, strict=True)
        ]
        return sum(terms) / len(terms)

    for cue in range(3):
        weights = list(network.cues.parameters())
        slopes = torch.autograd.grad(loss(network.cues(patches)[:, cue]), weights)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                of_cue = slice(cue * len(weight) // 3, (cue + 1) * len(weight) // 3)
                weight[of_cue] -= config.lr * slope[of_cue]
            neurons = network.cues.neurons(patches)
        fusion = network.fusion
        slopes = torch.autograd.grad(loss(fusion(neurons)), [fusion.weight, fusion.bias])
        with torch.no_grad():
            for neuron in range(8 * cue, 8 * cue + 8):
                fusion.weight[:, neuron] -= config.fusion_lr * slopes[0][:, neuron]
            fusion.bias -= config.fusion_lr * slopes[1]


def test_an_iterative_step_moves_cue_by_cue(task):
    config = replace(PLAIN, descent="iterative", truncation=0.0, fusion_lr=0.1)
    learner, *pools = task(config)
    other, *_ = task(config)
    batch = learner._batch(*pools)
    learner._batch = lambda *_: batch
    learner.fine_tune(*pools)
    stepwise(other.network, batch, config)
    torch.testing.assert_close(learner.network.state_dict(), other.network.state_dict())
    joint, *pools = task(replace(config, descent="joint"))
    joint._batch = lambda *_: batch
    joint.fine_tune(*pools)
    moved = (joint.network.fusion.weight - learner.network.fusion.weight).abs().max()
    assert moved > 1e-4 and len(learner.kept) == len(joint.kept) == 1


@pytest.mark.parametrize("descent", ["joint", "iterative"])
def test_the_first_frame_can_be_descended_on_as_later_ones(task, descent):
    """It ends below epsilon, and the fusion layer, random at first, is in use and moves."""
    config = replace(PLAIN, fusion=False, first_descent="sgd", descent=descent, lr=5e-2)
    config = replace(config, fusion_lr=5e-2, max_grad_norm=0.3, first_steps=60, tolerance=0.02)
    learner, *pools = task(config)
    learner.config = replace(config, fusion=True)
    before = learner.network.fusion.weight.clone()
    losses = learner.initialise(*pools)
    assert learner.network.fused and not torch.equal(before, learner.network.fusion.weight)
    assert len(losses) == 60 or losses[-1] < 0.02 <= min(losses[:-1])
    assert losses[-1] < losses[0]
