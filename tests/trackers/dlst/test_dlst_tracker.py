"""DLST: around which places it draws, when it trusts the localization, the rows of table 1."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from few_boxes import SMALL

from trackerlib import boxes as B
from trackerlib.nets.head import Head
from trackerlib.trackers import dlst, parse
from trackerlib.trackers.dlst.classifier import ProbabilityClassifier
from trackerlib.trackers.dlst.networks import Classification

pytestmark = pytest.mark.usefixtures("thin")

QUICK = SMALL | {"first_iterations": 5, "iterations": 2, "regression": False}


@pytest.fixture
def begin(moving, started):
    """(changes) -> a tracker that has its target, the video, the truth."""
    frames, truth = moving(40, 32)

    def make(**changes):
        return started(dlst.Tracker, dlst.Config(**QUICK | changes)), frames, truth

    return make


def drawn_around(tracker, box):
    """The candidates when the localization finds this box, with this score."""
    place, score = box
    tracker.localizer.locate = lambda *_: (place, score)
    return tracker._candidates()


@pytest.mark.parametrize(
    ("search", "there", "here"), [("both", 24, 24), ("located", 48, 0)], ids=["S_comb", "sloc"]
)
def test_boxes_are_drawn_around_the_located_and_the_last_place(begin, search, there, here):
    tracker, _, _ = begin(search=search)
    located = tracker.box + torch.tensor([120.0, 60, 0, 0])
    candidates = drawn_around(tracker, (located, 0.1))
    closer = B.centre_distance(candidates, located) < B.centre_distance(candidates, tracker.box)
    assert (closer.sum(), (~closer).sum()) == (there, here)
    torch.testing.assert_close(tracker.located, located)


def test_a_place_that_is_not_sure_is_not_searched(begin):
    tracker, _, _ = begin()
    located = tracker.box + torch.tensor([120.0, 60, 0, 0])
    candidates = drawn_around(tracker, (located, -0.1))
    assert len(candidates) == 48 and tracker.located is None
    assert (B.centre_distance(candidates, tracker.box) < 40).all()


def test_a_jump_out_of_the_gaussians_reach_is_found(moving):
    frames, truth = moving(40, 32)
    x, y, w, h = truth[0].astype(int)
    frames[0][y : y + h, x : x + w, 0] = 255  # red, as nothing around it is
    jumped = np.roll(frames[0], (30, 45), (0, 1))
    expected = truth[0] + [45, 30, 0, 0]
    tracker = dlst.Tracker(dlst.Config(**QUICK | {"first_iterations": 30}))
    tracker.init(frames[0], truth[0])
    tracker.update(jumped)
    assert B.centre_distance(tracker.located.numpy(), expected) < 24  # radius of the disc


def test_without_localization_nothing_is_located(begin):
    tracker, frames, _ = begin(search="previous")
    assert tracker.localizer is None
    tracker.update(frames[1])
    assert tracker.located is None


def test_the_rows_of_table_1_are_configurations(begin):
    assert isinstance(begin()[0].classifier.head, Classification)
    fc, frames, _ = begin(classifier="connected")
    assert isinstance(fc.classifier.head, Head)
    assert np.isfinite(fc.update(frames[1])).all()
    assert parse("dlst:search=located").config.search == "located"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("search=around", "expected search among both, located, previous, got 'around'"),
        ("classifier=svm", "expected classifier among pooled, connected, got 'svm'"),
    ],
)
def test_unknown_choices_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        parse(f"dlst:{changes}")


def test_both_networks_learn_when_one_does(begin):
    tracker, frames, _ = begin()
    assert len(tracker.losses) == len(tracker.localizer.losses) == 5
    tracker.classifier.scores = lambda features: torch.full((len(features),), -1.0)
    tracker.update(frames[1])
    assert len(tracker.losses) == len(tracker.localizer.losses) == 2


def with_scores(tracker, row, **changes):
    """Make the head give every box these s- and s+; list the updates, which do nothing.

    changes  of the Config, after the first frame
    """
    config = tracker.config = replace(tracker.config, **changes)
    if config.score == "probability":
        parts = tracker.classifier
        tracker.classifier = ProbabilityClassifier(
            parts.head, config, parts.generator, parts.dtype
        )
    tracker.classifier.head = lambda x, dropout=None: torch.tensor([row]).repeat(len(x), 1)
    tracker.fine_tuned = []
    tracker._fine_tune = tracker.fine_tuned.append


def outcome(score, threshold, background, target):
    """Sections 3.2 and 3.3, or the released process.m, on the two numbers of the best box."""
    exps = math.exp(background), math.exp(target)
    value = exps[1] / sum(exps) if score == "probability" else target
    return {"kept": value > threshold, "short": value < threshold, "value": value}


@pytest.mark.parametrize(
    ("background", "target"),
    [(-1.0, 0.5), (-3.0, -2.0), (1.0, 0.5), (4.0, 2.0), (1.0, -1.0), (-0.5, -2.0)],
)
@pytest.mark.parametrize(
    ("score", "threshold"),
    [("raw", 0.0), ("probability", 0.5), ("raw", 0.7), ("probability", 0.8)],
)
def test_a_frame_is_kept_or_updated_from_by_its_score(begin, score, threshold, background, target):
    """(-3, -2): f+ is 0.73 but the raw score is below 0; (4, 2): f+ is 0.12, raw above 0."""
    tracker, frames, _ = begin()
    with_scores(tracker, (background, target), score=score, update_score=threshold)
    tracker.update(frames[1])
    expected = outcome(score, threshold, background, target)
    assert tracker.score == pytest.approx(expected["value"] - threshold, abs=1e-6)
    assert (len(tracker.positives.counts) == 2) == expected["kept"]
    assert tracker.fine_tuned == ([tracker.config.short_term] if expected["short"] else [])


@pytest.mark.parametrize(
    ("score", "threshold", "regressed"),
    [("raw", 0.0, False), ("probability", 0.5, True), ("probability", 0.9, False)],
)
def test_boxes_are_regressed_by_the_same_score(begin, score, threshold, regressed):
    """s- = -3 and s+ = -2: f+ is 0.73."""
    tracker, frames, _ = begin()
    with_scores(tracker, (-3.0, -2.0), score=score, regression_score=threshold)
    tracker.regressor = lambda features, boxes: boxes + 1000
    assert (tracker.update(frames[1])[0] > 900) == regressed


def test_probabilities_rank_otherwise_than_raw_scores(begin):
    tracker, _, _ = begin(score="probability")
    rows = torch.tensor([[3.0, 4.0], [-2.0, 1.0], [0.0, -1.0]])
    tracker.classifier.head = lambda features, dropout=None: rows
    expected = [math.exp(t) / (math.exp(b) + math.exp(t)) for b, t in rows.tolist()]
    torch.testing.assert_close(
        tracker.classifier.scores(torch.zeros(3, 1)), torch.tensor(expected)
    )
    assert max(range(3), key=expected.__getitem__) == 1 != int(rows[:, 1].argmax())


@pytest.mark.parametrize("trusted", [1, 3])
def test_data_of_trusted_frames_is_kept_whatever_the_score(begin, trusted):
    """Of frames 1 to 5 none but the first was found."""
    tracker, frames, _ = begin()
    with_scores(tracker, (1.0, -1.0), trusted_frames=trusted)
    for frame in frames[1:5]:
        tracker.update(frame)
    kept = [number <= trusted for number in range(1, 6)].count(True)
    assert len(tracker.positives.counts) == len(tracker.negatives.counts) == kept
    assert len(tracker.localizer.maps.counts) == kept


def test_a_found_frame_that_is_trusted_is_kept_once(begin):
    tracker, frames, _ = begin()
    with_scores(tracker, (-1.0, 1.0), trusted_frames=3)
    tracker.update(frames[1])
    assert len(tracker.positives.counts) == 2


def test_by_default_thresholds_are_raw_and_0():
    config = dlst.Config()
    assert (config.score, config.update_score, config.regression_score) == ("raw", 0.0, 0.0)
    assert config.trusted_frames == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("score=softmax", "expected score among raw, probability, got 'softmax'"),
        ("trusted_frames=0", "expected trusted_frames from 1 to inf, got 0"),
        ("score=probability,update_score=1.5", "expected update_score from 0 to 1, got 1.5"),
        ("score=probability,regression_score=-1", "expected regression_score from 0 to 1, got -1"),
    ],
)
def test_impossible_thresholds_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        parse(f"dlst:{changes}")
