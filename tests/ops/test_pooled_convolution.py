"""Convolution and pooling as one product: equal to PyTorch's two, forwards and backwards."""

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from trackerlib.ops import pooled_convolution

SIZES = [
    ((5, 3, 32, 32), (36, 1, 13, 13), 3),  # DeepTrack's first
    ((5, 36, 10, 10), (54, 12, 7, 7), 3),  # and second
    ((2, 3, 9, 6), (4, 3, 2, 5), 1),
    ((1, 2, 5, 5), (1, 2, 4, 4), 1),
    ((1, 1, 2, 4), (2, 1, 1, 1), 1),
    ((0, 2, 4, 4), (2, 1, 3, 3), 2),
]


@pytest.mark.parametrize("size, kernel, groups", SIZES)
def test_equals_two_steps_and_their_gradients(size, kernel, groups):
    draws = torch.Generator().manual_seed(0)
    pair = [
        torch.randn(s, generator=draws, dtype=torch.float64, requires_grad=True)
        for s in (size, kernel)
    ]
    found = pooled_convolution(*pair, groups)
    expected = max_pool2d(conv2d(*pair, groups=groups), 2)
    torch.testing.assert_close(found, expected)
    up = torch.randn(expected.shape, generator=draws, dtype=torch.float64)
    for slopes in zip(*(torch.autograd.grad(y, pair, up) for y in (found, expected)), strict=True):
        torch.testing.assert_close(*slopes)


def test_bfloat16_rounds_hardly_more_than_its_numbers_do():
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(8, 1, 32, 32, generator=draws)
    weight = torch.randn(12, 1, 13, 13, generator=draws)
    found = pooled_convolution(x.bfloat16(), weight.bfloat16()).float()
    assert float((found - max_pool2d(conv2d(x, weight), 2)).norm() / found.norm()) < 2**-7


@pytest.mark.parametrize(
    "x, weight, groups, message",
    [
        (torch.rand(1, 8, 8), torch.rand(1, 1, 3, 3), 1, "expected x"),
        (torch.rand(1, 2, 8, 8), torch.rand(1, 1, 3, 3), 1, "expected x"),
        (torch.rand(1, 2, 8, 8), torch.rand(3, 1, 3, 3), 2, "expected x"),
        (torch.rand(1, 2, 8, 8), torch.rand(2, 2, 3, 3), 2, r"x \(N, 2 C, H, W\)"),
        (torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3).double(), 1, "one type"),
        (torch.ones(1, 1, 8, 8, dtype=int), torch.ones(1, 1, 3, 3, dtype=int), 1, "one type"),
        (torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3), 0, "at least 1 group, got 0"),
        (torch.rand(1, 1, 8, 8), torch.rand(1, 1, 9, 3), 1, "got 0 and 6"),
        (torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 4), 1, "got 6 and 5"),
    ],
)
def test_says_what_was_expected(x, weight, groups, message):
    with pytest.raises(ValueError, match=message):
        pooled_convolution(x, weight, groups)
