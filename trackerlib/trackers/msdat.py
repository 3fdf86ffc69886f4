"""MSDAT: HCF on an eighth of the channels, with hardly more than one look at a frame.

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017.
"""

from dataclasses import dataclass

import torch

from trackerlib.nets import weights
from trackerlib.trackers import hcf
from trackerlib.trackers.kcf import in_range

REDUCTION = 8  # channels of a level per channel of the filter's, [1] section 3.3


@dataclass(frozen=True)
class Config(hcf.Config):
    """Settings of HCF, and the two things that [1] adds."""

    adaptation: str = "vggm-msdat"  # layers in the registry | "random": any eighth | "none": all
    larger: float = 0.1  # the input window beyond the search window; 0: two passes, as HCF

    def __post_init__(self):
        in_range(self, hcf.RANGES | {"larger": (0, 1)})


class Tracker(hcf.Tracker):
    """MSDAT on any trunk and device. The size of the box stays what it was."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)
        self._reduced = self._reduction(seed)

    def _margin(self):
        if not self.config.larger:
            return 0, 0
        return tuple(max(1, round(cells * self.config.larger / 2)) for cells in self.size)

    def _again(self, frame, maps, shift):
        """Lazy feed-forward, [1] section 3.4.2: the same maps, if the moved window is on them."""
        inside = all(abs(s) <= m for s, m in zip(shift, self.margin, strict=True))
        if self.config.larger and inside:
            return maps, shift
        return super()._again(frame, maps, shift)

    def _reduction(self, seed):
        """What turns the maps (1, C, h, w) of all levels into those that the filters learn."""
        name = self.config.adaptation
        if name == "none":
            return lambda maps: maps
        if name == "random":
            generator = torch.Generator().manual_seed(seed)
            counts = [tap.channels for tap in self.taps]
            chosen = [torch.randperm(n, generator=generator)[: n // REDUCTION] for n in counts]
            return lambda maps: [m[:, c] for m, c in zip(maps, chosen, strict=True)]
        layers = weights.load(name)
        lacking = set(self.levels) - set(layers.config.levels.split("+"))
        if layers.config.trunk != self.config.trunk or lacking:
            raise ValueError(
                f"msdat.Tracker: expected adaptation learned on {self.config.levels} of "
                f"{self.config.trunk}, got {name}, learned on {layers.config.levels} of "
                f"{layers.config.trunk}; train it with trackerlib.train.adaptation, "
                "or take adaptation=random or none"
            )
        layers.to(self.device, self.trunk.dtype, memory_format=torch.channels_last)
        return lambda maps: [layers(m, level) for m, level in zip(maps, self.levels, strict=True)]
