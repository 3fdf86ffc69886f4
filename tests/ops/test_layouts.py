"""Every op takes tensors however they lie in memory, and returns the same to the bit."""

from collections.abc import Iterator
from functools import partial
from itertools import permutations

import pytest
import torch
from made_rois import SCALE, random_boxes, some_map
from torch import Tensor

from trackerlib.ops import (
    adaptive_roi_align,
    correlation_filter,
    crop_and_resize,
    hog,
    pooled_convolution,
    roi_align,
    roi_pool,
)

MAPS = some_map(), some_map((1, 1, 6, 9)), some_map((2, 5, 1, 9)), some_map().bfloat16()
IMAGES = [
    torch.arange(height * width * channels).mul(37).remainder(256).byte().view(height, width, -1)
    for height, width, channels in [(12, 10, 3), (12, 10, 1), (1, 10, 3), (12, 1, 2)]
]
IMAGES += [IMAGES[0].double(), IMAGES[1].half()]
SIZE = 8, 10
SPECTRA = [correlation_filter.spectrum(some_map((2, 3, *SIZE), seed=seed)) for seed in (0, 1)]
PAIRED, GRID = SPECTRA[0].sum(1), SPECTRA[1].sum(1)  # of the kernel: no channels
FDN = {"reduce": "max", "points": "interior"}

ROI_OPS = {
    "roi_pool": partial(roi_pool, output_size=(2, 3), spatial_scale=SCALE),
    "roi_align": partial(roi_align, output_size=(2, 3), spatial_scale=SCALE, sampling_ratio=2),
    "roi_align, adaptive": partial(roi_align, output_size=2, spatial_scale=SCALE, aligned=True),
    "roi_align, FDN": partial(
        roi_align, output_size=2, spatial_scale=SCALE, sampling_ratio=2, **FDN
    ),
    "adaptive_roi_align": partial(adaptive_roi_align, grid=5, spatial_scale=SCALE),
}
CROPS = {
    "crop_and_resize": partial(crop_and_resize, size=(5, 7), mean=90.0, std=3.0, fill=7.0),
    "crop_and_resize, antialias": partial(crop_and_resize, size=(3, 2), antialias=True),
}
EXACT = [(name, op, (m, random_boxes(4, len(m)))) for name, op in ROI_OPS.items() for m in MAPS]
EXACT += [
    (name, op, (image, random_boxes(4)[:, 1:].abs() + 1))
    for name, op in CROPS.items()
    for image in IMAGES
]
EXACT += [
    ("hog", hog, (some_map((16, 13)),)),
    ("pooled_convolution", pooled_convolution, (some_map((3, 2, 6, 8)), some_map((4, 2, 3, 5)))),
]
TO_ROUNDING = [  # torch's FFT and its sums over channels go along memory
    ("spectrum", correlation_filter.spectrum, (some_map((3, *SIZE)),)),
    ("cross_correlation", correlation_filter.cross_correlation, SPECTRA),
    ("energy", partial(correlation_filter.energy, size=SIZE), SPECTRA[:1]),
    ("linear", partial(correlation_filter.linear_correlation, size=SIZE), SPECTRA),
    ("Gaussian", partial(correlation_filter.gaussian_correlation, size=SIZE, sigma=0.5), SPECTRA),
    ("train", partial(correlation_filter.train, regularisation=1e-4), (PAIRED, GRID)),
    ("respond", partial(correlation_filter.respond, size=SIZE), (PAIRED, GRID)),
    ("update", partial(correlation_filter.update, learning_rate=0.02), (PAIRED, GRID)),
]


def layouts(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield a name and a tensor of the same shape; where a stride is 0 it has other numbers."""
    orders = list(permutations(range(tensor.ndim)))
    for order in orders[:6] + orders[6::7]:  # of four axes, the last three in all orders, and more
        back = [order.index(axis) for axis in range(tensor.ndim)]
        yield f"axes {order} in memory", tensor.permute(order).contiguous().permute(back)
    for axis, side in enumerate(tensor.shape):
        yield f"axis {axis} expanded", tensor.narrow(axis, 0, 1).expand_as(tensor)
        wide = tensor.repeat_interleave(2, axis).unflatten(axis, (side, 2))
        yield f"every other of axis {axis}", wide.select(axis + 1, 1)
    yield "one number for all", tensor.flatten()[0].expand_as(tensor)
    yield "in the middle of memory", torch.stack((tensor,) * 3, -1)[..., 1]
    if tensor.is_complex():
        yield "conjugate", tensor.conj_physical().conj()
    elif tensor.dtype in (torch.float32, torch.float64):  # torch turns the sign as it reads them
        yield "negative", torch.complex(tensor, -tensor).conj().imag


def check(op, tensors, **tolerance):
    """Each tensor in each layout against its contiguous copy."""
    for place, tensor in enumerate(tensors):
        for name, stored in layouts(tensor):
            given, copied = list(tensors), list(tensors)
            given[place] = stored
            copied[place] = stored.clone(memory_format=torch.contiguous_format)
            label = f"tensor {place}, {name}, strides {stored.stride()}: "
            try:
                actual, expected = op(*given), op(*copied)
            except RuntimeError as error:
                pytest.fail(label + str(error))
            torch.testing.assert_close(
                actual, expected, **tolerance, msg=lambda text, label=label: label + text
            )


@pytest.mark.parametrize(
    ("op", "tensors"),
    [pytest.param(*call, id=f"{name}-{i}") for i, (name, *call) in enumerate(EXACT)],
)
def test_any_layout_gives_what_a_contiguous_copy_gives(op, tensors):
    check(op, tensors, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("op", "tensors"), [pytest.param(*call, id=name) for name, *call in TO_ROUNDING]
)
def test_correlation_filters_take_any_layout(op, tensors):
    check(op, tensors, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ROI_OPS)
def test_gradients_of_any_layout_are_those_of_a_contiguous_copy(name):
    input, boxes = some_map().requires_grad_(), random_boxes(4)
    pooled = ROI_OPS[name](input, boxes)

    def gradient(shares):
        return torch.autograd.grad(pooled, input, shares, retain_graph=True)[0]

    check(gradient, (some_map(pooled.shape, seed=1),), rtol=0, atol=0)
