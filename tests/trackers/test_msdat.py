"""MSDAT: HCF where nothing is reduced or reused, the same maps where they are reused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackerlib import boxes as B
from trackerlib import weights
from trackerlib.ops import correlation_filter as cf
from trackerlib.trackers import hcf, parse
from trackerlib.trackers.msdat import Config, Tracker

PLAIN = Config(mode="float32")


def start(frames, truth, config=PLAIN, seed=0):
    tracker = Tracker(config, seed=seed)
    tracker.init(frames[0], truth[0])
    return tracker


def followed(tracker, frames):
    return np.array([tracker.update(frame) for frame in frames[1:]])


@pytest.mark.parametrize("adaptation", ["vggm-msdat", "random", "none"])
def test_it_follows_a_translating_texture(moving, adaptation):
    frames, truth = moving(40, 32)
    tracked = followed(start(frames, truth, replace(PLAIN, adaptation=adaptation)), frames)
    assert B.centre_distance(tracked, truth[1:]).max() < 8
    np.testing.assert_array_equal(tracked[:, 2:], truth[1:, 2:])


def test_with_all_channels_and_two_passes_it_is_hcf(moving):
    frames, truth = moving(40, 32)
    prototype = hcf.Tracker(hcf.Config(mode="float32"))
    prototype.init(frames[0], truth[0])
    ours = start(frames, truth, replace(PLAIN, adaptation="none", larger=0))
    np.testing.assert_array_equal(followed(ours, frames[:8]), followed(prototype, frames[:8]))
    assert ours.passes == prototype.passes == 1 + 2 * 7


@pytest.mark.parametrize(
    ("moved", "passes"),
    [((0, 0), 1), ((4, -4), 1), ((8, 0), 2), ((0, 12), 2)],
    ids=["nowhere", "one cell", "two down", "three right"],
)
def test_a_second_pass_only_where_the_window_leaves_the_maps(moving, moved, passes):
    """The window of 28 x 22 cells, and one more on every side."""
    frames, truth = moving(40, 32)
    tracker = start(frames, truth)
    assert (tracker.size, tracker.margin) == ((22, 28), (1, 1))
    before = tracker.passes
    box = tracker.update(np.roll(frames[0], moved, (0, 1)))
    np.testing.assert_array_equal(box, truth[0] + [moved[1], moved[0], 0, 0])
    assert tracker.passes - before == passes


def test_reused_maps_are_nearly_those_of_another_pass(moving):
    """The backbone's units fall on other pixels: equal they are not."""
    frames, truth = moving(40, 32)
    tracker = start(frames, truth)
    maps = tracker.maps(frames[0])
    reused = tracker.spectra(*tracker._maps_after(frames[0], maps, (1, -1)))
    tracker.box[:2] += [-4, 4]
    again = tracker.spectra(tracker.maps(frames[0]))
    for one, other in zip(reused, again, strict=True):
        assert (one - other).abs().square().sum() < 0.05 * other.abs().square().sum()
    other = tracker.spectra(maps)
    assert (other[0] - again[0]).abs().square().sum() > 0.2 * again[0].abs().square().sum()


def test_adaptation_is_what_the_filters_see(moving):
    frames, truth = moving(40, 32)
    learned = start(frames, truth, replace(PLAIN, levels="conv2+conv3"))
    assert [len(xf) for xf in learned.xf] == [32, 64]
    everything = start(frames, truth, replace(PLAIN, levels="conv3", adaptation="none"))
    layers = weights.load("vggm-msdat")
    inside = []
    everything.reduce = lambda maps: inside.extend(maps) or maps
    everything.maps(frames[0])
    expected = torch.nn.functional.interpolate(
        layers(inside[0], "conv3"), (24, 30), mode="bilinear", antialias=True
    )
    torch.testing.assert_close(learned.maps(frames[0])[1], expected[0], rtol=1e-3, atol=1e-3)


def test_random_channels_are_drawn_by_seed(moving):
    frames, truth = moving(40, 32)
    config = replace(PLAIN, adaptation="random")
    first, again, other = (start(frames, truth, config, seed) for seed in (1, 1, 2))
    assert [len(xf) for xf in first.xf] == [12, 32, 64]
    assert torch.equal(first.xf[2], again.xf[2])
    assert not torch.equal(first.xf[2], other.xf[2])


def test_layers_of_another_backbone_or_level_are_refused(moving):
    told = (
        r"expected adaptation trained on conv3 of random, got vggm-msdat, trained on conv1.*vggm"
    )
    with pytest.raises(ValueError, match=told):
        Tracker(replace(PLAIN, backbone="random", levels="conv3"))
    with pytest.raises(ValueError, match="expected one of vggm"):
        Tracker(replace(PLAIN, adaptation="learned"))


@pytest.mark.parametrize("larger", [-0.1, 1.5, float("nan")])
def test_an_impossible_window_is_refused(larger):
    with pytest.raises(ValueError, match=r"msdat.Config: expected larger from 0 to 1, got"):
        Config(larger=larger)


def test_its_weights_are_part_of_its_code():
    codes = {parse(text).code() for text in ("msdat", "msdat:adaptation=random", "msdat:larger=0")}
    assert len(codes) == 2


def test_filters_run_on_one_thread_and_change_no_box(moving, monkeypatch):
    frames, truth = moving(40, 32)
    before, found, seen = torch.get_num_threads(), [], set()

    def peak(response):
        seen.add(torch.get_num_threads())
        return original(response)

    original = cf.peak
    monkeypatch.setattr(cf, "peak", peak)
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(followed(start(frames, truth), frames[:6]))
        after = torch.get_num_threads()
        torch.set_num_threads(before)
        assert after == threads
    assert seen == {1}
    np.testing.assert_array_equal(*found)
