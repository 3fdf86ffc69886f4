"""Correlation filters: kernel ridge regression on every cyclic shift of a feature map.

[1] Henriques, Caseiro, Martins, Batista: High-Speed Tracking with Kernelized
    Correlation Filters. TPAMI 2015.

A name that ends in f is a spectrum: the half that `torch.fft.rfft2` keeps of a
real grid of `size` (H, W) map cells, the other half being its mirror image. Dots in
a shape stand for any number of batch dimensions. A filter's life, linear:

    xf = spectrum(features)
    alphaf = train(linear_correlation(xf, xf, size), spectrum(label), 1e-4)
    response = respond(alphaf, linear_correlation(zf, xf, size), size)
    rows, columns = peak(response)
"""

import math
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.fft import irfft2, rfft2

from trackerlib.ops.registration import operator

COMPLEX = (torch.complex64, torch.complex128)


def gaussian_label(size: tuple[int, int], sigma: float) -> Tensor:
    """Return the desired response to every shift: (H, W), 1 at shift (0, 0), cyclic.

    size   height and width, map cells
    sigma  of the Gaussian, map cells

    Source: [1] section 8.1.
    Raises ValueError for an empty grid or a sigma that is not positive.
    """
    if min(size) < 1 or not sigma > 0:
        raise ValueError(
            f"gaussian_label: expected a size of at least 1 x 1 cells and sigma > 0, "
            f"got {tuple(size)} and {sigma}; a tenth of the target's cells is a usual sigma"
        )
    # Signed shifts squared: 5 cells have 0, 1, 2, -2, -1, and 4 cells 0, 1, -2, -1.
    rows, columns = (((torch.arange(n) + n // 2) % n - n // 2) ** 2 for n in size)
    return torch.exp(-0.5 / sigma**2 * (rows[:, None] + columns))


def hann(size: tuple[int, int]) -> Tensor:
    """Return the window (H, W) that fades a map out towards its border, where it is zero.

    Source: [1] section 8.1, the cosine window.
    """
    rows, columns = (torch.hann_window(n, periodic=False) for n in size)
    return rows[:, None] * columns


def spectrum(features: Tensor) -> Tensor:
    """Transform real maps (..., H, W) to (..., H, W // 2 + 1) complex64, or complex128 of float64.

    Half precisions are transformed in float32: no FFT of theirs runs everywhere.
    Raises ValueError for maps that are empty or not real floating point.
    """
    if features.ndim < 2 or not features.is_floating_point() or not features.numel():
        cure = "convert them with features.float()"
        raise _unexpected("spectrum", "float maps (..., H, W), not empty", cure, features)
    return rfft2(features.to(torch.promote_types(features.dtype, torch.float32)))


def cross_correlation(xf: Tensor, zf: Tensor) -> Tensor:
    """Return the spectrum of the inner products of x with all shifts of z, summed over channels.

    xf, zf   (..., C, H, W // 2 + 1) complex64 or complex128
    returns  (..., H, W // 2 + 1)

    Source: [1] section 7.1. Both get a gradient.
    Raises ValueError unless both have one shape, dtype and device.
    """
    fine = xf.ndim >= 3 and xf.dtype in COMPLEX and xf.numel() and xf.shape == zf.shape
    if not fine or xf.dtype != zf.dtype or xf.device != zf.device:
        expected = "two spectra (..., C, H, W // 2 + 1) of one shape, device and complex dtype"
        cure = "make both with spectrum, from maps of one shape"
        raise _unexpected("cross_correlation", f"{expected}, not empty", cure, xf, zf)
    return torch.ops.trackerlib.cross_correlation(xf, zf)


@operator("cross_correlation", has_gradient=True)
def _cross_correlation(xf: Tensor, zf: Tensor) -> Tensor:
    return _products(xf, zf)


def _products(xf: Tensor, zf: Tensor) -> Tensor:
    # Not the lazy `conj`, which is lost in an op that is being compiled (pytorch issue 198118);
    # the product takes the copy's place, as memory traffic is all the cost there is.
    return zf.conj_physical().mul_(xf).sum(-3)


@torch.library.register_fake("trackerlib::cross_correlation")
def _(xf: Tensor, zf: Tensor) -> Tensor:
    return xf.new_empty(xf.shape[:-3] + xf.shape[-2:])


if find_spec("triton"):

    @torch.library.impl("trackerlib::cross_correlation", "cuda")
    def _(xf: Tensor, zf: Tensor) -> Tensor:
        from trackerlib.ops.kernels import correlation_filter as kernels

        return kernels.cross_correlation(xf, zf)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    (xf, zf), grad = ctx.saved_tensors, grad.unsqueeze(-3)
    # Of a product x * conj(z), PyTorch's gradients are grad * z and conj(grad) * x.
    return grad * zf, grad.conj_physical() * xf


torch.library.register_autograd("trackerlib::cross_correlation", _backward, setup_context=_save)


def energy(xf: Tensor, size: tuple[int, int]) -> Tensor:
    """Return squared norms (...) of feature maps with spectra xf (..., C, H, W // 2 + 1).

    The inner product of x with itself, unshifted: one plane is transformed back,
    which takes no longer than adding up all squared magnitudes (Parseval).
    Raises ValueError for spectra of another size.
    """
    _require_size("energy", xf, size)
    return irfft2(_products(xf, xf), size)[..., 0, 0]  # (..., H, W) -> (...)


def linear_correlation(xf: Tensor, zf: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the spectrum of the linear kernel between x and all shifts of z, per feature value.

    xf, zf   (..., C, H, W // 2 + 1)
    returns  (..., H, W // 2 + 1)

    Source: [1] section 7.2; the division by the C * H * W values is the authors' code's.
    Raises ValueError like `cross_correlation`, and for spectra of another size.
    """
    _require_size("linear_correlation", xf, size)
    return cross_correlation(xf, zf) / (xf.shape[-3] * size[0] * size[1])


def gaussian_correlation(xf: Tensor, zf: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Return the spectrum of the Gaussian kernel between x and all shifts of z.

    xf, zf   (..., C, H, W // 2 + 1)
    sigma    bandwidth, of the root mean square difference of two feature values
    returns  (..., H, W // 2 + 1)

    Source: [1] eq. 31; the mean in place of the sum is the authors' code's.
    Raises ValueError like `linear_correlation`, and for a sigma that is not positive.
    """
    _require_size("gaussian_correlation", xf, size)
    if not sigma > 0:
        raise ValueError(
            f"gaussian_correlation: expected sigma > 0, got {sigma}; [1] has 0.5 for HOG features"
        )
    products = irfft2(cross_correlation(xf, zf), size)
    # Training compares x with itself: then the unshifted product is its energy already.
    energies = 2 * products[..., 0, 0] if zf is xf else energy(xf, size) + energy(zf, size)
    # |x - z|^2 = |x|^2 + |z|^2 - 2 x z, at every shift of z; rounding may leave it below 0.
    distances = (energies[..., None, None] - 2 * products).clamp(min=0)
    mean = distances / (xf.shape[-3] * size[0] * size[1])
    return rfft2(torch.exp(-mean / sigma**2))


def train(kf: Tensor, yf: Tensor, regularisation: float) -> Tensor:
    """Return the spectrum of the dual weights alpha (..., H, W // 2 + 1).

    kf              kernel of the patch with itself (..., H, W // 2 + 1)
    yf              label (H, W // 2 + 1), or one each
    regularisation  lambda

    Source: [1] eq. 17. Raises ValueError for kernel and label of two sizes.
    """
    _require_grids("train", kf, yf)
    return yf / (kf + regularisation)


def respond(alphaf: Tensor, kf: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the response (..., H, W) to every shift of a patch, kf its kernel with the model.

    Source: [1] eq. 22. Raises ValueError for weights and kernel of two sizes.
    """
    _require_grids("respond", alphaf, kf)
    _require_size("respond", kf, size)
    return irfft2(alphaf * kf, size)


def update(old: Tensor, new: Tensor, learning_rate: float) -> Tensor:
    """Move a model, or its dual weights, towards the newest frame's: (1 - lr) old + lr new.

    Source: [1] section 8.1. Raises ValueError for two shapes or a rate outside 0 to 1.
    """
    if old.shape != new.shape:
        cure = "after a change of size, start again from new"
        raise _unexpected("update", "old and new of one shape", cure, old, new)
    if not 0 <= learning_rate <= 1:
        raise ValueError(
            f"update: expected a learning rate from 0 to 1, got {learning_rate}; "
            "0 keeps the old, 1 takes the new"
        )
    return torch.add(old, new - old, alpha=learning_rate)  # a third of complex `lerp`'s time


def peak(response: Tensor) -> tuple[int, int]:
    """Return rows and columns by which the target moved: the maximum of (H, W) as signed shifts.

    Raises ValueError for another rank, no cells, or a maximum that is not finite,
    as it is after any feature that is not.
    """
    if response.ndim != 2 or not response.is_floating_point() or not response.numel():
        cure = "take one response at a time"
        raise _unexpected("peak", "a float response (H, W), not empty", cure, response)
    response = response.cpu()  # once: each value read from a GPU would wait for it
    row, column = divmod(int(response.argmax()), response.shape[1])
    if not math.isfinite(response[row, column]):
        raise ValueError(
            f"peak: expected a finite response, got {float(response[row, column])} at row {row}, "
            f"column {column}; look for NaN or infinity among the features"
        )
    # The shifts are cyclic: of 6 rows, row 4 is a shift of -2.
    rows, columns = response.shape
    return (row + rows // 2) % rows - rows // 2, (column + columns // 2) % columns - columns // 2


def peak_to_sidelobe(response: Tensor) -> float:
    """Return by how many deviations the maximum of a response (H, W) rises above the rest.

    The rest is what lies further from it than an eighth of the height or of the width, cyclic.
    0 where nothing does, or all of it is equal. Raises ValueError like `peak`.

    Source: Bolme et al. 2010, section 3.5, whose window around the peak has 11 x 11 cells.
    """
    shifts = peak(response)
    rows, columns = response.shape
    # With the peak in the middle, its window is a rectangle.
    centred = response.roll((rows // 2 - shifts[0], columns // 2 - shifts[1]), (0, 1))
    top = float(centred[rows // 2, columns // 2])
    rest = torch.ones(rows, columns, dtype=torch.bool)
    reach = max(1, rows // 8), max(1, columns // 8)
    spans = (
        slice(n // 2 - r, n // 2 + r + 1) for n, r in zip((rows, columns), reach, strict=True)
    )
    rest[tuple(spans)] = False
    others = centred[rest.to(response.device)]
    deviation = float(others.std(correction=0)) if len(others) else 0.0
    return (top - float(others.mean())) / deviation if deviation > 0 else 0.0


def subcell_peak(response: Tensor) -> tuple[float, float]:
    """Return the peak between map cells: the top of a parabola along either axis through `peak`.

    Each goes through the highest cell and its two cyclic neighbours; where these
    are as high, the peak stays on its cell. Raises ValueError like `peak`.
    """
    response = response.cpu()
    rows, columns = peak(response)
    return (
        rows + _top(response[:, columns].tolist(), rows),
        columns + _top(response[rows].tolist(), columns),
    )


def _top(values: list[float], i: int) -> float:
    """Return how far from i, at most half a step, the parabola around the maximum has its top."""
    # Values 1, 3, 2 rise by 2 and fall by 1: the bend is 3, the top at (2 - 1) / (2 * 3) = 1/6.
    before, after = values[i] - values[i - 1], values[i] - values[(i + 1) % len(values)]
    bend = before + after
    return (before - after) / (2 * bend) if 0 < bend < math.inf else 0.0


def _unexpected(function: str, expected: str, cure: str, *tensors: Tensor) -> ValueError:
    got = " and ".join(f"{tuple(t.shape)} {t.dtype} on {t.device}" for t in tensors)
    return ValueError(f"{function}: expected {expected}, got {got}; {cure}")


def _require_size(function: str, xf: Tensor, size: tuple[int, int]) -> None:
    """Raise ValueError unless xf is a spectrum of maps of `size`."""
    height, columns = size[0], size[1] // 2 + 1
    if xf.shape[-2:] != (height, columns) or not xf.is_complex():
        expected = f"a spectrum (..., {height}, {columns}) of {tuple(size)} cells"
        cure = "make it with spectrum, from maps of this size"
        raise _unexpected(function, expected, cure, xf)


def _require_grids(function: str, af: Tensor, bf: Tensor) -> None:
    """Raise ValueError unless both are spectra of one size and device."""
    fine = af.is_complex() and bf.is_complex() and af.ndim >= 2 and af.shape[-2:] == bf.shape[-2:]
    if not fine or af.device != bf.device:
        expected = "two spectra (..., H, W // 2 + 1) of one size and device"
        cure = "make both from maps of one size, on one device"
        raise _unexpected(function, expected, cure, af, bf)
