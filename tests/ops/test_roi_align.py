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
    random_rois,
    refused,
    refused_counts,
    rows,
    some_map,
)
from oracles import roi_align as oracle

from trackerlib.ops import bilinear
from trackerlib.ops.roi_align import roi_align

MASK_RCNN = 2, "mean", "midpoints"  # samples, reduce, points
FDN = 2, "max", "interior"
BOTH = pytest.mark.parametrize("settings", [MASK_RCNN, FDN], ids=["Mask R-CNN", "FDN"])
OTHERS = (3, "mean", "interior"), (3, "max", "midpoints"), (1, "mean", "midpoints")


def through_op(features, rois, gradient, *settings):
    """(pooled, gradient of features) from the public function."""
    features = features.detach().requires_grad_()
    pooled = roi_align(features, rois, *settings)
    return pooled, torch.autograd.grad(pooled, features, gradient)[0]


def through_kernels(features, rois, gradient, bins, scale, samples, reduce, points):
    """The same from what launches the Triton kernels."""
    from trackerlib.ops.kernels import roi_align as kernels

    settings = scale, kernels.Sampling(bins, *[samples] * 3, reduce, points)
    pooled = kernels.forward(features, rois, *settings)
    return pooled, kernels.backward(gradient, features, rois, *settings)


PYTORCH = "cpu", through_op


@pytest.fixture(params=["pytorch", "triton"])
def path(request):
    """The device and the function of a path."""
    return PYTORCH if request.param == "pytorch" else request.getfixturevalue("kernels")


@pytest.fixture
def kernels(kernel_device):
    return kernel_device, through_op if kernel_device == "cuda" else through_kernels


def check(path, features, rois, settings, bins=1, scale=SCALE):
    """Both directions of a path against the oracle; returns them."""
    device, run = path
    gradient = some_map((len(rois), features.shape[1], bins, bins), features.dtype, seed=1)
    given = (tensor.to(device) for tensor in (features, rois, gradient))
    pooled, shares = run(*given, bins, scale, *settings)
    assert pooled.dtype == shares.dtype == features.dtype
    assert pooled.permute(0, 2, 3, 1).is_contiguous()
    asked = numbers(features), numbers(rois), bins, scale, *settings
    cut = run is through_kernels and features.dtype == torch.bfloat16  # by the interpreter
    assert_matches(pooled, oracle.forward(*asked), 2**-7 if cut else None)
    assert_matches(shares, oracle.backward(numbers(gradient), *asked))
    return pooled, shares


@BOTH
@pytest.mark.parametrize("label", CASES)
def test_equals_the_definition(path, label, settings):
    check(path, some_map(), rows(CASES[label]), settings, bins=3 if path == PYTORCH else 1)


@pytest.mark.parametrize("settings", [MASK_RCNN, FDN, *OTHERS], ids=str)
def test_equals_the_definition_at_random_regions(path, settings):
    rois = random_rois(20 if path == PYTORCH else 2)
    check(path, some_map(), rois, settings, bins=2)


@BOTH
@pytest.mark.parametrize(
    "shape", [(1, 3, 1, 1), (1, 1, 1, 9), (2, 33, 6, 9), (1, 600, 2, 2)], ids=str
)
def test_maps_of_other_shapes(path, shape, settings):
    check(path, some_map(shape), random_rois(2, images=shape[0]), settings)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_half_types_are_rounded_once_and_double_not_at_all(path, dtype, settings):
    check(path, some_map(dtype=dtype), random_rois(20 if path == PYTORCH else 2), settings)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_regions_may_be_of_another_type(path, dtype):
    rois = random_rois(20 if path == PYTORCH else 2).to(dtype)
    check(path, some_map(), rois, MASK_RCNN, scale=0.13)


def test_few_regions_at_a_time(monkeypatch):
    monkeypatch.setattr(bilinear, "CHUNK", 100)
    check(PYTORCH, some_map(), random_rois(20), FDN)


@BOTH
@pytest.mark.parametrize("layout", layouts(some_map()))
def test_maps_stored_otherwise(path, layout, settings):
    device, run = path
    features, rois = layouts(some_map().to(device))[layout], random_rois(2)
    gradient = torch.ones((), device=device).expand(2, SHAPE[1], 1, 1)  # that of a sum
    pooled, shares = run(features, rois.to(device), gradient, 1, SCALE, *settings)
    asked = numbers(features), numbers(rois), 1, SCALE, *settings
    assert_matches(pooled, oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient), *asked))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_of_equal_points_the_first_takes_the_gradient(path, dtype):
    flat = torch.zeros(SHAPE, dtype=dtype)
    _, shares = check(path, flat, rows(CASES["inside"]), FDN)
    assert (shares[0].flatten(1) != 0).sum(1).max() == 4  # the neighbours of one point
    sparse = some_map(dtype=dtype).sub(0.7).relu()
    check(path, sparse, random_rois(20 if path == PYTORCH else 2), FDN)


def test_points_on_the_limit_of_one_cell_outside(path):
    on = rows([(0, -10, -10, 6, 6), (0, 58, 34, 74, 50)])  # points at -1 and at the length
    pooled, _ = check(path, some_map(), on, MASK_RCNN, bins=2)
    over = rows([(0, -10.01, -10.01, 5.99, 5.99), (0, 58.01, 34.01, 74.01, 50.01)])
    others, _ = check(path, some_map(), over, MASK_RCNN, bins=2)
    assert ((pooled - others)[0, :, 0, 0].abs() > 1e-2).all()


@BOTH
def test_nan_stays_in_its_channel_and_image(path, settings):
    device, run = path
    features, rois = some_map(), rows(CASES["both images"])
    expected = oracle.forward(numbers(features), numbers(rois), 1, SCALE, *settings)
    features[0, 2] = torch.nan
    expected[1, 2] = torch.nan
    gradient = torch.ones(expected.shape, device=device)
    pooled, _ = run(features.to(device), rois.to(device), gradient, 1, SCALE, *settings)
    assert_matches(pooled, expected)


def test_none_and_outside_are_what_was_promised():
    assert roi_align(some_map(), rows([]), 3, SCALE).shape == (0, SHAPE[1], 3, 3)
    outside = roi_align(some_map(), rows(CASES["wholly outside"]), 3, SCALE)
    torch.testing.assert_close(outside, torch.zeros_like(outside), rtol=0, atol=0)


@pytest.mark.parametrize("settings", [MASK_RCNN, FDN, *OTHERS], ids=str)
def test_gradient_against_differences(settings):
    features = some_map((2, 2, 6, 9), torch.float64).requires_grad_()
    rois = random_rois(5)
    assert torch.autograd.gradcheck(
        lambda features: roi_align(features, rois, 2, SCALE, *settings), (features,)
    )


@BOTH
def test_the_ops_are_registered_as_torch_asks(settings):
    features, rois = some_map(), random_rois(4)
    ops = torch.ops.trackerlib
    given = features.clone().requires_grad_(), rois, 3, SCALE, *settings
    torch.library.opcheck(ops.roi_align.default, given)
    given = some_map((4, SHAPE[1], 3, 3)), features, rois, 3, SCALE, *settings
    torch.library.opcheck(ops.roi_align_backward.default, given)


@BOTH
def test_torch_compile_takes_it_whole(settings):
    check_compiled(lambda features, rois: roi_align(features, rois, 3, SCALE, *settings))


GOOD = {"features": some_map(), "rois": random_rois(2), "output_size": 3, "spatial_scale": SCALE}
WRONG = refused("roi_align") | refused_counts("roi_align", "output_size", "samples")
WRONG |= {
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
    rois = torch.cat((good[:1], rows(list(BROKEN.values())), good[1:]))
    gradient = torch.ones(len(rois), SHAPE[1], 1, 1, device=device)
    pooled, shares = run(some_map().to(device), rois.to(device), gradient, 1, SCALE, *settings)
    assert pooled[1:-1].isnan().all()
    asked = numbers(some_map()), numbers(good), 1, SCALE, *settings
    assert_matches(pooled[[0, -1]], oracle.forward(*asked))
    assert_matches(shares, oracle.backward(numbers(gradient[[0, -1]]), *asked))


GRID = {"BINS": 3, "SAMPLES": 2, "SIDE": 3, "WINDOW": 2, "STRIDE": 2, "BLOCK": 512}
MIDPOINTS, INTERIOR = (GRID | {"RULE": rule, "MAX_SIZE": rule == 1} for rule in (0, 1))


@pytest.mark.parametrize(
    ("dtype", "constants"), [("fp32", MIDPOINTS), ("fp16", INTERIOR | ONES), ("fp64", INTERIOR)]
)
def test_forward_kernel_compiles(compiles, dtype, constants):
    types = SIZES | {"rows": f"*{dtype}", "pooled": f"*{dtype}"}
    types |= {"rois": "*fp64"} if dtype == "fp64" else {}
    compiles("roi_align", "forward_kernel", types, constants)


def test_backward_kernel_compiles(compiles):
    types = SIZES | {"rows": "*fp32", "grad": "*fp32", "spread": "*fp32"}
    compiles("roi_align", "backward_kernel", types, MIDPOINTS)


def test_equals_torchvision():
    ops = pytest.importorskip(
        "torchvision.ops",
        reason="the peer is torchvision, which cannot be imported here",
        exc_type=ImportError,
    )
    features, rois = some_map(), random_rois(20)
    expected = ops.roi_align(features, rois, 3, SCALE, sampling_ratio=2, aligned=False)
    torch.testing.assert_close(roi_align(features, rois, 3, SCALE), expected)
