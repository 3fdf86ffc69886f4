"""DeepTrack: it follows, is lazy, sees doubt, and every mechanism can be switched off."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackerlib import boxes as B
from trackerlib.analysis.profiler import Profiler
from trackerlib.trackers import deeptrack, parse

SMALL = (
    "positives=8,negatives=60,negatives_kept=180,first_positives=20,first_negatives=120,"
    "first_steps=60,steps=5"
)


# Not in the first frame.
LATER = "averaged", "saturated", "dense", "scanned", "particles", "noise", "lazy"


@pytest.fixture
def begin(moving, started):
    """(changes, grey) -> a tracker that has its target, the video, the truth."""
    frames, truth = moving(40, 32)

    def make(changes="", grey=False):
        config = parse(f"deeptrack:{SMALL},{changes}").config
        first = replace(config, **{name: getattr(deeptrack.Config(), name) for name in LATER})
        tracker = started(deeptrack.Tracker, first, seed=1, grey=grey)
        tracker.config = tracker.classifier.config = config
        video = [frame[..., :1].repeat(3, 2) for frame in frames] if grey else frames
        return tracker, video, truth

    return make


@pytest.mark.parametrize(
    ("changes", "grey"),
    [("", False), ("dense=false,particles=300", False), ("scanned=1", False), ("", True)],
    ids=["colour", "cut out", "one scanned", "grey"],
)
def test_it_follows_a_textured_target(begin, changes, grey):
    tracker, frames, truth = begin(changes, grey)
    found = np.array([tracker.update(frame) for frame in frames[1:12]])
    assert tracker.features.grey == grey
    assert B.box_iou(found, truth[1:12]).mean() > 0.7


def test_the_same_seed_gives_the_same_boxes(begin):
    """And a tracker that is a copy of one that has its target tracks as a new one."""
    changes = "averaged=1,lazy=false"
    copied, frames, truth = begin(changes)
    new = deeptrack.Tracker(copied.config, seed=1)
    new.init(frames[0], truth[0])
    again, _, _ = begin(changes)
    runs = [[tracker.update(f) for f in frames[1:4]] for tracker in (copied, new, again)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_particles_have_the_deviations_of_the_paper(begin):
    """10 pixels or half the height, and 1 % of the size."""
    tracker, frames, _ = begin()
    tracker.set_frame(frames[1])
    for height, expected in ((32, 10.0), (12, 6.0)):
        tracker.box = torch.tensor([150.0, 100, 40, height], dtype=torch.float64)
        particles = tracker.draw_particles()
        deviation = B.centres(particles).std(0)
        torch.testing.assert_close(
            deviation, torch.full_like(deviation, expected), rtol=0.08, atol=0
        )
        assert len(particles) == 1500
        assert float((particles[:, 3] / height).std()) == pytest.approx(0.01, rel=0.08)
        torch.testing.assert_close(
            particles[:, 2] / particles[:, 3], torch.full((1500,), 40 / height).double()
        )


def test_a_box_does_not_shrink_to_nothing(begin):
    tracker, frames, _ = begin()
    tracker.set_frame(frames[1])
    min_size = torch.tensor([8.0, 6.4], dtype=torch.float64)  # a fifth of the first
    tracker.box = torch.cat((torch.tensor([150.0, 100]), min_size))
    assert (tracker.draw_particles()[:, 2:] > min_size - 1e-9).all()


def chosen(tracker, boxes, scores):
    """Box and quality, if these were the particles and their scores."""
    tracker.choose(torch.tensor(boxes, dtype=torch.float64), torch.tensor(scores))
    return tracker.box.tolist(), tracker.quality


def test_rivals_far_away_lower_the_quality(begin):
    """Equations 15 and 16 by hand: a rival at another place, one at half the score, none."""
    tracker, _, _ = begin("averaged=1")
    here, there = [50.0, 50, 40, 32], [120.0, 90, 40, 32]
    box, alone = chosen(tracker, [here, there], [[1.0, 0.0], [0.5, 0.3]])
    assert box == pytest.approx(here) and alone == pytest.approx(1.0)
    _, doubtful = chosen(tracker, [here, there], [[1.0, 0.0], [0.95, 0.0]])
    importance = 0.2449187
    assert doubtful == pytest.approx(1 - importance * (0.95**2 + 1) / 2, rel=1e-5)


def test_a_score_below_0_has_no_rivals_but_its_own_error(begin):
    tracker, _, _ = begin("averaged=1")
    _, quality = chosen(tracker, [[50.0, 50, 40, 32], [120.0, 90, 40, 32]], [[-0.1, 1], [-0.2, 1]])
    assert quality == pytest.approx(1 - 0.2449187 * (1.1**2 + 1), rel=1e-5)


def test_background_overlaps_by_half_at_most(begin):
    tracker, frames, _ = begin()
    tracker.set_frame(frames[1])
    background = tracker._draw_negatives(60)
    overlaps = B.box_iou(background, tracker.box)
    assert len(background) == 60 and (overlaps <= 0.5).all()
    assert (overlaps[30:] > 0.2).float().mean() > 0.5 > (overlaps[:30] > 0.2).float().mean()


def test_positives_are_the_box_and_what_overlaps_it_enough(begin):
    tracker, frames, _ = begin()
    tracker.set_frame(frames[1])
    positives = tracker._draw_positives(10)
    overlaps = B.box_iou(positives, tracker.box)
    assert len(positives) == 10 and torch.equal(positives[0], tracker.box)
    assert (overlaps >= 0.8).all() and overlaps.min() < 0.95
    assert len(tracker._draw_positives(1)) == 1


def test_samples_that_are_not_found_are_told(begin):
    tracker, frames, _ = begin()
    tracker.update(frames[1])
    assert tracker.warnings == []
    tracker.box = torch.tensor([-300.0, -200, 900, 700], dtype=torch.float64)  # beyond the frame
    tracker.collect_samples(8, 60)
    assert "of 8 positives were found" in tracker.warnings[0]


def test_the_first_frame_is_sampled_more_densely(begin):
    tracker, frames, _ = begin()
    tracker.update(frames[1])
    assert list(tracker.positives.patches.counts) == [20, 8]
    assert list(tracker.negatives.patches.counts) == [120, 60]


def test_the_box_is_the_mean_of_the_best(begin):
    tracker, _, _ = begin("averaged=2")
    boxes = [[50.0, 50, 40, 32], [60.0, 50, 40, 32], [120.0, 90, 40, 32]]
    assert chosen(tracker, boxes, [[0.9, 0.0], [0.8, 0.0], [0.2, 0.7]])[0] == [55.0, 50, 40, 32]


def test_answers_beyond_their_labels_are_no_better(begin):
    boxes, scores = [[50.0, 50, 40, 32], [120.0, 90, 40, 32]], [[0.9, -0.3], [1.6, 0.3]]
    for changes, index in (("averaged=1", 0), ("averaged=1,saturated=false", 1)):
        assert chosen(begin(changes)[0], boxes, scores)[0] == boxes[index]


@pytest.mark.parametrize(
    "changes",
    [
        "structural=false",
        "temporal=false",
        "noise=false",
        "fusion=false",
        "truncation=0",
        "positive_factor=0",
    ],
)
def test_every_mechanism_can_be_switched_off(begin, changes):
    tracker, frames, truth = begin(changes)
    assert B.box_iou(tracker.update(frames[1]), truth[1]) > 0.6


def test_lazy_it_learns_when_the_loss_is_large_only(begin):
    lazy, frames, _ = begin()
    eager, _, _ = begin("lazy=false")
    for frame in frames[1:9]:
        lazy.update(frame)
        eager.update(frame)
        assert bool(lazy.classifier.kept) == (lazy.losses[0] >= 0.01)
        assert eager.classifier.kept


def test_doubtful_frames_are_kept_with_their_quality_unless_switched_off(begin):
    tracker, frames, _ = begin()
    plain, _, _ = begin("noise=false")
    for each in (tracker, plain):
        each.update(np.random.default_rng(0).integers(0, 255, frames[0].shape, dtype=np.uint8))
    assert tracker.positives.qualities[0] == 1 > tracker.positives.qualities[1]
    assert list(plain.positives.qualities) == [1, 1]


def test_temporal_sampling_off_draws_positives_of_the_latest_frame(begin):
    tracker, frames, _ = begin("temporal=false")
    tracker.update(frames[1])
    assert float(tracker.positives.probabilities()[-8:].sum()) > 0.999


def test_its_stages_are_measured(begin):
    tracker, frames, _ = begin()
    profiled = Profiler(tracker)
    profiled.update(frames[1])
    assert {"map", "features", "scores", "fine-tuning", "rest"} == set(profiled.seconds)


def test_a_frame_of_one_colour_is_no_error(begin):
    tracker, frames, _ = begin()
    assert np.isfinite(tracker.update(np.full_like(frames[0], 90))).all()


@pytest.mark.parametrize("count", ["positives", "negatives", "steps", "averaged"])
def test_every_frame_has_a_patch_of_each_class(count):
    with pytest.raises(ValueError, match=f"expected {count} of at least 1, got 0"):
        parse(f"deeptrack:{count}=0")


def test_too_few_negatives_are_refused():
    with pytest.raises(
        ValueError, match=r"negatives_kept of at least 150, negatives of .* got 100"
    ):
        deeptrack.Config(negatives_kept=100)


def test_the_deviation_of_the_size_is_a_hundredth_of_h_or_of_32_s(begin):
    """s = h / 32 has a deviation of 0.01 h: with h = 64, s is 2 and varies by 0.64, h by 20.5."""
    tracker, frames, _ = begin("size_deviation=s,min_scale=0")
    tracker.set_frame(frames[1])
    tracker.box = torch.tensor([150.0, 100, 40, 64], dtype=torch.float64)
    tracker.min_size = torch.full((2,), 2.0, dtype=torch.float64)
    state = tracker.generator.get_state()
    particles = tracker.draw_particles()
    tracker.generator.set_state(state)
    noise = torch.randn(1500, 3, generator=tracker.generator, dtype=torch.float64)[:, 2]
    for (_, _, width, height), draw in zip(particles.tolist(), noise.tolist(), strict=True):
        s = 64 / 32 + 0.01 * 64 * draw
        assert height == pytest.approx(max(32 * s, 2))
        assert width == pytest.approx(max(40 / 64 * 32 * s, 2))


def test_one_positive_per_frame_is_the_box(begin):
    """theta+ = 1 and N+ = min(t theta+, 1000): after three frames three patches, of chance 1/3."""
    tracker, frames, _ = begin("positives=1,first_positives=1,equal_chance=patch,noise=false")
    for frame in frames[1:3]:
        tracker.update(frame)
    assert list(tracker.positives.patches.counts) == [1, 1, 1]
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    torch.testing.assert_close(tracker.positives.probabilities(), third)
    torch.testing.assert_close(tracker._draw_positives(1), tracker.box[None])


def test_the_paper_as_printed(begin):
    config = parse("deeptrack:preset=paper").config
    printed = (config.positives, config.negatives, config.averaged, config.truncation, config.lr)
    assert printed == (1, 150, 1, 0.0025, 0.05)
    assert (config.descent, config.squared, config.equal_chance) == ("iterative", False, "patch")
    tracker, frames, _ = begin("preset=paper,particles=60,first_steps=20,steps=2,lazy=false")
    assert np.isfinite(tracker.update(frames[1])).all()


def test_by_default_nothing_is_as_printed_that_was_not():
    config = deeptrack.Config()
    assert (config.squared, config.size_deviation, config.equal_chance) == (True, "h", "frame")
    assert (config.descent, config.first_descent) == ("joint", "adam")


@pytest.mark.parametrize("setting", ["scanned=3", "scanned=0", "first_tolerance=-0.1"])
def test_settings_outside_their_range_are_refused(setting):
    field, _, value = setting.partition("=")
    with pytest.raises(ValueError, match=rf"deeptrack.Config: expected {field} from .* {value}"):
        parse(f"deeptrack:{setting}")


@pytest.mark.parametrize("field", ["size_deviation", "equal_chance", "descent", "first_descent"])
def test_unknown_choices_are_refused(field):
    with pytest.raises(ValueError, match=rf"deeptrack.Config: expected {field} among .*got 'so'"):
        parse(f"deeptrack:{field}=so")
