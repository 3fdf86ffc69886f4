"""Adaptive RoIAlign against its definition in scalar loops, on every path."""

import pytest
import torch
from made_rois import (
    BROKEN,
    CASES,
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
    rows,
    some_map,
)
from oracles import adaptive_roi_align as oracle

from trackerlib.ops import adaptive_roi_align, bilinear


def through_op(input, boxes, gradient, grid, scale, pool):
    """(pooled, gradient of input) from the public function."""
    input = input.detach().requires_grad_()
    pooled = adaptive_roi_align(input, boxes, grid, scale, pool)
    return pooled, torch.autograd.grad(pooled, input, gradient)[0]


def through_kernels(input, boxes, gradient, grid, scale, pool):
    """The same from what launches the Triton kernels."""
    from trackerlib.ops.kernels import roi_align as kernels

    window = (3, 2) if pool else (1, 1)
    settings = scale, kernels.Sampling((grid, grid), 1, *window, "max", "adaptive")
    shape = gradient.permute(0, 2, 3, 1).shape
    winners = boxes.new_empty(shape, dtype=bilinear.winner_type(grid * grid))
    pooled = kernels.forward(input, boxes, *settings, winners)
    return pooled, kernels.backward(gradient, winners, input, boxes, *settings)


ON_CPU = "cpu", through_op


@pytest.fixture
def path(request, bilinear_by):
    """The device and the function of a path."""
    return request.getfixturevalue("kernels") if bilinear_by == "triton" else ON_CPU


@pytest.fixture
def kernels(kernel_device):
    return kernel_device, through_op if kernel_device == "cuda" else through_kernels


def check(path, input, boxes, grid=3, scale=SCALE, pool=True):
    """Both directions of a path against the oracle; returns them."""
    device, run = path
    side = (grid - 3) // 2 + 1 if pool else grid
    gradient = some_map((len(boxes), input.shape[1], side, side), input.dtype, seed=1)
    given = (tensor.to(device) for tensor in (input, boxes, gradient))
    pooled, shares = run(*given, grid, scale, pool)
    assert pooled.dtype == shares.dtype == input.dtype
    assert pooled.permute(0, 2, 3, 1).is_contiguous()
    asked = numbers(input), numbers(boxes), grid, scale, pool
    cut = run is through_kernels and input.dtype == torch.bfloat16  # by the interpreter
    assert_matches(pooled, oracle.forward(*asked), 2**-7 if cut else None)
    assert_matches(shares, oracle.backward(numbers(gradient), *asked))
    return pooled, shares


@pytest.mark.parametrize("label", CASES)
def test_equals_the_definition(path, label):
    check(path, some_map(), rows(CASES[label]), grid=7 if path == ON_CPU else 3)


@pytest.mark.parametrize(("grid", "pool"), [(7, True), (3, True), (4, True), (4, False)])
def test_equals_the_definition_at_random_regions(path, grid, pool):
    count = 20 if path == ON_CPU else 9 // grid
    check(path, some_map(), random_boxes(count), grid, pool=pool)


@pytest.mark.parametrize("bins", [0.5, 1, 1.5, 2.5])
def test_the_bandwidth_is_the_bin_rounded_away_from_zero(path, bins):
    far = (3 * bins - 1) / SCALE
    regions = rows([(0, 0, 0, far, far), (0, 1, 3, 1 + far, 3 + far)])
    check(path, some_map((1, 2, 9, 9)), regions, pool=False)


def test_points_on_the_map_s_edges(path):
    regions = rows([(0, 40, 24, 72, 56)])  # x 5 to 9, y 3 to 7 and so b = 1
    pooled, _ = check(path, some_map(), regions, grid=5, pool=False)
    expected = torch.nn.functional.pad(some_map()[0, :, 3:, 5:], (0, 1, 0, 2))
    torch.testing.assert_close(pooled[0].detach().cpu(), expected, rtol=0, atol=0)


def test_the_released_kernel_differs_on_the_last_row_and_column_alone():
    cells = torch.tensor([10.0, 20, 30, 40])
    input = cells.expand(1, 1, 4, 4)
    # Along x, points 0.5, 1.5, 2.5, 3.5 with s = 1, and 0, 2 with s = 2; row 1 throughout.
    for box, grid, ours, released in (
        ((0, 0.5, 1, 3.5, 4), 4, [15, 25, 35, 20], [15, 25, 35, 45]),
        ((0, 1, 0, 4, 3), 2, [20, 40], [20, 15]),
    ):
        boxes = rows([box])
        theirs = oracle.forward(numbers(input), numbers(boxes), grid, 1, False, released=True)
        pooled = adaptive_roi_align(input, boxes, grid, pool=False)
        torch.testing.assert_close(pooled[0, 0, 0], torch.tensor(ours, dtype=torch.float32))
        torch.testing.assert_close(theirs[0, 0, 0].tolist(), [float(v) for v in released])

    boxes, grid = random_boxes(40), 3
    pooled = adaptive_roi_align(some_map(), boxes, grid, SCALE, pool=False).double()
    asked = numbers(some_map()), numbers(boxes), grid, SCALE, False
    theirs = torch.from_numpy(oracle.forward(*asked, released=True))
    y, x = (  # (40, 3), in map cells
        (boxes[:, i, None] * SCALE)
        + torch.arange(grid) * ((boxes[:, i + 2] - boxes[:, i]) * SCALE + 1)[:, None] / grid
        for i in (2, 1)
    )
    last = (y[:, :, None] >= SHAPE[2] - 1) | (x[:, None] >= SHAPE[3] - 1)  # (40, 3, 3)
    last = last[:, None].expand_as(pooled)
    torch.testing.assert_close(pooled[~last], theirs[~last], rtol=1e-5, atol=1e-5)
    assert (pooled - theirs)[last].abs().max() > 0.1


@pytest.mark.parametrize(
    "shape", [(1, 3, 1, 1), (1, 1, 1, 9), (2, 33, 6, 9), (1, 600, 2, 2)], ids=str
)
def test_maps_of_other_shapes(path, shape):
    check(path, some_map(shape), random_boxes(2, images=shape[0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_half_types_are_rounded_once_and_double_not_at_all(path, dtype):
    check(path, some_map(dtype=dtype), random_boxes(20 if path == ON_CPU else 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_regions_may_be_of_another_type(path, dtype):
    boxes = random_boxes(20 if path == ON_CPU else 2).to(dtype)
    check(path, some_map(), boxes, scale=0.13)


def test_few_regions_at_a_time(monkeypatch):
    monkeypatch.setattr(bilinear, "for_cpu", lambda *_: None)
    monkeypatch.setattr(bilinear, "MAX_BYTES", 100)
    check(ON_CPU, some_map(), random_boxes(20))


@pytest.mark.parametrize("layout", layouts(some_map()))
def test_maps_stored_otherwise(path, layout):
    device, run = path
    input, boxes = layouts(some_map().to(device))[layout], random_boxes(2)
    gradient = torch.ones((), device=device).expand(2, SHAPE[1], 1, 1)  # that of a sum
    pooled, shares = run(input, boxes.to(device), gradient, 3, SCALE, True)
    asked = numbers(input), numbers(boxes), 3, SCALE
    assert_matches(pooled, oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient), *asked))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_of_equal_points_the_first_takes_the_gradient(path, dtype):
    check(path, torch.zeros(SHAPE, dtype=dtype), rows(CASES["inside"]))
    sparse = some_map(dtype=dtype).sub(0.7).relu()
    check(path, sparse, random_boxes(20 if path == ON_CPU else 2))


def test_nan_stays_in_its_channel_and_image(path):
    device, run = path
    input, boxes = some_map(), rows(CASES["both images"])
    expected = oracle.forward(numbers(input), numbers(boxes), 3, SCALE)
    input[0, 2] = torch.nan
    expected[1, 2] = torch.nan
    gradient = torch.ones(expected.shape, device=device)
    pooled, _ = run(input.to(device), boxes.to(device), gradient, 3, SCALE, True)
    assert_matches(pooled, expected)


def test_none_and_outside_are_what_was_promised():
    assert adaptive_roi_align(some_map(), rows([]), 7, SCALE).shape == (0, SHAPE[1], 3, 3)
    outside = adaptive_roi_align(some_map(), rows(CASES["wholly outside"]), 7, SCALE)
    torch.testing.assert_close(outside, torch.zeros_like(outside), rtol=0, atol=0)


@pytest.mark.parametrize("pool", [True, False])
def test_gradient_against_differences(pool):
    input = some_map((2, 2, 6, 9), torch.float64).requires_grad_()
    boxes = rows(CASES["inside"] + CASES["both images"] + CASES["partly outside"])
    assert torch.autograd.gradcheck(
        lambda f: adaptive_roi_align(f, boxes, 5, SCALE, pool), (input,)
    )


@pytest.mark.parametrize("window", [(3, 2), (1, 1)], ids=["pooled", "points"])
def test_the_ops_are_registered_as_torch_asks(window):
    input, boxes = some_map(), random_boxes(4)
    ops = torch.ops.trackerlib
    for keep in True, False:
        given = input, boxes, 7, SCALE, *window, keep
        torch.library.opcheck(ops.adaptive_roi_align.default, given)
    given = input.clone().requires_grad_(), boxes, 7, SCALE, *window, True
    pooled, winners = ops.adaptive_roi_align(*given)
    torch.library.opcheck(ops.adaptive_roi_align.default, given)
    given = torch.rand_like(pooled), winners, input, boxes, 7, SCALE, *window
    torch.library.opcheck(ops.adaptive_roi_align_backward.default, given)


def test_torch_compile_takes_it_whole():
    check_compiled(lambda input, boxes: adaptive_roi_align(input, boxes, 7, SCALE))


GOOD = {"input": some_map(), "boxes": random_boxes(2), "grid": 7, "spatial_scale": SCALE}
WRONG = (
    refused("adaptive_roi_align")
    | refused_lists("adaptive_roi_align")
    | refused_counts("adaptive_roi_align", "grid")
)
WRONG["two points to pool"] = (
    {"grid": 2},
    r"adaptive_roi_align: expected a grid of at least 3 .*got 2; .*pool=False",
)


@pytest.mark.parametrize("label", WRONG)
def test_anything_else_is_refused(label):
    changed, message = WRONG[label]
    with pytest.raises(ValueError, match=f"^{message}"):
        adaptive_roi_align(**(GOOD | changed))


def test_kernels_make_a_broken_region_nan_and_learn_nothing_from_it(kernels):
    device, run = kernels
    good = rows([(1, 5.2, 3.3, 66.6, 41.8), (1, 10.3, 8.1, 50.7, 33.9)])
    boxes = torch.cat((good[:1], rows(list(BROKEN.values())), good[1:]))
    gradient = torch.ones(len(boxes), SHAPE[1], 1, 1, device=device)
    pooled, shares = run(some_map().to(device), boxes.to(device), gradient, 3, SCALE, True)
    assert pooled[1:-1].isnan().all()
    asked = numbers(some_map()), numbers(good), 3, SCALE
    assert_matches(pooled[[0, -1]], oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient[[0, -1]]), *asked))


POINTS = {"BINS_Y": 7, "BINS_X": 7, "SAMPLES": 1, "RULE": 2}
POINTS |= {"ALIGNED": False, "IS_MAX": True, "BLOCK": 512}
POOLED = POINTS | {"ROWS": 3, "COLUMNS": 3, "WINDOW": 3, "STRIDE": 2}
UNPOOLED = POINTS | {"ROWS": 7, "COLUMNS": 7, "WINDOW": 1, "STRIDE": 1}


def test_forward_kernel_compiles(compiles):
    types = SIZES | {"rows": "*bf16", "pooled": "*bf16", "winners": "*u8"}
    compiles("roi_align", "forward_kernel", types, POOLED | {"KEEP": True})


@pytest.mark.parametrize(("dtype", "constants"), [("fp16", POOLED), ("bf16", UNPOOLED)])
def test_backward_kernel_compiles(compiles, dtype, constants):
    types = SIZES | {"winners": "*i32", "grad": f"*{dtype}", "total": "*fp32"}
    compiles("roi_align", "backward_kernel", types, constants)
