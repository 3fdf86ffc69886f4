"""The RoI ops take torchvision's arguments and mean the same by them."""

import inspect

import pytest
import torch
from made_rois import (
    CASES,
    SCALE,
    SHAPE,
    assert_matches,
    check_compiled,
    numbers,
    random_boxes,
    rows,
    some_map,
)
from oracles import roi_align as align_oracle
from oracles import roi_pool as pool_oracle

from trackerlib.ops import adaptive_roi_align, roi_align, roi_pool

MANY = {"endless": 1, "from far to far": 1, "far outside": 2}  # points; and the row that has them
WHOLE = [torch.int8, torch.int16, torch.int32, torch.int64]
WHOLE += [torch.uint8, torch.uint16, torch.uint32, torch.uint64]
FEW = [label for label in CASES if label not in MANY]
RATIOS = pytest.mark.parametrize("ratio", [-1, 0, 1, 3])
ALIGNED = pytest.mark.parametrize("aligned", [False, True], ids=["corners", "aligned"])
BINS = pytest.mark.parametrize("bins", [2, (2, 3), [4, 1]], ids=str)


def check_align(input, boxes, bins, scale=SCALE, **settings):
    """Both directions of roi_align against the oracle."""
    input = input.detach().requires_grad_()
    pooled = roi_align(input, boxes, bins, scale, **settings)
    assert pooled.permute(0, 2, 3, 1).is_contiguous()
    gradient = some_map(pooled.shape, input.dtype, seed=1)
    (shares,) = torch.autograd.grad(pooled, input, gradient)
    asked = numbers(input), numbers(boxes), bins, scale
    assert_matches(pooled, align_oracle.forward(*asked, **settings))
    assert_matches(shares, align_oracle.backward(numbers(gradient), *asked, **settings))
    return pooled


@ALIGNED
@pytest.mark.parametrize("label", FEW)
def test_adaptive_sampling_equals_the_definition(label, aligned):
    check_align(some_map(), rows(CASES[label]), 2, aligned=aligned)


@BINS
@RATIOS
@ALIGNED
def test_roi_align_of_random_boxes_equals_the_definition(aligned, ratio, bins):
    check_align(some_map(), random_boxes(12), bins, sampling_ratio=ratio, aligned=aligned)


@BINS
@pytest.mark.parametrize("points", ["midpoints", "interior"])
@pytest.mark.parametrize("ratio", [-1, 2])
def test_the_maximum_takes_pairs_and_adaptive_sampling_too(ratio, points, bins):
    settings = {"sampling_ratio": ratio, "reduce": "max", "points": points}
    check_align(some_map(), random_boxes(12), bins, **settings)
    check_align(some_map(), random_boxes(12), bins, aligned=True, **settings)


@ALIGNED
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_adaptive_sampling_of_other_types(dtype, aligned):
    check_align(some_map(dtype=dtype), random_boxes(12), 2, aligned=aligned)


@BINS
def test_triton_takes_pairs(kernel_device, bins):
    from trackerlib.ops.kernels import roi_align as kernels

    boxes = random_boxes(2).to(kernel_device)
    input = some_map().to(kernel_device)
    pair = align_oracle.pair(bins)
    for aligned in False, True:
        sampling = kernels.Sampling(pair, 2, 2, 2, "mean", "midpoints", aligned)
        gradient = some_map((2, SHAPE[1], *pair), seed=1).to(kernel_device)
        asked = numbers(input), numbers(boxes), bins, SCALE
        settings = {"sampling_ratio": 2, "aligned": aligned}
        none = torch.empty(0, dtype=torch.uint8, device=boxes.device)
        pooled = kernels.forward(input, boxes, SCALE, sampling, none)
        assert_matches(pooled, align_oracle.forward(*asked, **settings))
        shares = kernels.backward(gradient, none, input, boxes, SCALE, sampling)
        assert_matches(shares, align_oracle.backward(numbers(gradient), *asked, **settings))


@BINS
def test_triton_takes_pairs_of_roi_pool(kernel_device, bins):
    from trackerlib.ops.kernels import roi_pool as kernels

    boxes = random_boxes(2).to(kernel_device)
    input = some_map().to(kernel_device)
    pair = align_oracle.pair(bins)
    gradient = some_map((2, SHAPE[1], *pair), seed=1).to(kernel_device)
    asked = numbers(input), numbers(boxes), bins, SCALE
    pooled, winners = kernels.forward(input, boxes, pair, SCALE, True)
    assert_matches(pooled, pool_oracle.forward(*asked))
    shares = kernels.backward(gradient, winners, input.shape)
    assert_matches(shares, pool_oracle.backward(numbers(gradient), *asked))


def test_without_a_ratio_a_bin_has_as_many_points_as_map_cells():
    input = some_map()
    for pixels, ratio in (48, 3), (48.2, 4), (15.9, 1), (0.5, 1):  # 2 bins of 3, 3.01, ... cells
        box = rows([(0, 0, 0, pixels, pixels)])
        pooled = roi_align(input, box, 2, SCALE)
        torch.testing.assert_close(pooled, roi_align(input, box, 2, SCALE, ratio))
        other = roi_align(input, box, 2, SCALE, ratio + 1)
        assert ratio == 1 or not torch.allclose(pooled, other)  # within a cell all are equal


def test_boxes_without_extent_are_zero_only_if_aligned_and_adaptive():
    point = rows(CASES["a point"])
    torch.testing.assert_close(
        roi_align(some_map(), point, 2, SCALE, aligned=True), torch.zeros(1, SHAPE[1], 2, 2)
    )
    for settings in {"sampling_ratio": 1, "aligned": True}, {"aligned": False}:
        assert roi_align(some_map(), point, 2, SCALE, **settings).abs().min() > 0


@pytest.mark.parametrize(
    "op, bins", [(roi_align, (2, 3)), (roi_pool, (2, 3)), (adaptive_roi_align, 5)]
)
def test_a_list_of_boxes_is_a_table_with_images(op, bins):
    table = random_boxes(9).sort(0).values
    table[:, 1:] = random_boxes(9)[:, 1:]
    for images in (0, 1), (0, 0), (1, 1):  # the second and third leave an image without boxes
        boxes = table.clone()
        boxes[:, 0] = torch.tensor([images[0]] * 4 + [images[1]] * 5)
        listed = [boxes[boxes[:, 0] == image, 1:] for image in (0, 1)]
        for form in listed, tuple(listed):
            actual = op(some_map(), form, bins, SCALE)
            torch.testing.assert_close(actual, op(some_map(), boxes, bins, SCALE), rtol=0, atol=0)
    first = op(some_map(), listed[1:], bins, SCALE)  # a list may end before the images do
    assert first.shape[0] == 9


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
@pytest.mark.parametrize("op", [roi_align, roi_pool, adaptive_roi_align])
def test_boxes_of_whole_numbers_are_converted_before_arithmetic(op, dtype):
    boxes = rows([(1, 3, 5, 17, 30), (0, 0, 0, 40, 44), (1, 20, 9, 60, 47)])
    expected = op(some_map(), boxes, 3, 0.13)
    torch.testing.assert_close(op(some_map(), boxes.to(dtype), 3, 0.13), expected, rtol=0, atol=0)
    images = [boxes[1:2, 1:].to(dtype), boxes[::2, 1:].to(dtype)]
    listed = op(some_map(), images, 3, 0.13)
    torch.testing.assert_close(listed, expected[[1, 0, 2]], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16], ids=str)
def test_a_list_knows_the_index_of_every_image(dtype):
    count = 2051  # not one of these types holds 2050
    input = torch.zeros(count, 1, 2, 2)
    input[-1] = 1
    boxes = [torch.zeros(0, 4, dtype=dtype)] * (count - 1) + [torch.ones(1, 4, dtype=dtype)]
    assert roi_pool(input, boxes, 1).item() == 1


def test_a_list_compiles_whole():
    check_compiled(lambda input, boxes: roi_align(input, [boxes[:, 1:]], 3, SCALE, 2))
    check_compiled(lambda input, boxes: roi_pool(input, [boxes[:, 1:]], (3, 2), SCALE))


def test_adaptive_sampling_compiles_whole():
    check_compiled(lambda input, boxes: roi_align(input, boxes, (3, 2), SCALE, aligned=True))


@ALIGNED
def test_adaptive_sampling_is_registered_as_torch_asks(aligned):
    ops, rule = torch.ops.trackerlib, ([3, 2], SCALE, -1, aligned, "mean", "midpoints")
    input, boxes = some_map(), random_boxes(4)
    given = input.clone().requires_grad_(), boxes, *rule, True
    torch.library.opcheck(ops.roi_align.default, given)
    grad, (_, winners) = some_map((4, SHAPE[1], 3, 2)), ops.roi_align(*given)
    torch.library.opcheck(ops.roi_align_backward.default, (grad, winners, input, boxes, *rule))


@ALIGNED
@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_gradient_of_adaptive_sampling_against_differences(aligned, reduce):
    input = some_map((2, 2, 6, 9), torch.float64).requires_grad_()
    boxes = random_boxes(5)
    assert torch.autograd.gradcheck(
        lambda f: roi_align(f, boxes, (2, 1), SCALE, aligned=aligned, reduce=reduce), (input,)
    )


@pytest.mark.parametrize("label", MANY)
def test_more_points_than_a_map_has_cells_are_refused(label):
    boxes = torch.cat((rows(CASES["inside"]), rows(CASES[label])))
    message = rf"roi_align: expected boxes of at most \d+ points.* in row {MANY[label]}; clip"
    with pytest.raises(ValueError, match=message):
        roi_align(some_map(), boxes, 2, SCALE)


def test_boxes_of_many_points_are_taken_few_at_a_time(monkeypatch):
    module = inspect.getmodule(roi_align)
    boxes = random_boxes(20).repeat(3, 1)
    expected = roi_align(some_map(), boxes, 2, SCALE)
    monkeypatch.setattr(
        module, "MAX_POINTS", 120
    )  # those of the largest box, which is taken alone
    torch.testing.assert_close(roi_align(some_map(), boxes, 2, SCALE), expected, rtol=0, atol=0)


def test_names_order_and_defaults_are_torchvision_s():
    def described(op):
        return [(p.name, p.default) for p in inspect.signature(op).parameters.values()]

    empty = inspect.Parameter.empty
    shared = [("input", empty), ("boxes", empty), ("output_size", empty), ("spatial_scale", 1.0)]
    assert described(roi_pool) == shared
    align = [*shared, ("sampling_ratio", -1), ("aligned", False)]
    assert described(roi_align)[:6] == align
    # Ours come after. TorchScript takes no keyword-only arguments with defaults.
    assert described(roi_align)[6:] == [("reduce", "mean"), ("points", "midpoints")]


@BINS
@RATIOS
@ALIGNED
def test_roi_align_equals_torchvision(torchvision_ops, aligned, ratio, bins):
    asked = bins, SCALE, ratio, aligned
    for boxes in random_boxes(20), [random_boxes(7)[:, 1:], random_boxes(5, seed=1)[:, 1:]]:
        input = some_map().requires_grad_()
        theirs, ours = (op(input, boxes, *asked) for op in (torchvision_ops.roi_align, roi_align))
        torch.testing.assert_close(ours, theirs)
        gradient = some_map(ours.shape, seed=1)
        torch.testing.assert_close(
            *(torch.autograd.grad(pooled, input, gradient)[0] for pooled in (ours, theirs))
        )


@ALIGNED
@pytest.mark.parametrize("label", FEW)
def test_roi_align_equals_torchvision_in_every_case(torchvision_ops, label, aligned):
    asked = some_map(), rows(CASES[label]), 2, SCALE, -1, aligned
    torch.testing.assert_close(roi_align(*asked), torchvision_ops.roi_align(*asked))


@BINS
def test_roi_pool_equals_torchvision(torchvision_ops, bins):
    for boxes in random_boxes(30), [random_boxes(7)[:, 1:], random_boxes(5, seed=1)[:, 1:]]:
        input = some_map().requires_grad_()
        theirs, ours = (
            op(input, boxes, bins, SCALE) for op in (torchvision_ops.roi_pool, roi_pool)
        )
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        gradient = some_map(ours.shape, seed=1)
        torch.testing.assert_close(
            *(torch.autograd.grad(pooled, input, gradient)[0] for pooled in (ours, theirs))
        )


def test_torchvision_cuts_bins_in_floats(torchvision_ops):
    # The last of 7 bins on 57 cells ends at ceil(7 * (57 / 7)): 58 in float32. On a map that
    # holds one more cell, of value 1, torchvision's bin reads it, and ours does not.
    input = torch.zeros(1, 1, 1, 58)
    input[..., -1] = 1
    boxes = rows([(0, 0, 0, 56, 0)])
    assert torchvision_ops.roi_pool(input, boxes, (1, 7), 1.0)[..., -1].item() == 1
    assert roi_pool(input, boxes, (1, 7), 1.0)[..., -1].item() == 0
