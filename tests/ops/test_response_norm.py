"""Local response normalisation against PyTorch's, whole and in parts."""

import pytest
import torch
from torch.nn.functional import local_response_norm

from trackerlib.nets.vggm import NORMS
from trackerlib.ops import response_norm as norms
from trackerlib.ops.response_norm import response_norm


@pytest.mark.parametrize(("size", "alpha", "k"), [*NORMS.values(), (4, 1e-3, 1.0)])
def test_response_norm_is_pytorchs(size, alpha, k):
    x = 100 * torch.rand(2, 7, 3, 5, dtype=torch.float64)
    expected = local_response_norm(x, size, alpha * size, 0.75, k)
    torch.testing.assert_close(response_norm(x, size, alpha, k), expected)


def test_response_norm_by_hand():
    """A value of 200 alone in its 5 channels: 200 / (2 + 4) ** 0.75."""
    x = torch.zeros(1, 5, 1, 1)
    x[0, 2] = 200
    assert response_norm(x, 5, 1e-4, 2.0)[0, 2].item() == pytest.approx(200 / 6**0.75)


def test_response_norm_has_a_gradient():
    x = (10 * torch.rand(1, 4, 2, 2, dtype=torch.float64)).requires_grad_()
    torch.autograd.gradcheck(lambda x: response_norm(x, 5, 1e-2, 2.0), (x,))


NUMBERS = {"plenty": 2**17, "of three cells": 3 * 7, "less than a cell": 1}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS.keys())
@pytest.mark.parametrize("shape", [(2, 7, 4, 5), (1, 7, 3, 3), (1, 3, 3, 4), (0, 7, 3, 3)])
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_response_norm_in_parts_is_the_one_with_a_gradient(monkeypatch, numbers, shape, size):
    monkeypatch.setattr(norms, "CHUNK", numbers)
    x = 100 * torch.rand(shape, dtype=torch.float64)
    expected = response_norm(x.clone().requires_grad_(), size, 1e-2, 2.0).detach()
    before = x.clone()
    for stored in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(response_norm(stored, size, 1e-2, 2.0), expected)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_a_narrow_type_is_normalised_in_float32():
    x = 100 * torch.rand(1, 96, 5, 5).bfloat16()
    expected = response_norm(x.float(), 5, 1e-4, 2.0).bfloat16()
    torch.testing.assert_close(response_norm(x, 5, 1e-4, 2.0), expected, rtol=0, atol=0)
