"""Windows of frames, inside and outside."""

import numpy as np
import pytest
import torch

from trackerlib.data.crops import crop, grey

FRAME = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "window",
    [
        (5, 6, 10, 12),
        (0, 0, 40, 30),
        (-3, -4, 12, 12),
        (35, 25, 20, 15),
        (-10, -10, 60, 60),
        (200, 5, 4, 4),
        (-90, -90, 4, 7),
        (39, 29, 1, 1),
    ],
    ids=[
        "inside",
        "whole",
        "corner",
        "far-corner",
        "around",
        "right-of",
        "left-above",
        "one-pixel",
    ],
)
@pytest.mark.parametrize("frame", [FRAME, FRAME[::-1, ::-1, ::-1], FRAME[::2, 1::3]])
def test_a_crop_repeats_the_border(window, frame):
    left, top, width, height = window
    rows = np.arange(top, top + height).clip(0, frame.shape[0] - 1)
    columns = np.arange(left, left + width).clip(0, frame.shape[1] - 1)
    np.testing.assert_array_equal(crop(frame, *window).numpy(), frame[rows][:, columns])


def test_a_crop_is_a_copy():
    frame = FRAME.copy()
    crop(frame, 0, 0, 40, 30).zero_()
    np.testing.assert_array_equal(frame, FRAME)


def test_grey_weighs_red_green_and_blue():
    pixels = torch.tensor([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(grey(pixels), torch.tensor([[0.2989, 0.5870, 0.1140]]))
