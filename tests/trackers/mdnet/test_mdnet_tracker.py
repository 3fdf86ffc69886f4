"""MDNet and descendants on an untrained backbone: loop, memories, awkward boxes and frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from few_boxes import FEWER, SMALL

from trackerlib import boxes as B
from trackerlib.trackers import dlst, fdn, mdnet, parse, rtmdnet
from trackerlib.trackers.mdnet.memory import Memory
from trackerlib.trackers.mdnet.samplers import Sampler
from trackerlib.trackers.rtmdnet import REACH

pytestmark = pytest.mark.usefixtures("thin")

TRACKERS = {"mdnet": mdnet, "fdn": fdn, "dlst": dlst, "rtmdnet": rtmdnet}
OWN = {
    "mdnet": {},
    "fdn": {},
    "dlst": {"lr": 1e-2, "first_lr": 1e-2, "first_regions": 8, "batch_regions": 2},
    "rtmdnet": {"lr": 1e-3, "first_lr": 5e-4},
}


@pytest.fixture(params=TRACKERS)
def kind(request):
    return request.param


def configuration(kind, settings=SMALL, **changes):
    return TRACKERS[kind].Config(**settings | OWN[kind] | changes)


def build(config, seed=0):
    (module,) = (each for each in TRACKERS.values() if each.Config is type(config))
    return module.Tracker(config, seed=seed)


def follow(config, frames, box, seed=0):
    tracker = build(config, seed)
    tracker.init(frames[0], box)
    return np.array([tracker.update(frame) for frame in frames[1:]])


@pytest.fixture
def begin(started):
    """(kind, changes) -> a tracker that has its target."""

    def make(kind, **changes):
        return started(TRACKERS[kind].Tracker, configuration(kind, **changes))

    return make


@pytest.fixture
def small_map(monkeypatch):
    """FDN's frame at half the size, which takes a quarter of the time."""
    monkeypatch.setattr(fdn, "SHORT", 300)
    monkeypatch.setattr(fdn, "LONG", 500)


def test_it_follows_a_translating_texture(moving, kind):
    frames, truth = moving(40, 32)
    config = configuration(kind, first_iterations=40, first_negatives=400)
    tracked = follow(config, frames[:8], truth[0])
    assert tracked.dtype == np.float64
    assert B.box_iou(tracked, truth[1:8]).mean() > 0.4


def test_the_same_seed_gives_the_same_boxes_and_so_does_a_second_init(moving, small_map, kind):
    frames, truth = moving(40, 32)
    config = configuration(kind, FEWER)
    tracker, tracks = build(config), []
    for _ in range(2):
        tracker.init(frames[0], truth[0])
        tracks.append(np.array([tracker.update(frame) for frame in frames[1:4]]))
    first, afresh = tracks
    again, other = (follow(config, frames[:4], truth[0], seed) for seed in (0, 1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, afresh)
    assert np.abs(first - other).max() > 0


def test_a_copy_tracks_as_a_new_tracker_does(moving, begin, kind):
    """So that tests can share what is computed in the first frame."""
    frames, truth = moving(40, 32)
    expected = follow(configuration(kind), frames[:3], truth[0])
    for _ in range(2):
        tracker = begin(kind)
        np.testing.assert_array_equal([tracker.update(f) for f in frames[1:3]], expected)


def test_the_answer_is_regressed_and_the_search_is_not(moving, begin):
    frames, _ = moving(40, 32)
    tracker = begin("fdn")
    tracker.classifier.scores = lambda features: torch.ones(len(features))
    tracker.regressor = lambda features, boxes: boxes + 1
    np.testing.assert_allclose(tracker.update(frames[1]), tracker.box.numpy() + 1)
    plain = begin("fdn", regression=False)
    assert plain.regressor is None
    np.testing.assert_array_equal(plain.update(frames[1]), plain.box.numpy())


@pytest.mark.parametrize(("name", "best"), [("fdn", 1), ("mdnet", 5)])
def test_fdn_takes_the_best_box_and_mdnet_the_mean_of_five(moving, begin, monkeypatch, name, best):
    frames, _ = moving(40, 32)
    tracker = begin(name, regression=False)
    boxes = torch.rand(48, 4, dtype=torch.float64) + 30
    monkeypatch.setattr(Sampler, "gaussian", lambda *_: boxes)
    tracker.classifier.scores = lambda features: -1 - torch.arange(len(features)).float()
    np.testing.assert_allclose(tracker.update(frames[1]), boxes[:best].mean(0).numpy())


def test_an_update_ends_when_the_loss_is_below_the_threshold(moving, begin):
    frames, _ = moving(40, 32)
    for threshold, iterations in ((100.0, 1), (0.0, 3)):
        tracker = begin("fdn")
        tracker.config = replace(tracker.config, loss_threshold=threshold)
        assert len(tracker.losses) == 15  # the first frame is learned in full
        tracker.classifier.scores = lambda features: torch.linspace(-2, -1, len(features))
        tracker.update(frames[1])
        assert len(tracker.losses) == iterations and tracker.score < 0


def test_the_threshold_may_end_the_first_frame_too(begin):
    tracker = begin("fdn", first_loss_threshold=100.0)
    assert len(tracker.losses) == 1


def test_memory_is_what_it_was_after_any_number_of_frames(moving, begin):
    frames, _ = moving(40, 32)
    tracker = begin("fdn", long_term=3, short_term=2)
    tables = [m.table.data_ptr() for m in (tracker.positives, tracker.negatives)]
    for frame in frames[1:9]:
        tracker.classifier.scores = lambda features: torch.ones(len(features))
        tracker.classifier.fine_tune = lambda *_: []
        tracker.update(frame)
    assert tables == [m.table.data_ptr() for m in (tracker.positives, tracker.negatives)]
    assert len(tracker.positives.counts) == 3 and len(tracker.negatives.counts) == 2


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([300, 220, 60, 60], ""),
        ([-30, -30, 50, 50], ""),
        ([-10, -10, 340, 260], ""),
        ([-400, -300, 1200, 900], "0 of 40 positives were found"),
        ([70, 60, 2, 2], ""),
    ],
    ids=["low corner", "high corner", "whole frame", "larger than the frame", "smallest"],
)
def test_awkward_boxes_are_told_and_no_error(moving, small_map, kind, box, said):
    frames, _ = moving(40, 32)
    tracker = build(configuration(kind, FEWER))
    tracker.init(frames[0], box)
    assert said in "; ".join(tracker.warnings)
    for frame in frames[1:3]:
        assert np.isfinite(tracker.update(frame)).all()


def test_a_frame_of_one_colour_is_no_error(moving, small_map, kind):
    frames, truth = moving(40, 32)
    grey = np.full_like(frames[0], 90)
    config = configuration(kind, FEWER)
    tracked = follow(config, [frames[0], grey, grey, frames[3]], truth[0])
    assert np.isfinite(tracked).all()
    assert np.isfinite(follow(config, [grey, grey], truth[0])).all()


def test_a_target_that_leaves_is_searched_more_widely(moving, begin):
    frames, _ = moving(40, 32)
    tracker = begin("fdn")
    tracker.classifier.scores = lambda features: torch.full((len(features),), -1.0)
    for frame in frames[1:4]:
        tracker.update(frame)
    assert tracker.translation == pytest.approx(0.6 * 1.1**3)


def test_features_are_kept_in_the_precision_of_the_network():
    memory = Memory(2, 4, 3, dtype=torch.bfloat16)
    memory.add(torch.ones(2, 3))
    (batch,) = memory.latest(1).batches(1, 2, torch.Generator())
    assert batch.dtype == torch.bfloat16


ABLATIONS = [
    ("fdn", {"pooling": "pool"}),
    ("fdn", {"samples": 1}),
    ("fdn", {"layer": "conv5"}),
    ("fdn", {"fc_layers": 2}),
    ("rtmdnet", {"pooling": "pool"}),
    ("rtmdnet", {"pooling": "align"}),
    ("rtmdnet", {"dense": False}),
    ("rtmdnet", {"regression": False}),
    ("rtmdnet", {"dense": False, "pooling": "align"}),
    ("rtmdnet", {"augment": False}),
]


@pytest.mark.parametrize(("name", "changes"), ABLATIONS, ids=str)
def test_the_papers_ablations_are_configurations(moving, small_map, name, changes):
    frames, truth = moving(40, 32)
    config = configuration(name, FEWER, **changes)
    assert np.isfinite(follow(config, frames[:2], truth[0])).all()


def test_an_ablation_is_a_specification():
    assert parse("fdn:pooling=pool,loss_threshold=0").config.pooling == "pool"


def test_a_layer_that_the_backbone_has_not_is_refused():
    with pytest.raises(ValueError, match="expected layer among conv1, conv2, conv3, got 'conv9'"):
        build(configuration("fdn", layer="conv9"))


def test_rtmdnet_sees_the_first_scene_augmented_and_later_ones_plain(moving, begin):
    frames, _ = moving(40, 32)
    tracker = begin("rtmdnet")
    assert len(tracker.features.map) == 5
    tracker.update(frames[1])
    assert len(tracker.features.map) == 1
    plain = begin("rtmdnet", augment=False)
    assert len(plain.features.map) == 1


def test_rtmdnet_regresses_what_is_sure_and_widens_its_search_at_once(moving, begin):
    frames, _ = moving(40, 32)
    tracker = begin("rtmdnet")
    tracker.regressor = lambda features, boxes: boxes + 1
    for score, moved in ((0.6, 1), (0.4, 0)):
        tracker.classifier.scores = lambda x, score=score: torch.full((len(x),), score)
        np.testing.assert_allclose(tracker.update(frames[1]), tracker.box.numpy() + moved)
    for _ in range(2):
        tracker.classifier.scores = lambda features: torch.full((len(features),), -1.0)
        tracker.update(frames[2])
        assert tracker.translation == pytest.approx(REACH)
