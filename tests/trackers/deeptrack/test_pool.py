"""The pool of patches: what is kept, and how likely each is to be drawn."""

import math

import pytest
import torch

from trackerlib.trackers.deeptrack.pool import SamplePool


def pool(frames=4, rows=3, decay=0.0, seed=0, chance="frame"):
    generator = torch.Generator().manual_seed(seed)
    return SamplePool(frames, rows, decay, generator, chance=chance)


def patches(values):
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 32, 32).clone()


def filled(qualities, decay=0.0):
    """Frame i has the patches 10 i and 10 i + 1, with the importance of their numbers."""
    kept = pool(decay=decay)
    for number, quality in enumerate(qualities):
        values = [10.0 * number, 10.0 * number + 1]
        kept.add(patches(values), torch.tensor(values), quality)
    return kept


def test_without_decay_all_patches_are_alike():
    torch.testing.assert_close(filled([1, 1, 1]).probabilities(), torch.full((6,), 1 / 6).double())


def test_a_frame_with_more_patches_is_drawn_no_more_often():
    kept = pool(rows=3)
    for values in ([0.0, 1.0, 2.0], [10.0]):
        kept.add(patches(values), torch.tensor(values), 1.0)
    expected = torch.tensor([1 / 6, 1 / 6, 1 / 6, 1 / 2]).double()
    torch.testing.assert_close(kept.probabilities(), expected)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_patches_have_equal_chances_as_in_equations_11_and_12(decay):
    """Q exp(-sigma t^2) of each patch, over Z: a frame of three counts three times."""
    kept = pool(rows=3, decay=decay, chance="patch")
    frames = [([0.0, 1.0, 2.0], 1.0), ([10.0], 0.5), ([20.0, 21.0], 0.9)]
    for values, quality in frames:
        kept.add(patches(values), torch.tensor(values), quality)
    chances = [
        quality * math.exp(-decay * (2 - frame) ** 2)
        for frame, (values, quality) in enumerate(frames)
        for _ in values
    ]
    expected = torch.tensor(chances, dtype=torch.float64) / sum(chances)
    torch.testing.assert_close(kept.probabilities(), expected)


@pytest.mark.parametrize("decay", [0.3, 10.0])
def test_older_frames_are_drawn_less_and_doubtful_ones(decay):
    """Equations 12 and 14, patch by patch."""
    qualities = [1.0, 0.5, 0.9]
    chances = [
        quality * math.exp(-decay * (2 - frame) ** 2)
        for frame, quality in enumerate(qualities)
        for _ in range(2)
    ]
    expected = torch.tensor(chances, dtype=torch.float64) / sum(chances)
    torch.testing.assert_close(filled(qualities, decay).probabilities(), expected)


def test_draws_follow_the_chances():
    kept = filled([1.0, 0.5, 0.25])
    drawn, importance = kept.draw(20000)
    values = drawn[:, 0, 0, 0]
    torch.testing.assert_close(values, importance)
    counts = torch.tensor([(values == v).sum() for v in (0, 1, 10, 11, 20, 21)]) / len(values)
    torch.testing.assert_close(counts.double(), kept.probabilities(), atol=0.015, rtol=0)


def test_the_oldest_frame_is_forgotten():
    kept = filled([1.0, 0.0, 1.0, 1.0, 1.0])
    values = set(kept.draw(2000)[0][:, 0, 0, 0].tolist())
    assert values <= {10, 11, 20, 21, 30, 31, 40, 41} and {30, 41} <= values
    assert len(kept.probabilities()) == 8


def test_a_frame_without_any_quality_can_still_be_drawn():
    drawn, _ = filled([0.0, -1.0]).draw(4)
    assert drawn.shape == (4, 3, 32, 32)


def test_the_same_generator_draws_the_same():
    first, again = (filled([1.0, 1.0]).draw(8)[0] for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
