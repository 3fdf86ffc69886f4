"""Teachers and student look at the same places; the linear start; stop and go on."""

import pytest
import torch
from torch.nn.functional import conv2d

from trackerlib.nets import googlenet, squeezenet, vggm
from trackerlib.train import distill
from trackerlib.train.distill import SIDE, Course, Target, forms, losses, solve, targets, units

NETWORKS = {"googlenet": googlenet.GoogLeNet, "squeezenet": squeezenet.SqueezeNet}
CONFIGS = {"googlenet": googlenet.Config, "squeezenet": squeezenet.Config}


@pytest.fixture(autouse=True)
def untrained_teachers(monkeypatch):
    """The teachers' networks with random weights: nothing here depends on what they know."""

    def load(name, **config):
        torch.manual_seed(1)
        return NETWORKS[name](CONFIGS[name](**config)).eval().requires_grad_(False)

    monkeypatch.setattr(distill.weights, "load", load)


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(0)
    return 255 * torch.rand(2, 3, SIDE, SIDE)


@pytest.fixture
def student():
    torch.manual_seed(2)
    return vggm.VGGM(vggm.Config(dense=True))


@pytest.mark.parametrize("layer", distill.LEVELS)
@pytest.mark.parametrize("teacher", [0, 1])
def test_a_target_looks_where_the_students_unit_looks(student, images, layer, teacher):
    """Along both axes, only pixels around the unit's centre change it, as far on one side as
    on the other."""
    target = targets(student, layer, images)[teacher]
    centre, size, unit = student.taps[layer].centre, units(student, layer), 7
    before = target(images[:1], centre, size)
    assert before.shape == (1, len(target.channels), size, size)
    seen = []
    for column in range(SIDE):
        changed = images[:1].clone()
        changed[..., column] += 99
        if (target(changed, centre, size) != before)[:, :, unit, unit].any():
            seen.append(column)
    assert (seen[0] + seen[-1] + 1) / 2 == pytest.approx(centre + 8 * unit, abs=1)


def test_pooled_units_are_every_second_dense_one(student, images):
    dense, pooled = forms(student, "conv3", images)
    kernel = student.conv3.weight
    assert conv2d(dense.inputs, kernel, dilation=dense.dilation).shape[-1] == 17
    assert conv2d(pooled.inputs, kernel, dilation=pooled.dilation).shape[-1] == 9
    plain = vggm.VGGM()
    plain.load_state_dict(student.state_dict())
    expected = conv2d(pooled.inputs, kernel, student.conv3.bias).relu()
    torch.testing.assert_close(plain(images, "conv3")[0], expected, rtol=1e-4, atol=1e-3)


def test_the_first_filters_answer_as_the_teachers_do(student):
    distill.begin(student)
    images = 255 * torch.rand(1, 3, 107, 107)
    (mine,) = student(images, "conv1")
    # GoogLeNet pads by 3: without the first pixel its units stand one further on
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


def test_what_is_missed_by_hand():
    """Targets 3, 4 and -1: missing 4 altogether is 16 of 25; below zero is as good as zero."""
    target = torch.tensor([3.0, 4.0, -1.0])
    assert distill.unexplained(torch.tensor([3.0, 0.0, -7.0]), target).item() == pytest.approx(
        0.64
    )
    assert distill.unexplained(torch.tensor([3.0, 4.0, 5.0]), target).item() == pytest.approx(1.0)


def course(folder, images):
    made = Course(folder, seconds=100)
    torch.manual_seed(2)
    made.student.load_state_dict(vggm.VGGM().state_dict())
    for group in made.optimiser.param_groups:
        group["peak"] = 1e-4
    return made, targets(made.student, "conv3", images)


def test_learning_helps_and_leaves_the_first_filters_alone(tmp_path, images):
    made, team = course(tmp_path, images)
    first = made.student.conv1.weight.clone()
    made.step = distill.WARM_UP
    missed = [made.learn(images, team).mean().item() for _ in range(4)]
    assert missed[-1] < missed[0]
    assert torch.equal(made.student.conv1.weight, first)


def test_bfloat16_learns_from_the_same_losses(tmp_path, images, monkeypatch):
    missed = {}
    for halves in (False, True):
        monkeypatch.setattr(distill, "fast_halves", lambda device, halves=halves: halves)
        made, team = course(tmp_path, images)
        missed[halves] = made.learn(images, team)
    assert missed[True].dtype == torch.float32 and not torch.equal(missed[True], missed[False])
    torch.testing.assert_close(missed[True], missed[False], rtol=0.02, atol=0)


def test_a_damaged_checkpoint_is_told(tmp_path, images):
    made, team = course(tmp_path, images)
    made.learn(images, team)
    made.save()
    for content in (b"", made.checkpoint.read_bytes()[:-100], b"\x80\x04 no"):
        made.checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint.pt is damaged; remove it"):
            made.resume()


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, images):
    whole, team = course(tmp_path, images)
    whole.learn(images, team)
    whole.save()
    (tmp_path / "checkpoint.draft").write_bytes(b"killed while writing")
    again = Course(tmp_path, seconds=100)
    again.resume()
    assert again.step == 1
    for one in (whole, again):
        one.learn(images, team)
    torch.testing.assert_close(again.student.state_dict(), whole.student.state_dict())


def test_a_save_leaves_a_backbone_of_half_precision_and_the_curve(tmp_path, images):
    from safetensors.torch import load_file

    made, team = course(tmp_path, images)
    missed = losses(made.student, team, images).tolist()
    made.curve = [{"step": 1, "minutes": 0.1, "taught": missed, "held_out": missed}]
    made.save()
    saved = tmp_path / "vggm.safetensors"
    assert saved.stat().st_size < 4e6
    assert {t.dtype for t in load_file(saved).values()} == {torch.float16}
    assert load_file(saved).keys() == vggm.VGGM().state_dict().keys()
    assert (tmp_path / "loss.png").stat().st_size > 5000


def test_every_target_is_a_teachers(student, images):
    found = targets(student, "conv3", images)
    assert [type(t) for t in found] == [Target, Target]
    assert sum(len(t.channels) for t in found) == 512
    wanted = found[0](images, student.taps["conv3"].centre, 17)
    assert (wanted.clamp(min=0).square().mean((0, 2, 3)) < 1.001).all()
