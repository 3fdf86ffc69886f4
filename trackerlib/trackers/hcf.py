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
from torch.nn.functional import interpolate

from trackerlib.boxes import centres, first_box
from trackerlib.data.crops import crop
from trackerlib.nets import inference
from trackerlib.nets.trunk import border, tiling
from trackerlib.ops import correlation_filter as cf
from trackerlib.trackers.kcf import LEAST_CELLS, in_range

RANGES = {  # least and greatest, inclusive
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

    def __post_init__(self):
        in_range(self, RANGES)


class Tracker:
    """HCF on any trunk and device. The size of the box stays what it was.

    passes  how often a frame has gone through the trunk
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config, self.device, self.passes = config or Config(), device, 0
        self.trunk = inference.load(self.config.trunk, device, self.config.mode, seed)
        self.levels = self.config.levels.split("+")
        unknown = [name for name in self.levels if name not in self.trunk.taps]
        if unknown:
            raise ValueError(
                f"hcf.Tracker: expected levels among {', '.join(self.trunk.taps)}, joined by +, "
                f"got {', '.join(unknown)}"
            )
        self.taps = [self.trunk.taps[name] for name in self.levels]
        self.border = border(self.taps, self.config.side)

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
        self.margin = self._margin()
        self.hann = cf.hann(self.size).to(self.device)
        sigma = config.label_sigma * np.sqrt(self.box[2:].prod()) / config.cell
        self.yf = cf.spectrum(cf.gaussian_label(self.size, sigma).to(self.device))
        self.xf = self._spectra(self._maps(frame))
        self.alphaf = [self._train(xf) for xf in self.xf]

    @torch.inference_mode()
    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3), learn its new looks -> box (4,)."""
        maps = self._maps(frame)
        shift = cf.peak(self._respond(self._spectra(maps)))
        self.box[:2] += np.array(shift[::-1]) * self.config.cell
        spectra = self._spectra(*self._again(frame, maps, shift))
        rate = self.config.learning_rate
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

    def _margin(self):
        """Rows and columns of cells that are looked at on either side of the search window."""
        return 0, 0

    def _again(self, frame, maps, shift):
        """Maps in which the search window, moved, lies `shift` cells from the middle."""
        return self._maps(frame), (0, 0)

    def _spectra(self, maps, shift=(0, 0)):
        """Level by level, the spectrum (C, H, W // 2 + 1) of the search window."""
        places = zip(self.size, self.margin, shift, strict=True)
        rows, columns = (slice(m + s, m + s + cells) for cells, m, s in places)
        return [cf.spectrum(features[..., rows, columns] * self.hann) for features in maps]

    def _maps(self, frame):
        """Level by level, a map (C, H, W) on the filters' grid, and `margin` cells around it."""
        config = self.config
        size = [cells + 2 * more for cells, more in zip(self.size, self.margin, strict=True)]
        window = self.window * (np.array(size) / self.size)[::-1]
        seen = config.side + 2 * self.border
        span = np.rint(window * (seen / config.side)).astype(int)
        left, top = np.floor(centres(self.box) - span / 2).astype(int).tolist()
        patch = crop(frame, left, top, *span.tolist()).to(self.device)
        image = patch.permute(2, 0, 1)[None].float()
        image = interpolate(image, (seen, seen), mode="bilinear", antialias=True)
        inside = [
            tiling(features, tap, config.side, self.border)
            for features, tap in zip(self.trunk(image, *self.levels), self.taps, strict=True)
        ]
        self.passes += 1
        maps = self._reduced(inside)
        return [interpolate(m, size, mode="bilinear", antialias=True)[0] for m in maps]

    def _reduced(self, maps):
        """Of the maps (1, C, h, w), the channels that the filters see: all."""
        return maps


def search_window(target: np.ndarray, frame: tuple[int, int], config: Config) -> np.ndarray:
    """Width and height of the search window for a target's, whole pixels: the authors' rule."""
    if target[1] > config.tall * target[0]:
        padding = np.array([config.padding, config.tall_padding])
    elif target.prod() > config.large * np.prod(frame):
        padding = config.large_padding
    else:
        padding = config.padding
    return np.floor(target * (1 + padding)).astype(int)
