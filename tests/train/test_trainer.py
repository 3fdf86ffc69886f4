"""The one loop: schedule, accumulation, validation, checkpoints, curves, stop and resume."""

import json
from itertools import repeat

import pytest
import torch
from faults import FAULTS, contents, disturbed
from safetensors.torch import load_file
from torch import nn

from trackerlib.train import trainer
from trackerlib.train.trainer import Config, Trainer, export, plot_history


class Line:
    """Fits y = w x to batches (x, y), without a network to speak of: a `Task`."""

    def __init__(self, **settings):
        torch.manual_seed(0)
        self.line = nn.Linear(1, 1, bias=False)
        self.settings = settings
        self.modules = {"line": self.line}
        (weight,) = self.line.parameters()
        self.optimizer = torch.optim.SGD([{"params": [weight], "max_lr": 0.1}], momentum=0.9)
        self.steps, self.exported = [], 0

    def training_step(self, batch, step):
        self.steps.append(step)
        x, y = batch
        loss = (self.line(x) - y).square().mean()
        return loss, {"loss": loss}

    @torch.no_grad()
    def validate(self):
        return {"error/of the weight": (self.line.weight - 2).abs().sum()}

    def export(self, folder):
        self.exported += 1
        export(self.line.state_dict(), folder / "line.safetensors")


X = torch.linspace(-1, 1, 8)[:, None]
BATCH = X, 2 * X


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Every reading is half a second after the one before: a step takes half a second."""
    now = iter(x / 2 for x in range(10**6))
    monkeypatch.setattr(trainer, "monotonic", lambda: next(now))


@pytest.fixture
def make(tmp_path):
    def make(seconds=6.0, warm_up=1, validate_every=4, settings=None, **config):
        return Trainer(
            Line(**settings or {}), tmp_path, Config(seconds, warm_up, validate_every, **config)
        )

    return make


def weight(training):
    return training.task.line.weight.detach().clone()


def test_it_trains_until_the_time_is_spent_and_validates_on_the_way(make, capsys):
    training = make(seconds=5.0)
    training.fit(repeat(BATCH))
    assert training.step == 10 and training.elapsed == 5.0
    assert training.task.steps == list(range(10))
    assert [point["step"] for point in training.history] == [4, 8, 10]
    assert [point["minutes"] for point in training.history] == [0.03, 0.07, 0.08]
    assert training.task.exported == 3
    shown = capsys.readouterr()
    assert [json.loads(line) for line in shown.out.splitlines()] == training.history
    assert "100%" in shown.err and "of 5 s" in shown.err and "left" in shown.err


def test_training_losses_are_means_over_the_steps_since_the_last_point(make):
    training = make(seconds=2.0)
    seen = []
    step = training.training_step
    training.training_step = lambda batch: seen.append(step(batch)) or seen[-1]
    training.fit(repeat(BATCH))
    (point,) = training.history
    mean = torch.stack([losses["loss"] for losses in seen]).mean()
    assert point["training"] == {"loss": pytest.approx(float(mean))}
    assert point["held_out"] == {"error/of the weight": pytest.approx(2 - weight(training).item())}
    assert not seen[0]["loss"].requires_grad


def test_the_learning_rate_warms_up_and_falls_as_half_a_cosine(make):
    training = make(seconds=100.0, warm_up=10)
    training.step = 5
    assert training.lr_factor() == 0.5
    training.step = 20
    for elapsed, expected in ((0, 1.0), (50, 0.5), (100, 0.0), (200, 0.0)):
        training.elapsed = elapsed
        assert training.lr_factor() == pytest.approx(expected)
    training.elapsed = 50
    training.training_step(BATCH)
    assert training.task.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_weights_move_when_enough_gradients_are_summed(make):
    training = make(accumulate=3)
    before = weight(training)
    for step in range(2):
        training.training_step(BATCH)
        assert training.step == step + 1 and torch.equal(weight(training), before)
    gradient = training.task.line.weight.grad.clone()
    training.training_step(BATCH)
    # A third equal gradient is added, and the learning rate is 0.1.
    torch.testing.assert_close(weight(training), before - 0.1 * 1.5 * gradient)
    assert training.task.line.weight.grad is None


def test_gradients_are_cut_to_their_norm(make):
    training = make(max_grad_norm=1e-3)
    before = weight(training)
    training.training_step(BATCH)
    assert (weight(training) - before).abs().item() == pytest.approx(1e-4, rel=1e-3)


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_the_checkpoint(make):
    training = make(seconds=6)
    batches = iter([BATCH] * 5 + [(X, X * torch.nan)])
    with pytest.raises(FloatingPointError, match=r"got nan at step 5; .*checkpoint\.pt is of an"):
        training.fit(batches)
    again = make(seconds=6)
    assert again.resume()
    assert again.step == 4
    assert weight(again).isfinite().all()


def test_a_training_is_the_same_again(make, tmp_path):
    weights = []
    for _ in range(2):
        training = make()
        training.fit(repeat(BATCH))
        weights.append(weight(training))
    assert torch.equal(*weights)


def test_a_stopped_training_resumes_as_if_it_had_not_been(make, tmp_path):
    whole = make(seconds=6.0)
    for _ in range(4):
        whole.training_step(BATCH)
        whole.elapsed += 0.5
    whole.validate()
    (tmp_path / ".checkpoint.pt.draft-1").write_bytes(b"killed while writing")
    resumed = make(seconds=6.0)
    assert resumed.resume() and (resumed.step, resumed.elapsed) == (4, 2.0)
    assert resumed.history == whole.history
    assert not list(tmp_path.glob(".*draft*"))
    for one in (whole, resumed):
        one.fit(repeat(BATCH))
    assert resumed.step == whole.step == 12
    assert torch.equal(weight(resumed), weight(whole))


def test_nothing_is_resumed_from_an_empty_folder_nor_trained_when_the_time_is_spent(make):
    training = make(seconds=0.0)
    assert not training.resume()
    training.fit(repeat(BATCH))
    assert training.step == 0 and not training.history


def test_checkpoints_that_cannot_be_resumed_say_so(make):
    training = make()
    training.validate()
    with pytest.raises(ValueError, match=r"is of \{\}, asked for was .*choose another folder"):
        make(settings={"videos": 2}).resume()
    whole = training.checkpoint.read_bytes()
    for content in (b"", whole[:-100], b"\x80\x04 no"):
        training.checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint.pt is damaged; remove it"):
            make().resume()
    former = {"step": 3, "spent": 1.0, "curve": [], "settings": {}, "optimiser": {}}
    torch.save(former, training.checkpoint)
    with pytest.raises(ValueError, match=r"of an earlier version .*remove it to train from the"):
        make().resume()


def test_a_failed_write_leaves_the_checkpoint_before_it(make, monkeypatch):
    training = make()
    training.validate()
    before = training.checkpoint.read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(trainer.torch, "save", full)
    with pytest.raises(OSError, match="disk full"):
        training.save()
    assert training.checkpoint.read_bytes() == before
    names = {path.name for path in training.folder.iterdir()}
    assert names == {"checkpoint.pt", "line.safetensors", "loss.png"}


def test_the_curves_are_one_plot_per_quantity(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: drawn.append(self) or save(self, *a, **k)
    )
    history = [
        {"step": 0, "training": {}, "held_out": {"loss/a": 3.0, "loss/b": 4.0, "missed": 0.5}},
        {"step": 9, "training": {"loss/a": 2.0}, "held_out": {"loss/a": 2.5, "missed": 0.2}},
    ]
    plot_history(history, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 5000
    plots = {axes.get_ylabel(): axes for axes in drawn[0].axes}
    lines = {line.get_label(): line for line in plots["loss"].get_lines()}
    assert set(lines) == {"a training", "a held-out", "b held-out"}
    assert lines["a held-out"].get_xydata().tolist() == [[0, 3.0], [9, 2.5]]
    assert lines["a training"].get_linestyle() == ":"
    assert [line.get_label() for line in plots["missed"].get_lines()] == ["held-out"]


def test_of_steps_the_schedule_follows_the_steps(make):
    training = make(seconds=1.0, steps=8)
    training.fit(repeat(BATCH))
    assert training.step == 8 and training.elapsed == 4.0 and training.progress == 1
    training.step = 4
    assert training.lr_factor() == pytest.approx(0.5)


def test_the_best_point_is_exported_not_the_last(make):
    """The values of points 1 to 4; the untrained one, at step 0, is no choice."""
    training = make(seconds=8.0, best="error/of the weight")
    values = iter([0.1, 3.0, 1.0, 2.0, 1.0])
    training.task.validate = lambda: {"error/of the weight": torch.tensor(next(values))}
    exported = []
    training.task.export = lambda folder: exported.append(training.step)
    training.validate()
    training.fit(repeat(BATCH))
    assert exported == [0, 4, 8] and training.best == (8, 1.0)
    resumed = make(seconds=8.0, best="error/of the weight")
    assert resumed.resume() and resumed.best == (8, 1.0)


def test_gradients_that_are_being_summed_survive(make):
    """A checkpoint after two of three steps: the third moves the weights by all of them."""
    whole = make(accumulate=3)
    for _ in range(2):
        whole.training_step(BATCH)
    whole.validate()
    resumed = make(accumulate=3)
    assert resumed.resume()
    for one in (whole, resumed):
        one.training_step(BATCH)
    assert torch.equal(weight(resumed), weight(whole)) and weight(whole) != weight(make())


def test_a_point_says_how_fast_it_was_and_how_long_data_took(make):
    training = make(seconds=4.0)
    training.waited = lambda: {"wait_ms": 1.5}
    training.fit(repeat(BATCH))
    speeds = [point["speed"] for point in training.history]
    assert speeds == [{"steps_per_second": 2.0, "wait_ms": 1.5}] * 2


def test_metadata_are_in_the_file(tmp_path):
    from safetensors import safe_open

    export({"w": torch.ones(2)}, tmp_path / "a.safetensors", {"licence": "MIT"})
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert json.loads(file.metadata()["trackerlib"]) == {"licence": "MIT"}


@pytest.mark.parametrize("kind", FAULTS)
def test_whatever_stops_it_on_the_disk_it_resumes_to_the_same(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "plot_history", lambda *_: None)  # it takes long to draw

    def train(root):
        training = Trainer(Line(), root, Config(0.0, 1, validate_every=2, steps=4))
        if not training.resume():
            training.validate()
        training.fit(repeat(BATCH))

    def whole_or_absent(root):
        Trainer(Line(), root, Config(0.0, 1, 2)).resume()
        for path in root.glob("*.safetensors"):
            assert load_file(path).keys() == {"weight"}

    def weights(root):
        return contents(root)["line.safetensors"]

    assert disturbed(kind, tmp_path, train, whole_or_absent, weights) > 10
