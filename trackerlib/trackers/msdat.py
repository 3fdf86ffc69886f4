"""MSDAT: HCF on an eighth of the channels, with hardly more than one pass per frame.

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trackerlib import weights
from trackerlib.checks import in_range
from trackerlib.nets.adaptation import Adaptation
from trackerlib.ops.threads import one_thread
from trackerlib.trackers import hcf
from trackerlib.trackers.presets import Departure

REDUCTION = 8  # channels of a level per channel of its filter, [1] section 3.3

# The address that [1] names for its code is not known to answer.
DEPARTURES = (
    Departure(
        "backbone",
        "[1] section 3.1",
        "VGG-19 has 575 MB and comes from its authors; VGG-M ships with the library",
        paper="vgg19",
    ),
    Departure(
        "levels",
        "[1] section 4.4 and figure 3; sections 3.1 and 3.2 call them conv3_5 to conv5_5",
        "the three of VGG-M, which has no others",
        paper="conv3_4+conv4_4+conv5_4",
    ),
    Departure(
        "mode",
        "[1] section 4.1: matcaffe, whose numbers are single",
        "the machine's fastest number type, where it has one",
        paper="float32",
    ),
    Departure(
        "adaptation",
        "[1] section 3.2: trained on VGG-19's three levels",
        "the layers were not published; trackerlib.train.adaptation trains such on any backbone, "
        "and adaptation=none keeps all channels",
    ),
)


@dataclass(frozen=True)
class Config(hcf.Config):
    """Settings of HCF, and the two things that [1] adds."""

    adaptation: str = "vggm-msdat"  # layers in the registry | "random": any eighth | "none": all
    larger: float = 0.1  # the input window beyond the search window; 0: two passes, as HCF

    def __post_init__(self):
        in_range(self, hcf.RANGES | {"larger": (0, 1)})


class Tracker(hcf.Tracker):
    """MSDAT on any backbone and device. The size of the box stays what it was."""

    config: Config
    filtering = staticmethod(one_thread)  # an eighth of HCF's work is too little to share

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)
        self.reduction = self._reduction(seed)

    def _margin(self) -> tuple[int, int]:
        if not self.config.larger:
            return 0, 0
        # 22 x 28 cells at a tenth: half of 2.2 and of 2.8 on each side, that is 1 and 1.
        rows, columns = (max(1, round(cells * self.config.larger / 2)) for cells in self.size)
        return rows, columns

    def _maps_after(
        self, frame: np.ndarray, maps: list[Tensor], shift: tuple[int, int]
    ) -> tuple[list[Tensor], tuple[int, int]]:
        """Lazy feed-forward, [1] section 3.4.2: the same maps, if the moved window is on them."""
        inside = all(abs(s) <= m for s, m in zip(shift, self.margin, strict=True))
        if self.config.larger and inside:
            return maps, shift
        return super()._maps_after(frame, maps, shift)

    def reduce(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the channels (1, C // 8, h, w) of the maps (1, C, h, w) for the filters."""
        pairs = zip(self.levels, maps, strict=True)
        return [self.reduction(level, features) for level, features in pairs]

    def _reduction(self, seed: int) -> Callable[[str, Tensor], Tensor]:
        """What turns a level's map (1, C, h, w) into the one that its filter is trained on."""
        name = self.config.adaptation
        if name == "none":
            return _all_channels
        if name == "random":
            generator = torch.Generator().manual_seed(seed)
            counts = {level: self.backbone.taps[level].channels for level in self.levels}
            return RandomChannels(counts, generator)
        layers = weights.load(name)
        if not isinstance(layers, Adaptation):
            raise ValueError(
                f"msdat.Tracker: expected adaptation random, none or layers of the registry, "
                f"got {name}, which is none of them"
            )
        lacking = set(self.levels) - set(layers.config.levels.split("+"))
        if layers.config.backbone != self.config.backbone or lacking:
            raise ValueError(
                f"msdat.Tracker: expected adaptation trained on {self.config.levels} of "
                f"{self.config.backbone}, got {name}, trained on {layers.config.levels} of "
                f"{layers.config.backbone}; train it with trackerlib.train.adaptation, "
                "or take adaptation=random or none"
            )
        # Of `memory_format`, PyTorch's type hints know nothing.
        layers.to(self.device, self.backbone.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return partial(_adapted, layers)


class RandomChannels:
    """Keeps any eighth of a level's channels: what MSDAT's layers are measured against.

    counts  level -> channels of its map
    """

    def __init__(self, counts: Mapping[str, int], generator: torch.Generator):
        self.kept = {
            level: torch.randperm(count, generator=generator)[: count // REDUCTION]
            for level, count in counts.items()
        }

    def __call__(self, level: str, features: Tensor) -> Tensor:
        """Return the map (1, C // 8, h, w) of a level's (1, C, h, w)."""
        return features[:, self.kept[level]]


def _adapted(layers: Adaptation, level: str, features: Tensor) -> Tensor:
    return layers(features, level)


def _all_channels(level: str, features: Tensor) -> Tensor:
    return features
