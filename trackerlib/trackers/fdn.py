"""FDN: MDNet with one pass per frame, boxes pooled from its map, and updates that end in time.

[1] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018.
"""

from dataclasses import dataclass

from trackerlib.nets import head, weights
from trackerlib.nets.candidates import BINS, Frame
from trackerlib.trackers import mdnet


@dataclass(frozen=True)
class Config(mdnet.Config):
    """What [1] changes; its ablations are other values of the first six."""

    pooling: str = "align"  # RoIAlign; "pool" for RoIPool, section 4.3
    samples: int = 2  # points per side of a bin: 1, 2 or 3, section 3.2
    tap: str = "conv3"  # of VGG-M; conv5 has five convolutions, section 4.4
    layers: int = 3  # fully connected ones; 2 in section 4.4
    trunk: str = "vggm"  # a name in the registry of weights, or "random"
    head: str = "vggm-fdn"  # "random": no training on videos, section 4.5
    best: int = 1  # section 3.4: the box of the highest score
    iterations: int = 10  # at most, section 3.4
    loss_threshold: float = 0.01  # l, section 3.4
    first_iterations: int = 30  # authors' code
    rate: float = 1.5e-3  # section 3.4
    candidates: int = 512  # authors' code


class Tracker(mdnet.Tracker):
    """FDN on any trunk and device."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _features(self):
        config = self.config
        deep = config.tap in ("conv4", "conv5")
        self.trunk = self._load(dense=False, depth=5 if deep else 3)
        if config.tap not in self.trunk.taps:
            raise ValueError(
                f"fdn.Tracker: expected tap among {', '.join(self.trunk.taps)}, got {config.tap!r}"
            )
        tap = config.tap, self.trunk.taps[config.tap]
        pooling = config.pooling, config.samples
        return Frame(self.trunk, tap, *pooling, config.gain, self.device)

    def _head(self):
        config = self.config
        inputs = BINS**2 * self.features.tap.channels
        shape = head.Config(inputs, config.layers)
        return weights.load_head(config.head, shape, self.generator)
