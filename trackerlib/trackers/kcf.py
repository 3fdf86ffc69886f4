"""KCF: ridge regression on every cyclic shift of one image patch, solved by the FFT.

[1] Henriques, Caseiro, Martins, Batista: High-Speed Tracking with Kernelized
    Correlation Filters. TPAMI 2015. The HOG + linear variant is its DCF.

A name that ends in f is a spectrum, as in `trackerlib.ops.correlation_filter`.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from trackerlib.boxes import first_box
from trackerlib.checks import among, first_frame, in_range, next_frame
from trackerlib.data.crops import crop, grey
from trackerlib.ops import correlation_filter as cf
from trackerlib.ops import hog
from trackerlib.ops.threads import one_thread
from trackerlib.trackers.lost import Watch, Watched

PUBLISHED: dict[
    str, dict[str, Any]
] = {  # what depends on the features; [1] section 8, table of parameters
    "hog": {"cell": 4, "sigma": 0.5, "learning_rate": 0.02},
    "gray": {"cell": 1, "sigma": 0.2, "learning_rate": 0.075},
}
KERNELS = ("gaussian", "linear")
RANGES = {  # smallest and largest value, inclusive
    "cell": (1, np.inf),
    "sigma": (1e-6, 1e6),
    "learning_rate": (0, 1),
    "regularisation": (1e-12, 1e6),
    "padding": (0, 10),
    "label_sigma": (1e-3, 10),
    "large": (0, np.inf),
}
MIN_CELLS = 3  # per side of the search window: the Hann window is zero on the outer ones
# What a search window needs to show a target, grey levels: the standard deviation of means over
# 4x4 pixels, which noise of one level leaves at 0.25. The darkest window of the embedded benchmark
# has 0.66, the palest of an OTB target 9.9. Trained on a flat window, a filter forgets its target
# at once: where the spectrum is 0, its label is divided by the regularisation alone.
MIN_CONTRAST = 0.4
CONTRAST_CELL = 4  # pixels


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
    subcell: bool = False  # shifts between cells, by a parabola; not in [1]

    def __post_init__(self):
        among(self, {"features": PUBLISHED, "kernel": KERNELS})
        in_range(self, RANGES)

    def filled(self) -> "Config":
        """Return the same with numbers in place of None."""
        published = PUBLISHED[self.features].items()
        return replace(self, **{k: v for k, v in published if getattr(self, k) is None})


class Tracker(Watched):
    """KCF on any device. The size of the box stays what it was.

    warnings  what was unusual about the latest frame: a flat search window shows no target, so
              that the box and the model stay what they were
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config = config = (config or Config()).filled()
        assert config.cell is not None
        assert config.sigma is not None
        assert config.learning_rate is not None
        self.cell = config.cell
        self.sigma = config.sigma
        self.learning_rate = config.learning_rate
        self.device = device
        self.watch = Watch("kcf")

    @torch.inference_mode()
    @one_thread()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`), as is one whose
        search window has fewer than MIN_CELLS cells a side.
        """
        config, frame = self.config, first_frame(self, frame)
        min_side = MIN_CELLS * self.cell / (1 + config.padding)
        self.box = first_box(box, frame, min_side)
        target = self.box[2:]
        self.stride = 2 if np.sqrt(target.prod()) >= config.large else 1
        target = target // self.stride
        self.window = (target * (1 + config.padding)).astype(int)  # width, height
        width, height = (int(side) // self.cell for side in self.window)
        self.size = height, width
        self.hann = cf.hann(self.size).to(self.device)
        sigma = config.label_sigma * np.sqrt(target.prod()) / self.cell
        self.yf = cf.spectrum(cf.gaussian_label(self.size, sigma).to(self.device))
        image = self._window(frame)
        self.warnings = flat_first_window(image)
        self.watch.begin()
        self.xf = self._spectrum(image)
        self.alphaf = self._train(self.xf)

    @torch.inference_mode()
    @one_thread()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), update the model -> box (4,) float64.

        Raises RuntimeError before `init`.
        """
        frame = next_frame(self, frame)
        image = self._window(frame)
        self.warnings = flat_window(image)
        if self.warnings:
            self.watch.see()
            return self.box.copy()
        zf = self._spectrum(image)
        response = cf.respond(self.alphaf, self._kernel(zf, self.xf), self.size)
        self.watch.see(**response_evidence(response))
        rows, columns = (cf.subcell_peak if self.config.subcell else cf.peak)(response)
        self.box[:2] += np.array([columns, rows]) * (self.cell * self.stride)
        # The model is updated with what the window shows once it has moved.
        moved = self._window(frame) if rows or columns else image
        self.warnings = flat_window(moved)
        if self.warnings:
            return self.box.copy()
        xf = zf if moved is image else self._spectrum(moved)
        self.xf = cf.update(self.xf, xf, self.learning_rate)
        self.alphaf = cf.update(self.alphaf, self._train(xf), self.learning_rate)
        return self.box.copy()

    def _window(self, frame: np.ndarray) -> torch.Tensor:
        """Brightness (h, w), 0 to 1, of the search window around the box."""
        # One pixel right and down of centred, as the authors' code has it.
        corner = (self.box[:2] + self.box[2:] // 2 + 1) // self.stride - self.window // 2
        left, top, width, height = (int(v) * self.stride for v in (*corner, *self.window))
        patch = crop(frame, left, top, width, height)
        image = grey(patch.to(self.device))[None, None]
        if self.stride > 1:  # at half the size, bilinear is the mean of four pixels
            image = interpolate(image, scale_factor=1 / self.stride, mode="bilinear")
        return image[0, 0]

    def _spectrum(self, image: torch.Tensor) -> torch.Tensor:
        """Features of a search window (h, w) -> (C, H, W // 2 + 1)."""
        if self.config.features == "hog":
            return cf.spectrum(hog(image, self.cell).mul_(self.hann))
        return cf.spectrum((image - image.mean())[None] * self.hann)

    def _kernel(self, xf: torch.Tensor, zf: torch.Tensor) -> torch.Tensor:
        if self.config.kernel == "linear":
            return cf.linear_correlation(xf, zf, self.size)
        return cf.gaussian_correlation(xf, zf, self.size, self.sigma)

    def _train(self, xf: torch.Tensor) -> torch.Tensor:
        return cf.train(self._kernel(xf, xf), self.yf, self.config.regularisation)


def response_evidence(response: torch.Tensor) -> dict[str, float]:
    """Return what a response (H, W) says of its target: peak, log of its peak-to-sidelobe."""
    ratio = cf.peak_to_sidelobe(response)
    return {"peak": float(response.max()), "sidelobe": math.log(max(ratio, 1e-3))}


def contrast(image: torch.Tensor) -> float:
    """Return the contrast, in grey levels, of a search window (h, w) or (C, h, w), 0 to 1.

    It is the standard deviation of means over CONTRAST_CELL pixels a side, in which noise
    averages out; of several channels, the highest.
    """
    channels = image.reshape(-1, 1, *image.shape[-2:])  # (C, 1, h, w)
    means = avg_pool2d(channels, CONTRAST_CELL, ceil_mode=True)
    return 255 * float(means.std((-2, -1), correction=0).max())


def flat_window(image: torch.Tensor) -> list[str]:
    """Return a warning if a search window (h, w) or (C, h, w) is flat: nothing to find in it."""
    return _if_flat(image, "the box and the model stay what they were")


def flat_first_window(image: torch.Tensor) -> list[str]:
    """Return a warning if a search window (h, w) or (C, h, w) has no target to learn."""
    return _if_flat(image, "there is no target to learn; start from another frame")


def _if_flat(image: torch.Tensor, consequence: str) -> list[str]:
    found = contrast(image)
    if found >= MIN_CONTRAST:
        return []
    return [
        f"the search window is flat (contrast {found:.2f} grey levels, {MIN_CONTRAST:g} are "
        f"needed): {consequence}"
    ]
