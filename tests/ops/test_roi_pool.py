"""RoIPool against its definition in scalar loops, on every path."""

import importlib

import pytest
import torch
from made_rois import (
    BROKEN,
    CASES,
    ONES,
    SCALE,
    SHAPE,
    SIZES,
    assert_matches,
    check_compiled,
    layouts,
    numbers,
    random_boxes,
    refused,
    refused_counts,
    refused_lists,
    refused_pairs,
    rows,
    some_map,
)
from oracles import roi_pool as oracle
from oracles.roi_align import pair

from trackerlib.ops import roi_pool

module = importlib.import_module("trackerlib.ops.roi_pool")


def through_op(input, boxes, gradient, bins, scale):
    """(pooled, gradient of input) from the public function."""
    input = input.detach().requires_grad_()
    pooled = roi_pool(input, boxes, bins, scale)
    return pooled, torch.autograd.grad(pooled, input, gradient)[0]


def through_kernels(input, boxes, gradient, bins, scale):
    """The same from what launches the Triton kernels."""
    from trackerlib.ops.kernels import roi_pool as kernels

    pooled, winners = kernels.forward(input, boxes, pair(bins), scale, True)
    return pooled, kernels.backward(gradient, winners, input.shape)


PYTORCH = "cpu", through_op


@pytest.fixture(params=["pytorch", "triton"])
def path(request):
    """The device and the function of a path."""
    return PYTORCH if request.param == "pytorch" else request.getfixturevalue("kernels")


@pytest.fixture
def kernels(kernel_device):
    return kernel_device, through_op if kernel_device == "cuda" else through_kernels


def check(path, input, boxes, bins=3, scale=SCALE):
    """Both directions of a path against the oracle; returns them."""
    device, run = path
    gradient = some_map((len(boxes), input.shape[1], *pair(bins)), input.dtype, seed=1)
    given = (tensor.to(device) for tensor in (input, boxes, gradient))
    pooled, shares = run(*given, bins, scale)
    assert pooled.dtype == shares.dtype == input.dtype
    assert pooled.permute(0, 2, 3, 1).is_contiguous()
    asked = numbers(input), numbers(boxes), bins, scale
    assert_exact(pooled, oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient), *asked))
    return pooled, shares


def assert_exact(actual, expected):
    """A maximum is one of the map's numbers, to the last bit."""
    torch.testing.assert_close(
        actual.detach().cpu().double(), torch.from_numpy(expected), rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("label", CASES)
def test_equals_the_definition(path, label):
    check(path, some_map(), rows(CASES[label]))


@pytest.mark.parametrize("bins", [1, 2, 7, (2, 3), [5, 1]], ids=str)
def test_equals_the_definition_at_random_regions(path, bins):
    check(path, some_map(), random_boxes(30 if path == PYTORCH else 2), bins)


@pytest.mark.parametrize(
    "shape", [(1, 3, 1, 1), (1, 1, 1, 9), (2, 33, 6, 9), (1, 600, 2, 2)], ids=str
)
def test_maps_of_other_shapes(path, shape):
    check(path, some_map(shape), random_boxes(2, images=shape[0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_maps_of_other_types(path, dtype):
    check(path, some_map(dtype=dtype), random_boxes(30 if path == PYTORCH else 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_regions_may_be_of_another_type(path, dtype):
    boxes = random_boxes(60 if path == PYTORCH else 4).to(dtype)
    check(path, some_map((2, 1, 6, 9)), boxes, scale=0.13)


def test_halves_are_rounded_away_from_zero_and_nothing_less(path):
    corner = 4 * (1 - 2**-24)  # pixels; just under half a cell
    for low in (4, -4, corner, -corner, 12, -12, 3 * corner, -3 * corner):
        check(path, some_map(), rows([(0, low, 8, 24, 24), (0, 8, low, 24, 24)]), bins=1)


def test_few_regions_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "MAX_ELEMENTS", 100)
    check(PYTORCH, some_map(), random_boxes(20))


@pytest.mark.parametrize("layout", layouts(some_map()))
def test_maps_stored_otherwise(path, layout):
    device, run = path
    input, boxes = layouts(some_map().to(device))[layout], random_boxes(2)
    gradient = torch.ones((), device=device).expand(2, SHAPE[1], 3, 3)  # that of a sum
    pooled, shares = run(input, boxes.to(device), gradient, 3, SCALE)
    asked = numbers(input), numbers(boxes), 3, SCALE
    assert_exact(pooled, oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient), *asked))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_of_equal_cells_the_first_takes_the_gradient(path, dtype):
    _, shares = check(path, torch.zeros(SHAPE, dtype=dtype), rows(CASES["inside"]), bins=1)
    assert shares[0].flatten(1).count_nonzero(1).max() == 1
    sparse = some_map(dtype=dtype).sub(0.7).relu()
    check(path, sparse, random_boxes(30 if path == PYTORCH else 2))


def test_all_below_zero_is_no_empty_bin(path):
    check(path, some_map().abs().neg() - 1, random_boxes(2))
    check(path, torch.full(SHAPE, -torch.inf), rows(CASES["inside"]))


def test_one_nan_makes_its_bins_nan_and_no_other(path):
    device, run = path
    input, boxes = some_map(), rows(CASES["both images"])
    input[0, 2, 2, 3] = input[1, 0, 3, 3] = torch.nan
    gradient = torch.zeros(2, SHAPE[1], 3, 3, device=device)
    pooled, _ = run(input.to(device), boxes.to(device), gradient, 3, SCALE)
    assert_exact(pooled, oracle.forward(numbers(input), numbers(boxes), 3, SCALE))
    assert 2 <= pooled.isnan().sum() <= 8


def test_none_and_outside_are_what_was_promised():
    assert roi_pool(some_map(), rows([]), 3, SCALE).shape == (0, SHAPE[1], 3, 3)
    outside = roi_pool(some_map(), rows(CASES["wholly outside"]), 3, SCALE)
    torch.testing.assert_close(outside, torch.zeros_like(outside), rtol=0, atol=0)


def test_gradient_against_differences():
    input = some_map((2, 2, 6, 9), torch.float64).requires_grad_()
    boxes = random_boxes(5)
    assert torch.autograd.gradcheck(lambda f: roi_pool(f, boxes, 2, SCALE), (input,))


def test_the_ops_are_registered_as_torch_asks():
    input, boxes = some_map(), random_boxes(4)
    ops = torch.ops.trackerlib
    for keep in True, False:
        torch.library.opcheck(ops.roi_pool.default, (input, boxes, [3, 2], SCALE, keep))
    given = input.clone().requires_grad_(), boxes, [3, 2], SCALE, True
    torch.library.opcheck(ops.roi_pool.default, given)
    _, winners = ops.roi_pool(input, boxes, [3, 2], SCALE, True)
    given = some_map((4, SHAPE[1], 3, 2)), winners, list(SHAPE)
    torch.library.opcheck(ops.roi_pool_backward.default, given)


def test_torch_compile_takes_it_whole():
    check_compiled(lambda input, boxes: roi_pool(input, boxes, 3, SCALE))


GOOD = {"input": some_map(), "boxes": random_boxes(2), "output_size": 3, "spatial_scale": SCALE}
WRONG = refused("roi_pool") | refused_lists("roi_pool") | refused_counts("roi_pool", "output_size")
WRONG |= refused_pairs("roi_pool")


@pytest.mark.parametrize("label", WRONG)
def test_anything_else_is_refused(label):
    changed, message = WRONG[label]
    with pytest.raises(ValueError, match=f"^{message}"):
        roi_pool(**(GOOD | changed))


def test_kernels_make_a_broken_region_nan_and_learn_nothing_from_it(kernels):
    device, run = kernels
    good = rows([(1, 5.2, 3.3, 66.6, 41.8), (1, 10.3, 8.1, 50.7, 33.9)])
    boxes = torch.cat((good[:1], rows(list(BROKEN.values())), good[1:]))
    gradient = torch.ones(len(boxes), SHAPE[1], 2, 2, device=device)
    pooled, shares = run(some_map().to(device), boxes.to(device), gradient, 2, SCALE)
    assert pooled[1:-1].isnan().all()
    asked = numbers(some_map()), numbers(good), 2, SCALE
    assert_exact(pooled[[0, -1]], oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient[[0, -1]]), *asked))


@pytest.mark.parametrize(
    ("dtype", "constants"),
    [("fp32", {"KEEP": True}), ("fp16", {"KEEP": False} | ONES), ("bf16", {"KEEP": True})],
)
def test_kernel_compiles(compiles, dtype, constants):
    types = SIZES | {"rows": f"*{dtype}", "pooled": f"*{dtype}", "winners": "*fp32"}
    compiles(
        "roi_pool", "forward_kernel", types, {"BINS_Y": 3, "BINS_X": 4, "BLOCK": 512} | constants
    )
    types = {
        "grad": f"*{dtype}",
        "winners": "*fp32",
        "total": "*fp32",
        "cells": "i32",
        "C": "i32",
    }
    compiles("roi_pool", "backward_kernel", types, {"BLOCK": 512})


def test_equals_torchvision(torchvision_ops):
    input, boxes = some_map(), random_boxes(30)
    expected = torchvision_ops.roi_pool(input, boxes, 3, SCALE)
    torch.testing.assert_close(roi_pool(input, boxes, 3, SCALE), expected, rtol=0, atol=0)


def test_more_cells_than_float32_counts_are_refused():
    input = torch.zeros(1, 1, 4097, 4097, requires_grad=True)
    with pytest.raises(ValueError, match=r"expected at most 16777216 cells .*got 16785409"):
        roi_pool(input, rows([(0, 90, 0, 110, 3)]), 1, 1)
