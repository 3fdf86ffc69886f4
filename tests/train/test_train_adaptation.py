"""Windows hold the target where they say; the start keeps what filters see; stop and go on."""

import math
from itertools import cycle

import numpy as np
import pytest
import torch

from trackerlib import weights
from trackerlib.nets.adaptation import Adaptation, Config
from trackerlib.nets.losses import default_boxes
from trackerlib.nets.vgg19 import VGG19
from trackerlib.nets.vgg19 import Config as VGG19Config
from trackerlib.train import adaptation, trainer
from trackerlib.train.adaptation import (
    WINDOW_SIDE,
    AdaptationTask,
    LossConfig,
    cut_window,
    initialise,
    with_unit_energy,
)
from trackerlib.train.trainer import Trainer
from trackerlib.weights import inference

CONFIG = Config("vggm", "conv2+conv3")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(adaptation, "BATCH", 3)
    monkeypatch.setattr(adaptation, "CACHED", 6)
    monkeypatch.setattr(adaptation, "VALIDATION_WINDOWS", 2)
    monkeypatch.setattr(adaptation, "SOLUTION_WINDOWS", 3)


@pytest.fixture(scope="module")
def scenes():
    """A bright disc on noise, and its box."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 80, (120, 160, 3)).astype(np.uint8)
    y, x = np.mgrid[:120, :160] + 0.5
    frame[(x - 90) ** 2 + (y - 50) ** 2 < 15**2] = 255
    return [(frame, np.array([75.0, 35.0, 30.0, 30.0]))]


@pytest.mark.parametrize("border", [0, 34])
def test_the_target_is_where_the_window_says(scenes, border):
    for seed in range(6):
        image, centre = cut_window(np.random.default_rng(seed), *scenes[0], border)
        assert image.shape == (WINDOW_SIDE + 2 * border, WINDOW_SIDE + 2 * border, 3)
        assert (abs(centre - 0.5) <= adaptation.REACH + 0.02).all()
        bright = image.mean(2)
        bright = bright > (bright.max() + bright.mean()) / 2
        inside = bright[border : border + WINDOW_SIDE, border : border + WINDOW_SIDE]
        places = np.argwhere(inside if border == 0 else bright)[:, ::-1] + 0.5
        found = (places.mean(0) - border) / WINDOW_SIDE
        np.testing.assert_allclose(found, centre, atol=0.02)


def test_the_start_keeps_the_most_of_the_inner_products():
    """With an eighth of the directions in use, nothing is lost but a common factor."""
    torch.manual_seed(0)
    layers = Adaptation(Config("vggm", "conv2"))
    mixtures = torch.randn(256, 32)
    features = torch.einsum("cm,nmhw->nchw", mixtures, torch.randn(2, 32, 8, 8))
    initialise(layers, {"conv2": features})
    adapted = layers(features, "conv2")
    assert adapted.square().mean().item() == pytest.approx(1, rel=1e-3)
    before, after = (m.transpose(0, 1).flatten(1) for m in (features, adapted))
    before, after = before.T @ before, after.T @ after
    torch.testing.assert_close(after, before * (after.trace() / before.trace()), rtol=1e-3, atol=1)


def test_in_the_end_all_mixtures_have_unit_energy():
    torch.manual_seed(0)
    layers, features = Adaptation(Config("vggm", "conv1")), torch.rand(2, 96, 20, 20)
    maps = {"conv1": features}
    energy = with_unit_energy(layers, maps)(features, "conv1").square().mean((0, 2, 3))
    torch.testing.assert_close(energy, torch.ones(12))
    before = layers(features, "conv1")
    after = with_unit_energy(layers, maps)(features, "conv1")
    expected = before * before.square().mean((0, 2, 3), keepdim=True).rsqrt()
    torch.testing.assert_close(after, expected)


def make(folder, scenes, config=CONFIG):
    """A training that has seen three windows."""
    task = AdaptationTask(config, cycle(scenes), mode="float32")
    cache = task.cache(cycle(scenes), seed=0)
    torch.manual_seed(0)
    cache.add(3)
    task.initialise(cache)
    return Trainer(task, folder, trainer.Config(100, adaptation.WARM_UP, 50)), cache


def test_windows_are_used_more_than_once(tmp_path, scenes):
    _, cache = make(tmp_path, scenes)
    for _ in range(4):
        maps, places = cache.batch()
        assert {level: m.shape for level, m in maps.items()} == {
            "conv2": (3, 256, 28, 28),
            "conv3": (3, 512, 28, 28),
        }
        assert places.shape == (3, 2)
    assert len(cache.kept) == 6  # of 11 that were added


def test_learning_helps_and_leaves_the_backbone_alone(tmp_path, scenes):
    training, cache = make(tmp_path, scenes)
    backbone = training.task.backbone.backbone
    before = {name: t.clone() for name, t in backbone.state_dict().items()}
    batch = cache.select(range(3))
    training.step = adaptation.WARM_UP
    losses = [training.training_step(batch) for _ in range(6)]
    assert len(losses[0]) == 4
    assert all(losses[-1][name] < losses[0][name] for name in losses[0])
    torch.testing.assert_close(backbone.state_dict(), before, rtol=0, atol=0)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, scenes):
    whole, cache = make(tmp_path, scenes)
    batch = cache.select(range(3))
    whole.training_step(batch)
    whole.validate()
    task = AdaptationTask(CONFIG, cycle(scenes), mode="float32")
    again = Trainer(task, tmp_path, whole.config)
    assert again.resume() and again.step == 1
    for one in (whole, again):
        one.training_step(batch)
    for part in ("layers", "heads"):
        torch.testing.assert_close(
            getattr(again.task, part).state_dict(), getattr(whole.task, part).state_dict()
        )


def test_a_damaged_or_foreign_checkpoint_is_told(tmp_path, scenes):
    training, _ = make(tmp_path, scenes)
    training.validate()
    other, _ = make(tmp_path, scenes, Config("vggm", "conv3"))
    with pytest.raises(ValueError, match=r"is of .*conv2\+conv3.*; choose another folder"):
        other.resume()
    training.checkpoint.write_bytes(training.checkpoint.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged; remove it"):
        training.resume()


def test_a_run_leaves_layers_to_add_and_its_curve(tmp_path, scenes, monkeypatch, capsys):
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(adaptation.images, "targets", lambda *_: cycle(scenes))
    monkeypatch.setattr(adaptation, "sources", lambda folders: ((), ()))
    monkeypatch.setattr(adaptation, "VALIDATE_EVERY", 2)
    now = iter(range(100))  # every reading is a second later: a step takes one
    monkeypatch.setattr(trainer, "monotonic", lambda: next(now))
    adaptation.train(CONFIG, [], tmp_path, minutes=3 / 60, mode="float32")
    assert '"held_out"' in capsys.readouterr().out
    assert (tmp_path / "loss.png").stat().st_size > 5000
    file = tmp_path / "adaptation.safetensors"
    says = {"backbone": "vggm", "levels": "conv2+conv3"}
    weights.add(file, "mine", "safetensors", "adaptation", says)
    assert weights.load("mine").config == CONFIG


def test_nothing_is_both_trained_on_and_held_out(monkeypatch):
    photos, crops = (list(range(n)) for n in (25, 31))
    monkeypatch.setattr(adaptation.images, "photographs", lambda folders: list(photos))
    monkeypatch.setattr(adaptation.images, "foreground_crops", lambda folders: list(crops))
    monkeypatch.setattr(adaptation.images, "clips", list)
    training, held_out = adaptation.sources([])
    for kind, (one, other) in enumerate(zip(training, held_out, strict=True)):
        assert one and other and not set(one) & set(other)
        assert len(one) + len(other) == (len(adaptation.SCENES), 25, 31)[kind]


def test_layers_of_another_backbone_have_its_channels(monkeypatch, scenes):
    """Those of VGG-19's conv3_4, which VGG-M has not, are as wide as its map."""
    backbone = inference.Inference(VGG19(VGG19Config(depth="conv3_4")), "cpu", "float32")
    monkeypatch.setattr(adaptation.inference, "load", lambda *_: backbone)
    task = AdaptationTask(Config("vgg19-conv3", "conv3_4"), cycle(scenes), mode="float32")
    assert task.validate().keys() == {"objectness loss/conv3_4", "displacement loss/conv3_4"}


def test_the_loss_is_a_setting(scenes):
    """Heads that begin at 0 predict 0: x and y in tenths of a window, or in windows."""
    backbone = inference.load("vggm", "cpu", "float32")
    printed = LossConfig("smooth_l1", "plain")
    tasks = [
        AdaptationTask(Config("vggm", "conv3"), cycle(scenes), "float32", loss)
        for loss in (LossConfig(), printed)
    ]
    maps, centres = tasks[0].validation.select([0])
    rows = [task.losses(maps, centres)[0].tolist() for task in tasks]
    size = WINDOW_SIDE // backbone.taps["conv3"].stride
    displacement, matched = default_boxes(centres, size, 1.0)
    errors = displacement.movedim(1, -1)[matched].abs()  # (matches, 2), in windows
    tenths = 10 * errors
    softened = torch.where(tenths < 1, tenths.square() / 2, tenths - 0.5)
    hard = min(3, (~matched).sum().item() / matched.sum().item())
    expected = [math.log(2) * (1 + hard), softened.sum(1).mean().item()]
    assert rows[0] == pytest.approx(expected, rel=1e-4)
    expected = [0.5 * (1 + hard), (errors.square() / 2).sum(1).mean().item()]
    assert rows[1] == pytest.approx(expected, rel=1e-4)
    assert tasks[0].settings == {"backbone": "vggm", "levels": "conv3"}
    chosen = {"objectness": "smooth_l1", "displacement": "plain"}
    assert tasks[1].settings == tasks[0].settings | chosen


@pytest.mark.parametrize("field", ["objectness", "displacement"])
def test_unknown_losses_are_refused(field):
    with pytest.raises(ValueError, match=f"LossConfig: expected {field} among .*, got 'other'"):
        LossConfig(**{field: "other"})
