"""What torchvision's own tests ask of RoIPool and RoIAlign, asked of ours, in as many cases.

Their cases are those of a processor: types, memory, both ways, ten seeds, deterministic mode,
autocast, torch.fx, TorchScript, quantised maps, lists of boxes and what is refused. There is no
MultiScaleRoIAlign here and no kernel of MPS, to which their remaining tests belong.
"""

import io
import sys
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from made_rois import assert_matches, numbers, rows
from oracles import roi_align as align_oracle
from oracles import roi_pool as pool_oracle
from torch import Tensor, nn

from trackerlib.ops import RoIAlign, RoIPool, adaptive_roi_align, roi_align, roi_pool

pytestmark = [  # of torch, which means to give up TorchScript and quantised tensors
    pytest.mark.filterwarnings("ignore:.*deprecated"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
IN_TEN = rows([(0, 0, 0, 9, 9), (0, 0, 5, 4, 9), (0, 5, 5, 9, 9), (1, 0, 0, 9, 9)])
IN_FIVE = rows([(0, 0, 0, 4, 4), (0, 0, 2, 3, 4), (0, 2, 2, 4, 4)])
TOLERANCE = {torch.float16: 4e-3, torch.float32: 1e-5, torch.float64: 1e-5}

TYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
CONTIGUOUS = pytest.mark.parametrize("contiguous", [True, False], ids=["contiguous", "transposed"])
DETERMINISTIC = pytest.mark.parametrize("mode", [False, True], ids=["any order", "deterministic"])
ALIGNED = pytest.mark.parametrize("aligned", [False, True], ids=["corners", "aligned"])
OPS = pytest.mark.parametrize("op", [roi_pool, roi_align], ids=["roi_pool", "roi_align"])
MODULES = pytest.mark.parametrize(
    "module", [RoIPool(5, 1), RoIAlign((5, 5), 1, -1)], ids=["RoIPool", "RoIAlign"]
)


@contextmanager
def deterministic(mode):
    """Tell torch to run deterministic algorithms alone, or not."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(mode)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@pytest.fixture(scope="module")
def script():
    """torch.jit.script, where torch has it."""
    if sys.version_info >= (3, 14):
        pytest.skip("torch has no TorchScript on Python 3.14 and newer")

    return torch.jit.script


def a_map(dtype, contiguous, shape=(2, 3, 10, 10), seed=0):
    """Numbers from 0 to 1; a square map, so that its transpose has the same shape."""
    input = torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return input if contiguous else input.transpose(2, 3)


def check_forward(module, oracle, dtype, contiguous, boxes_dtype=None, **settings):
    input, boxes = a_map(dtype, contiguous), IN_TEN.to(boxes_dtype or dtype)
    pooled = module(input, boxes)
    assert pooled.dtype == dtype
    expected = oracle(numbers(input), numbers(boxes), 5, 1.0, **settings)
    assert_matches(pooled, expected, TOLERANCE[dtype])


@CONTIGUOUS
@TYPES
def test_roi_pool_forward(dtype, contiguous):
    check_forward(RoIPool(5, 1), pool_oracle.forward, dtype, contiguous)


@DETERMINISTIC
@ALIGNED
@CONTIGUOUS
@TYPES
def test_roi_align_forward(dtype, contiguous, aligned, mode):
    module, settings = RoIAlign(5, 1, -1, aligned), {"sampling_ratio": -1, "aligned": aligned}
    with deterministic(mode):
        check_forward(module, align_oracle.forward, dtype, contiguous, **settings)


@pytest.mark.parametrize("boxes_dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("module", [RoIPool(5, 1), RoIAlign(5, 1, -1)], ids=["pool", "align"])
def test_autocast_takes_two_types_and_returns_the_input_s(module, dtype, boxes_dtype):
    input, boxes = a_map(dtype, False), IN_TEN.to(boxes_dtype)
    expected = module(input, boxes)
    for kind in torch.bfloat16, torch.float16:
        with torch.autocast("cpu", kind):
            torch.testing.assert_close(module(input, boxes), expected, rtol=0, atol=0)


@DETERMINISTIC
@ALIGNED
@pytest.mark.parametrize("boxes_dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_roi_align_forward_under_autocast(dtype, boxes_dtype, aligned, mode):
    module, settings = RoIAlign(5, 1, -1, aligned), {"sampling_ratio": -1, "aligned": aligned}
    with deterministic(mode), torch.autocast("cpu"):
        check_forward(module, align_oracle.forward, dtype, False, boxes_dtype, **settings)


def check_backward(op, seed, contiguous):
    input = a_map(torch.float64, contiguous, (1, 2, 5, 5), seed).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: op(x, IN_FIVE.double(), 2), (input,))


@pytest.mark.parametrize("seed", range(10))
@CONTIGUOUS
def test_roi_pool_backward(contiguous, seed):
    check_backward(roi_pool, seed, contiguous)


@pytest.mark.parametrize("seed", range(10))
@CONTIGUOUS
@DETERMINISTIC
def test_roi_align_backward(mode, contiguous, seed):
    with deterministic(mode):
        check_backward(partial(roi_align, sampling_ratio=1), seed, contiguous)


@pytest.mark.parametrize("seed", range(2))
@CONTIGUOUS
@OPS
def test_backward_in_torchscript(script, op, contiguous, seed):
    check_backward(script(op), seed, contiguous)


class Wrapped(nn.Module):
    """A network whose only layer pools the boxes of its images, a list."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor, boxes: list[Tensor]) -> Tensor:
        return self.layer(images, boxes)


class Calls(nn.Module):
    """A network that calls the functions."""

    def forward(self, images: Tensor, boxes: Tensor) -> Tensor:
        fine = roi_align(images, boxes, (3, 2), spatial_scale=0.5, aligned=True, reduce="max")
        return fine + roi_pool(images, boxes, [3, 2], 0.5)


@MODULES
def test_torch_fx_notes_a_module_down_as_one_call(module):
    traced = torch.fx.symbolic_trace(Wrapped(module))
    names = [node.op for node in traced.graph.nodes]
    assert names == ["placeholder", "placeholder", "call_function", "output"]


@MODULES
def test_torch_fx_traces_a_module(module):
    input = a_map(torch.float32, True)
    traced = torch.fx.symbolic_trace(module)
    torch.testing.assert_close(traced(input, IN_TEN), module(input, IN_TEN), rtol=0, atol=0)


def test_torch_fx_traces_calls_of_the_functions():
    input, calls = a_map(torch.float32, True), Calls()
    traced = torch.fx.symbolic_trace(calls)
    assert [node.target for node in traced.graph.nodes].count(roi_align) == 1
    torch.testing.assert_close(traced(input, IN_TEN), calls(input, IN_TEN), rtol=0, atol=0)
    traced.graph.lint()
    assert "roi_align" in traced.code


@pytest.mark.parametrize("sides", [3, (3, 3), [3, 3]], ids=str)
@pytest.mark.parametrize("make", [RoIPool, partial(RoIAlign, sampling_ratio=-1)])
def test_torchscript_takes_a_list_of_boxes_and_is_saved(script, make, sides):
    network = Wrapped(make(sides, 1.0))
    input, boxes = a_map(torch.float32, True), [IN_TEN[:, 1:], IN_TEN[:1, 1:]]
    scripted = script(network)
    expected = network(input, boxes)
    assert expected.shape == (5, 3, 3, 3)
    torch.testing.assert_close(scripted(input, boxes), expected, rtol=0, atol=0)
    torch.jit.save(scripted, file := io.BytesIO())
    loaded = torch.jit.load(io.BytesIO(file.getvalue()))
    torch.testing.assert_close(loaded(input, boxes), expected, rtol=0, atol=0)


def test_torchscript_and_tracing_know_the_functions(script):
    input, calls = a_map(torch.float32, True), Calls()
    expected = calls(input, IN_TEN)
    torch.testing.assert_close(script(calls)(input, IN_TEN), expected, rtol=0, atol=0)
    traced = torch.jit.trace(calls, (input, IN_TEN))
    torch.testing.assert_close(traced(input, IN_TEN), expected, rtol=0, atol=0)
    other = a_map(torch.float32, True, seed=1)
    torch.testing.assert_close(traced(other, IN_TEN[:2]), calls(other, IN_TEN[:2]), rtol=0, atol=0)


@pytest.mark.parametrize("pool", [True, False])
def test_adaptive_roi_align_is_traced_and_compiled_too(script, pool):
    class Adaptive(nn.Module):
        def __init__(self, pool: bool) -> None:
            super().__init__()
            self.pool = pool

        def forward(self, images: Tensor, boxes: list[Tensor]) -> Tensor:
            return adaptive_roi_align(images, boxes, 7, 0.5, self.pool)

    input, boxes, calls = a_map(torch.float32, True), [IN_TEN[:, 1:]], Adaptive(pool)
    for form in script(calls), torch.fx.symbolic_trace(calls):
        torch.testing.assert_close(form(input, boxes), calls(input, boxes), rtol=0, atol=0)
    with pytest.raises(Exception, match="adaptive_roi_align: expected a grid of at least 3"):
        script(adaptive_roi_align)(input, boxes, 2)


@OPS
def test_torchscript_checks_what_it_is_called_with(script, op):
    scripted, input = script(op), a_map(torch.float32, True)
    name = op.__name__
    wrong = {
        rf"{name}: expected boxes \(K, 5\)": (input, IN_TEN[:, 1:], 3),
        rf"{name}: expected input \(N, C, H, W\)": (input[0], IN_TEN, 3),
        rf"{name}: expected output_size": (input, IN_TEN, [3, 3, 3]),
        rf"{name}: expected boxes of finite numbers": (input, -IN_TEN, 3),
        rf"{name}: expected boxes of a float type": (input, IN_TEN.int(), 3),
    }
    for message, arguments in wrong.items():
        with pytest.raises(Exception, match=message):
            scripted(*arguments)


@OPS
def test_boxes_of_another_shape_are_refused(op):
    input = torch.arange(64.0).view(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"expected boxes \(K, 5\).*\(1, 4\).*\[corners\]"):
        op(input, torch.tensor([[0.0, 0, 3, 3]]), (2, 2))
    with pytest.raises(ValueError, match=r"expected a list of boxes \(L, 4\).*\(1, 3\)"):
        op(input, [torch.tensor([[0.0, 0, 3]])], (2, 2))


@pytest.mark.parametrize(
    "boxes",
    [
        rows([(0, 0, 0, 9, 9), (1, 0, 0, 9, 9)]),
        [torch.tensor([[0.0, 0, 9, 9]])] * 2,
        (torch.tensor([[0.0, 0, 9, 9]]),) * 2,
    ],
    ids=["table", "list", "tuple"],
)
@OPS
def test_boxes_in_every_form_are_the_same(op, boxes):
    input = a_map(torch.float32, True)
    expected = op(input, rows([(0, 0, 0, 9, 9), (1, 0, 0, 9, 9)]), 5)
    torch.testing.assert_close(op(input, boxes, 5), expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.qint8, torch.quint8, torch.qint32], ids=str)
@pytest.mark.parametrize("scale, zero_point", [(1, 0), (2, 10), (0.1, 50)])
@ALIGNED
def test_a_quantised_map_gives_what_it_stands_for_on_its_steps(aligned, scale, zero_point, dtype):
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(50, 100, (1, 2, 10, 10), generator=generator).float()
    starts, extents = torch.randint(5, (2, 200, 2), generator=generator).float()
    boxes = torch.cat((torch.zeros(200, 1), starts, starts + extents), 1)
    input, boxes = (
        torch.quantize_per_tensor(t, scale, zero_point, dtype) for t in (values, boxes)
    )
    pooled = roi_align(input, boxes, 5, aligned=aligned)
    expected = roi_align(input.dequantize(), boxes.dequantize(), 5, aligned=aligned)
    expected = torch.quantize_per_tensor(expected, scale, zero_point, dtype)
    assert pooled.dtype == dtype
    torch.testing.assert_close(pooled.int_repr(), expected.int_repr(), rtol=0, atol=0)
    as_floats = roi_align(input, boxes.dequantize(), 5, aligned=aligned)
    torch.testing.assert_close(as_floats.int_repr(), expected.int_repr(), rtol=0, atol=0)


def test_what_has_no_quantised_form_is_refused():
    values = a_map(torch.float32, True)
    input = torch.quantize_per_tensor(values, 0.01, 0, torch.qint8)
    boxes = torch.quantize_per_tensor(IN_TEN, 1, 0, torch.qint8)
    with pytest.raises(ValueError, match=r"expected quantised boxes of one image, got 2 images"):
        roi_align(input, boxes, 5)
    assert roi_align(input, IN_TEN, 5).is_quantized
    channels = torch.quantize_per_channel(values, torch.ones(3), torch.zeros(3), 1, torch.qint8)
    with pytest.raises(ValueError, match=r"quantised input of one scale, got .*dequantize"):
        roi_align(channels, IN_TEN, 5)
    with pytest.raises(ValueError, match=r"roi_pool: expected input .*qint8.*dequantize"):
        roi_pool(input, IN_TEN, 5)
    with pytest.raises(ValueError, match=r"roi_align: expected boxes .*qint8.*dequantize"):
        roi_align(values, boxes, 5)


def test_modules_say_what_they_hold():
    assert repr(RoIPool((3, 2), 0.5)) == "RoIPool(output_size=(3, 2), spatial_scale=0.5)"
    assert repr(RoIAlign(7, 1 / 16, 2)) == (
        "RoIAlign(output_size=7, spatial_scale=0.0625, sampling_ratio=2, aligned=False)"
    )


def test_modules_equal_torchvision_s(torchvision_ops):
    input = a_map(torch.float32, False)
    for settings in ((3, 2), 0.5, 2, True), (5, 1.0, -1):
        theirs, ours = torchvision_ops.RoIAlign(*settings), RoIAlign(*settings)
        torch.testing.assert_close(ours(input, IN_TEN), theirs(input, IN_TEN))
        assert repr(ours) == repr(theirs)
        theirs, ours = torchvision_ops.RoIPool(*settings[:2]), RoIPool(*settings[:2])
        torch.testing.assert_close(ours(input, IN_TEN), theirs(input, IN_TEN), rtol=0, atol=0)
