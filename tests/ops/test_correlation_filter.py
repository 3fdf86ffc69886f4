"""Correlation filter against explicit shifts; its one kernel on every path; peaks by fractions."""

from functools import partial
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from oracles import correlation_filter as oracle
from torch.fft import irfft2, rfft2
from torch.testing import assert_close

from trackerlib.ops import correlation_filter as cf

SIZES = [(4, 5), (5, 4), (3, 3), (1, 6), (2, 1)]
SHAPES = {  # of features
    "usual": (31, 10, 12),
    "many channels": (131, 3, 4),
    "one channel": (1, 5, 7),
    "one cell": (3, 1, 1),
    "batches": (2, 3, 5, 4, 7),
    "batches of large grids": (3, 2, 9, 8),
}


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def spectra(shape, dtype=torch.float32):
    return [cf.spectrum(random(*shape, seed=seed).to(dtype)) for seed in (0, 1)]


def expected_products(xf, zf):
    """The oracle, one batch item at a time."""
    maps = (t.reshape(-1, *t.shape[-3:]).numpy(force=True) for t in (xf, zf))
    products = [oracle.cross_correlation(x, z) for x, z in zip(*maps, strict=True)]
    shape = xf.shape[:-3] + xf.shape[-2:]
    return torch.from_numpy(np.stack(products)).view(shape).to(xf.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_cross_correlation_is_its_formula(shape, dtype):
    xf, zf = spectra(shape, dtype)
    assert_close(cf.cross_correlation(xf, zf), expected_products(xf, zf))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_triton_is_the_formula(kernel_device, shape, dtype):
    from trackerlib.ops.kernels import correlation_filter as kernels

    xf, zf = (t.to(kernel_device) for t in spectra(shape, dtype))
    assert_close(kernels.cross_correlation(xf, zf).cpu(), expected_products(xf, zf))


def views(shape=(6, 9, 8)):
    """Spectra that are not what lies in memory."""
    xf, zf = spectra(shape)
    yield "strided", xf[::2, 1:, ::2], zf[::2, 1:, ::2]
    yield "transposed", xf.permute(2, 0, 1), zf.permute(2, 0, 1)
    yield "conjugated", xf.conj(), zf
    yield "both conjugated", xf.conj(), zf.conj()
    yield "negated", xf, torch._neg_view(zf)


VIEWS = {name: pair for name, *pair in views()}


@pytest.mark.parametrize("pair", VIEWS.values(), ids=VIEWS)
def test_views_count_like_their_copies(pair):
    copies = [t.clone(memory_format=torch.contiguous_format).resolve_conj() for t in pair]
    actual = cf.cross_correlation(*pair)
    assert actual.is_contiguous()
    assert_close(actual, cf.cross_correlation(*copies))
    assert_close(actual, expected_products(*copies))


def test_triton_takes_strided_spectra(kernel_device):
    from trackerlib.ops.kernels import correlation_filter as kernels

    pair = VIEWS["strided"]
    actual = kernels.cross_correlation(*(t.to(kernel_device) for t in pair))
    assert_close(actual.cpu(), expected_products(*pair))


@pytest.mark.parametrize("shape", [(1, 1500, 1500), (70_000, 1, 1, 1)], ids=str)
def test_no_grid_or_batch_is_too_large_to_launch(monkeypatch, shape):
    """CUDA takes 2**31 - 1 programs along the first axis, 65,535 along the others."""
    pytest.importorskip("triton")
    from trackerlib.ops.kernels import correlation_filter as kernels

    monkeypatch.setattr(kernels, "_kernel", kernel := MagicMock())
    xf = torch.empty(shape, dtype=torch.complex64, device="meta")
    kernels.cross_correlation(xf, xf)
    (first, *others), *_ = kernel.__getitem__.call_args.args
    assert first > 65_535
    assert all(programs <= 65_535 for programs in others)


@pytest.mark.parametrize(("real", "constants"), [("fp32", {}), ("fp64", {})])
def test_the_kernel_compiles_for_gpus(compiles, real, constants):
    signature = dict.fromkeys(("x", "z", "out"), f"*{real}") | {"channels": "i32", "floats": "i32"}
    compiles("correlation_filter", "_kernel", signature, {"CELLS": 16, "CHANNELS": 32})


@pytest.mark.parametrize("name", ["usual", "batches"])
def test_gradients(name):
    shape = {"usual": (3, 4, 5), "batches": (2, 2, 3, 3)}[name]
    pair = [t.requires_grad_() for t in spectra(shape, torch.float64)]
    assert torch.autograd.gradcheck(cf.cross_correlation, pair)
    assert torch.autograd.gradgradcheck(cf.cross_correlation, pair)


def test_a_filter_learns_through_its_features():
    size = (4, 5)
    x, z = (random(2, *size, seed=seed).requires_grad_() for seed in (0, 1))
    yf = cf.spectrum(cf.gaussian_label(size, 1.0).double())

    def answer(x, z):
        xf, zf = cf.spectrum(x), cf.spectrum(z)
        alphaf = cf.train(cf.gaussian_correlation(xf, xf, size, 0.5), yf, 1e-2)
        return cf.respond(alphaf, cf.gaussian_correlation(zf, xf, size, 0.5), size)

    assert torch.autograd.gradcheck(answer, (x, z))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_operator_is_well_formed(shape):
    pair = [t.requires_grad_() for t in spectra(shape)]
    torch.library.opcheck(torch.ops.trackerlib.cross_correlation, pair)


def test_compiled_it_gives_the_same():
    xf, zf = spectra((7, 6, 5))
    run = partial(cf.gaussian_correlation, size=(6, 5), sigma=0.5)
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    assert_close(compiled(xf, zf), run(xf, zf))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_features_are_transformed_in_single_precision(dtype):
    features = random(5, 6, 7).to(dtype)
    actual = cf.spectrum(features)
    assert actual.dtype == torch.complex64
    assert_close(actual, rfft2(features.float()), rtol=0, atol=0)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_kernels_with_every_shift(size):
    x, z = random(3, *size), random(3, *size, seed=1)
    xf, zf = cf.spectrum(x), cf.spectrum(z)
    for a, b, af, bf in ((x, z, xf, zf), (x, x, xf, xf), (x, x, xf, xf.clone())):
        linear = oracle.correlation(oracle.linear, a.numpy(), b.numpy())
        actual = irfft2(cf.linear_correlation(af, bf, size), size)
        assert_close(actual, torch.from_numpy(linear))
        kernel = partial(oracle.gaussian, sigma=0.5)
        gaussian = oracle.correlation(kernel, a.numpy(), b.numpy())
        actual = irfft2(cf.gaussian_correlation(af, bf, size, 0.5), size)
        assert_close(actual, torch.from_numpy(gaussian))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_energy_is_the_squared_norm(size):
    x = random(2, 3, *size)
    assert_close(cf.energy(cf.spectrum(x), size), x.square().sum((-3, -2, -1)))


@pytest.mark.parametrize("name", ["linear", "gaussian"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_training_and_response_are_kernel_ridge_regression(size, name):
    """Against the matrix of all pairs of shifts, solved as a linear system."""
    x, z, y = random(2, *size), random(2, *size, seed=1), cf.gaussian_label(size, 0.7).double()
    kernel = oracle.linear if name == "linear" else partial(oracle.gaussian, sigma=0.5)
    correlation = {
        "linear": cf.linear_correlation,
        "gaussian": partial(cf.gaussian_correlation, sigma=0.5),
    }[name]
    xf, zf = cf.spectrum(x), cf.spectrum(z)
    alpha, answers = oracle.response(kernel, x.numpy(), z.numpy(), y.numpy(), 1e-2)
    alphaf = cf.train(correlation(xf, xf, size=size), cf.spectrum(y), 1e-2)
    assert_close(irfft2(alphaf, size), torch.from_numpy(alpha))
    response = cf.respond(alphaf, correlation(zf, xf, size=size), size)
    # The response is at the shifts that z has made; the answers at those that undo them.
    undone = response.flip(0, 1).roll((1, 1), (0, 1))
    assert_close(undone, torch.from_numpy(answers))


def test_a_batch_is_one_filter_after_another():
    size = (5, 6)
    x, z = random(4, 3, *size), random(4, 3, *size, seed=1)
    yf = cf.spectrum(cf.gaussian_label(size, 1.0).double())

    def answer(x, z):
        xf, zf = cf.spectrum(x), cf.spectrum(z)
        alphaf = cf.train(cf.gaussian_correlation(xf, xf, size, 0.5), yf, 1e-2)
        return cf.respond(alphaf, cf.gaussian_correlation(zf, xf, size, 0.5), size)

    assert_close(answer(x, z), torch.stack([answer(*pair) for pair in zip(x, z, strict=True)]))


def test_update_moves_by_its_rate():
    old, new = spectra((2, 3, 4))
    assert_close(cf.update(old, new, 0.25), 0.75 * old + 0.25 * new)
    assert_close(cf.update(old, new, 0.0), old, rtol=0, atol=0)
    assert_close(cf.update(old, new, 1.0), new)


def test_the_label_is_one_at_no_shift_and_wraps():
    label = cf.gaussian_label((5, 6), 1.5)
    assert label[0, 0] == 1
    assert_close(label[1, 0], torch.tensor(np.exp(-0.5 / 1.5**2)).float())
    assert_close(label[1:], label[1:].flip(0))
    assert_close(label[:, 1:], label[:, 1:].flip(1))


@pytest.mark.parametrize("shift", [(0, 0), (2, -3), (-4, 4), (3, 1)])
def test_the_response_peaks_where_the_target_went(shift):
    x, size = random(3, 8, 9), (8, 9)
    xf, zf = cf.spectrum(x), cf.spectrum(x.roll(shift, (1, 2)))
    yf = cf.spectrum(cf.gaussian_label(size, 1.0))
    alphaf = cf.train(cf.gaussian_correlation(xf, xf, size, 0.5), yf, 1e-4)
    response = cf.respond(alphaf, cf.gaussian_correlation(zf, xf, size, 0.5), size)
    assert cf.peak(response) == shift
    assert tuple(round(s) for s in cf.subcell_peak(response)) == shift


def cyclic_distances(n, place):
    """Of the cells of a ring from a place between them."""
    distances = (torch.arange(n, dtype=torch.float64) - place).abs() % n
    return distances.minimum(n - distances)


@pytest.mark.parametrize("place", [(0.3, -0.45), (-2.2, 2.4), (0, 0), (-4.4, -3.7)], ids=str)
def test_the_top_of_a_parabola_is_found_exactly(place):
    rows, columns = (cyclic_distances(n, at) ** 2 for n, at in zip((9, 8), place, strict=True))
    response = 1 - 0.1 * rows[:, None] - 0.2 * columns
    np.testing.assert_allclose(cf.subcell_peak(response), place, atol=1e-12)


class OnDevice(torch.Tensor):
    """A tensor whose values may be used only after a move to the CPU."""

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        assert function.__name__ not in ("argmax", "__getitem__", "tolist"), "waits for a GPU"
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **kwargs or {})


@pytest.mark.parametrize("function", [cf.peak, cf.subcell_peak])
def test_a_response_is_moved_to_the_cpu_before_its_values_are_read(function):
    assert function(torch.eye(1, 5).as_subclass(OnDevice)) == (0, 0)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (torch.zeros(4, 5), (0, 0)),
        (torch.ones(1, 1), (0, 0)),
        (torch.tensor([[1.0, 2.0]]), (0, -1)),
        (torch.eye(2), (0, 0)),
        (torch.tensor([[0.0, 1.0, -torch.inf]]), (0, 1)),
    ],
    ids=["flat", "one cell", "two cells", "two by two", "infinitely deep"],
)
def test_where_no_parabola_opens_the_peak_stays_on_its_cell(response, expected):
    assert cf.peak(response) == expected
    assert cf.subcell_peak(response) == expected


def test_a_plateau_of_two_is_halved():
    assert cf.subcell_peak(torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0]])) == (0, 1.5)


@pytest.mark.parametrize("name", ["linear", "gaussian"])
@pytest.mark.parametrize("shift", [(0.25, -0.4), (2.3, 1.75), (-1.5, 3.1), (-7.9, 0.1)], ids=str)
def test_known_fractions_of_a_band_limited_pattern(shift, name):
    """Moved by its phases, exactly; a parabola on a wide label misses by few hundredths."""
    size = (20, 24)
    frequencies = (
        torch.fft.fftfreq(size[0]).double()[:, None],
        torch.fft.rfftfreq(size[1]).double(),
    )
    band = (frequencies[0].abs() < 0.3) & (frequencies[1] < 0.3)
    xf = cf.spectrum(random(4, *size)) * band
    turns = frequencies[0] * shift[0] + frequencies[1] * shift[1]
    zf = xf * torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)
    correlation = {
        "linear": cf.linear_correlation,
        "gaussian": partial(cf.gaussian_correlation, sigma=0.5),
    }[name]
    yf = cf.spectrum(cf.gaussian_label(size, 2.0).double())
    alphaf = cf.train(correlation(xf, xf, size=size), yf, 1e-4)
    response = cf.respond(alphaf, correlation(zf, xf, size=size), size)
    np.testing.assert_allclose(cf.subcell_peak(response), shift, atol=0.04)
    whole = np.abs(np.subtract(cf.peak(response), shift))
    assert (whole <= 0.5 + 0.04).all()


XF = torch.zeros(2, 4, 3, dtype=torch.complex64)  # of (2, 4, 5) or (2, 4, 4)
ERRORS = {
    "one map": (cf.spectrum, (torch.zeros(3),), r"spectrum: expected float maps .* got \(3,\)"),
    "integers": (cf.spectrum, (torch.zeros(2, 3, dtype=torch.uint8),), "spectrum: .*uint8"),
    "complex features": (cf.spectrum, (XF,), "spectrum: expected float maps.*complex64"),
    "no channels": (cf.spectrum, (torch.zeros(0, 4, 4),), r"not empty, got \(0, 4, 4\)"),
    "rank": (cf.cross_correlation, (XF[0], XF[0]), r"expected two spectra .* got \(4, 3\)"),
    "channels": (cf.cross_correlation, (XF, XF[:1]), r"\(2, 4, 3\) .* and \(1, 4, 3\)"),
    "real": (cf.cross_correlation, (XF.real, XF.real), "complex dtype.* got .* torch.float32"),
    "two dtypes": (cf.cross_correlation, (XF, XF.cdouble()), "complex64 .*complex128"),
    "empty": (cf.cross_correlation, (XF[:0], XF[:0]), r"not empty.* got \(0, 4, 3\)"),
    "two devices": (cf.cross_correlation, (XF, XF.to("meta")), "on cpu and .* on meta"),
    "another size": (cf.linear_correlation, (XF, XF, (4, 6)), r"\(..., 4, 4\) of \(4, 6\) cells"),
    "its channels": (cf.linear_correlation, (XF, XF[:1], (4, 5)), "expected two spectra"),
    "gaussian size": (cf.gaussian_correlation, (XF, XF, (5, 5), 1.0), "gaussian_correlation: .*5"),
    "sigma": (cf.gaussian_correlation, (XF, XF, (4, 5), 0.0), "expected sigma > 0, got 0"),
    "energy": (cf.energy, (XF.real, (4, 5)), "energy: expected a spectrum.*float32"),
    "label": (cf.train, (XF[0], XF[0, :2], 1e-4), r"train: .* got \(4, 3\) .* and \(2, 3\)"),
    "real label": (cf.train, (XF[0], XF[0].real, 1e-4), "train: expected two spectra"),
    "weights": (cf.respond, (XF[0, :2], XF[0], (4, 5)), "respond: expected two spectra"),
    "answer": (cf.respond, (XF[0], XF[0], (4, 6)), "respond: expected a spectrum"),
    "model": (cf.update, (XF, XF[:1], 0.1), "update: expected old and new of one shape"),
    "rate": (cf.update, (XF, XF, 1.5), "learning rate from 0 to 1, got 1.5"),
    "ranks": (cf.peak, (torch.zeros(2, 3, 4),), r"peak: expected a float response \(H, W\)"),
    "complex": (cf.peak, (XF[0],), "peak: expected a float response.*complex64"),
    "no cells": (cf.subcell_peak, (torch.zeros(0, 4),), r"not empty, got \(0, 4\)"),
    "grid": (cf.gaussian_label, ((0, 4), 1.0), r"gaussian_label: .* got \(0, 4\) and 1"),
    "narrow": (cf.gaussian_label, ((3, 4), 0.0), "sigma > 0, got .* and 0"),
}


@pytest.mark.parametrize(("function", "inputs", "message"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_refused(function, inputs, message):
    with pytest.raises(ValueError, match=f"{message}.*; ."):  # and a cure
        function(*inputs)


@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_half_spectra_are_refused():
    half = XF.to(torch.complex32)
    with pytest.raises(ValueError, match=r"cross_correlation: expected .*complex32"):
        cf.cross_correlation(half, half)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_that_are_not_finite_are_noticed_at_the_peak(value):
    size, features = (4, 5), random(2, 4, 5)
    xf = cf.spectrum(features)
    features[1, 2, 3] = value
    kf = cf.linear_correlation(cf.spectrum(features), xf, size)
    with pytest.raises(ValueError, match="peak: expected a finite response, got nan"):
        cf.peak(cf.respond(kf, kf, size))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_through_the_operator():
    xf, zf = spectra((64, 56, 56))
    pair = [t.cuda().requires_grad_() for t in (xf, zf)]
    actual = cf.cross_correlation(*pair)
    assert_close(actual.cpu(), cf.cross_correlation(xf, zf))
    torch.library.opcheck(torch.ops.trackerlib.cross_correlation, pair)


def test_the_hann_window_is_numpys_and_zero_at_the_border():
    expected = np.outer(np.hanning(5), np.hanning(8))
    torch.testing.assert_close(
        cf.hann((5, 8)).double(), torch.from_numpy(expected), atol=1e-6, rtol=0
    )


def test_peak_to_sidelobe_is_in_deviations_of_what_is_far_from_the_peak():
    """The peak may lie on the border: distances are cyclic."""
    response = random(16, 24)
    response[0, 23] = 50.0
    far = [
        float(response[y, x])
        for y in range(16)
        for x in range(24)
        if min(y, 16 - y) > 2 or min((x - 23) % 24, (23 - x) % 24) > 3
    ]
    expected = (50.0 - np.mean(far)) / np.std(far)
    assert cf.peak_to_sidelobe(response) == pytest.approx(expected)


@pytest.mark.parametrize("response", [torch.ones(16, 24), torch.ones(2, 2)])
def test_peak_to_sidelobe_of_nothing_to_compare_with_is_zero(response):
    assert cf.peak_to_sidelobe(response) == 0
