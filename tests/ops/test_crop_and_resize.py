"""Crops against their definition in scalar loops, on every path."""

import importlib
import math
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from oracles.crop_and_resize import crop_and_resize as oracle
from torch.nn.functional import interpolate

from trackerlib.ops import crop_and_resize

SIZE = 5, 7  # of the crops
MEAN, STD, FILL = (90.0, 110.0, 128.0), (2.0, 0.5, 4.0), (7.0, 201.0, 33.0)
BOXES = {  # in an image of 11 rows and 13 columns
    "inside": (2.3, 1.6, 6.4, 5.2),
    "grown": (4.2, 3.7, 3.1, 2.4),
    "within one pixel": (4.3, 5.6, 0.02, 0.01),
    "the whole image": (0, 0, 13, 11),
    "one for one": (3, 4, 7, 5),
    "half a pixel off": (2.5, 3.5, 7, 5),
    "over the upper left corner": (-4.6, -3.2, 9.0, 8.0),
    "over the lower right corner": (9.7, 6.1, 8.0, 9.5),
    "larger than the image": (-20.5, -30.25, 61.0, 70.0),
    "beside the image": (13.4, 2.0, 6.0, 6.0),
    "far away": (-1e9, 1e12, 3e3, 2.0),
    "a sliver": (6.1, -5.0, 0.3, 33.0),
}


def an_image(shape=(11, 13, 3), dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).to(dtype)


def rows(*labels):
    return torch.tensor([BOXES[label] for label in labels or BOXES], dtype=torch.float32)


def through_kernel(image, boxes, size, *, antialias=False, dtype=torch.float32, **constants):
    """The same from what launches the Triton kernel."""
    from trackerlib.ops.kernels import crop_and_resize as kernels

    shape = len(boxes), *size, image.shape[2]
    crops = torch.full(shape, math.nan, dtype=dtype, device=image.device).permute(0, 3, 1, 2)
    return kernels.forward(image, boxes, **constants, antialias=antialias, crops=crops)


@pytest.fixture(params=["pytorch", "triton"])
def path(request):
    """The device and the function of a path."""
    if request.param == "pytorch":
        return "cpu", crop_and_resize
    device = request.getfixturevalue("kernel_device")
    return device, crop_and_resize if device == "cuda" else through_kernel


def check(path, image, boxes, size=SIZE, tolerance=None, **options):
    """A path against the oracle, by default to 1e-5 of the pixels' range; returns the crops."""
    device, run = path
    channels = image.shape[2]
    constants = {"mean": MEAN[:channels], "std": STD[:channels], "fill": FILL[:channels]}
    crops = run(image.to(device), boxes.to(device), size, **constants, **options)
    assert crops.permute(0, 2, 3, 1).is_contiguous()
    antialias = options.get("antialias", False)
    expected = oracle(
        image.double().numpy(), boxes.double(), size, **constants, antialias=antialias
    )
    expected = torch.from_numpy(expected).to(crops.dtype)
    tolerance = tolerance or {"rtol": 0, "atol": 1e-5 * 255 / min(STD)}
    torch.testing.assert_close(crops.cpu(), expected, **tolerance)
    return crops


@pytest.mark.parametrize("antialias", [False, True], ids=["bilinear", "antialias"])
@pytest.mark.parametrize("label", BOXES)
def test_equals_the_definition(path, label, antialias):
    check(path, an_image(), rows(label), antialias=antialias)


@pytest.mark.parametrize("antialias", [False, True], ids=["bilinear", "antialias"])
def test_boxes_of_all_kinds_in_one_call(path, antialias, monkeypatch):
    module = importlib.import_module("trackerlib.ops.crop_and_resize")
    monkeypatch.setattr(module, "MAX_PIXELS", 500)  # a few crops at a time
    check(path, an_image(), rows(), antialias=antialias)


@pytest.mark.parametrize("antialias", [False, True], ids=["bilinear", "antialias"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 1), (9, 1, 2)], ids=str)
def test_images_and_crops_of_one_pixel_or_line(path, shape, antialias):
    for size in (1, 1), (3, 1), (1, 4):
        check(path, an_image(shape), rows("inside", "the whole image"), size, antialias=antialias)


@pytest.mark.parametrize("size", [(16, 16), (13, 20)], ids=str)  # tiles full, and in part
def test_crops_of_more_than_one_tile(path, size):
    check(path, an_image(), rows("inside", "over the lower right corner"), size)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_images_and_boxes_of_every_float_type(path, dtype):
    check(path, an_image(dtype=dtype), rows("inside", "grown").to(dtype), antialias=True)


def test_double_is_summed_in_double(path):
    exact = {"rtol": 1e-12, "atol": 1e-11}
    image = an_image(dtype=torch.float64) + math.pi / 1000
    check(path, image, rows("inside"), antialias=True, dtype=torch.float64, tolerance=exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_rounded_once(path, dtype):
    bit = 2**-7 if dtype == torch.bfloat16 else 2**-10
    full = check(path, an_image(), rows())
    half = check(path, an_image(), rows(), dtype=dtype, tolerance={"rtol": bit, "atol": 1e-3})
    # Triton's interpreter cuts float32 off to bfloat16 where a GPU rounds.
    cut = path == ("cpu", through_kernel) and dtype == torch.bfloat16
    torch.testing.assert_close(half, full.to(dtype), rtol=bit if cut else 0, atol=0)


def test_images_stored_otherwise(path):
    check(path, an_image((3, 11, 13)).permute(1, 2, 0), rows("inside"))
    check(path, an_image((13, 11, 3)).transpose(0, 1), rows("inside"))
    check(path, an_image((22, 26, 6))[::2, 1::2, ::2], rows("inside"))
    check(path, an_image()[:1, :1].expand(11, 13, 3), rows("inside"))


def test_boxes_stored_otherwise(path):
    check(path, an_image(), rows().T.contiguous().T)
    check(path, an_image(), rows("inside").expand(3, 4))


@pytest.mark.parametrize("sign", ["", "u"])
@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_boxes_of_whole_numbers_are_converted_before_arithmetic(sign, bits):
    boxes = torch.tensor([[3, 2, 7, 5], [0, 0, 13, 11], [12, 9, 100, 120]])
    crops = crop_and_resize(an_image(), boxes.to(getattr(torch, f"{sign}int{bits}")), SIZE)
    torch.testing.assert_close(crops, crop_and_resize(an_image(), boxes.double(), SIZE))


def test_no_boxes_make_no_crops(path):
    assert check(path, an_image(), torch.empty(0, 4)).shape == (0, 3, *SIZE)


def test_positions_far_from_the_origin_keep_their_fractions(path):
    """float32 knows positions around 39,000 to 0.004 pixels, which shows in steep edges."""
    image = an_image((1, 40_000, 1))
    check(path, image, torch.tensor([[39_000.3, 0, 6.7, 1]], dtype=torch.float64), (1, 7))


def test_antialiasing_changes_nothing_where_nothing_shrinks():
    boxes = rows("grown", "one for one", "half a pixel off")
    crops = [crop_and_resize(an_image(), boxes, SIZE, antialias=a) for a in (False, True)]
    torch.testing.assert_close(*crops, rtol=0, atol=0)


@pytest.mark.parametrize("antialias", [False, True], ids=["bilinear", "antialias"])
def test_inside_the_image_equals_interpolate(antialias):
    """Of a crop well inside, all but the samples at its own border, which sees no neighbours."""
    image = an_image((60, 70, 3), torch.float32)
    whole = image[10:50, 12:60].permute(2, 0, 1)[None]
    expected = interpolate(whole, (10, 12), mode="bilinear", antialias=antialias)
    crop = crop_and_resize(
        image, torch.tensor([[12.0, 10, 48, 40]]), (10, 12), antialias=antialias
    )
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(crop[inner], expected[inner], rtol=1e-5, atol=1e-3)


def test_outside_is_the_mean_unless_told():
    image, beside = an_image(), rows("beside the image")
    assert not crop_and_resize(image, beside, SIZE, mean=128, std=60).any()
    assert not crop_and_resize(image, beside, SIZE, mean=[1, 2, 3]).any()
    crop = crop_and_resize(image, beside, SIZE, mean=8, std=2, fill=[10, 12, 14])
    torch.testing.assert_close(crop[0, :, 0, 0], torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("mean", [torch.tensor(128.0), np.float32(128), np.full(3, 128)], ids=str)
def test_numbers_of_any_library(mean):
    crops = crop_and_resize(an_image(), rows(), SIZE, mean=mean)
    torch.testing.assert_close(crops, crop_and_resize(an_image(), rows(), SIZE, mean=128.0))


def test_the_inputs_stay_what_they_were():
    image, boxes = an_image(dtype=torch.float32), rows()
    before = image.clone(), boxes.clone()
    crop_and_resize(image, boxes, SIZE, mean=3.0)
    torch.testing.assert_close((image, boxes), before, rtol=0, atol=0)


CHANGES = {  # to a call that is right, and the message
    "grey": ({"image": torch.zeros(11, 13)}, r"an image \(H, W, C\) uint8 or float.*\(11, 13\)"),
    "integers": ({"image": torch.zeros(11, 13, 3, dtype=torch.int32)}, r"image.*torch.int32"),
    "no pixels": ({"image": torch.zeros(0, 13, 3)}, r"at least one pixel, got \(0, 13, 3\)"),
    "one box": ({"boxes": torch.ones(4)}, r"float boxes \(K, 4\).*got \(4,\).*boxes\[None\]"),
    "rois": ({"boxes": torch.ones(2, 5)}, r"float boxes \(K, 4\).*got \(2, 5\)"),
    "truths": ({"boxes": torch.ones(2, 4) > 0}, r"got \(2, 4\) torch.bool.*float\(\)"),
    "an array": ({"image": np.zeros((9, 9, 3))}, r"tensors, got ndarray and Tensor; .*as_tensor"),
    "sparse": ({"image": torch.ones(9, 9, 3).to_sparse()}, r"an image \(H, W, C\).*\(9, 9, 3\)"),
    "elsewhere": ({"boxes": torch.ones(2, 4, device="meta")}, r"image's device cpu, got meta"),
    "a side of 0": ({"size": (0, 7)}, r"at least \(1, 1\), got \(0, 7\)"),
    "a truth": ({"size": (True, 7)}, r"a size .*of integers.*got \(True, 7\)"),
    "a number": ({"size": 107}, r"a size \(height, width\).*got 107"),
    "whole crops": ({"dtype": torch.uint8}, r"a floating dtype .*got torch.uint8"),
    "dtype's name": ({"dtype": "float32"}, r"a floating dtype .*got 'float32'"),
    "float size": ({"size": (5.0, 7.0)}, r"a size .*of integers.*got \(5.0, 7.0\)"),
    "no mean": ({"mean": None}, r"mean as one finite number.*got None"),
    "a word": ({"mean": "128"}, r"mean as one finite number.*got '128'"),
    "two means": ({"mean": (1, 2)}, r"mean as one finite number or one .* 3 channels, got \(1, 2"),
    "fill NaN": ({"fill": math.nan}, r"fill as one finite number.*got nan"),
    "std 0": ({"std": (1, 0, 1)}, r"std other than 0, got \[1.0, 0.0, 1.0\]"),
    "gradient": ({"boxes": torch.ones(2, 4).requires_grad_()}, r"without gradient.*detach"),
    "no width": ({"boxes": [[0, 0, 1, 1], [2, 2, 0.0, 1]]}, r"positive size, got \[2.*row 1"),
    "height < 0": ({"boxes": [[0, 0, 1, -1.0]]}, r"positive size, got \[0.*-1.0\] in row 0"),
    "NaN": ({"boxes": [[math.nan, 0, 1, 1]]}, r"finite boxes.*got \[nan, .* in row 0"),
    "infinite": ({"boxes": [[0, 0, math.inf, 1]]}, r"finite boxes.*inf.*in row 0"),
}


@pytest.mark.parametrize("label", CHANGES)
def test_refuses(label):
    change, message = CHANGES[label]
    call = {"image": an_image(), "boxes": rows("inside"), "size": SIZE} | change
    call["boxes"] = torch.as_tensor(call["boxes"])
    with pytest.raises(ValueError, match=f"crop_and_resize: expected .*{message}"):
        crop_and_resize(**call)


def test_without_recording_gradients_it_takes_what_requires_them():
    image = an_image(dtype=torch.float32).requires_grad_()
    with torch.no_grad():
        assert not crop_and_resize(image, rows("inside"), SIZE).requires_grad


@pytest.mark.parametrize("count", [0, 5])
def test_is_registered_as_torch_asks(count):
    arguments = an_image(), rows()[:count], SIZE, MEAN, STD, FILL, True, torch.bfloat16
    torch.library.opcheck(torch.ops.trackerlib.crop_and_resize.default, arguments)


def test_compiles_whole():
    def crops(image, boxes):
        return crop_and_resize(image, boxes, SIZE, mean=MEAN, std=STD, antialias=True)

    compiled = torch.compile(crops, fullgraph=True, dynamic=True, backend="aot_eager")
    expected, actual = (f(an_image(), rows()) for f in (crops, compiled))
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    assert actual.stride() == expected.stride()


@pytest.mark.parametrize(
    ("types", "constants"),
    [
        (("*u8", "*fp32", "*fp32", "*bf16"), {"ANTIALIAS": True}),
        (("*fp64", "*fp64", "*fp64", "*fp16"), {"ANTIALIAS": False}),
        (("*fp16", "*fp16", "*fp32", "*fp32"), {"ANTIALIAS": False, "C": 1, "h": 1, "w": 1}),
    ],
    ids=["bytes", "double", "one sample"],
)
def test_the_kernel_compiles(compiles, types, constants):
    pointers = dict(zip(("image", "boxes", "constants", "crops"), types, strict=True))
    strides = "row_stride", "column_stride", "channel_stride", "box_stride", "number_stride"
    numbers = dict.fromkeys((*strides, "H", "W", "C", "h", "w"), "i32")
    constants = {"CHANNELS": 4, "SAMPLES": 128} | constants
    compiles("crop_and_resize", "_kernel", pointers | numbers, constants)


def test_compiles_once_for_any_number_of_boxes():
    def crops(image, boxes):
        return crop_and_resize(image, boxes, SIZE, mean=128.0, std=STD)

    compiled = torch.compile(crops, fullgraph=True, dynamic=True, backend="aot_eager")
    compiled(an_image(), rows())
    with torch.compiler.set_stance("fail_on_recompile"):
        actual = compiled(an_image(), rows()[:5])
    torch.testing.assert_close(actual, crops(an_image(), rows()[:5]), rtol=0, atol=0)


@pytest.mark.parametrize(("count", "size"), [(1, (3000, 3000)), (70_000, (1, 1))], ids=str)
def test_no_number_of_crops_or_samples_is_too_many_to_launch(monkeypatch, count, size):
    """CUDA takes 2**31 - 1 programs along the first axis, 65,535 along the others."""
    pytest.importorskip("triton")
    from trackerlib.ops.kernels import crop_and_resize as kernels

    monkeypatch.setattr(kernels, "_kernel", kernel := MagicMock())
    crops = torch.empty(count, 3, *size, device="meta")
    image, boxes = torch.empty(9, 9, 3, device="meta"), torch.empty(count, 4, device="meta")
    kernels.forward(image, boxes, MEAN, STD, FILL, False, crops)
    (first, *others), *_ = kernel.__getitem__.call_args.args
    assert first > 65_535
    assert all(programs <= 65_535 for programs in others)
