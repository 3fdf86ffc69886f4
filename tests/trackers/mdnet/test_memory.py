"""The memory of features: what it keeps, what it forgets, in what order it is seen."""

import pytest
import torch

from trackerlib.trackers.mdnet.memory import Memory, Samples


def rows(samples):
    return samples.table[samples.rows][:, 0].tolist()


@pytest.fixture
def memory():
    """Frames 0 to 6 of 2 rows each (frame 3: of 1), of which 3 are kept."""
    memory = Memory(max_frames=3, capacity=6, width=4)
    for frame in range(7):
        memory.add(torch.full((1 if frame == 3 else 2, 4), float(frame)))
    return memory


def test_it_keeps_the_latest_frames_in_order(memory):
    assert rows(memory.latest(3)) == [4, 4, 5, 5, 6, 6]
    assert rows(memory.latest(100)) == [4, 4, 5, 5, 6, 6]
    assert rows(memory.latest(1)) == [6, 6]


def test_frames_of_different_sizes_share_the_ring():
    memory = Memory(max_frames=3, capacity=6, width=1)
    for frame, count in enumerate((4, 1, 1, 2, 0, 3, 1)):
        memory.add(torch.full((count, 1), float(frame)))
    assert rows(memory.latest(3)) == [5, 5, 5, 6]
    assert rows(memory.latest(2)) == [5, 5, 5, 6]


def test_it_copies_what_it_keeps():
    memory, features = Memory(2, 4, 1), torch.ones(2, 1)
    memory.add(features)
    features.zero_()
    assert rows(memory.latest(1)) == [1, 1]


def test_too_many_rows_are_refused(memory):
    with pytest.raises(ValueError, match="expected at most 6 rows in 3 frames, got 7"):
        memory.add(torch.zeros(3, 4))
    assert rows(memory.latest(3)) == [4, 4, 5, 5, 6, 6]


def test_every_row_comes_before_any_comes_again():
    samples = Samples(torch.arange(40.0)[:, None], torch.arange(5, 15))
    batches = list(samples.batches(6, 4, torch.Generator().manual_seed(0)))
    assert [tuple(batch.shape) for batch in batches] == [(4, 1)] * 6
    seen = torch.cat(batches)[:, 0].tolist()
    assert sorted(seen[:10]) == sorted(seen[10:20]) == list(range(5, 15))
    assert seen[:10] != seen[10:20]


def test_a_batch_may_be_larger_than_what_there_is():
    samples = Samples(torch.arange(3.0)[:, None], torch.arange(3))
    (batch,) = samples.batches(1, 7, torch.Generator().manual_seed(0))
    assert torch.bincount(batch[:, 0].long()).tolist() in ([3, 2, 2], [2, 3, 2], [2, 2, 3])


def test_nothing_to_learn_from_is_an_error():
    samples = Samples(torch.zeros(3, 1), torch.arange(0))
    with pytest.raises(ValueError, match="expected at least one row, got none"):
        next(samples.batches(1, 1, torch.Generator()))
