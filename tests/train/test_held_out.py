"""Linear classifiers on held-out boxes: what is told apart, what is not, and how surely."""

import math

import pytest
import torch

from trackerlib.train.held_out import misclassified, softmax_loss


def rows(seed, distance, flipped=False):
    """16 positives and 48 negatives, so far apart along the first of eight axes."""
    features = torch.randn(64, 8, generator=torch.Generator().manual_seed(seed))
    features[:16, 0] += distance
    labels = torch.cat((torch.full((16,), 3.0), -torch.ones(48)))
    return features, -labels if flipped else labels


@pytest.mark.parametrize(
    ("distance", "low", "high"), [(20, 0, 0), (0, 0.25, 0.75), (2, 0.05, 0.4)]
)
def test_the_share_falls_with_the_distance(distance, low, high):
    assert low <= misclassified(rows(0, distance), rows(1, distance)) <= high


def test_the_loss_falls_with_the_distance_and_grows_when_sure_and_wrong():
    losses = [softmax_loss(rows(0, d), rows(1, d)).item() for d in (0, 2, 6, 20)]
    assert losses == sorted(losses, reverse=True)
    assert 0.6 < losses[0] < 1 and losses[3] < 0.05
    assert softmax_loss(rows(0, 6), rows(1, 6, flipped=True)) > 3 * math.log(2)


def test_both_are_the_same_again_and_leave_no_gradient():
    first, again = (softmax_loss(rows(0, 1), rows(1, 1)) for _ in range(2))
    assert torch.equal(first, again) and not first.requires_grad
