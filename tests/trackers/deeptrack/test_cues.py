"""The cues against OpenCV and loops, and the patches against crops of them."""

import cv2
import numpy as np
import pytest
import torch

from trackerlib.trackers.deeptrack import cues
from trackerlib.trackers.deeptrack.cues import (
    PatchFeatures,
    colour_cues,
    grey_cues,
    hue_and_value,
    local_contrast,
)


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(60, 80, 3)).astype(np.float32)
    return (128 + 400 * cv2.GaussianBlur(noise, (0, 0), 2)).clip(0, 255).astype(np.uint8)


def channels_first(picture):
    return torch.from_numpy(picture / 255).float().permute(2, 0, 1)


def test_hue_and_value_are_opencvs(picture):
    picture[:2, :2] = [[[0, 0, 0], [90, 90, 90]], [[255, 0, 0], [0, 255, 255]]]
    expected = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hue, value = hue_and_value(channels_first(picture))
    torch.testing.assert_close(360 * hue, torch.from_numpy(expected[..., 0]), atol=0.02, rtol=0)
    torch.testing.assert_close(value, torch.from_numpy(expected[..., 2]))


def test_all_cues_reach_from_0_to_10_at_most(picture):
    for values in (colour_cues(channels_first(picture)), grey_cues(channels_first(picture))):
        assert values.shape == (3, 60, 80)
        assert (values >= 0).all() and (values <= 10).all()
        assert (values.flatten(1).std(1) > 0.5).all()


def test_local_contrast_pixel_by_pixel(picture):
    """Mean and deviation with Gaussian weights, the border repeated."""
    brightness = channels_first(picture)[0, :20, :24].double()
    found, reach = local_contrast(brightness, 1.5), 3
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-(steps**2) / (2 * 1.5**2))
    weights = np.outer(weights, weights) / weights.sum() ** 2

    def around(image):
        rows = np.pad(image, reach, mode="edge")
        return np.array(
            [[(rows[y : y + 7, x : x + 7] * weights).sum() for x in range(24)] for y in range(20)]
        )

    difference = brightness.numpy() - around(brightness.numpy())
    deviation = np.sqrt(around(difference**2))
    contrast = difference / np.maximum(deviation, deviation.mean())
    expected = 5 * (1 + np.clip(contrast / 3, -1, 1))
    torch.testing.assert_close(found, torch.from_numpy(expected))


def test_local_contrast_does_not_see_the_light(picture):
    brightness = channels_first(picture)[0]
    torch.testing.assert_close(
        local_contrast(0.5 * brightness + 0.2, 3.2), local_contrast(brightness, 3.2)
    )


def test_of_an_even_picture_nothing_is_left():
    even = torch.full((3, 40, 40), 0.5)
    contrast, _, edges = grey_cues(even)
    torch.testing.assert_close(contrast, torch.full((40, 40), 5.0))
    assert (edges == 0).all()


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_the_target_at_a_patchs_size_is_cut_as_it_is(picture, grey):
    if grey:
        picture[:] = picture[..., :1]
    target = torch.tensor([20.0, 10, 32, 32], dtype=torch.float64)
    patches = PatchFeatures()
    patches.set_frame(picture, target)
    boxes = torch.stack((target, target + torch.tensor([5.0, 3, 0, 0]), target - 9))
    boxes[2, 2:] = 50
    found = patches(boxes)
    assert patches.grey == grey and found.shape == (3, 3, 32, 32)
    low, high = boxes[:, :2].min(0).values.int(), (boxes[:, :2] + boxes[:, 2:]).max(0).values.int()
    scene = channels_first(picture)[:, low[1] : high[1] + 1, low[0] : high[0] + 1]
    values = (grey_cues if grey else colour_cues)(scene)
    for patch, (x, y) in zip(found[:2], boxes[:2, :2].int() - low, strict=True):
        expected = values[:, y : y + 32, x : x + 32] - patches.centre[:, None, None]
        torch.testing.assert_close(patch, expected, atol=2e-3, rtol=0)


def test_the_first_patches_have_mean_0_and_keep_it_for_the_others(picture):
    patches = PatchFeatures()
    boxes = torch.tensor([[20.0, 10, 24, 30], [26, 14, 24, 30]], dtype=torch.float64)
    patches.set_frame(picture, boxes[0])
    first = patches(boxes)
    torch.testing.assert_close(first.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    patches.set_frame(picture // 2, boxes[0])
    assert patches(boxes)[:, 1].mean() < -1


def test_patches_reach_beyond_the_frame(picture):
    patches = PatchFeatures()
    boxes = torch.tensor([[-15.0, -20, 32, 32], [70, 50, 40, 20]], dtype=torch.float64)
    patches.set_frame(picture, boxes[0])
    assert patches(boxes).isfinite().all()


def test_radii_are_parts_of_the_targets_height():
    assert tuple(radius * cues.PATCH_SIDE for radius in cues.RADII) == pytest.approx((3.2, 4.8))
