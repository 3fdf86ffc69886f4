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

    def __post_init__(self):
        if self.layers not in (2, 3):
            raise ValueError(f"head.Config: expected 2 or 3 layers, got {self.layers}")


class SharedLayers(nn.Module):
    """What all videos share: fc4 and fc5 [1], random numbers from a generator or PyTorch's own."""

    def __init__(self, config: Config | None = None, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config or Config()
        self.fc4 = layer(self.config.inputs, WIDTH, BIAS, generator)
        if self.config.layers == 3:
            self.fc5 = layer(WIDTH, WIDTH, BIAS, generator)

    def shared(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(K, inputs) -> (K, WIDTH), see `Head.forward`."""
        x = dropped(relu(self.fc4(features)), dropout)
        return dropped(relu(self.fc5(x)), dropout) if self.config.layers == 3 else x


class Head(SharedLayers):
    """The layers that track one target: `SharedLayers` and a new fc6."""

    def __init__(self, config: Config | None = None, generator: torch.Generator | None = None):
        super().__init__(config, generator)
        self.fc6 = layer(WIDTH, 2, 0.0, generator)

    def forward(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(K, inputs) -> (K, 2): scores of the background and of the target.

        dropout  source of the dropout's choices, while learning; None drops nothing
        """
        return self.fc6(self.shared(features, dropout))


class DomainHead(SharedLayers):
    """The layers that learn from many videos: `SharedLayers`, and two rows of fc6 for each video [1]."""

    def __init__(self, videos: int, config: Config | None = None):
        super().__init__(config)
        self.fc6 = layer(WIDTH, 2 * videos, 0.0)

    def forward(
        self, features: Tensor, videos: Tensor, dropout: torch.Generator | None = None
    ) -> Tensor:
        """Boxes (K, inputs) judged by the branches (V,) -> (K, V, 2).

        The scores are of the background and of the target, see `Head.forward`.
        """
        rows = (2 * videos[:, None] + torch.arange(2)).flatten()
        scores = linear(self.shared(features, dropout), self.fc6.weight[rows], self.fc6.bias[rows])
        return scores.unflatten(1, (len(videos), 2))


def layer(
    inputs: int, outputs: int, bias: float, generator: torch.Generator | None = None
) -> nn.Linear:
    """A fully connected layer as it is before it learns."""
    new = nn.Linear(inputs, outputs)
    nn.init.normal_(new.weight, std=STD, generator=generator)
    nn.init.constant_(new.bias, bias)
    return new


def dropped(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Half of the values set to 0, the others doubled; all as they are without a generator."""
    if generator is None:
        return x
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(generator=generator)
    bits = words.view(torch.uint8)[: x.numel()].view(x.shape) & 1  # one of each byte
    return x * (2 * bits).to(x)
