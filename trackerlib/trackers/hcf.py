"""HCF: a correlation filter on each of several levels of a trunk, from exact to robust.

[1] Ma, Huang, Yang, Yang: Hierarchical convolutional features for visual
    tracking. ICCV 2015. Constants are those of the authors' code where not said otherwise.
[2] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017: HCF is its prototype.

A name that ends in f is a spectrum, as in `trackerlib.ops.correlation_filter`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trackerlib.boxes import centres, first_box
from trackerlib.data.crops import crop
from trackerlib.nets import inference
from trackerlib.nets.trunk import Tap
from trackerlib.ops import correlation_filter as cf

LEAST_CELLS = 3  # per side of the search window: the Hann window is zero on the outer ones


@dataclass(frozen=True)
class Config:
    """Settings of [1], section 5; with what ships, three levels of VGG-M for VGG-19's."""

    trunk: str = "vggm"  # a name in the registry of weights; [1]: vgg19
    levels: str = "conv1+conv2+conv3"  # shallow to deep; [1]: conv3_4+conv4_4+conv5_4
    mode: str = "auto"  # how the trunk runs, of nets.inference.MODES
    side: int = 224  # what the trunk sees of the search window, pixels
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


class Tracker:
    """HCF on any trunk and device. The size of the box stays what it was."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config, self.device = config or Config(), device
        self.trunk = inference.load(self.config.trunk, device, self.config.mode, seed)
        self.levels = self.config.levels.split("+")
        unknown = [name for name in self.levels if name not in self.trunk.taps]
        if unknown:
            raise ValueError(
                f"hcf.Tracker: expected levels among {', '.join(self.trunk.taps)}, joined by +, "
                f"got {', '.join(unknown)}"
            )
        # Trunks without padding have no units at the border: they see more than the window.
        taps = [self.trunk.taps[name] for name in self.levels]
        self.border = max(0, *(int(np.ceil(tap.centre - tap.stride / 2)) for tap in taps))

    @torch.inference_mode()
    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`), as is one whose
        search window has fewer than LEAST_CELLS cells a side.
        """
        config = self.config
        least = LEAST_CELLS * config.cell / (1 + config.tall_padding)
        self.box = first_box(box, frame, least)
        self.window = search_window(self.box[2:], frame.shape[1::-1], config)
        width, height = (int(side) // config.cell for side in self.window)
        self.size = height, width
        self.hann = cf.hann(self.size).to(self.device)
        sigma = config.label_sigma * np.sqrt(self.box[2:].prod()) / config.cell
        self.yf = cf.spectrum(cf.gaussian_label(self.size, sigma).to(self.device))
        self.xf = self._spectra(frame)
        self.alphaf = [self._train(xf) for xf in self.xf]

    @torch.inference_mode()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), learn its new looks -> box (4,)."""
        seen = self._spectra(frame)
        rows, columns = cf.peak(self._respond(seen))
        self.box[:2] += np.array([columns, rows]) * self.config.cell
        rate = self.config.learning_rate
        spectra = self._spectra(frame) if rows or columns else seen
        self.xf = [cf.update(*pair, rate) for pair in zip(self.xf, spectra, strict=True)]
        trained = map(self._train, spectra)
        self.alphaf = [cf.update(*pair, rate) for pair in zip(self.alphaf, trained, strict=True)]
        return self.box.copy()

    def _respond(self, spectra):
        """The fused response (H, W): [1], equation 6, each level's scaled to a maximum of 1."""
        fused = 0
        for zf, xf, alphaf in zip(spectra, self.xf, self.alphaf, strict=True):
            kernel = cf.linear_correlation(zf, xf, self.size)
            response = cf.respond(alphaf, kernel, self.size)
            fused = self.config.fade * fused + response / response.max().clamp(min=1e-12)
        return fused

    def _train(self, xf):
        kernel = cf.linear_correlation(xf, xf, self.size)
        return cf.train(kernel, self.yf, self.config.regularisation)

    def _spectra(self, frame):
        """Level by level, the spectrum (C, H, W // 2 + 1) of the window around the box."""
        maps = self._maps(frame)
        return [cf.spectrum(features * self.hann) for features in maps]

    def _maps(self, frame):
        """Level by level, the map (C, H, W) on the filters' grid."""
        config = self.config
        seen = config.side + 2 * self.border
        span = np.rint(self.window * (seen / config.side)).astype(int)
        left, top = np.floor(centres(self.box) - span / 2).astype(int).tolist()
        patch = crop(frame, left, top, *span.tolist()).to(self.device)
        image = patch.permute(2, 0, 1)[None].float()
        image = interpolate(image, (seen, seen), mode="bilinear", antialias=True)
        maps = self.trunk(image, *self.levels)
        taps = [self.trunk.taps[name] for name in self.levels]
        inside = [
            _inside(*pair, self.border, config.side) for pair in zip(maps, taps, strict=True)
        ]
        return [interpolate(m, self.size, mode="bilinear", antialias=True)[0] for m in inside]


def search_window(target: np.ndarray, frame: tuple[int, int], config: Config) -> np.ndarray:
    """Width and height of the search window for a target's, whole pixels: the authors' rule."""
    if target[1] > config.tall * target[0]:
        padding = np.array([config.padding, config.tall_padding])
    elif target.prod() > config.large * np.prod(frame):
        padding = config.large_padding
    else:
        padding = config.padding
    return np.floor(target * (1 + padding)).astype(int)


def _inside(features: Tensor, tap: Tap, border: int, side: int) -> Tensor:
    """Of a map (1, C, h, w), the units whose squares of one stride tile the window."""
    first = round((border - tap.centre) / tap.stride + 0.5)
    units = slice(first, first + side // tap.stride)
    return features[..., units, units]
