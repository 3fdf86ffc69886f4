"""MSDAT's adaptation layers: of the channels of a trunk's levels, the eighth that tracking needs.

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trackerlib.nets import googlenet, squeezenet, vgg19, vggm
from trackerlib.nets.registry import registry

CHANNELS = {
    "vggm": vggm.CHANNELS,
    "vgg19": vgg19.CHANNELS,
    "squeezenet": squeezenet.CHANNELS,
    "googlenet": googlenet.CHANNELS,
}
KERNELS = 3, 5  # [1] section 3.3
SHARE = 16  # input channels per output channel of either kernel; 8 per one of both


@dataclass(frozen=True)
class Config:
    """What the layers are grafted onto. Those learned on one trunk fit no other."""

    trunk: str = "vggm"  # a name in the registry of weights
    levels: str = "conv1+conv2+conv3"  # taps of that trunk

    def channels(self) -> dict[str, int]:
        """Level -> channels of its map.

        Raises ValueError for a trunk that is not in the registry, and for unknown levels.
        """
        entry = registry().get(self.trunk)
        if not entry or entry.network not in CHANNELS:
            raise ValueError(
                f"adaptation.Config: expected a trunk of the registry, got {self.trunk!r}"
            )
        known, levels = CHANNELS[entry.network], self.levels.split("+")
        unknown = [level for level in levels if level not in known]
        if unknown:
            raise ValueError(
                f"adaptation.Config: expected levels among {', '.join(known)}, joined by +, "
                f"got {', '.join(unknown)}"
            )
        return {level: known[level] for level in levels}


class Adaptation(nn.Module):
    """One branch per level: 3x3 and 5x5 convolutions side by side, no ReLU [1], Fig. 4.

    Raises what `Config.channels` does.
    """

    def __init__(self, config: Config | None = None):
        super().__init__()
        self.config = config or Config()
        for level, channels in self.config.channels().items():
            branch = {
                f"{kernel}x{kernel}": nn.Conv2d(
                    channels, channels // SHARE, kernel, padding=kernel // 2
                )
                for kernel in KERNELS
            }
            setattr(self, level, nn.ModuleDict(branch))

    def forward(self, features: Tensor, level: str) -> Tensor:
        """A level's map (N, C, H, W) -> (N, C // 8, H, W), of the features' type."""
        branch = getattr(self, level)
        x = features.to(branch["3x3"].weight.dtype)
        return torch.cat([convolution(x) for convolution in branch.values()], 1).to(features)
