"""DLST: around which places it draws, when it trusts the localization, the rows of table 1."""

import numpy as np
import pytest
import torch
from few_boxes import SMALL

from trackerlib import boxes as B
from trackerlib.nets.head import Head
from trackerlib.trackers import dlst, parse
from trackerlib.trackers.dlst.networks import Classification

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
