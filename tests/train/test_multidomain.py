"""Multi-domain learning: what is trained, what is written, stop and resume.

Backbones run in float32: nothing here depends on what they are compiled to.
"""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from made_videos import VIDEOS, first_batches
from safetensors.torch import load_file

from trackerlib import weights
from trackerlib.nets import head
from trackerlib.trackers import fdn
from trackerlib.train import multidomain, samples, trainer
from trackerlib.train.mixture import Mixture
from trackerlib.train.multidomain import (
    Batch,
    MultiDomainTask,
    train,
    trainer_config,
)
from trackerlib.train.samples import Samples
from trackerlib.train.settings import Settings
from trackerlib.train.trainer import Trainer


def settings(network="rtmdnet", fixed=True, **chosen):
    return Settings(network, "vggm", len(VIDEOS), fixed, **chosen)


def make_task(chosen, held_out=()):
    torch.manual_seed(0)
    return MultiDomainTask(chosen, {"rendered": list(held_out)}, mode="float32")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(multidomain, "WARM_UP", 1)

    def make(network="rtmdnet", fixed=True, **chosen):
        asked = settings(network, fixed, **chosen)
        return Trainer(make_task(asked), tmp_path, trainer_config(asked, minutes=1e9))

    return make


@cache
def batches(network) -> dict[int, Batch]:
    """Features of a batch of each video; the fixed backbone is the same in all tests."""
    task = make_task(settings(network))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fdn, "SHORT", 300)  # pixels of a frame: half of them are enough for a disc
        return {
            number: task.batch(number, frames)
            for number, frames in first_batches(2, padding=1.2 if network == "rtmdnet" else None)
        }


@pytest.mark.parametrize("network", ["mdnet", "fdn", "rtmdnet"])
def test_two_videos_are_learned_and_the_fixed_backbone_is_not(run, network):
    training = run(network)
    conv3 = training.task.backbone.conv3.weight
    before = conv3.clone()
    found = batches(network)
    losses = [float(training.training_step(found[n % 2])["loss"]) for n in range(60)]
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])
    torch.testing.assert_close(conv3, before, rtol=0, atol=0)


def test_of_many_negatives_those_like_the_target_are_learned(run):
    training = run(mined=4)
    task = training.task
    ((number, frames),) = first_batches(1, padding=1.2, mined=4)
    batch = task.batch(number, frames)._replace(video=0)
    assert len(batch.negatives) == 4 * len(frames) * 12
    for _ in range(20):
        training.training_step(batch)
    with torch.no_grad(), task.precision():
        scores = task.head(batch.negatives, torch.tensor([0]))[:, 0].float()  # (n, 2)
    margins = scores.diff(dim=1)[:, 0]
    hard = task.hard_negatives(batch)
    assert len(hard) == samples.NEGATIVES
    hardest = batch.negatives[margins.topk(len(hard)).indices]
    torch.testing.assert_close(hard, hardest, rtol=0, atol=0)
    assert task.hard_negatives(batch._replace(negatives=hard)) is hard


def test_the_embedding_sets_the_videos_targets_apart(run):
    """Without its loss, the other video's layers take a target for their own more often."""
    found, margins = batches("rtmdnet"), []
    for weight in (0.0, 1.0):
        training = run(embedding=weight)
        for n in range(40):
            training.training_step(found[n % 2])
        own = []
        for video, batch in found.items():
            with torch.no_grad():
                domains = torch.tensor([video, 1 - video])
                scores = training.task.head(batch.positives.float(), domains)[..., 1]
            own.append((scores[:, 0] - scores[:, 1]).mean())
        margins.append(float(torch.stack(own).mean()))
    assert margins[1] > margins[0] + 1


def test_a_batch_has_as_many_boxes_as_asked_for():
    """Section 4.3 of RT-MDNet: 8 frames, 32 and 96 of each; by default a batch is 32 and 96."""
    for counts, of_frame in (({"positives": 256, "negatives": 768}, (32, 96)), ({}, (4, 12))):
        ((_, frames),) = first_batches(1, padding=1.2, **counts)
        assert len(frames) == 8
        assert {(len(f.positives), len(f.negatives)) for f in frames} == {of_frame}
    assert (settings().positives, settings().negatives) == (32, 96)
    assert settings().embedding_mean == "boxes"


def by_hand(own, others, positives, over):
    """Equations 3 to 5 box by box: own scores (K, 2), target scores in other videos (P, V)."""
    binary = 0.0
    for number, (background, target) in enumerate(own):
        total = math.log(math.exp(background) + math.exp(target))
        binary += total - (target if number < positives else background)
    embedding = 0.0
    for (_, target), others_of_box in zip(own[:positives], others, strict=True):
        embedding += math.log(sum(map(math.exp, [target, *others_of_box]))) - target
    return binary / len(own) + 0.1 * embedding / over


@pytest.mark.parametrize("mean", ["boxes", "positives"])
def test_a_mini_batch_of_256_and_768_against_a_loop(mean):
    counts = {"positives": 256, "negatives": 768}
    task = make_task(settings(embedding=0.1, embedding_mean=mean, **counts))
    torch.manual_seed(1)
    made = [torch.randn(n, task.head.config.inputs) for n in (256, 768)]
    loss, _ = task.training_step(Batch(1, *made), step=5)
    task.dropout.manual_seed(5)
    task.other_videos(1)  # draws before the dropout does
    with torch.no_grad():
        scores = task.head(torch.cat(made), torch.tensor([1, 0]), task.dropout).double()
    own, others = scores[:, 0].tolist(), scores[:256, 1:, 1].tolist()
    expected = by_hand(own, others, 256, {"boxes": 1024, "positives": 256}[mean])
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_so_many_hard_negatives_are_learned_as_asked_for():
    task = make_task(settings(mined=2, negatives=768))
    batch = Batch(0, torch.zeros(32, 4608), torch.randn(1536, 4608))
    assert task.hard_negatives(batch).shape == (768, 4608)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": 30}, "expected positives in multiples of 8, .*got 30"),
        ({"positives": 0}, "expected positives in multiples of 8, .*got 0"),
        ({"negatives": 24}, "expected negatives in multiples of 16, .*got 24"),
        ({"embedding_mean": "all"}, "expected embedding_mean among boxes, positives, got 'all'"),
    ],
)
def test_a_mini_batch_that_cannot_be_drawn_is_told(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_step_is_set_apart_from_a_hundred_others_at_most():
    task = make_task(settings(embedding=0.1))
    assert task.other_videos(0).tolist() == [1] and task.other_videos(1).tolist() == [0]
    task.chosen = replace(task.chosen, videos=300)
    drawn_now = task.other_videos(7)
    assert len(drawn_now.unique()) == multidomain.MAX_OTHERS and 7 not in drawn_now
    assert not torch.equal(drawn_now, task.other_videos(7))
    assert len(make_task(settings()).other_videos(0)) == 0


def test_weights_move_when_the_gradients_of_enough_steps_are_added(run):
    training = run(accumulate=3)
    fc5 = training.task.head.fc5.weight
    before = fc5.detach().clone()
    for step in range(3):
        torch.testing.assert_close(fc5.detach(), before, rtol=0, atol=0)
        training.training_step(batches("rtmdnet")[0])
        assert training.step == step + 1
    assert (fc5 - before).abs().max() > 0


def test_the_backbone_learns_ten_times_slower_where_it_is_not_fixed(run):
    training = run(fixed=False)
    task = training.task
    before = task.backbone.conv3.weight.detach().clone()
    ((number, frames),) = first_batches(1, padding=1.2)
    training.training_step(task.batch(number, frames))
    assert (task.backbone.conv3.weight - before).abs().max() > 0
    max_lr = {group["max_lr"] for group in task.optimizer.param_groups}
    assert max(max_lr) == pytest.approx(10 * min(max_lr))


def test_former_batches_come_again_where_the_backbone_is_fixed(monkeypatch):
    """After a new batch, so many of those that are kept, in an order that the seed decides."""
    monkeypatch.setattr(multidomain, "REPLAYS", 3)
    task = make_task(settings(sparse=True))
    drawn = task.batches(Samples([VIDEOS[0]], seed=1))
    found = [next(drawn) for _ in range(5)]
    assert all(batch is found[0] for batch in found[:4]) and found[4] is not found[0]


def test_a_run_stops_goes_on_and_is_loaded_as_a_head(tmp_path, monkeypatch):
    monkeypatch.setattr(multidomain, "VALIDATE_EVERY", 2)
    monkeypatch.setattr(multidomain, "REPLAYS", 1)
    now = iter(range(10**6))  # every reading is a second later: a step takes one
    monkeypatch.setattr(trainer, "monotonic", lambda: next(now))

    # The weights of the lowest held-out loss are written: here those of the last point.
    validate, falling = MultiDomainTask.validate, iter(range(10**6, 0, -1))
    monkeypatch.setattr(
        MultiDomainTask,
        "validate",
        lambda task: validate(task) | {"loss": torch.tensor(float(next(falling)))},
    )

    def go(seconds):
        torch.manual_seed(0)
        chosen = settings(sparse=True)
        mixture = Mixture(VIDEOS, [(1.0, [0, 1])], held_out={"rendered": VIDEOS[:1]})
        return train(chosen, mixture, tmp_path, trainer_config(chosen, seconds / 60), "float32")

    training = go(seconds=2)
    steps = training.step
    assert steps >= 2 and (tmp_path / "loss.png").stat().st_size > 1000
    history = training.history
    assert [point["step"] for point in history][:: len(history)] == [0]
    more = go(seconds=training.elapsed + 2)
    assert more.step > steps and more.history[: len(history)] == history
    shared = load_file(tmp_path / "multidomain.safetensors")
    assert set(shared) == {"fc4.weight", "fc4.bias", "fc5.weight", "fc5.bias"}
    torch.testing.assert_close(
        shared["fc4.weight"].float(), more.task.head.fc4.weight.detach(), rtol=1e-3, atol=1e-5
    )
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    weights.add(tmp_path / "multidomain.safetensors", "mine", format="safetensors", network="head")
    loaded = weights.load_head("mine", head.Config(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.fc5.weight, shared["fc5.weight"].float())


def test_the_whole_network_is_written_if_it_learned(tmp_path):
    make_task(settings(fixed=False)).export(tmp_path)
    shared = load_file(tmp_path / "multidomain.safetensors")
    assert {"conv1.weight", "conv3.bias", "fc4.weight", "fc5.bias"} <= set(shared)
    assert not any("fc6" in name for name in shared)


def test_a_backbone_and_a_head_are_written_if_both_learned(tmp_path, monkeypatch):
    """As the registry has them: the first loads as a backbone, the second beside it."""
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    task = make_task(settings(fixed=False))
    task.metadata = {"licence": "research use", "uav123_seen": ["bike1"]}
    with torch.no_grad():
        task.backbone.conv1.weight.add_(1)
    task.export(tmp_path)
    for name, network in (("backbone", "vggm"), ("head", "head")):
        path = tmp_path / f"{name}.safetensors"
        entry = weights.add(path, f"my-{name}", format="safetensors", network=network)
        assert entry.licence == "research use" and entry.uav123_seen == ["bike1"]
        assert path.stat().st_size < 5_300_000
    loaded = weights.load("my-backbone").conv1.weight
    torch.testing.assert_close(loaded, task.backbone.conv1.weight.detach(), rtol=1e-3, atol=1e-3)
    found = weights.read_head("my-head", head.Config())
    assert set(found) == {"fc4.weight", "fc4.bias", "fc5.weight", "fc5.bias"}


def test_features_that_16_bits_cannot_hold_are_told(monkeypatch):
    task = make_task(settings())
    large = Batch(0, torch.full((2, 4), 1e5), torch.zeros(2, 4))
    monkeypatch.setattr(task, "batch", lambda video, frames: large)
    with pytest.raises(ValueError, match=r"at most 65504, those of vggm exceed it; .*bfloat16"):
        task.kept_batch(0, [])


def test_features_of_fewer_batches_are_kept_where_they_take_more_memory():
    """Two videos, 1024 boxes of 4608 numbers of 2 bytes: 18 MiB for one batch of each."""
    counts = {"positives": 256, "negatives": 768}
    kept = [make_task(settings(cache=gib, **counts)).kept for gib in (1.0, 0.04, 0.001)]
    assert kept == [multidomain.KEPT, 2, 1]


def test_the_share_misclassified_is_between_nothing_and_all_wrong():
    task = make_task(settings(), held_out=first_batches(2, padding=1.2))
    found = task.validate()
    assert list(found) == ["misclassified held-out boxes", "loss"] and task.best == "loss"
    assert 0 <= found["misclassified held-out boxes"] < 0.5
    assert 0 < found["loss"] < math.log(2)
    task.held_out = {"real": task.held_out["rendered"][:1], "rendered": []}
    assert task.best == "loss/real"


@pytest.mark.parametrize(
    "network, pooling", [("fdn", "pool"), ("rtmdnet", "align"), ("rtmdnet", None)]
)
def test_boxes_are_pooled_as_asked_for(network, pooling):
    task = make_task(settings(network, pooling=pooling))
    assert task.features.pooling == (pooling or "adaptive")
