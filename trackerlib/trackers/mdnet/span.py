"""A head that is fine-tuned on few rows, known beforehand: its first layer moves in their span.

The gradient of a linear layer's weights W is a sum of outer products of rows and the outputs'
gradients. Of N rows S (N, D), all that momentum and weight decay make of it is

    W = scale * W_first + shares.T @ S

and SGD on scale (outputs,) and shares (N, outputs) takes the steps that it takes on W: it is
linear. Outputs of the rows come from W_first @ S.T and S @ S.T, which are computed once. Of
N = 736 rows of D = 4608 numbers an iteration has a sixth of the work.
"""

from typing import cast

import torch
from torch import Tensor, nn

from trackerlib.nets.head import Head


class Span(nn.Module):
    """The layers of a head, the first in coordinates; `write` gives the head what it learned.

    head      of which the rest is fine-tuned in place
    features  (N, D) of all mini-batches to come

    Parameters are in the head's order: the first layer's, with coordinates in place of weights.
    """

    def __init__(self, head: Head, features: Tensor):
        super().__init__()
        self._head = [head]  # in a list: its first weights are no parameters of this module
        self.features = features
        first, *others = head.parameters()
        self.products = features @ features.T  # (N, N)
        self.outputs = features @ first.detach().to(features).T  # (N, outputs)
        # The shares of N rows, then the scale.
        start = torch.zeros(len(features) + 1, len(first), device=features.device)
        start[-1] = 1
        self.coordinates = nn.Parameter(start)
        self.others = nn.ParameterList(others)

    @property
    def head(self) -> Head:
        """Return the head."""
        return self._head[0]

    def rows(self, start: int, count: int, last: int) -> Tensor:
        """Return the numbers of so many rows from one on, and of the last ones."""
        N, device = len(self.features), self.features.device
        first = torch.arange(start, start + count, device=device)
        return torch.cat((first, torch.arange(N - last, N, device=device)))

    def first(self, rows: Tensor) -> Tensor:
        """Return what the first layer makes of some rows (n,) of the features."""
        coordinates = self.coordinates.to(self.products)
        shares = torch.addmm(self.others[0].to(coordinates), self.products[rows], coordinates[:-1])
        return torch.addcmul(shares, coordinates[-1], self.outputs[rows])

    @torch.no_grad()
    def backward(self, rows: Tensor, gradient: Tensor) -> Tensor:
        """Set the first layer's gradients, given those of its outputs -> norm () of all.

        rows      (n,) that were scored
        gradient  (n, outputs)
        """
        self.coordinates.grad = torch.zeros_like(self.coordinates)
        self.coordinates.grad.index_add_(0, rows, gradient.float())
        self.others[0].grad = gradient.float().sum(0)
        # |G.T S|^2 is the sum of G * (S S.T G): the norm of the gradient of the weights.
        pairs = self.products[rows][:, rows] @ gradient.to(self.products)
        norms = [cast(Tensor, parameter.grad).norm() for parameter in self.others]
        weights = (gradient.float() * pairs.float()).sum().clamp(min=0).sqrt()
        return torch.stack([weights, *norms]).norm()

    @torch.no_grad()
    def write(self) -> None:
        """Give the head's first layer the weights that the coordinates are of."""
        weight = self.head.first.weight
        shares = self.coordinates[:-1].to(self.features)
        weight.mul_(self.coordinates[-1][:, None]).add_(shares.T @ self.features)
