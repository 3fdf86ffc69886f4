"""Batches that come again: which ones, how many, and the same after a stop."""

from itertools import cycle

from trackerlib.train.replay import Replay


def replay(made=None):
    made = [] if made is None else made
    return Replay(cycle([2, 0, 1]), lambda *batch: made.append(batch) or batch, kept=2, seed=3)


def test_the_last_batches_of_every_video_come_again():
    one = replay()
    for number in range(12):
        one.add((number, [2, 0, 1][number % 3]))
    drawn = {one.choose(step) for step in range(200)}
    assert drawn == {(number, [2, 0, 1][number % 3]) for number in range(6, 12)}
    assert set(one.features) == set(range(6, 12))


def test_after_a_stop_the_same_ones_come_again():
    """What was kept is made again, each once."""
    whole, made = replay(), []
    for number in range(12):
        whole.add((number, [2, 0, 1][number % 3]))
    resumed = replay(made)
    for _ in range(12):
        resumed.add()
    steps = range(50, 90)
    assert [resumed.choose(step) for step in steps] == [whole.choose(step) for step in steps]
    assert len(made) == len(set(made)) <= 6
