"""The box regressor: it finds the target where features say where it is."""

from dataclasses import replace

import pytest
import torch

from trackerlib.boxes import box_iou
from trackerlib.trackers.mdnet.config import Config
from trackerlib.trackers.mdnet.regressor import BoxRegressor, examples
from trackerlib.trackers.mdnet.samplers import Sampler

TARGET = torch.tensor([100.0, 80.0, 40.0, 20.0], dtype=torch.float64)
CONFIG = replace(Config(), regression_ridge=1e-6)


def sampler(seed=0):
    region = torch.tensor([[0.0, 0.0], [320.0, 240.0]], dtype=torch.float64)
    sizes = torch.tensor([[2.0, 2.0], [320.0, 240.0]], dtype=torch.float64)
    return Sampler(region, sizes, torch.Generator().manual_seed(seed))


def telling(boxes, target=TARGET):
    """Features that tell, mixed up, where the target is in a box."""
    centre = boxes[:, :2] + boxes[:, 2:] / 2 - target[:2] - target[2:] / 2
    told = torch.cat((centre / boxes[:, 2:], (boxes[:, 2:] / target[2:]).log()), 1)
    mixed = torch.randn(4, 12, generator=torch.Generator().manual_seed(3)).double()
    return (told @ mixed + 7).float()


def test_examples_overlap_the_target_and_differ_in_shape():
    boxes = examples(sampler(), TARGET, CONFIG)
    assert boxes.shape == (1000, 4)
    assert (box_iou(boxes, TARGET) >= 0.6).all()
    aspect = boxes[:, 2] / boxes[:, 3] / 2
    assert 1.15 < aspect.max() <= 1.21 and 0.82 <= aspect.min() < 0.87


def test_what_features_tell_is_found():
    boxes = examples(sampler(), TARGET, CONFIG)
    regress = BoxRegressor(telling(boxes), boxes, TARGET, CONFIG)
    elsewhere = TARGET + torch.tensor([30.0, -50.0, 8.0, 4.0])
    around = examples(sampler(1), elsewhere, CONFIG)[:20]
    found = regress(telling(around, elsewhere), around)
    torch.testing.assert_close(found, elsewhere.expand(20, 4), atol=0.5, rtol=0)
    assert found.dtype == torch.float64


def test_by_hand():
    """The bias alone: all boxes lie a quarter of their width to the left, twice too narrow."""
    boxes = torch.tensor([[95.0, 80.0, 20.0, 20.0]] * 3, dtype=torch.float64)
    config = replace(CONFIG, regression_iou=0.0)
    target = torch.tensor([90.0, 80.0, 40.0, 20.0], dtype=torch.float64)
    regress = BoxRegressor(torch.ones(3, 5), boxes, target, config)
    torch.testing.assert_close(regress(torch.ones(3, 5), boxes)[0], target, atol=1e-4, rtol=0)


def test_a_box_that_would_move_too_far_stays():
    boxes = examples(sampler(), TARGET, CONFIG)
    regress = BoxRegressor(telling(boxes), boxes, TARGET, CONFIG)
    away = TARGET[None] + torch.tensor([30.0, 0, 0, 0])
    torch.testing.assert_close(regress(telling(away), away), away)


def test_a_stronger_ridge_moves_less():
    boxes = examples(sampler(), TARGET, CONFIG)
    moves = []
    for ridge in (1e-6, 1e4):
        config = replace(CONFIG, regression_ridge=ridge)
        found = BoxRegressor(telling(boxes), boxes, TARGET, config)(telling(boxes), boxes)
        moves.append(float((found - boxes).abs().mean()))
    assert moves[1] < 0.2 * moves[0] and moves[0] == pytest.approx(
        float((TARGET - boxes).abs().mean()), rel=0.05
    )
