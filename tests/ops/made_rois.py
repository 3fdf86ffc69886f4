"""Maps and regions that every RoI op is tested on."""

import math

import numpy as np
import torch
from torch._dynamo.testing import CompileCounterWithBackend

SHAPE = 2, 5, 6, 9  # N, C, H, W
SHAPES = (1, 3, 1, 1), (1, 1, 1, 9), (2, 33, 6, 9), (1, 600, 2, 2)  # others
SCALE = 1 / 8  # so the map is that of an image of 72 x 48 pixels

CASES = {  # label: rows of batch index, x1, y1, x2, y2 in pixels
    "none": [],
    "inside": [(0, 10.3, 8.1, 50.7, 33.9)],
    "whole map": [(0, 0, 0, 72, 48)],
    "last cell": [(0, 64, 40, 72, 48)],
    "halves of cells": [(0, -4, -12, 20, 28)],
    "partly outside": [(0, -20.5, -13.2, 30.1, 20.7), (0, 40.3, 30.2, 100.9, 80.4)],
    "around the map": [(0, -31.3, -22.7, 99.1, 70.3)],
    "wholly outside": [(0, -90, 5, -40, 30), (0, 5, 80, 30, 120)],
    "far outside": [(0, 1e5, 1e5, 1e5 + 50, 1e5 + 50), (0, 3, -2e30, 40, -1e30)],
    "endless": [(0, 3, 5, 1e30, 1e30)],
    "from far to far": [(0, -1e5, -1e5, 1e5, 1e5)],
    "a point": [(0, 20.4, 10.1, 20.4, 10.1)],
    "a line": [(0, 20.4, 10.1, 20.4, 40.7)],
    "less than a cell": [(0, 20.4, 10.1, 23.3, 12.2)],
    "both images": [(1, 5.2, 3.3, 66.6, 41.8), (0, 18.7, 9.9, 38.8, 30.4)],
}
BROKEN = {  # rows that are no region of a map's two images
    "NaN": (0, math.nan, 8, 50, 33),
    "infinite": (0, 10, 8, math.inf, 33),
    "minus infinity": (0, 10, -math.inf, 50, 33),
    "x2 < x1": (0, 50, 8, 10, 33),
    "y2 < y1": (0, 10, 33, 50, 8),
    "image -1": (-1, 10, 8, 50, 33),
    "image 2 of 2": (2, 10, 8, 50, 33),
    "image 0.5": (0.5, 10, 8, 50, 33),
    "image NaN": (math.nan, 10, 8, 50, 33),
    "image infinite": (math.inf, 10, 8, 50, 33),
}
SIZES = dict.fromkeys(("images", "H", "W", "C"), "i32")  # a kernel's arguments and their types
SIZES |= {"scale": "fp32", "boxes": "*fp32"}
ONES = dict.fromkeys(("images", "H", "W", "C"), 1)  # which Triton compiles as constants
TOLERANCE = {  # relative: that of the sum, or of its one rounding to a half type
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 2**-11,
    torch.bfloat16: 2**-8,
}


def some_map(shape=SHAPE, dtype=torch.float32, seed=0) -> torch.Tensor:
    """Normal numbers, no two alike."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def rows(regions) -> torch.Tensor:
    """Regions of CASES or BROKEN as a tensor (K, 5)."""
    return torch.tensor(regions, dtype=torch.float32).reshape(-1, 5)


def random_boxes(count, images=2, seed=0) -> torch.Tensor:
    """(count, 5), of all sizes, around and across an image of 72 x 48 pixels."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, count, 2, generator=generator) * 1.6 - 0.3
    corners = corners.sort(0).values * torch.tensor([72, 48])
    image = torch.randint(images, (count, 1), generator=generator)
    return torch.cat((image, corners[0], corners[1]), 1)


def layouts(input) -> dict[str, torch.Tensor]:
    """The same numbers stored otherwise."""
    wide = torch.full((*input.shape[:2], 13, 2 * input.shape[3]), math.nan)
    wide = wide.to(input)
    view = wide[:, :, 3 : 3 + input.shape[2], ::2]
    return {
        "channels-last": input.contiguous(memory_format=torch.channels_last),
        "every other column of a crop": view.copy_(input),
        "transposed": input.transpose(2, 3).contiguous().transpose(2, 3),
        "one map expanded": input[:1].expand_as(input),
    }


def numbers(tensor):
    """What an oracle takes: float64 numpy, of no tensor's memory."""
    return tensor.detach().cpu().double().numpy().copy()


def assert_matches(actual, expected, relative=None) -> None:
    """A tensor of an op against the float64 numbers of its oracle."""
    relative = TOLERANCE[actual.dtype] if relative is None else relative
    torch.testing.assert_close(
        actual.detach().cpu().double(),
        torch.from_numpy(expected),
        rtol=relative,
        atol=min(relative, 1e-5),
        equal_nan=True,
    )


def check_compiled(op) -> None:
    """op(input, boxes), compiled whole and once, is the same for any number of boxes."""

    def loss(input, boxes):
        return op(input * 2, boxes).square()

    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend=counter)
    compilations = []
    for count in (4, 7):
        input, boxes = some_map().requires_grad_(), random_boxes(count)
        expected, actual = loss(input, boxes), compiled(input, boxes)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(
            torch.autograd.grad(actual.sum(), input),
            torch.autograd.grad(expected.sum(), input),
        )
        compilations.append(counter.frame_count)
    assert compilations[0] == compilations[1] > 0


def refused(op: str) -> dict[str, tuple[dict, str]]:
    """What no RoI op takes, by label: the arguments changed and a pattern of the message."""
    input = rf"{op}: expected input \(N, C, H, W\) .*got "
    boxes = rf"{op}: expected boxes \(K, 5\).*got "
    scale = rf"{op}: expected spatial_scale .*above 0, got "
    wrong = {
        "three axes": ({"input": some_map()[0]}, rf"{input}\(5, 6, 9\).*input\[None\]"),
        "bytes": ({"input": some_map(dtype=torch.uint8)}, rf"{input}.*uint8.*float\(\)"),
        "truths": ({"input": some_map() > 0}, rf"{input}.*bool"),
        "complex": ({"input": some_map(dtype=torch.complex64)}, rf"{input}.*complex64"),
        "four columns": ({"boxes": torch.zeros(3, 4)}, rf"{boxes}\(3, 4\)"),
        "one row alone": ({"boxes": torch.zeros(5)}, rf"{boxes}\(5,\)"),
        "other device": (
            {"boxes": torch.zeros(3, 5, device="meta")},
            rf"{op}: expected boxes on .*cpu, got meta; .*boxes\.to",
        ),
        "gradient of boxes": (
            {"boxes": torch.zeros(3, 5, requires_grad=True)},
            rf"{op}: expected boxes without .*got .*detach",
        ),
        "no scale": ({"spatial_scale": 0}, rf"{scale}0"),
        "negative scale": ({"spatial_scale": -0.5}, rf"{scale}-0.5"),
        "NaN scale": ({"spatial_scale": math.nan}, rf"{scale}nan"),
        "infinite scale": ({"spatial_scale": math.inf}, rf"{scale}inf"),
    }
    for axis, name in enumerate(("no images", "no channels", "no rows", "no columns")):
        shape = [0 if i == axis else size for i, size in enumerate(SHAPE)]
        wrong[name] = ({"input": torch.zeros(shape)}, rf"{input}.*0")
    for name, row in BROKEN.items():
        among = rf"{op}: expected boxes .*finite.* among 0 to 1, got .* in row 1"
        wrong[name] = ({"boxes": rows([(0, 1, 1, 30, 30), row])}, among)
    far = {"boxes": rows([(0, 1, 1, 30, 30), (0, 1, 1, 3e38, 3e38)]), "spatial_scale": 16}
    wrong["infinite in cells"] = far, rf"{op}: expected boxes .*finite.* in row 1"
    return wrong | refused_kinds(op)


def refused_kinds(op: str) -> dict[str, tuple[dict, str]]:
    """What is no tensor, or one that holds no such numbers; as `refused`."""
    input = rf"{op}: expected input \(N, C, H, W\) .*got "
    kind = rf"{op}: expected boxes of a float type, or whole numbers, got "
    return {
        "boxes of truths": ({"boxes": torch.zeros(3, 5) > 0}, rf"{kind}torch.bool; .*float\(\)"),
        "complex boxes": ({"boxes": torch.zeros(3, 5) * 1j}, rf"{kind}torch.complex64"),
        "an array": (
            {"input": np.zeros(SHAPE)},
            rf"{op}: expected input to be a tensor .*got ndarray; .*as_tensor",
        ),
        "a sparse map": ({"input": some_map().to_sparse()}, rf"{input}.*sparse_coo.*to_dense"),
        "an array of boxes": (
            {"boxes": np.zeros((3, 5))},
            rf"{op}: expected boxes to be a tensor .*got ndarray; .*as_tensor",
        ),
        "no tensor among the boxes": (
            {"boxes": [[0, 1, 1, 5, 5]]},
            rf"{op}: expected boxes to be a tensor .*got list; .*as_tensor",
        ),
        "None for a scale": (
            {"spatial_scale": None},
            rf"{op}: expected spatial_scale .*above 0, got None",
        ),
    }


def refused_lists(op: str) -> dict[str, tuple[dict, str]]:
    """Lists that are no boxes of two images; as `refused`."""
    listed = rf"{op}: expected a list of boxes \(L, 4\), one tensor for each of 2 images, got "
    return {
        "a list of (L, 5)": (
            {"boxes": [torch.zeros(3, 5), torch.zeros(1, 5)]},
            rf"{listed}shapes \[\(3, 5\), \(1, 5\)\]; .*new_empty\(0, 4\)",
        ),
        "a list of one box alone": ({"boxes": [torch.zeros(4)]}, rf"{listed}shapes \[\(4,\)\]"),
        "an empty list": ({"boxes": []}, rf"{listed}shapes \[\]"),
        "a list for three images": (
            {"boxes": [torch.zeros(1, 4)] * 3},
            rf"{listed}shapes \[\(1, 4\), \(1, 4\), \(1, 4\)\]",
        ),
        "a list of truths": (
            {"boxes": [torch.zeros(3, 4) > 0]},
            rf"{op}: expected boxes of a float type, or whole numbers, got torch.bool",
        ),
        "one of another device": (
            {"boxes": [torch.zeros(3, 4), torch.zeros(3, 4, device="meta")]},
            rf"{op}: expected boxes on .*cpu, got meta; .*boxes\.to",
        ),
    }


def refused_pairs(op: str) -> dict[str, tuple[dict, str]]:
    """Values of output_size that are no pair of counts; as `refused`."""
    start = rf"{op}: expected output_size"
    return {
        "one side": ({"output_size": (3,)}, rf"{start} .*got \(3,\)"),
        "three sides": ({"output_size": [1, 2, 3]}, rf"{start} .*got \[1, 2, 3\]"),
        "no rows of bins": ({"output_size": (0, 3)}, rf"{start}\[0\] .*got 0"),
        "half columns of bins": ({"output_size": (3, 0.5)}, rf"{start}\[1\] .*got 0.5"),
    }


def refused_counts(op: str, *names: str) -> dict[str, tuple[dict, str]]:
    """Numbers that count nothing, for each of the arguments named; as `refused`."""
    return {
        f"{name}={value}": ({name: value}, rf"{op}: expected {name} .*got {value!r}")
        for name in names
        for value in (0, -1, 2.0, True)
    }
