"""Windows hold the target where they say; the start keeps what filters see; stop and go on."""

from itertools import cycle

import numpy as np
import pytest
import torch

from trackerlib import weights
from trackerlib.nets.adaptation import Adaptation, Config
from trackerlib.train import adaptation
from trackerlib.train.adaptation import SIDE, Course, Shelf, begin, equalised, window

CONFIG = Config("vggm", "conv2+conv3")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(adaptation, "BATCH", 3)
    monkeypatch.setattr(adaptation, "SHELF", 6)


@pytest.fixture(scope="module")
def scenes():
    """A bright disc on noise, and its box."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 80, (120, 160, 3)).astype(np.uint8)
    y, x = np.mgrid[:120, :160] + 0.5
    frame[(x - 90) ** 2 + (y - 50) ** 2 < 15**2] = 255
    return [(frame, np.array([75.0, 35.0, 30.0, 30.0]))]


@pytest.mark.parametrize("around", [0, 34])
def test_the_target_is_where_the_window_says(scenes, around):
    for seed in range(6):
        image, centre = window(np.random.default_rng(seed), *scenes[0], around)
        assert image.shape == (SIDE + 2 * around, SIDE + 2 * around, 3)
        assert (abs(centre - 0.5) <= adaptation.REACH + 0.02).all()
        bright = image.mean(2)
        bright = bright > (bright.max() + bright.mean()) / 2
        inside = bright[around : around + SIDE, around : around + SIDE]
        places = np.argwhere(inside if around == 0 else bright)[:, ::-1] + 0.5
        found = (places.mean(0) - around) / SIDE
        np.testing.assert_allclose(found, centre, atol=0.02)


def test_the_start_keeps_the_most_of_the_inner_products():
    """With an eighth of the directions in use, nothing is lost but a common factor."""
    torch.manual_seed(0)
    layers = Adaptation(Config("vggm", "conv2"))
    mixtures = torch.randn(256, 32)
    features = torch.einsum("cm,nmhw->nchw", mixtures, torch.randn(2, 32, 8, 8))
    begin(layers, {"conv2": features})
    adapted = layers(features, "conv2")
    assert adapted.square().mean().item() == pytest.approx(1, rel=1e-3)
    before, after = (m.transpose(0, 1).flatten(1) for m in (features, adapted))
    before, after = before.T @ before, after.T @ after
    torch.testing.assert_close(after, before * (after.trace() / before.trace()), rtol=1e-3, atol=1)


def test_in_the_end_all_mixtures_are_equally_loud():
    torch.manual_seed(0)
    layers, features = Adaptation(Config("vggm", "conv1")), torch.rand(2, 96, 20, 20)
    loudness = equalised(layers, {"conv1": features})(features, "conv1").square().mean((0, 2, 3))
    torch.testing.assert_close(loudness, torch.ones(12))
    before = layers(features, "conv1")
    after = equalised(layers, {"conv1": features})(features, "conv1")
    expected = before * before.square().mean((0, 2, 3), keepdim=True).rsqrt()
    torch.testing.assert_close(after, expected)


def course(folder, scenes):
    made = Course(folder, 100, CONFIG, mode="float32")
    shelf = Shelf(made.backbone, ["conv2", "conv3"], cycle(scenes), seed=0)
    torch.manual_seed(0)
    shelf.put(3)
    made.begin(shelf.take(range(3))[0])
    return made, shelf


def test_windows_teach_more_than_once(tmp_path, scenes):
    _, shelf = course(tmp_path, scenes)
    for _ in range(4):
        maps, places = shelf.batch()
        assert {level: m.shape for level, m in maps.items()} == {
            "conv2": (3, 256, 28, 28),
            "conv3": (3, 512, 28, 28),
        }
        assert places.shape == (3, 2)
    assert len(shelf.kept) == 6  # of 11 that were put


def test_learning_helps_and_leaves_the_backbone_alone(tmp_path, scenes):
    made, shelf = course(tmp_path, scenes)
    backbone = {name: t.clone() for name, t in made.backbone.backbone.state_dict().items()}
    batch = shelf.take(range(3))
    made.step = adaptation.WARM_UP
    missed = [made.learn(*batch) for _ in range(6)]
    assert (missed[-1] < missed[0]).all()
    torch.testing.assert_close(made.backbone.backbone.state_dict(), backbone, rtol=0, atol=0)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, scenes):
    whole, shelf = course(tmp_path, scenes)
    batch = shelf.take(range(3))
    whole.learn(*batch)
    whole.save(batch[0])
    (tmp_path / "checkpoint.draft").write_bytes(b"killed while writing")
    again = Course(tmp_path, 100, CONFIG, mode="float32")
    again.resume()
    assert again.step == 1
    for one in (whole, again):
        one.learn(*batch)
    for part in ("layers", "heads"):
        torch.testing.assert_close(
            getattr(again, part).state_dict(), getattr(whole, part).state_dict()
        )


def test_a_damaged_or_foreign_checkpoint_is_told(tmp_path, scenes):
    made, shelf = course(tmp_path, scenes)
    made.save(shelf.sample())
    other = Course(tmp_path, 100, Config("vggm", "conv3"), mode="float32")
    with pytest.raises(ValueError, match=r"is of .*conv2\+conv3.*; choose another folder"):
        other.resume()
    made.checkpoint.write_bytes(made.checkpoint.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged; remove it"):
        made.resume()


def test_a_run_leaves_layers_to_add_and_its_curve(tmp_path, scenes, monkeypatch, capsys):
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(adaptation.pictures, "targets", lambda *_: cycle(scenes))
    monkeypatch.setattr(adaptation, "sources", lambda folders: ((), ()))
    for name, value in (("REPORT", 2), ("MEASURED_ON", 2), ("SOLVED_ON", 3)):
        monkeypatch.setattr(adaptation, name, value)
    adaptation.learn(CONFIG, [], tmp_path, minutes=0.08)
    assert '"held_out"' in capsys.readouterr().out
    assert (tmp_path / "loss.png").stat().st_size > 5000
    file = tmp_path / "adaptation.safetensors"
    says = {"backbone": "vggm", "levels": "conv2+conv3"}
    weights.add(file, "mine", "safetensors", "adaptation", says)
    assert weights.load("mine").config == CONFIG


def test_nothing_is_both_taught_and_held_out(monkeypatch):
    photos, things = (list(range(n)) for n in (25, 31))
    monkeypatch.setattr(adaptation.pictures, "photographs", lambda folders: list(photos))
    monkeypatch.setattr(adaptation.pictures, "cutouts", lambda folders: list(things))
    monkeypatch.setattr(adaptation.pictures, "filmed", list)
    taught, apart = adaptation.sources([])
    for kind, (one, other) in enumerate(zip(taught, apart, strict=True)):
        assert one and other and not set(one) & set(other)
        assert len(one) + len(other) == (len(adaptation.SCENES), 25, 31)[kind]
