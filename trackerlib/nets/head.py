"""The fully connected layers of MDNet: features of a box in, two scores out.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.1 and 3.2.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 4.4: one layer less.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

WIDTH = 512  # of fc4 and fc5
STD, BIAS = 0.01, 0.1  # of the first weights; biases of fc4 and fc5; authors' code


@dataclass(frozen=True)
class Config:
    """Which fully connected layers."""

    inputs: int = 4608  # features of a box: 3 x 3 x 512
    layers: int = 3  # 3 [1], or 2 without fc5 [2]

    def __post_init__(self) -> None:
        if self.layers not in (2, 3):
            raise ValueError(f"head.Config: expected 2 or 3 layers, got {self.layers}")


class SharedLayers(nn.Module):
    """What all videos share: fc4 and fc5 [1].

    generator  of the first weights; None: PyTorch's own
    """

    def __init__(self, config: Config | None = None, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config or Config()
        self.fc4 = layer(self.config.inputs, WIDTH, BIAS, generator)
        if self.config.layers == 3:
            self.fc5 = layer(WIDTH, WIDTH, BIAS, generator)

    def shared(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return the last shared layer's output (K, WIDTH) for features (K, inputs).

        dropout  as in `Head.forward`
        """
        return self._after_fc4(self.fc4(features), dropout)

    def _after_fc4(self, outputs: Tensor, dropout: torch.Generator | None) -> Tensor:
        x = dropped(relu(outputs), dropout)
        return dropped(relu(self.fc5(x)), dropout) if self.config.layers == 3 else x


class Head(SharedLayers):
    """The layers that track one target: `SharedLayers`, and an fc6 of its own."""

    def __init__(self, config: Config | None = None, generator: torch.Generator | None = None):
        super().__init__(config, generator)
        self.fc6 = layer(WIDTH, 2, 0.0, generator)

    def forward(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return scores (K, 2) of the background and of the target for features (K, inputs).

        dropout  generator that chooses what is dropped, in training; None drops nothing
        """
        return self.rest(self.fc4(features), dropout)

    @property
    def first(self) -> nn.Linear:
        """Return the first layer, which has nine tenths of the weights."""
        return self.fc4

    def rows(self, features: Tensor) -> Tensor:
        """Return what the first layer takes of features (K, inputs): the same."""
        return features

    def rest(self, outputs: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return scores (K, 2) of the first layer's outputs (K, WIDTH), see `forward`."""
        return self.fc6(self._after_fc4(outputs, dropout))


class DomainHead(SharedLayers):
    """The layers of multi-domain learning: `SharedLayers`, and domain-specific ones [1].

    Every video is a domain, with an fc6 of its own: two of the 2 * videos rows.
    """

    def __init__(self, videos: int, config: Config | None = None):
        super().__init__(config)
        self.fc6 = layer(WIDTH, 2 * videos, 0.0)

    def forward(
        self, features: Tensor, videos: Tensor, dropout: torch.Generator | None = None
    ) -> Tensor:
        """Return scores (K, V, 2) of features (K, inputs), by the layers of each video (V,).

        The scores are of the background and of the target, see `Head.forward`.
        """
        rows = (2 * videos[:, None] + torch.arange(2)).flatten()  # of videos 3, 0: 6 7 0 1
        scores = linear(self.shared(features, dropout), self.fc6.weight[rows], self.fc6.bias[rows])
        return scores.unflatten(1, (len(videos), 2))


def layer(
    inputs: int, outputs: int, bias: float, generator: torch.Generator | None = None
) -> nn.Linear:
    """Return an untrained fully connected layer: normal weights, all biases the same."""
    new = nn.Linear(inputs, outputs)
    if new.weight.is_meta:  # of shapes alone, whose initialisation would import torch._dynamo
        return new
    nn.init.normal_(new.weight, std=STD, generator=generator)
    nn.init.constant_(new.bias, bias)
    return new


def dropped(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return x (any shape) with half of its values 0 and the others doubled.

    generator  that chooses which; None changes nothing
    """
    if generator is None:
        return x
    # One random bit per value is taken from each byte of 64-bit numbers: much faster than a
    # float for each, which PyTorch's own dropout draws.
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(generator=generator)
    bits = words.view(torch.uint8)[: x.numel()].view(x.shape) & 1  # one of each byte
    return x * (2 * bits).to(x)
