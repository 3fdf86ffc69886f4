"""Whom a tracker follows among look-alikes."""

import numpy as np
import pytest

from trackerlib.analysis import identity_switches
from trackerlib.data import synthetic


def test_the_first_actor_is_the_target_and_the_others_are_elsewhere():
    found = identity_switches.actors("Twins")
    sequence = synthetic.render("Twins")
    assert found.shape == (3, len(sequence), 4)
    np.testing.assert_array_equal(found[0], sequence.boxes)
    assert np.abs(found[1:, 0, 0] - found[0, 0, 0]).min() > 20


def test_severity_brings_others():
    assert (
        len(identity_switches.actors("Shells", 0)) == 1
        and len(identity_switches.actors("Shells", 1)) == 3
    )


def test_a_sequence_without_look_alikes_is_told():
    with pytest.raises(ValueError, match=r"expected a sequence among Coins.*, got 'Ball'"):
        identity_switches.actors("Ball")


def test_whom_is_followed_and_how_often_it_changes():
    """The target stands at 0, another at 100; of the frames, the fourth is lost."""
    target = np.tile([0.0, 0, 10, 10], (6, 1))
    other = np.tile([100.0, 0, 10, 10], (6, 1))
    tracked = target.copy()
    tracked[:, 0] = [1, 99, 98, 50, 103, 0]
    whom = identity_switches.followed(tracked, np.array([target, other]))
    assert whom.tolist() == [0, 1, 1, identity_switches.LOST, 1, 0]
    assert identity_switches.switches(whom) == 2
    assert identity_switches.switches(np.array([identity_switches.LOST])) == 0
