"""DeepTrack: it follows, is lazy, sees doubt, and every mechanism can be switched off."""

import numpy as np
import pytest
import torch

from trackerlib import boxes as B
from trackerlib.analysis.profiler import Timed
from trackerlib.trackers import deeptrack, parse

SMALL = (
    "positives=8,negatives=60,negatives_kept=180,first_positives=20,first_negatives=120,"
    "first_steps=120,steps=5"
)


@pytest.fixture
def started(moving):
    frames, truth = moving(40, 32)

    def start(changes="", grey=False):
        text = f"deeptrack:{SMALL},{changes}"
        video = [frame[..., :1].repeat(3, 2) for frame in frames] if grey else frames
        tracker = parse(text).build(seed=1)
        tracker.init(video[0], truth[0])
        return tracker, video, truth

    return start


@pytest.mark.parametrize(
    ("changes", "grey"),
    [("", False), ("dense=false,particles=300", False), ("", True)],
    ids=["colour", "cut out", "grey"],
)
def test_it_follows_a_textured_target(started, changes, grey):
    tracker, frames, truth = started(changes, grey)
    found = np.array([tracker.update(frame) for frame in frames[1:12]])
    assert tracker.features.grey == grey
    assert B.box_iou(found, truth[1:12]).mean() > 0.7


def test_the_same_seed_gives_the_same_boxes(started):
    runs = []
    for _ in range(2):
        tracker, frames, _ = started()
        runs.append([tracker.update(frame) for frame in frames[1:4]])
    np.testing.assert_array_equal(*runs)


def test_particles_have_the_deviations_of_the_paper(started):
    """10 pixels or half the height, and 1 % of the size."""
    tracker, frames, _ = started()
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


def test_a_box_does_not_shrink_to_nothing(started):
    tracker, frames, _ = started()
    tracker.set_frame(frames[1])
    least = torch.tensor([8.0, 6.4], dtype=torch.float64)  # a fifth of the first
    tracker.box = torch.cat((torch.tensor([150.0, 100]), least))
    assert (tracker.draw_particles()[:, 2:] > least - 1e-9).all()


def chosen(tracker, boxes, scores):
    """Box and quality, if these were the particles and their scores."""
    tracker.choose(torch.tensor(boxes, dtype=torch.float64), torch.tensor(scores))
    return tracker.box.tolist(), tracker.quality


def test_rivals_far_away_lower_the_quality(started):
    """Equations 15 and 16 by hand: a rival at another place, one at half the score, none."""
    tracker, _, _ = started("averaged=1")
    here, there = [50.0, 50, 40, 32], [120.0, 90, 40, 32]
    box, alone = chosen(tracker, [here, there], [[1.0, 0.0], [0.5, 0.3]])
    assert box == pytest.approx(here) and alone == pytest.approx(1.0)
    _, doubtful = chosen(tracker, [here, there], [[1.0, 0.0], [0.95, 0.0]])
    importance = 0.2449187
    assert doubtful == pytest.approx(1 - importance * (0.95**2 + 1) / 2, rel=1e-5)


def test_a_score_below_0_has_no_rivals_but_its_own_error(started):
    tracker, _, _ = started("averaged=1")
    _, quality = chosen(tracker, [[50.0, 50, 40, 32], [120.0, 90, 40, 32]], [[-0.1, 1], [-0.2, 1]])
    assert quality == pytest.approx(1 - 0.2449187 * (1.1**2 + 1), rel=1e-5)


def test_background_overlaps_by_half_at_most(started):
    tracker, frames, _ = started()
    tracker.set_frame(frames[1])
    background = tracker._background(60)
    overlaps = B.box_iou(background, tracker.box)
    assert len(background) == 60 and (overlaps <= 0.5).all()
    assert (overlaps[30:] > 0.2).float().mean() > 0.5 > (overlaps[:30] > 0.2).float().mean()


def test_positives_are_the_box_and_what_overlaps_it_enough(started):
    tracker, frames, _ = started()
    tracker.set_frame(frames[1])
    near = tracker._near(10)
    overlaps = B.box_iou(near, tracker.box)
    assert len(near) == 10 and torch.equal(near[0], tracker.box)
    assert (overlaps >= 0.8).all() and overlaps.min() < 0.95
    assert len(tracker._near(1)) == 1


def test_the_first_frame_is_sampled_more_densely(started):
    tracker, frames, _ = started()
    tracker.update(frames[1])
    assert list(tracker.positives.patches.counts) == [20, 8]
    assert list(tracker.negatives.patches.counts) == [120, 60]


def test_the_box_is_the_mean_of_the_best(started):
    tracker, _, _ = started("averaged=2")
    boxes = [[50.0, 50, 40, 32], [60.0, 50, 40, 32], [120.0, 90, 40, 32]]
    assert chosen(tracker, boxes, [[0.9, 0.0], [0.8, 0.0], [0.2, 0.7]])[0] == [55.0, 50, 40, 32]


def test_answers_beyond_their_labels_are_no_better(started):
    boxes, scores = [[50.0, 50, 40, 32], [120.0, 90, 40, 32]], [[0.9, -0.3], [1.6, 0.3]]
    for changes, index in (("averaged=1", 0), ("averaged=1,saturated=false", 1)):
        assert chosen(started(changes)[0], boxes, scores)[0] == boxes[index]


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
def test_every_mechanism_can_be_switched_off(started, changes):
    tracker, frames, truth = started(changes)
    assert B.box_iou(tracker.update(frames[1]), truth[1]) > 0.6


def test_lazy_it_learns_when_the_loss_is_large_only(started):
    lazy, frames, _ = started()
    eager, _, _ = started("lazy=false")
    for frame in frames[1:9]:
        lazy.update(frame)
        eager.update(frame)
        assert bool(lazy.classifier.kept) == (lazy.losses[0] >= 0.01)
        assert eager.classifier.kept


def test_doubtful_frames_are_kept_with_their_quality_unless_switched_off(started):
    tracker, frames, _ = started()
    plain, _, _ = started("noise=false")
    for each in (tracker, plain):
        each.update(np.random.default_rng(0).integers(0, 255, frames[0].shape, dtype=np.uint8))
    assert tracker.positives.qualities[0] == 1 > tracker.positives.qualities[1]
    assert list(plain.positives.qualities) == [1, 1]


def test_temporal_sampling_off_draws_positives_of_the_latest_frame(started):
    tracker, frames, _ = started("temporal=false")
    tracker.update(frames[1])
    assert float(tracker.positives.probabilities()[-8:].sum()) > 0.999


def test_its_stages_are_measured(started):
    tracker, frames, _ = started()
    timed = Timed(tracker)
    timed.update(frames[1])
    assert {"map", "boxes", "scores", "learning", "rest"} == set(timed.seconds)


def test_a_frame_of_one_colour_is_no_error(started):
    tracker, frames, _ = started()
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
