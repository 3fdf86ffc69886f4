"""KCF: ridge regression on every cyclic shift of one image patch, solved by the FFT.

[1] Henriques, Caseiro, Martins, Batista: High-Speed Tracking with Kernelized
    Correlation Filters. TPAMI 2015. The HOG + linear variant is its DCF.

A name that ends in f is a spectrum: the half that `torch.fft.rfft2` keeps of a
real grid of `size` (H, W) cells, the other half being its mirror image.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.fft import irfft2, rfft2
from torch.nn.functional import interpolate

from trackerlib.boxes import first_box
from trackerlib.data.crops import crop, grey
from trackerlib.ops.hog import hog

PUBLISHED = {  # what depends on the features; [1] section 8, table of parameters
    "hog": {"cell": 4, "sigma": 0.5, "learning_rate": 0.02},
    "gray": {"cell": 1, "sigma": 0.2, "learning_rate": 0.075},
}
KERNELS = ("gaussian", "linear")
RANGES = {  # least and greatest, inclusive
    "cell": (1, np.inf),
    "sigma": (1e-6, 1e6),
    "learning_rate": (0, 1),
    "regularisation": (1e-12, 1e6),
    "padding": (0, 10),
    "label_sigma": (1e-3, 10),
    "large": (0, np.inf),
}
LEAST_CELLS = 3  # per side of the search window: the Hann window is zero on the outer ones


@dataclass(frozen=True)
class Config:
    """Settings of [1] section 8; None stands for the published value for the features."""

    features: str = "hog"  # "hog" | "gray": raw brightness
    kernel: str = "gaussian"  # "gaussian", [1] eq. 31 | "linear", section 7.2
    cell: int | None = None  # side of a feature cell, pixels
    sigma: float | None = None  # bandwidth of the gaussian kernel, in feature values
    learning_rate: float | None = None  # share of the newest frame in the model
    regularisation: float = 1e-4  # lambda, [1] eq. 17
    padding: float = 1.5  # what the search window adds to the target, in targets
    label_sigma: float = 0.1  # width of the label, in sqrt(w * h) of the target
    large: float = 100.0  # sqrt(w * h), pixels, from which on targets are halved; authors' code

    def __post_init__(self):
        for field, known in (("features", tuple(PUBLISHED)), ("kernel", KERNELS)):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"kcf.Config: expected {field} among {', '.join(known)}, "
                    f"got {getattr(self, field)!r}"
                )
        for field, (least, greatest) in RANGES.items():
            value = getattr(self, field)
            if value is not None and not least <= value <= greatest:
                raise ValueError(
                    f"kcf.Config: expected {field} from {least:g} to {greatest:g}, got {value}"
                )

    def filled(self) -> "Config":
        """The same with numbers in place of None."""
        published = PUBLISHED[self.features].items()
        return replace(self, **{k: v for k, v in published if getattr(self, k) is None})


def gaussian_label(size: tuple[int, int], sigma: float) -> torch.Tensor:
    """What the filter should answer to every shift: (H, W), 1 at shift (0, 0), cyclic.

    sigma in cells. Source: [1] section 8.1.
    """
    rows, columns = (((torch.arange(n) + n // 2) % n - n // 2) ** 2 for n in size)
    return torch.exp(-0.5 / sigma**2 * (rows[:, None] + columns))


def cross_correlation(xf: torch.Tensor, zf: torch.Tensor) -> torch.Tensor:
    """Spectrum of the inner products of x with all shifts of z, summed over channels.

    xf, zf   (C, H, W // 2 + 1)
    returns  (H, W // 2 + 1)
    """
    return (xf * zf.conj()).sum(0)


def energy(xf: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Squared norm of x: its inner product with itself, unshifted. xf is (C, H, W // 2 + 1)."""
    return irfft2(cross_correlation(xf, xf), size)[0, 0]


def linear_correlation(xf: torch.Tensor, zf: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Spectrum of the linear kernel between x and all shifts of z, per feature value.

    xf, zf   (C, H, W // 2 + 1)
    returns  (H, W // 2 + 1)

    Source: [1] section 7.2; the division by the C * H * W values is the authors' code's.
    """
    return cross_correlation(xf, zf) / (len(xf) * size[0] * size[1])


def gaussian_correlation(
    xf: torch.Tensor, zf: torch.Tensor, size: tuple[int, int], sigma: float
) -> torch.Tensor:
    """Spectrum of the Gaussian kernel between x and all shifts of z.

    xf, zf   (C, H, W // 2 + 1)
    sigma    bandwidth, of the root mean square difference of two feature values
    returns  (H, W // 2 + 1)

    Source: [1] eq. 31; the mean in place of the sum is the authors' code's.
    """
    products = irfft2(cross_correlation(xf, zf), size)
    distances = energy(xf, size) + energy(zf, size) - 2 * products
    mean = distances.clamp(min=0) / (len(xf) * size[0] * size[1])
    return rfft2(torch.exp(-mean / sigma**2))


def train(kf: torch.Tensor, yf: torch.Tensor, regularisation: float) -> torch.Tensor:
    """Spectrum of the dual weights alpha, from kernel kf and label yf. Source: [1] eq. 17."""
    return yf / (kf + regularisation)


def respond(alphaf: torch.Tensor, kf: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The filter's answer (H, W) to every shift of a patch, kf its kernel with the model.

    Source: [1] eq. 22.
    """
    return irfft2(alphaf * kf, size)


def peak(response: torch.Tensor) -> tuple[int, int]:
    """Rows and columns by which the target moved: where (H, W) is largest, as signed shifts."""
    place = divmod(int(response.argmax()), response.shape[1])
    return tuple((p + n // 2) % n - n // 2 for p, n in zip(place, response.shape, strict=True))


class Tracker:
    """KCF on any device. The size of the box stays what it was."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config, self.device = (config or Config()).filled(), device

    @torch.inference_mode()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`), as is one whose
        search window has fewer than LEAST_CELLS cells a side.
        """
        config = self.config
        least = LEAST_CELLS * config.cell / (1 + config.padding)
        self.box = first_box(box, frame, least)
        target = self.box[2:]
        self.stride = 2 if np.sqrt(target.prod()) >= config.large else 1
        target = target // self.stride
        self.window = (target * (1 + config.padding)).astype(int)  # width, height
        width, height = (int(side) // config.cell for side in self.window)
        self.size = height, width
        hann = [torch.hann_window(n, periodic=False, device=self.device) for n in self.size]
        self.hann = hann[0][:, None] * hann[1]
        sigma = config.label_sigma * np.sqrt(target.prod()) / config.cell
        self.yf = rfft2(gaussian_label(self.size, sigma).to(self.device))
        self.xf = self._spectrum(frame)
        self.alphaf = self._train(self.xf)

    @torch.inference_mode()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), learn its new looks -> box (4,)."""
        zf = self._spectrum(frame)
        rows, columns = peak(respond(self.alphaf, self._kernel(zf, self.xf), self.size))
        self.box[:2] += np.array([columns, rows]) * (self.config.cell * self.stride)
        xf = self._spectrum(frame) if rows or columns else zf
        self.xf = self.xf.lerp(xf, self.config.learning_rate)
        self.alphaf = self.alphaf.lerp(self._train(xf), self.config.learning_rate)
        return self.box.copy()

    def _spectrum(self, frame):
        """Features of the search window around the box -> (C, H, W // 2 + 1)."""
        # One pixel right and down of centred, as the authors' code has it.
        corner = (self.box[:2] + self.box[2:] // 2 + 1) // self.stride - self.window // 2
        left, top, width, height = (int(v) * self.stride for v in (*corner, *self.window))
        patch = crop(frame, left, top, width, height)
        image = grey(patch.to(self.device))[None, None]
        if self.stride > 1:  # at half the size, bilinear is the mean of four pixels
            image = interpolate(image, scale_factor=1 / self.stride, mode="bilinear")
        image = image[0, 0]
        if self.config.features == "hog":
            return rfft2(hog(image, self.config.cell) * self.hann)
        return rfft2((image - image.mean())[None] * self.hann)

    def _kernel(self, xf, zf):
        if self.config.kernel == "linear":
            return linear_correlation(xf, zf, self.size)
        return gaussian_correlation(xf, zf, self.size, self.config.sigma)

    def _train(self, xf):
        return train(self._kernel(xf, xf), self.yf, self.config.regularisation)
