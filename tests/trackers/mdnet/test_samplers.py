"""Boxes around a box: their range, their limits, their IoU."""

import math
from functools import partial

import pytest
import torch

from trackerlib import boxes as B
from trackerlib.trackers.mdnet import samplers
from trackerlib.trackers.mdnet.config import Config
from trackerlib.trackers.mdnet.samplers import Sampler, with_iou

BOX = torch.tensor([100.0, 80.0, 40.0, 20.0], dtype=torch.float64)  # mean side 30
FRAME = torch.tensor([[0.0, 0.0], [320.0, 240.0]], dtype=torch.float64)
SIZES = torch.tensor([[2.0, 2.0], [320.0, 240.0]], dtype=torch.float64)


@pytest.fixture
def sampler():
    return Sampler(FRAME, SIZES, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "deviation"), [("gaussian", 0.5), ("uniform", 3**-0.5)])
def test_offsets_and_scales_fill_their_range(sampler, kind, deviation):
    drawn = getattr(sampler, kind)(BOX, 0.6, 1.5, 20000)
    offset = (B.centres(drawn) - B.centres(BOX)) / (0.6 * 30)
    scale = (drawn[:, 2:] / BOX[2:]).log() / math.log(1.5)
    torch.testing.assert_close(scale[:, 0], scale[:, 1])
    for values in (offset[:, 0], offset[:, 1], scale[:, 0]):
        assert values.abs().max() < 1.00001 and values.abs().max() > 0.99
        assert values.mean().abs() < 0.02
        assert abs(values.std() - deviation) < 0.05  # cutting takes 0.04 off the gaussian's


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "everywhere"])
def test_boxes_are_formulas_of_the_random_numbers(sampler, kind):
    """In the order in which they are drawn. BOX has its centre at (120, 90)."""
    numbers, expected = torch.Generator().manual_seed(0), []

    def drawn(of, axes):
        return of(50, axes, generator=numbers, dtype=torch.float64).tolist()

    if kind == "gaussian":
        found = sampler.gaussian(BOX, 0.6, 1.5, 50)
        for shift, [normal] in zip(drawn(torch.randn, 2), drawn(torch.randn, 1), strict=True):
            x, y, power = (min(max(value / 2, -1), 1) for value in (*shift, normal))
            size = 40 * 1.5**power, 20 * 1.5**power
            expected.append((120 + 0.6 * 30 * x, 90 + 0.6 * 30 * y, *size))
    elif kind == "uniform":
        found = sampler.uniform(BOX, 0.6, 1.5, 50, aspect=1.1)
        several = drawn(torch.rand, 1), drawn(torch.rand, 2), drawn(torch.rand, 2)
        for rows in zip(*several, strict=True):
            power, w, h, x, y = (2 * value - 1 for row in rows for value in row)
            size = 40 * 1.5**power * 1.1**w, 20 * 1.5**power * 1.1**h
            expected.append((120 + 0.6 * 30 * x, 90 + 0.6 * 30 * y, *size))
    else:
        found = sampler.everywhere(BOX, 1.5, 50)
        for (x, y), [value] in zip(drawn(torch.rand, 2), drawn(torch.rand, 1), strict=True):
            size = 40 * 1.5 ** (2 * value - 1), 20 * 1.5 ** (2 * value - 1)
            expected.append((320 * x, 240 * y, *size))
    by_corner = [(x - w / 2, y - h / 2, w, h) for x, y, w, h in expected]
    torch.testing.assert_close(found, torch.tensor(by_corner, dtype=torch.float64))


def test_a_frames_own_sides_are_the_limits_unless_a_region_lies_within(sampler):
    frame = torch.zeros(240, 320, 3).numpy()
    found = samplers.over(frame, 5.0, sampler.generator)
    torch.testing.assert_close(found.region, FRAME)
    assert found.sizes.tolist() == [[5, 5], [320, 240]]
    region = torch.tensor([[-9.0, 20.0], [100.0, 999.0]], dtype=torch.float64)
    assert samplers.over(frame, 5.0, sampler.generator, region).region.tolist() == [
        [0, 20],
        [100, 240],
    ]


def test_everywhere_fills_the_region(sampler):
    centre = B.centres(sampler.everywhere(BOX, 1.6, 4000))
    torch.testing.assert_close(centre.amin(0), FRAME[0], rtol=0, atol=2)
    torch.testing.assert_close(centre.amax(0), FRAME[1], rtol=0, atol=2)
    torch.testing.assert_close(centre.mean(0), FRAME.mean(0), rtol=0, atol=5)


def test_centres_stay_in_the_region_and_sizes_within_their_limits():
    sizes = torch.tensor([[30.0, 15.0], [50.0, 25.0]], dtype=torch.float64)
    region = torch.tensor([[110.0, 0.0], [130.0, 240.0]], dtype=torch.float64)
    drawn = Sampler(region, sizes, torch.Generator().manual_seed(0)).uniform(BOX, 2, 3, 1000)
    assert (drawn[:, 2:] >= sizes[0]).all() and (drawn[:, 2:] <= sizes[1]).all()
    x = B.centres(drawn)[:, 0]
    assert x.min() == 110 and x.max() == 130


def test_only_boxes_that_overlap_as_asked_are_kept(sampler):
    drawn = with_iou(partial(sampler.uniform, BOX, 1.0, 1.6), BOX, 300, 0.2, 0.4)
    shared = B.box_iou(drawn, BOX)
    assert len(drawn) == 300 and shared.min() >= 0.2 and shared.max() <= 0.4


def test_what_cannot_be_drawn_is_left_out(sampler):
    assert with_iou(partial(sampler.uniform, BOX, 0.01, 1.0), BOX, 10, 0, 0.5).shape == (0, 4)


def test_a_range_of_iou_holds_its_ends_and_draws_stop_when_there_are_enough():
    box, half = torch.tensor([0.0, 0, 10, 10]), torch.tensor([[0.0, 0, 10, 5]])
    calls = []

    def draw(count):
        calls.append(count)
        return half.repeat(count, 1)

    assert (
        len(with_iou(draw, box, 3, min_iou=0.5)) == len(with_iou(draw, box, 3, max_iou=0.5)) == 3
    )
    assert calls == [3, 3]
    assert len(with_iou(draw, box, 3, min_iou=0.6)) == 0
    assert calls[2:] == [3] * 16


def test_the_named_draws_keep_their_constants(sampler):
    config = Config()
    positives = samplers.positives(sampler, BOX, 50, config)
    assert len(positives) == 50 and B.box_iou(positives, BOX).min() >= 0.7
    first = samplers.first_negatives(sampler, BOX, config)
    assert len(first) == 5000 and B.box_iou(first, BOX).max() <= 0.5
    distance = B.centre_distance(first, BOX)
    assert distance[:2500].max() <= 30 * 2**0.5 < distance[2500:].median()
    later = samplers.negatives(sampler, BOX, 0.3, config)
    assert len(later) == 200 and B.box_iou(later, BOX).max() <= 0.3
    assert B.centre_distance(later, BOX).max() <= 60 * 2**0.5


def test_first_negatives_may_all_be_around_the_target_and_of_other_shapes(sampler):
    """RT-MDNet's code: uniform alone, translation 1, scale 2, aspect 1.1."""
    config = Config(
        first_negatives_everywhere=False, first_negative_scale=2.0, first_negative_aspect=1.1
    )
    drawn = samplers.first_negatives(sampler, BOX, config)
    assert len(drawn) == 5000 and B.box_iou(drawn, BOX).max() <= 0.5
    assert ((B.centres(drawn) - B.centres(BOX)).abs() <= 30 + 1e-9).all()
    aspect = (drawn[:, 2] / BOX[2]) / (drawn[:, 3] / BOX[3])
    assert 1 / 1.1**2 <= aspect.min() < 0.85 and 1.17 < aspect.max() <= 1.1**2
    scale = (drawn[:, 2:] / BOX[2:]).prod(1).sqrt()
    assert scale.min() < 0.55 and 1.8 < scale.max() <= 2.2


def test_first_negatives_are_by_default_what_they_were():
    """Half uniform around the target, half everywhere, by the same random numbers."""
    config = Config()
    drawn, by_hand = (Sampler(FRAME, SIZES, torch.Generator().manual_seed(3)) for _ in range(2))
    found = samplers.first_negatives(drawn, BOX, config)
    draws = partial(by_hand.uniform, BOX, 1.0, 1.6), partial(by_hand.everywhere, BOX, 1.6)
    expected = torch.cat([with_iou(draw, BOX, 2500, 0, 0.5) for draw in draws])
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_generator_decides_the_boxes():
    first, again, other = (
        Sampler(FRAME, SIZES, torch.Generator().manual_seed(seed)).gaussian(BOX, 0.6, 1.05, 9)
        for seed in (0, 0, 1)
    )
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)
