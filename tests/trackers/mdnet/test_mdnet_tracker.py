"""MDNet and descendants on an untrained backbone: loop, memories, awkward boxes and frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from few_boxes import SMALL

from trackerlib import boxes as B
from trackerlib.trackers import dlst, fdn, mdnet, parse, rtmdnet
from trackerlib.trackers.mdnet.features import REACH
from trackerlib.trackers.mdnet.memory import Memory
from trackerlib.trackers.mdnet.samplers import Sampler

KINDS = {
    "mdnet": (mdnet.Tracker, mdnet.Config(**SMALL)),
    "fdn": (fdn.Tracker, fdn.Config(**SMALL)),
    "dlst": (dlst.Tracker, dlst.Config(**SMALL, rate=1e-2, first_lr=1e-2)),
    "rtmdnet": (rtmdnet.Tracker, rtmdnet.Config(**SMALL, first_lr=5e-4, rate=1e-3)),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def started(kind, frame, box, seed=0, **changes):
    make, config = kind
    tracker = make(replace(config, **changes), seed=seed)
    tracker.init(frame, box)
    return tracker


def follow(kind, frames, box, seed=0, **changes):
    tracker = started(kind, frames[0], box, seed, **changes)
    return np.array([tracker.update(frame) for frame in frames[1:]])


def test_it_follows_a_translating_texture(moving, kind):
    frames, truth = moving(40, 32)
    tracked = follow(kind, frames[:8], truth[0], first_iterations=40, first_negatives=400)
    assert tracked.dtype == np.float64
    assert B.box_iou(tracked, truth[1:8]).mean() > 0.4


def test_the_same_seed_gives_the_same_boxes(moving, kind):
    frames, truth = moving(40, 32)
    first, again, other = (follow(kind, frames[:4], truth[0], seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_a_second_init_starts_afresh(moving):
    frames, truth = moving(40, 32)
    tracker = started(KINDS["fdn"], frames[0], truth[0])
    tracks = []
    for _ in range(2):
        tracker.init(frames[0], truth[0])
        tracks.append([tracker.update(frame) for frame in frames[1:3]])
    np.testing.assert_array_equal(*tracks)


def test_the_answer_is_regressed_and_the_search_is_not(moving):
    frames, truth = moving(40, 32)
    tracker = started(KINDS["fdn"], frames[0], truth[0])
    tracker.classifier.scores = lambda features: torch.ones(len(features))
    tracker.regress = lambda features, boxes: boxes + 1
    np.testing.assert_allclose(tracker.update(frames[1]), tracker.box.numpy() + 1)
    plain = started(KINDS["fdn"], frames[0], truth[0], regression=False)
    assert plain.regress is None
    np.testing.assert_array_equal(plain.update(frames[1]), plain.box.numpy())


@pytest.mark.parametrize(("name", "best"), [("fdn", 1), ("mdnet", 5)])
def test_fdn_takes_the_best_box_and_mdnet_the_mean_of_five(moving, monkeypatch, name, best):
    frames, truth = moving(40, 32)
    tracker = started(KINDS[name], frames[0], truth[0], regression=False)
    boxes = torch.rand(48, 4, dtype=torch.float64) + 30
    monkeypatch.setattr(Sampler, "gaussian", lambda *_: boxes)
    tracker.classifier.scores = lambda features: -1 - torch.arange(len(features)).float()
    np.testing.assert_allclose(tracker.update(frames[1]), boxes[:best].mean(0).numpy())


def test_an_update_ends_when_the_loss_is_below_the_threshold(moving):
    frames, truth = moving(40, 32)
    for threshold, iterations in ((100.0, 1), (0.0, 3)):
        tracker = started(KINDS["fdn"], frames[0], truth[0], loss_threshold=threshold)
        assert len(tracker.losses) == 15  # the first frame is learned in full
        tracker.classifier.scores = lambda features: torch.linspace(-2, -1, len(features))
        tracker.update(frames[1])
        assert len(tracker.losses) == iterations and tracker.score < 0


def test_memory_is_what_it_was_after_any_number_of_frames(moving):
    frames, truth = moving(40, 32)
    tracker = started(KINDS["fdn"], frames[0], truth[0], long_term=3, short_term=2)
    tables = [m.table.data_ptr() for m in (tracker.positives, tracker.negatives)]
    for frame in frames[1:9]:
        tracker.classifier.scores = lambda features: torch.ones(len(features))
        tracker.classifier.learn = lambda *_: []
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
def test_awkward_boxes_are_told_and_no_error(moving, kind, box, said):
    frames, _ = moving(40, 32)
    tracker = started(kind, frames[0], box)
    assert said in "; ".join(tracker.warnings)
    for frame in frames[1:3]:
        assert np.isfinite(tracker.update(frame)).all()


def test_a_frame_of_one_colour_is_no_error(moving, kind):
    frames, truth = moving(40, 32)
    grey = np.full_like(frames[0], 90)
    tracked = follow(kind, [frames[0], grey, grey, frames[3]], truth[0])
    assert np.isfinite(tracked).all()
    assert np.isfinite(follow(kind, [grey, grey], truth[0])).all()


def test_a_target_that_leaves_is_searched_more_widely(moving):
    frames, truth = moving(40, 32)
    tracker = started(KINDS["fdn"], frames[0], truth[0])
    tracker.classifier.scores = lambda features: torch.full((len(features),), -1.0)
    for frame in frames[1:4]:
        tracker.update(frame)
    assert tracker.translation == pytest.approx(0.6 * 1.1**3)


def test_features_are_kept_in_the_precision_of_the_network():
    memory = Memory(2, 4, 3, dtype=torch.bfloat16)
    memory.add(torch.ones(2, 3))
    (batch,) = memory.latest(1).batches(1, 2, torch.Generator())
    assert batch.dtype == torch.bfloat16


def test_the_papers_ablations_are_configurations(moving):
    frames, truth = moving(40, 32)
    kind = KINDS["fdn"]
    for changes in ({"pooling": "pool"}, {"samples": 1}, {"tap": "conv5"}, {"layers": 2}):
        assert np.isfinite(follow(kind, frames[:2], truth[0], **changes)).all()
    assert parse("fdn:pooling=pool,loss_threshold=0").config.pooling == "pool"
    with pytest.raises(ValueError, match="expected tap among conv1, conv2, conv3, got 'conv9'"):
        fdn.Tracker(replace(kind[1], tap="conv9"))
    kind = KINDS["rtmdnet"]
    tables = {"pooling": "pool"}, {"pooling": "align"}, {"dense": False}, {"regression": False}
    for changes in (*tables, {"dense": False, "pooling": "align"}, {"augment": False}):
        assert np.isfinite(follow(kind, frames[:2], truth[0], **changes)).all()


def test_rtmdnet_sees_the_first_scene_augmented_and_later_ones_plain(moving):
    frames, truth = moving(40, 32)
    tracker = started(KINDS["rtmdnet"], frames[0], truth[0])
    assert len(tracker.features.map) == 5
    tracker.update(frames[1])
    assert len(tracker.features.map) == 1
    plain = started(KINDS["rtmdnet"], frames[0], truth[0], augment=False)
    assert len(plain.features.map) == 1


def test_rtmdnet_regresses_what_is_sure_and_widens_its_search_at_once(moving):
    frames, truth = moving(40, 32)
    tracker = started(KINDS["rtmdnet"], frames[0], truth[0])
    tracker.regress = lambda features, boxes: boxes + 1
    for score, moved in ((0.6, 1), (0.4, 0)):
        tracker.classifier.scores = lambda x, score=score: torch.full((len(x),), score)
        np.testing.assert_allclose(tracker.update(frames[1]), tracker.box.numpy() + moved)
    for _ in range(2):
        tracker.classifier.scores = lambda features: torch.full((len(features),), -1.0)
        tracker.update(frames[2])
        assert tracker.translation == pytest.approx(REACH)
