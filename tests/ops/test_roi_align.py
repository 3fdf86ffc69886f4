"""RoIAlign against its definition in scalar loops, on every path."""

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
from oracles import roi_align as oracle

from trackerlib.ops import bilinear, roi_align

MASK_RCNN = {"sampling_ratio": 2}
FDN = {"sampling_ratio": 2, "reduce": "max", "points": "interior"}
BOTH = pytest.mark.parametrize("settings", [MASK_RCNN, FDN], ids=["Mask R-CNN", "FDN"])
OTHERS = (
    {"sampling_ratio": 3, "points": "interior"},
    {"sampling_ratio": 3, "reduce": "max"},
    {"sampling_ratio": 1},
    {"sampling_ratio": 2, "aligned": True},
    {"sampling_ratio": 2, "aligned": True, "reduce": "max", "points": "interior"},
)


def through_op(input, boxes, gradient, bins, scale, **settings):
    """(pooled, gradient of input) from the public function."""
    input = input.detach().requires_grad_()
    pooled = roi_align(input, boxes, bins, scale, **settings)
    return pooled, torch.autograd.grad(pooled, input, gradient)[0]


def through_kernels(input, boxes, gradient, bins, scale, **settings):
    """The same from what launches the Triton kernels."""
    from trackerlib.ops.kernels import roi_align as kernels

    samples = settings["sampling_ratio"]
    sampling = kernels.Sampling(
        bins=oracle.pair(bins),
        samples=samples,
        window=samples,
        stride=samples,
        reduce=settings.get("reduce", "mean"),
        rule=settings.get("points", "midpoints"),
        aligned=settings.get("aligned", False),
    )
    count = len(boxes) if sampling.reduce == "max" else 0
    winners = boxes.new_empty((count, *sampling.bins, input.shape[1]), dtype=torch.uint8)
    pooled = kernels.forward(input, boxes, scale, sampling, winners)
    return pooled, kernels.backward(gradient, winners, input, boxes, scale, sampling)


ON_CPU = "cpu", through_op


@pytest.fixture
def path(request, bilinear_by):
    """The device and the function of a path."""
    return request.getfixturevalue("kernels") if bilinear_by == "triton" else ON_CPU


@pytest.fixture
def kernels(kernel_device):
    return kernel_device, through_op if kernel_device == "cuda" else through_kernels


def check(path, input, boxes, settings, bins=1, scale=SCALE):
    """Both directions of a path against the oracle; returns them."""
    device, run = path
    shape = len(boxes), input.shape[1], *oracle.pair(bins)
    gradient = some_map(shape, input.dtype, seed=1)
    given = (tensor.to(device) for tensor in (input, boxes, gradient))
    pooled, shares = run(*given, bins, scale, **settings)
    assert pooled.dtype == shares.dtype == input.dtype
    assert pooled.permute(0, 2, 3, 1).is_contiguous()
    asked = numbers(input), numbers(boxes), bins, scale
    cut = run is through_kernels and input.dtype == torch.bfloat16  # by the interpreter
    assert_matches(pooled, oracle.forward(*asked, **settings), 2**-7 if cut else None)
    assert_matches(shares, oracle.backward(numbers(gradient), *asked, **settings))
    return pooled, shares


@BOTH
@pytest.mark.parametrize("label", CASES)
def test_equals_the_definition(path, label, settings):
    check(path, some_map(), rows(CASES[label]), settings, bins=3 if path == ON_CPU else 1)


@pytest.mark.parametrize("settings", [MASK_RCNN, FDN, *OTHERS], ids=str)
def test_equals_the_definition_at_random_regions(path, settings):
    boxes = random_boxes(20 if path == ON_CPU else 2)
    check(path, some_map(), boxes, settings, bins=2)


@BOTH
@pytest.mark.parametrize(
    "shape", [(1, 3, 1, 1), (1, 1, 1, 9), (2, 33, 6, 9), (1, 600, 2, 2)], ids=str
)
def test_maps_of_other_shapes(path, shape, settings):
    check(path, some_map(shape), random_boxes(2, images=shape[0]), settings)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_half_types_are_rounded_once_and_double_not_at_all(path, dtype, settings):
    check(path, some_map(dtype=dtype), random_boxes(20 if path == ON_CPU else 2), settings)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_regions_may_be_of_another_type(path, dtype):
    boxes = random_boxes(20 if path == ON_CPU else 2).to(dtype)
    check(path, some_map(), boxes, MASK_RCNN, scale=0.13)


def test_few_regions_at_a_time(monkeypatch):
    monkeypatch.setattr(bilinear, "for_cpu", lambda *_: None)
    monkeypatch.setattr(bilinear, "MAX_BYTES", 100)
    check(ON_CPU, some_map(), random_boxes(20), FDN)


@BOTH
@pytest.mark.parametrize("layout", layouts(some_map()))
def test_maps_stored_otherwise(path, layout, settings):
    device, run = path
    input, boxes = layouts(some_map().to(device))[layout], random_boxes(2)
    gradient = torch.ones((), device=device).expand(2, SHAPE[1], 1, 1)  # that of a sum
    pooled, shares = run(input, boxes.to(device), gradient, 1, SCALE, **settings)
    asked = numbers(input), numbers(boxes), 1, SCALE
    assert_matches(pooled, oracle.forward(*asked, **settings))
    assert_matches(shares, oracle.backward(numbers(gradient), *asked, **settings))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_of_equal_points_the_first_takes_the_gradient(path, dtype):
    flat = torch.zeros(SHAPE, dtype=dtype)
    _, shares = check(path, flat, rows(CASES["inside"]), FDN)
    assert (shares[0].flatten(1) != 0).sum(1).max() == 4  # the neighbours of one point
    sparse = some_map(dtype=dtype).sub(0.7).relu()
    check(path, sparse, random_boxes(20 if path == ON_CPU else 2), FDN)


def test_points_on_the_limit_of_one_cell_outside(path):
    on = rows([(0, -10, -10, 6, 6), (0, 58, 34, 74, 50)])  # points at -1 and at the length
    pooled, _ = check(path, some_map(), on, MASK_RCNN, bins=2)
    over = rows([(0, -10.01, -10.01, 5.99, 5.99), (0, 58.01, 34.01, 74.01, 50.01)])
    others, _ = check(path, some_map(), over, MASK_RCNN, bins=2)
    assert ((pooled - others)[0, :, 0, 0].abs() > 1e-2).all()


@BOTH
def test_nan_stays_in_its_channel_and_image(path, settings):
    device, run = path
    input, boxes = some_map(), rows(CASES["both images"])
    expected = oracle.forward(numbers(input), numbers(boxes), 1, SCALE, **settings)
    input[0, 2] = torch.nan
    expected[1, 2] = torch.nan
    gradient = torch.ones(expected.shape, device=device)
    pooled, _ = run(input.to(device), boxes.to(device), gradient, 1, SCALE, **settings)
    assert_matches(pooled, expected)


def test_none_and_outside_are_what_was_promised():
    for ratio in 2, -1:
        none = roi_align(some_map(), rows([]), 3, SCALE, ratio)
        assert none.shape == (0, SHAPE[1], 3, 3)
    outside = roi_align(some_map(), rows(CASES["wholly outside"]), 3, SCALE)
    torch.testing.assert_close(outside, torch.zeros_like(outside), rtol=0, atol=0)


@pytest.mark.parametrize("settings", [MASK_RCNN, FDN, *OTHERS], ids=str)
def test_gradient_against_differences(settings):
    input = some_map((2, 2, 6, 9), torch.float64).requires_grad_()
    boxes = random_boxes(5)
    assert torch.autograd.gradcheck(
        lambda input: roi_align(input, boxes, 2, SCALE, **settings), (input,)
    )


@BOTH
def test_the_ops_are_registered_as_torch_asks(settings):
    input, boxes = some_map(), random_boxes(4)
    ops = torch.ops.trackerlib
    choice = {"aligned": False, "reduce": "mean", "points": "midpoints"} | settings
    for keep in True, False:
        torch.library.opcheck(
            ops.roi_align.default, (input, boxes, [3, 2], SCALE), choice | {"keep": keep}
        )
    given = input.clone().requires_grad_(), boxes, [3, 2], SCALE
    torch.library.opcheck(ops.roi_align.default, given, choice | {"keep": True})
    _, winners = ops.roi_align(*given, **choice, keep=True)
    given = some_map((4, SHAPE[1], 3, 2)), winners, input, boxes, [3, 2], SCALE
    torch.library.opcheck(ops.roi_align_backward.default, given, choice)


@BOTH
def test_torch_compile_takes_it_whole(settings):
    check_compiled(lambda input, boxes: roi_align(input, boxes, 3, SCALE, **settings))


GOOD = {"input": some_map(), "boxes": random_boxes(2), "output_size": 3, "spatial_scale": SCALE}
WRONG = (
    refused("roi_align") | refused_lists("roi_align") | refused_counts("roi_align", "output_size")
)
WRONG |= refused_pairs("roi_align") | {
    "half a point": ({"sampling_ratio": 2.0}, r"roi_align: expected sampling_ratio .*got 2.0"),
    "a true ratio": ({"sampling_ratio": True}, r"roi_align: expected sampling_ratio .*got True"),
    "reduce in the place of aligned": ({"aligned": "max"}, r"roi_align: expected aligned .*'max'"),
    "reduce": ({"reduce": "sum"}, r"roi_align: expected reduce .*mean.*max.*got 'sum'"),
    "points": ({"points": "ends"}, r"roi_align: expected points .*midpoints.*got 'ends'"),
}


@pytest.mark.parametrize("label", WRONG)
def test_anything_else_is_refused(label):
    changed, message = WRONG[label]
    with pytest.raises(ValueError, match=f"^{message}"):
        roi_align(**(GOOD | changed))


@BOTH
def test_kernels_make_a_broken_region_nan_and_learn_nothing_from_it(kernels, settings):
    device, run = kernels
    good = rows([(1, 5.2, 3.3, 66.6, 41.8), (1, 10.3, 8.1, 50.7, 33.9)])
    boxes = torch.cat((good[:1], rows(list(BROKEN.values())), good[1:]))
    gradient = torch.ones(len(boxes), SHAPE[1], 1, 1, device=device)
    pooled, shares = run(some_map().to(device), boxes.to(device), gradient, 1, SCALE, **settings)
    assert pooled[1:-1].isnan().all()
    asked = numbers(some_map()), numbers(good), 1, SCALE
    assert_matches(pooled[[0, -1]], oracle.forward(*asked, **settings))
    assert_matches(shares, oracle.backward(numbers(gradient[[0, -1]]), *asked, **settings))


GRID = {"BINS_Y": 3, "BINS_X": 4, "ROWS": 3, "COLUMNS": 4}
GRID |= {"SAMPLES": 2, "WINDOW": 2, "STRIDE": 2, "BLOCK": 512}
MIDPOINTS, INTERIOR = (
    GRID | {"RULE": rule, "IS_MAX": rule == 1, "ALIGNED": rule == 0} for rule in (0, 1)
)


@pytest.mark.parametrize(
    ("dtype", "constants"), [("fp32", MIDPOINTS), ("fp16", INTERIOR | ONES), ("fp64", INTERIOR)]
)
def test_forward_kernel_compiles(compiles, dtype, constants):
    types = SIZES | {"rows": f"*{dtype}", "pooled": f"*{dtype}", "winners": "*u8"}
    types |= {"boxes": "*fp64"} if dtype == "fp64" else {}
    constants = constants | {"KEEP": constants["IS_MAX"]}
    compiles("roi_align", "forward_kernel", types, constants)


def test_backward_kernel_compiles(compiles):
    types = SIZES | {"winners": "*u8", "grad": "*fp32", "total": "*fp32"}
    compiles("roi_align", "backward_kernel", types, MIDPOINTS)


def test_equals_torchvision(torchvision_ops):
    input, boxes = some_map(), random_boxes(20)
    expected = torchvision_ops.roi_align(input, boxes, 3, SCALE, sampling_ratio=2, aligned=False)
    torch.testing.assert_close(roi_align(input, boxes, 3, SCALE, 2), expected)
