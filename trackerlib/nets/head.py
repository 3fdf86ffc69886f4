"""The fully connected layers of MDNet: features of a box in, two scores out.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.1.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

UNITS = 512  # of fc4 and fc5
DROPOUT = 0.5  # after fc4 and fc5
STD, BIAS = 0.01, 0.1  # of the first weights; biases of fc4 and fc5; authors' code


class Head(nn.Module):
    """fc4, fc5 and fc6 [1]. The weights come from the generator, or from PyTorch's own."""

    def __init__(self, inputs: int, generator: torch.Generator | None = None):
        super().__init__()
        self.fc4 = _layer(inputs, UNITS, BIAS, generator)
        self.fc5 = _layer(UNITS, UNITS, BIAS, generator)
        self.fc6 = _layer(UNITS, 2, 0.0, generator)

    def forward(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """(K, inputs) -> (K, 2): scores of the background and of the target.

        dropout  source of the dropout's choices, while learning; None drops nothing
        """
        x = _dropped(relu(self.fc4(features)), dropout)
        x = _dropped(relu(self.fc5(x)), dropout)
        return self.fc6(x)


def binary_loss(positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean softmax loss of the scores (P, 2) of targets and (N, 2) of background."""
    labels = torch.zeros(len(positives) + len(negatives), dtype=torch.long)
    labels[: len(positives)] = 1
    return cross_entropy(torch.cat((positives, negatives)), labels.to(positives.device))


def _layer(inputs, outputs, bias, generator):
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=STD, generator=generator)
    nn.init.constant_(layer.bias, bias)
    return layer


def _dropped(x, generator):
    if generator is None:
        return x
    kept = torch.rand(x.shape, generator=generator) >= DROPOUT
    return x * (kept / (1 - DROPOUT)).to(x)
