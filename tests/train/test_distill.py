"""Teachers and student see the same positions; the linear start; stop and resume."""

import json
from bisect import bisect_left
from functools import cache

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import conv2d

from trackerlib.nets import googlenet, squeezenet, vggm
from trackerlib.train import distill, trainer
from trackerlib.train.distill import (
    IMAGE_SIDE,
    Distillation,
    Target,
    forms,
    map_size,
    solve,
    targets,
)
from trackerlib.train.trainer import Trainer

NETWORKS = {"googlenet": googlenet.GoogLeNet, "squeezenet": squeezenet.SqueezeNet}
CONFIGS = {"googlenet": googlenet.Config, "squeezenet": squeezenet.Config}


@pytest.fixture(scope="module", autouse=True)
def untrained_teachers():
    """The teachers' networks with random weights: nothing here depends on what they know."""

    @cache
    def load(name, **config):
        torch.manual_seed(1)
        return NETWORKS[name](CONFIGS[name](**config)).eval().requires_grad_(False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill.weights, "load", load)
        yield


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    return 255 * torch.rand(2, 3, IMAGE_SIDE, IMAGE_SIDE)


@pytest.fixture
def student():
    torch.manual_seed(2)
    return vggm.VGGM(vggm.Config(dense=True))


@pytest.fixture(scope="module")
def goals(images):
    """What conv2 and conv3 are to give, by these images."""
    torch.manual_seed(2)
    student = vggm.VGGM(vggm.Config(dense=True))
    return {layer: targets(student, layer, images) for layer in distill.LEVELS}


@pytest.mark.parametrize("layer", distill.LEVELS)
@pytest.mark.parametrize("teacher", [0, 1])
def test_a_target_sees_what_the_students_position_sees(student, images, goals, layer, teacher):
    """Only pixels around the position's centre change it, as far on one side as on the other."""
    target = goals[layer][teacher]
    centre, size, position = student.taps[layer].centre, map_size(student, layer), 7
    before = target(images[:1], centre, size)
    assert before.shape == (1, len(target.channels), size, size)

    def is_seen(columns):
        changed = images[:1].clone()
        changed[..., columns] += 99
        after = target(changed, centre, size)
        return bool((after != before)[:, :, position, position].any())

    # The first column that is seen ends the shortest stretch from the left that is seen.
    sides = range(IMAGE_SIDE)
    first = bisect_left(sides, True, key=lambda column: is_seen(slice(0, column + 1)))
    beyond = IMAGE_SIDE - bisect_left(
        sides, True, key=lambda count: is_seen(slice(IMAGE_SIDE - 1 - count, IMAGE_SIDE))
    )
    assert first > 0 and beyond < IMAGE_SIDE
    assert (first + beyond) / 2 == pytest.approx(centre + 8 * position, abs=1)


def test_pooled_positions_are_every_second_dense_one(student, images):
    dense, pooled = forms(student, "conv3", images)
    kernel = student.conv3.weight
    assert conv2d(dense.inputs, kernel, dilation=dense.dilation).shape[-1] == 17
    assert conv2d(pooled.inputs, kernel, dilation=pooled.dilation).shape[-1] == 9
    plain = vggm.VGGM()
    plain.load_state_dict(student.state_dict())
    expected = conv2d(pooled.inputs, kernel, student.conv3.bias).relu()
    torch.testing.assert_close(plain(images, "conv3")[0], expected, rtol=1e-4, atol=1e-3)


def test_the_first_filters_answer_as_the_teachers_do(student):
    distill.copy_first_filters(student)
    images = 255 * torch.rand(1, 3, 107, 107)
    (mine,) = student(images, "conv1")
    # GoogLeNet pads by 3: without the first pixel its positions are one further on
    teacher = distill.weights.load("googlenet", depth="conv1")
    (theirs,) = teacher(images[..., 1:, 1:], "conv1")
    inside = theirs[..., 2:52, 2:52]  # away from the padding
    torch.testing.assert_close(mine[:, :64, 1:, 1:], inside, rtol=1e-3, atol=1e-2)


def test_a_linear_teacher_is_found_exactly(student, images, monkeypatch):
    monkeypatch.setattr(distill, "RIDGE", 1e-9)
    truth = vggm.VGGM(vggm.Config(dense=True))
    truth.load_state_dict(student.state_dict())
    truth.conv2.weight.data[:, 48:] = 0  # fewer inputs than samples

    class Linear:
        def __call__(self, part, centre, size):
            (form,) = forms(truth, "conv2", part)
            return conv2d(form.inputs, truth.conv2.weight, truth.conv2.bias, form.stride)

    wanted = Linear()(images, None, None)
    solve(student, "conv2", [Linear()], torch.cat((images, images.flip(2), images.flip(3))))
    (form,) = forms(student, "conv2", images)
    found = conv2d(form.inputs, student.conv2.weight, student.conv2.bias, form.stride)
    assert (found - wanted).square().mean() < 1e-3 * wanted.square().mean()


def test_relative_errors_by_hand():
    """Targets 3, 4 and -1: missing 4 altogether is 16 of 25; below zero is as good as zero."""
    target = torch.tensor([3.0, 4.0, -1.0])
    error = distill.relative_error(torch.tensor([3.0, 0.0, -7.0]), target)
    assert error.item() == pytest.approx(0.64)
    error = distill.relative_error(torch.tensor([3.0, 4.0, 5.0]), target)
    assert error.item() == pytest.approx(1.0)


@pytest.fixture
def make(images, goals, tmp_path, monkeypatch):
    monkeypatch.setattr(distill, "targets", lambda student, layer, images: goals[layer])

    def make():
        task = Distillation(images)
        torch.manual_seed(2)
        task.student.load_state_dict(vggm.VGGM().state_dict())
        for group in task.optimizer.param_groups:
            group["max_lr"] = 1e-4
        return Trainer(task, tmp_path, trainer.Config(100, distill.WARM_UP, 100))

    return make


def test_learning_helps_and_leaves_the_first_filters_alone(make, images):
    training = make()
    conv1 = training.task.student.conv1.weight
    first = conv1.clone()
    training.step = distill.WARM_UP
    losses = [training.training_step(images) for _ in range(4)]
    assert mean(losses[-1]) < mean(losses[0])
    assert torch.equal(conv1, first)


def mean(losses):
    return torch.stack(list(losses.values())).mean().item()


def test_bfloat16_learns_from_the_same_losses(make, images, monkeypatch):
    losses = {}
    for halves in (False, True):
        monkeypatch.setattr(distill, "fast_halves", lambda device, halves=halves: halves)
        found = make().training_step(images)
        losses[halves] = torch.stack(list(found.values()))
    assert losses[True].dtype == torch.float32 and not torch.equal(losses[True], losses[False])
    torch.testing.assert_close(losses[True], losses[False], rtol=0.02, atol=0)


def test_a_damaged_checkpoint_is_told(make, images):
    training = make()
    training.training_step(images)
    training.validate()
    whole = training.checkpoint.read_bytes()
    for content in (b"", whole[:-100], b"\x80\x04 no"):
        training.checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint.pt is damaged; remove it"):
            training.resume()


def test_a_stopped_run_goes_on_as_if_it_had_not_been(make, images):
    whole = make()
    whole.training_step(images)
    whole.validate()
    again = make()
    again.task.student.conv2.weight.data.zero_()
    assert again.resume() and again.step == 1
    for one in (whole, again):
        one.training_step(images)
    torch.testing.assert_close(again.task.student.state_dict(), whole.task.student.state_dict())


def test_a_save_leaves_a_backbone_of_half_precision_and_the_curve(make, images, tmp_path):
    training = make()
    training.validate([training.training_step(images)])
    saved = tmp_path / "vggm.safetensors"
    assert saved.stat().st_size < 4e6
    assert {t.dtype for t in load_file(saved).values()} == {torch.float16}
    assert load_file(saved).keys() == vggm.VGGM().state_dict().keys()
    assert (tmp_path / "loss.png").stat().st_size > 5000


def test_every_target_is_a_teachers(student, images, goals):
    found = goals["conv3"]
    assert [type(t) for t in found] == [Target, Target]
    assert sum(len(t.channels) for t in found) == 512
    wanted = found[0](images, student.taps["conv3"].centre, 17)
    assert (wanted.clamp(min=0).square().mean((0, 2, 3)) < 1.001).all()


def test_a_training_begins_with_the_linear_solution(tmp_path, images, monkeypatch, capsys):
    """The whole of it, on few images: the curves begin before the first step."""
    for name, value in {"BATCH": 2, "VALIDATION_IMAGES": 2, "SOLUTION_IMAGES": 2}.items():
        monkeypatch.setattr(distill, name, value)
    picture = images[0].permute(1, 2, 0).numpy().astype("uint8")
    monkeypatch.setattr(distill.images, "photographs", lambda folders: [picture])
    monkeypatch.setattr(distill.images, "rendered", lambda: [picture])
    now = iter(range(100))  # every reading is a second later: a step takes one
    monkeypatch.setattr(trainer, "monotonic", lambda: next(now))
    distill.distill([], tmp_path, minutes=1 / 60)
    points = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["step"] for point in points] == [0, 1]
    assert not points[0]["training"] and len(points[1]["training"]) == 4
    assert load_file(tmp_path / "vggm.safetensors")["conv1.weight"].abs().max() > 0
