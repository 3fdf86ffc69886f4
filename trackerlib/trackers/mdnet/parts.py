"""A head in two parts: the first layer, which has nine tenths of the work, and the rest."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from trackerlib.ops.threads import threads


@runtime_checkable
class TwoParts(Protocol):
    """A head whose first layer, which has most of the work, is told from the rest."""

    @property
    def first(self) -> nn.Linear:
        """Return the first layer."""
        ...

    def rows(self, features: Tensor) -> Tensor:
        """Return what the first layer takes of features (K, D)."""
        ...

    def rest(self, outputs: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Return scores (K, 2) of the first layer's outputs."""
        ...


class KnownOutputs(torch.autograd.Function):
    """A linear layer whose outputs of some rows are known: its gradient alone is computed."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, weight: Tensor, bias: Tensor, rows: Tensor, outputs: Tensor, count: int
    ) -> Tensor:
        """Return the outputs (n, ..., outputs) that the layer has of the rows (n, ..., inputs).

        count  of threads that share the gradient's work
        """
        ctx.save_for_backward(rows)
        ctx.threads = count
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Return the gradients of weight and bias, given that of the outputs."""
        (rows,) = ctx.saved_tensors
        gradient = gradient.flatten(0, -2)  # (n, outputs)
        with threads(ctx.threads):
            of_weight = gradient.T @ rows.flatten(0, -2).to(gradient)
        return of_weight, gradient.sum(0), None, None, None
