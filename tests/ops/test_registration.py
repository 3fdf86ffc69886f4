"""The ops are operators of PyTorch, and their first call is quick."""

import subprocess
import sys

import pytest
import torch
from made_rois import SCALE, random_boxes, some_map

from trackerlib.ops import adaptive_roi_align, roi_align, roi_pool

FIRST_CALLS = """
import sys
import torch
from trackerlib.ops import adaptive_roi_align, correlation_filter, crop_and_resize
from trackerlib.ops import roi_align, roi_pool

boxes = torch.tensor([[0.0, 1, 1, 5, 5]])
for op, count in (roi_align, 3), (roi_pool, 3), (adaptive_roi_align, 7):
    input = torch.rand(1, 2, 9, 9, requires_grad=True)
    op(input, boxes, count).sum().backward()
crop_and_resize(torch.rand(9, 9, 3), boxes[:, 1:], (3, 3))
spectrum = correlation_filter.spectrum(torch.rand(3, 8, 8, requires_grad=True))
correlation_filter.cross_correlation(spectrum, spectrum).abs().sum().backward()
print([name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor"))])
"""


def test_a_first_call_imports_nothing_of_torch_compile():
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALLS], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("op", "count"), [(roi_align, 3), (roi_pool, 3), (adaptive_roi_align, 7)])
def test_a_gradient_has_no_gradient_and_says_so(op, count):
    input = some_map().requires_grad_()
    loss = op(input, random_boxes(4), count, SCALE).square().sum()
    (first,) = torch.autograd.grad(loss, input, create_graph=True)
    message = rf"trackerlib::{op.__name__}_backward: expected no backward pass .*create_graph"
    with pytest.raises(RuntimeError, match=message):
        torch.autograd.grad(first.sum(), input)


def test_autograd_records_nothing_of_what_an_op_without_gradient_does():
    image = torch.rand(9, 9, 3, requires_grad=True)
    settings = [5, 5], [0.0] * 3, [1.0] * 3, [0.0] * 3, False, torch.float32
    crops = torch.ops.trackerlib.crop_and_resize(image, torch.ones(1, 4), *settings)
    with pytest.raises(RuntimeError, match="trackerlib::crop_and_resize: expected no backward"):
        crops.sum().backward()
