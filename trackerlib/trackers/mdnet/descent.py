"""Stochastic gradient descent with momentum, begun anew for every update."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd

__all__ = ["SGD"]


class SGD:
    """PyTorch's SGD by its function: its class would import all of torch._dynamo.

    That takes most of a second, for which a first box would wait.

    groups  of parameters, {"params": [...]}, and "lr" or "weight_decay" where a group's differs;
            what has no gradient in the first step is not moved in any
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, momentum: float, weight_decay: float
    ):
        usual = {"lr": lr, "weight_decay": weight_decay}
        self.param_groups = [usual | group for group in groups]
        self.momentum = momentum
        self._velocities: list[list[Tensor | None]] = []

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters."""
        moved = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        self._velocities = self._velocities or [[None] * len(parameters) for parameters in moved]
        for group, parameters, velocities in zip(
            self.param_groups, moved, self._velocities, strict=True
        ):
            sgd(
                parameters,
                [parameter.grad for parameter in parameters],
                velocities,
                fused=True,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                momentum=self.momentum,
                dampening=0,
                nesterov=False,
                maximize=False,
            )
