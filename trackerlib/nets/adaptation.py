"""MSDAT's adaptation layers: from a backbone's channels, the eighth that tracking needs.

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trackerlib.nets import vggm

KERNELS = 3, 5  # [1] section 3.3
SHARE = 16  # input channels per output channel of either kernel; 8 per one of both


@dataclass(frozen=True)
class Config:
    """What the layers are added to. Those trained on one backbone fit no other."""

    backbone: str = "vggm"  # a name in the registry of weights
    levels: str = "conv1+conv2+conv3"  # its layers, shallow to deep

    def channels(self, known: Mapping[str, int]) -> dict[str, int]:
        """Return the channels of each level's map.

        known  layer -> channels of the backbone's map

        Raises ValueError for levels that are no layers of it.
        """
        levels = self.levels.split("+")
        unknown = [level for level in levels if level not in known]
        if unknown:
            raise ValueError(
                f"adaptation.Config: expected levels among {', '.join(known)}, joined by +, "
                f"got {', '.join(unknown)}"
            )
        return {level: known[level] for level in levels}


class Adaptation(nn.Module):
    """A branch for each level: 3x3 and 5x5 convolutions side by side, no ReLU [1], Fig. 4.

    known  layer -> channels of the backbone's map

    Raises what `Config.channels` does.
    """

    def __init__(self, config: Config | None = None, known: Mapping[str, int] = vggm.CHANNELS):
        super().__init__()
        self.config = config or Config()
        for level, channels in self.config.channels(known).items():
            branch = {
                f"{kernel}x{kernel}": nn.Conv2d(
                    channels, channels // SHARE, kernel, padding=kernel // 2
                )
                for kernel in KERNELS
            }
            setattr(self, level, nn.ModuleDict(branch))

    def forward(self, features: Tensor, level: str) -> Tensor:
        """Return a level's map (N, C, H, W) reduced to (N, C // 8, H, W), in its own type."""
        branch = getattr(self, level)
        x = features.to(branch["3x3"].weight.dtype)
        return torch.cat([convolution(x) for convolution in branch.values()], 1).to(features)
