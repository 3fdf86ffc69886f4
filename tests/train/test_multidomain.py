"""Learning from many videos: what is drawn, who learns, what is written, stop and go on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trackerlib import weights
from trackerlib.boxes import box_iou, centres
from trackerlib.nets import head
from trackerlib.trackers.mdnet.features import reachable
from trackerlib.train import multidomain
from trackerlib.train.multidomain import (
    Course,
    Samples,
    Settings,
    drawn,
    learn,
)


def video(colour):
    """A disc of one colour anywhere on noise."""

    def random_frame(rng):
        frame = rng.integers(0, 80, (120, 160, 3)).astype(np.uint8)
        x, y = rng.uniform(30, 130), rng.uniform(30, 90)
        rows, columns = np.mgrid[:120, :160] + 0.5
        frame[(columns - x) ** 2 + (rows - y) ** 2 < 18**2] = colour
        return frame, np.array([x - 18, y - 18, 36.0, 36.0])

    return random_frame


VIDEOS = [video((250, 40, 40)), video((40, 40, 250))]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(multidomain, "WARM_UP", 1)
    monkeypatch.setattr(Course, "warm_up", 1)

    def make(network="fdn", fixed=True, seconds=1e9, **chosen):
        torch.manual_seed(0)
        return Course(tmp_path, seconds, Settings(network, "vggm", len(VIDEOS), fixed, **chosen))

    return make


def test_what_is_drawn_overlaps_as_it_should():
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for _ in range(4):
        shown = VIDEOS[0](rng)
        target = torch.from_numpy(shown[1])
        frame, _, near, far = drawn(lambda _, shown=shown: shown, rng, generator)
        assert frame is shown[0] and len(near) == 4 and len(far) == 12
        assert box_iou(near, target).min() >= multidomain.LEAST
        assert box_iou(far, target).max() <= multidomain.MOST


def test_every_video_comes_once_a_round():
    samples = iter(Samples([*VIDEOS, VIDEOS[0]], seed=3))
    rounds = [sorted(next(samples)[0] for _ in range(3)) for _ in range(4)]
    assert rounds == [[0, 1, 2]] * 4


@pytest.mark.parametrize("network", ["mdnet", "fdn", "rtmdnet"])
def test_two_videos_are_learned_and_the_fixed_backbone_is_not(run, network):
    course = run(network)
    before = course.backbone.conv3.weight.clone()
    batches = {number: course.seen(frames) for number, frames in first(4, course.scene)}
    losses = [float(course.learn(n % 2, *batches[n % 2])) for n in range(60)]
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])
    torch.testing.assert_close(course.backbone.conv3.weight, before, rtol=0, atol=0)


def first(count, scene=False):
    samples = iter(Samples(VIDEOS, seed=1, scene=scene))
    return [next(samples) for _ in range(count)]


def test_rtmdnets_boxes_lie_in_the_scene_around_the_target():
    for _, frames in first(3, scene=True):
        for drawing in frames:
            low, high = reachable(drawing.target)
            found = centres(drawing.negatives)
            assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()


def test_of_many_negatives_those_like_the_target_are_learned(run):
    course = run("rtmdnet", mined=4)
    _, frames = next(iter(Samples(VIDEOS, seed=1, scene=True, mined=4)))
    near, far = course.seen(frames)
    assert len(far) == 4 * len(first(1, scene=True)[0][1]) * 12
    for _ in range(20):
        course.learn(0, near, far)
    with torch.no_grad(), course.precision():
        margins = course.head(far, torch.tensor([0]))[:, 0].float().diff(dim=1)[:, 0]
    hard = course.hardest(0, far)
    assert len(hard) == multidomain.NEGATIVES
    torch.testing.assert_close(hard, far[margins.topk(len(hard)).indices], rtol=0, atol=0)
    assert course.hardest(0, hard) is hard


def test_the_embedding_sets_the_videos_targets_apart(run):
    """Without its loss, the other video's branch takes a target for its own more often."""
    batches = {number: run("rtmdnet").seen(frames) for number, frames in first(4, scene=True)}
    margins = []
    for weight in (0.0, 1.0):
        course = run("rtmdnet", embedding=weight)
        for n in range(40):
            course.learn(n % 2, *batches[n % 2])
        own = []
        for video, (near, _) in batches.items():
            with torch.no_grad():
                scores = course.head(near.float(), torch.tensor([video, 1 - video]))[..., 1]
            own.append((scores[:, 0] - scores[:, 1]).mean())
        margins.append(float(torch.stack(own).mean()))
    assert margins[1] > margins[0] + 1


def test_a_step_is_set_apart_from_a_hundred_others_at_most(run):
    course = run("rtmdnet", embedding=0.1)
    assert course.others(0).tolist() == [1] and course.others(1).tolist() == [0]
    course.chosen = replace(course.chosen, videos=300)
    drawn_now = course.others(7)
    assert len(drawn_now.unique()) == multidomain.OTHERS and 7 not in drawn_now
    assert not torch.equal(drawn_now, course.others(7))
    assert len(run("rtmdnet").others(0)) == 0


def test_weights_move_when_the_gradients_of_enough_steps_are_added(run):
    course = run("rtmdnet", accumulate=3)
    number, frames = first(1, scene=True)[0]
    seen = course.seen(frames)
    before = course.head.fc5.weight.detach().clone()
    for step in range(3):
        torch.testing.assert_close(course.head.fc5.weight.detach(), before, rtol=0, atol=0)
        course.learn(number, *seen)
        assert course.step == step + 1
    assert (course.head.fc5.weight - before).abs().max() > 0


def test_the_backbone_learns_ten_times_slower_where_it_is_not_fixed(run):
    course = run(fixed=False)
    before = course.backbone.conv3.weight.detach().clone()
    number, frames = first(1)[0]
    course.learn(number, *course.seen(frames))
    assert (course.backbone.conv3.weight - before).abs().max() > 0
    peaks = {group["peak"] for group in course.optimiser.param_groups}
    assert max(peaks) == pytest.approx(10 * min(peaks))


def test_a_run_stops_goes_on_and_is_loaded_as_a_head(run, tmp_path, monkeypatch):
    monkeypatch.setattr(multidomain, "REPORT", 2)
    monkeypatch.setattr(multidomain, "AGAIN", 1)
    course = run(seconds=0.5)
    learn(course, VIDEOS, VIDEOS)
    steps = course.step
    assert steps >= 2 and (tmp_path / "loss.png").stat().st_size > 1000
    assert [point["step"] for point in course.curve][:: len(course.curve)] == [0]
    more = run(seconds=course.spent + 0.5)
    learn(more, VIDEOS, VIDEOS)
    assert more.step > steps and more.curve[: len(course.curve)] == course.curve
    shared = load_file(tmp_path / "multidomain.safetensors")
    assert set(shared) == {"fc4.weight", "fc4.bias", "fc5.weight", "fc5.bias"}
    torch.testing.assert_close(
        shared["fc4.weight"].float(), more.head.fc4.weight.detach(), rtol=1e-3, atol=1e-5
    )
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    weights.add(tmp_path / "multidomain.safetensors", "mine", format="safetensors", network="head")
    loaded = weights.load_head("mine", head.Config(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.fc5.weight, shared["fc5.weight"].float())


def test_the_whole_network_is_written_if_it_learned(run, tmp_path):
    course = run(fixed=False)
    course.report([torch.zeros(2)], [0.5])
    course.save()
    shared = load_file(tmp_path / "multidomain.safetensors")
    assert {"conv1.weight", "conv3.bias", "fc4.weight", "fc5.bias"} <= set(shared)
    assert not any("fc6" in name for name in shared)


def test_what_is_held_out_is_judged_between_nothing_and_all_wrong(run):
    (share,) = run().measured(first(2))
    assert 0 <= share < 0.5


@pytest.mark.parametrize("option, count", [("--mine", 0), ("--films", -1), ("--things", -1)])
def test_a_count_that_cannot_be_is_refused(option, count, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["multidomain", "--out", "nowhere", option, str(count)])
    with pytest.raises(SystemExit):
        multidomain.main()
    assert f"expected {option} of at least {count + 1}, got {count}" in capsys.readouterr().err
