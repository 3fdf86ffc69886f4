"""The two networks of DLST: where in the region the target is, and which box holds it.

Both are trained online, on features of VGG-M that never change. A 1x1 convolution is one
linear layer for all cells of a map; on a CPU it is fastest computed so.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
[2] Lin, Chen, Yan: Network in network. ICLR 2014, section 3.2: global average pooling.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from trackerlib.nets import head
from trackerlib.nets.head import dropped, layer
from trackerlib.trackers.mdnet.features import BINS

ADAPTED = 256  # channels that the localization makes of relu1, [1] section 3.1
CLASSIFICATION = 512, 128  # channels of its 1x1 convolutions, [1] section 3.2
CELLS = BINS**2  # of a box's features


class Localization(nn.Module):
    """Target or background for every cell of a map: two 1x1 convolutions, [1] section 3.1."""

    def __init__(self, channels: int = 96, generator: torch.Generator | None = None):
        super().__init__()
        self.conv1 = layer(channels, ADAPTED, 0.0, generator)
        self.conv2 = layer(ADAPTED, 2, 0.0, generator)

    def forward(self, maps: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return scores of background and target (N, H, W, 2) of maps (N, H, W, channels).

        dropout  source of the dropout's choices, while training; None drops nothing
        """
        return self.conv2(dropped(relu(self.conv1(maps)), dropout))


class Classification(nn.Module):
    """Target or background for a box, in place of `head.Head`, [1] section 3.2.

    Every cell is scored alone, by three 1x1 convolutions; the box's score is the cells' mean [2].
    """

    def __init__(self, config: head.Config, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        channels = config.inputs // CELLS
        self.conv1 = layer(channels, CLASSIFICATION[0], 0.0, generator)
        self.conv2 = layer(*CLASSIFICATION, 0.0, generator)
        self.conv3 = layer(CLASSIFICATION[1], 2, 0.0, generator)

    def forward(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return scores (K, 2) of features (K, channels * CELLS), as `head.Head` does."""
        return self.cells(features, dropout).mean(1)

    def cells(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return the scores before they are averaged (K, CELLS, 2)."""
        return self._after_conv1(self.conv1(self.rows(features)), dropout)

    @property
    def first(self) -> nn.Linear:
        """Return the first layer, as `head.Head` does, and the next two."""
        return self.conv1

    def rows(self, features: Tensor) -> Tensor:
        """Return the cells (K, CELLS, channels) of features (K, channels * CELLS)."""
        return features.unflatten(1, (-1, CELLS)).mT.contiguous()

    def rest(self, outputs: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return scores (K, 2) of what the first layer makes of the cells."""
        return self._after_conv1(outputs, dropout).mean(1)

    def _after_conv1(self, outputs: Tensor, dropout: torch.Generator | None) -> Tensor:
        x = dropped(relu(outputs), dropout)
        x = dropped(relu(self.conv2(x)), dropout)
        return self.conv3(x)
