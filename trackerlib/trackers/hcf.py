"""HCF: a correlation filter on each of several levels of a backbone, from exact to robust.

[1] Ma, Huang, Yang, Yang: Hierarchical convolutional features for visual
    tracking. ICCV 2015. Constants are those of the authors' code where not said otherwise.
[2] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017: HCF is its prototype.

A name that ends in f is a spectrum, as in `trackerlib.ops.correlation_filter`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trackerlib.boxes import centres, first_box
from trackerlib.checks import first_frame, in_range, next_frame
from trackerlib.data.crops import crop
from trackerlib.nets.backbone import border, tiling
from trackerlib.ops import correlation_filter as cf
from trackerlib.trackers.kcf import (
    MIN_CELLS,
    flat_first_window,
    flat_window,
    response_evidence,
)
from trackerlib.trackers.lost import Watch, Watched, of_module
from trackerlib.trackers.presets import Departure
from trackerlib.weights import inference

RANGES = {  # smallest and largest value, inclusive
    "side": (8, 4096),
    "cell": (1, 64),
    "fade": (0, 10),
    "padding": (0, 10),
    "large": (0, np.inf),
    "large_padding": (0, 10),
    "tall": (0, np.inf),
    "tall_padding": (0, 10),
    "regularisation": (1e-12, 1e6),
    "learning_rate": (0, 1),
    "label_sigma": (1e-3, 10),
}

# All else is the authors' tracker_ensemble.m and run_tracker.m.
DEPARTURES = (
    Departure(
        "backbone",
        "[1] section 4.1; initial_net.m",
        "VGG-19 has 575 MB and comes from its authors; VGG-M ships with the library",
        paper="vgg19",
        authors="vgg19",
    ),
    Departure(
        "levels",
        "[1] section 5.1; run_tracker.m",
        "the three of VGG-M, which has no others",
        paper="conv3_4+conv4_4+conv5_4",
        authors="conv3_4+conv4_4+conv5_4",
    ),
    Departure(
        "mode",
        "initial_net.m: MatConvNet, whose numbers are single",
        "the machine's fastest number type, where it has one",
        authors="float32",
    ),
)


@dataclass(frozen=True)
class Config:
    """Settings of [1], section 5; with what ships, three levels of VGG-M for VGG-19's."""

    backbone: str = "vggm"  # a name in the registry of weights; [1]: vgg19
    levels: str = "conv1+conv2+conv3"  # shallow to deep; [1]: conv3_4+conv4_4+conv5_4
    mode: str = "auto"  # how the backbone runs, of weights.inference.MODES
    side: int = 224  # of the search window as the backbone takes it, pixels
    cell: int = 4  # of the filters' grid, pixels of the frame
    fade: float = 0.5  # weight of a level's response, in weights of the next deeper one
    padding: float = 1.8  # what the search window adds to the target, in targets
    large: float = 0.05  # share of the frame from which a target is large; [2]
    large_padding: float = 1.0
    tall: float = 2.0  # height / width beyond which a target is tall
    tall_padding: float = 0.4  # of a tall target's height; its width has `padding`
    regularisation: float = 1e-4  # lambda
    learning_rate: float = 0.01  # share of the newest frame in the model
    label_sigma: float = 0.1  # width of the label, in sqrt(w * h) of the target

    def __post_init__(self):
        in_range(self, RANGES)


class Tracker(Watched):
    """HCF on any backbone and device. The size of the box stays what it was.

    passes    how often a frame has gone through the backbone
    deepest   maximum of the latest response of the deepest level
    warnings  what was unusual about the latest frame: a flat search window shows no target, so
              that the box and the model stay what they were
    """

    filtering: Callable[[], AbstractContextManager] = nullcontext  # filters run in it

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config = config or Config()
        self.device = device
        self.passes = 0
        self.watch = Watch(of_module(type(self).__module__))
        self.backbone = inference.load(self.config.backbone, device, self.config.mode, seed)
        self.levels = self.config.levels.split("+")
        unknown = [name for name in self.levels if name not in self.backbone.taps]
        if unknown:
            known = ", ".join(self.backbone.taps)
            raise ValueError(
                f"hcf.Tracker: expected levels among {known}, joined by +, "
                f"got {', '.join(unknown)}"
            )
        self.taps = [self.backbone.taps[name] for name in self.levels]
        self.border = border(self.taps, self.config.side)

    @torch.inference_mode()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`), as is one whose
        search window has fewer than MIN_CELLS cells a side.
        """
        config, frame = self.config, first_frame(self, frame)
        min_side = MIN_CELLS * config.cell / (1 + config.tall_padding)
        self.box = first_box(box, frame, min_side)
        self.window = search_window(self.box[2:], frame.shape[1::-1], config)
        width, height = (int(side) // config.cell for side in self.window)
        self.size = height, width
        self.margin = self._margin()
        self.hann = cf.hann(self.size).to(self.device)
        sigma = config.label_sigma * np.sqrt(self.box[2:].prod()) / config.cell
        self.yf = cf.spectrum(cf.gaussian_label(self.size, sigma).to(self.device))
        self.warnings = flat_first_window(self._window(frame))
        self.watch.begin()
        self.xf = self.spectra(self.maps(frame))
        self.alphaf = [self._train(xf) for xf in self.xf]

    @torch.inference_mode()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), update the model -> box (4,) float64.

        Raises RuntimeError before `init`.
        """
        frame = next_frame(self, frame)
        self.warnings = flat_window(self._window(frame))
        if self.warnings:
            self.watch.see()
            return self.box.copy()
        maps = self.maps(frame)
        with self.filtering():
            response = self.respond(self.spectra(maps))
            shift = cf.peak(response)
            self.watch.see(**response_evidence(response), deepest=self.deepest)
        self.box[:2] += np.array(shift[::-1]) * self.config.cell
        self.warnings = flat_window(self._window(frame))
        if self.warnings:
            return self.box.copy()
        maps, shift = self._maps_after(frame, maps, shift)
        with self.filtering():
            spectra = self.spectra(maps, shift)
            trained = [self._train(xf) for xf in spectra]
            self.xf = self._updated(self.xf, spectra)
            self.alphaf = self._updated(self.alphaf, trained)
        return self.box.copy()

    def _updated(self, old: list[Tensor], new: list[Tensor]) -> list[Tensor]:
        """Level by level, the moving average of the model."""
        share = self.config.learning_rate
        return [cf.update(before, now, share) for before, now in zip(old, new, strict=True)]

    def respond(self, spectra: list[Tensor]) -> Tensor:
        """Return the fused response (H, W), each level's scaled to a maximum of 1.

        spectra  level by level (C, H, W // 2 + 1), as `spectra` returns them

        Source: [1], equation 6.
        """
        fused = torch.zeros(())
        for zf, xf, alphaf in zip(spectra, self.xf, self.alphaf, strict=True):
            kernel = cf.linear_correlation(zf, xf, self.size)
            response = cf.respond(alphaf, kernel, self.size)
            highest = response.max()
            fused = self.config.fade * fused + response / highest.clamp(min=1e-12)
        self.deepest = float(highest)
        return fused

    def _train(self, xf: Tensor) -> Tensor:
        kernel = cf.linear_correlation(xf, xf, self.size)
        return cf.train(kernel, self.yf, self.config.regularisation)

    def _window(self, frame: np.ndarray) -> Tensor:
        """Colours (3, h, w), 0 to 1, of the search window around the box."""
        left, top = np.floor(centres(self.box) - self.window / 2).astype(int).tolist()
        return crop(frame, left, top, *self.window.tolist()).permute(2, 0, 1).float() / 255

    def _margin(self) -> tuple[int, int]:
        """Rows and columns of cells that maps have on either side of the search window."""
        return 0, 0

    def _maps_after(
        self, frame: np.ndarray, maps: list[Tensor], shift: tuple[int, int]
    ) -> tuple[list[Tensor], tuple[int, int]]:
        """Maps to update the model with, and how many cells the window lies from their middle."""
        return self.maps(frame), (0, 0)

    def spectra(self, maps: list[Tensor], shift: tuple[int, int] = (0, 0)) -> list[Tensor]:
        """Return, level by level, the spectrum (C, H, W // 2 + 1) of the search window.

        maps   level by level (C, h, w), as `maps` returns them
        shift  rows and columns of cells by which the window lies from the middle of the maps
        """
        # 20 rows with a margin of 2, moved by 1: rows 3 to 22 of the 24.
        axes = zip(self.size, self.margin, shift, strict=True)
        rows, columns = (slice(m + s, m + s + cells) for cells, m, s in axes)
        return [cf.spectrum(features[..., rows, columns] * self.hann) for features in maps]

    def maps(self, frame: np.ndarray) -> list[Tensor]:
        """Return, level by level, a map (C, h, w) on the filters' grid.

        frame  (H, W, 3) uint8 RGB

        A map has the search window's cells, and `margin` cells around them.
        """
        config = self.config
        size = [cells + 2 * more for cells, more in zip(self.size, self.margin, strict=True)]
        # Wider by the margin, and by the border without which no position lies at its edge.
        window = self.window * (np.array(size) / self.size)[::-1]
        side = config.side + 2 * self.border
        span = np.rint(window * (side / config.side)).astype(int)
        left, top = np.floor(centres(self.box) - span / 2).astype(int).tolist()
        patch = crop(frame, left, top, *span.tolist()).to(self.device)
        image = patch.permute(2, 0, 1)[None].float()
        image = interpolate(image, (side, side), mode="bilinear", antialias=True)
        inside = [
            tiling(features, tap, config.side, self.border)
            for features, tap in zip(self.backbone(image, *self.levels), self.taps, strict=True)
        ]
        self.passes += 1
        maps = self.reduce(inside)
        return [interpolate(m, size, mode="bilinear", antialias=True)[0] for m in maps]

    def reduce(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the channels of the maps (1, C, h, w) that filters are trained on: all."""
        return maps


def search_window(target: np.ndarray, frame: tuple[int, int], config: Config) -> np.ndarray:
    """Return width and height of the search window for a target's, whole pixels.

    Source: the authors' code.
    """
    padding: float | np.ndarray
    if target[1] > config.tall * target[0]:
        padding = np.array([config.padding, config.tall_padding])
    elif target.prod() > config.large * np.prod(frame):
        padding = config.large_padding
    else:
        padding = config.padding
    return np.floor(target * (1 + padding)).astype(int)
