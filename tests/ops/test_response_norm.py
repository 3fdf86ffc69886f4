"""Local response normalisation against PyTorch's, in one pass and of its operations."""

import sys
import warnings

import pytest
import torch
from torch.nn.functional import local_response_norm, max_pool2d

from trackerlib.nets.vggm import NORMS
from trackerlib.ops import kernels
from trackerlib.ops import response_norm as norms
from trackerlib.ops.response_norm import pooled_response_norm, response_norm


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


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_response_norm_has_a_gradient(size):
    x = (10 * torch.rand(2, 6, 2, 3, dtype=torch.float64)).requires_grad_()
    torch.autograd.gradcheck(lambda x: response_norm(x, size, 1e-2, 2.0), (x,))


SHAPES = [(2, 7, 4, 5), (1, 7, 3, 3), (1, 3, 3, 4), (0, 7, 3, 3), (3, 96, 40, 33)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_one_pass_is_what_pytorchs_operations_give(shape, size, dtype):
    """Also with two threads, which the last shape is large enough for."""
    x = 100 * torch.rand(shape, dtype=dtype)
    expected = norms.composed(x, size, 1e-2, 2.0)
    before = x.clone()
    for stored in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(response_norm(stored, size, 1e-2, 2.0), expected)
        for kernel, stride in ((3, 2), (2, 1), (1, 3)):
            pooled = pooled_response_norm(stored, size, 1e-2, 2.0, kernel, stride)
            torch.testing.assert_close(pooled, max_pool2d(expected, kernel, stride))
    torch.testing.assert_close(x, before, rtol=0, atol=0)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_the_gradient_is_what_pytorchs_operations_give(size):
    x, weight = torch.randn(2, 3, 96, 40, 33).mul(30).unbind()
    gradients = []
    for norm in (response_norm, norms.composed):
        leaf = x.clone().requires_grad_()
        (norm(leaf, size, 1e-4, 2.0) * weight).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_a_narrow_type_is_normalised_in_float32():
    x = 100 * torch.rand(1, 96, 5, 5).bfloat16()
    expected = response_norm(x.float(), 5, 1e-4, 2.0).bfloat16()
    torch.testing.assert_close(response_norm(x, 5, 1e-4, 2.0), expected, rtol=0, atol=0)
    pooled = pooled_response_norm(x, 5, 1e-4, 2.0, 3, 2)
    torch.testing.assert_close(pooled, max_pool2d(expected, 3, 2), rtol=0, atol=0)


def test_the_gradient_of_a_narrow_type_is_of_float32():
    x = 100 * torch.rand(1, 96, 5, 5).bfloat16()
    narrow, wide = x.clone().requires_grad_(), x.float().requires_grad_()
    response_norm(narrow, 5, 1e-4, 2.0).sum().backward()
    response_norm(wide, 5, 1e-4, 2.0).sum().backward()
    torch.testing.assert_close(narrow.grad, wide.grad.bfloat16())


def test_parts_of_a_map_are_taken_where_they_lie():
    """Every second row and column, and channels that are not all."""
    x = 100 * torch.rand(2, 12, 9, 10)
    part = x[:, 2:9, ::2, 1::2]
    expected = response_norm(part.clone(), 5, 1e-2, 2.0)
    torch.testing.assert_close(response_norm(part, 5, 1e-2, 2.0), expected, rtol=0, atol=0)


def test_what_is_no_number_stays_none():
    x = torch.ones(1, 6, 5, 5)
    x[0, 2, 1, 1] = torch.nan
    expected = max_pool2d(norms.composed(x, 3, 1e-2, 2.0), 3, 2)
    torch.testing.assert_close(
        pooled_response_norm(x, 3, 1e-2, 2.0, 3, 2), expected, equal_nan=True
    )


def test_without_numba_the_result_is_the_same_and_a_warning_says_so(monkeypatch):
    x = 100 * torch.rand(1, 7, 6, 5)
    expected = pooled_response_norm(x, 5, 1e-2, 2.0, 3, 2)
    monkeypatch.setitem(sys.modules, "trackerlib.ops.kernels.on_cpu", None)
    kernels._numba_loads.cache_clear()
    try:
        with pytest.warns(UserWarning, match="pip install numba"):
            torch.testing.assert_close(pooled_response_norm(x, 5, 1e-2, 2.0, 3, 2), expected)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # said once
            pooled_response_norm(x, 5, 1e-2, 2.0, 3, 2)
    finally:
        kernels._numba_loads.cache_clear()
