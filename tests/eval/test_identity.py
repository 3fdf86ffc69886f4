"""Whom a tracker follows among look-alikes."""

import numpy as np
import pytest

from trackerlib.data import embedded
from trackerlib.eval import identity


def test_the_first_actor_is_the_target_and_the_others_are_elsewhere():
    found = identity.actors("Twins")
    sequence = embedded.render("Twins")
    assert found.shape == (3, len(sequence), 4)
    np.testing.assert_array_equal(found[0], sequence.boxes)
    assert np.abs(found[1:, 0, 0] - found[0, 0, 0]).min() > 20


def test_severity_brings_others():
    assert len(identity.actors("Shells", 0)) == 1 and len(identity.actors("Shells", 1)) == 3


def test_a_sequence_without_look_alikes_is_told():
    with pytest.raises(ValueError, match=r"expected a sequence among Coins.*, got 'Ball'"):
        identity.actors("Ball")


def test_whom_is_followed_and_how_often_it_changes():
    """The target stands at 0, another at 100; of the frames, the fourth is lost."""
    target = np.tile([0.0, 0, 10, 10], (6, 1))
    other = np.tile([100.0, 0, 10, 10], (6, 1))
    tracked = target.copy()
    tracked[:, 0] = [1, 99, 98, 50, 103, 0]
    whom = identity.followed(tracked, np.array([target, other]))
    assert whom.tolist() == [0, 1, 1, identity.LOST, 1, 0]
    assert identity.switches(whom) == 2
    assert identity.switches(np.array([identity.LOST])) == 0
