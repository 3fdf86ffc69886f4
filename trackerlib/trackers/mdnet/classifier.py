"""Target or background: a head that is fine-tuned while tracking, on hard negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.3 (online updates) and 4.3 (hard mini-batches).
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from trackerlib.nets.losses import binary_loss
from trackerlib.trackers.mdnet.config import OnlineConfig
from trackerlib.trackers.mdnet.memory import Samples


@runtime_checkable
class TwoParts(Protocol):
    """A head whose first layer, which has most of the work, is told from the rest."""

    first: nn.Linear
    rows: Callable[[Tensor], Tensor]  # what the first layer takes of features
    rest: Callable[..., Tensor]  # (its outputs, dropout) -> scores (K, 2)


class _Known(torch.autograd.Function):
    """A linear layer whose outputs of some rows are known: its gradient alone is computed."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, rows: Tensor, outputs: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return outputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        gradient = gradient.flatten(0, -2)  # (n, outputs)
        return gradient.T @ rows.flatten(0, -2).to(gradient), gradient.sum(0), None, None


class Classifier:
    """Scores features; is fine-tuned on samples.

    head       scores of features, (K, D) -> (K, 2), such as nets.head.Head; on its device.
               One that tells its first layer from the rest, as that does, is fine-tuned faster
    generator  of the mini-batches and the dropout
    dtype      of the products; weights stay float32
    """

    def __init__(
        self,
        head: nn.Module,
        config: OnlineConfig,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ):
        self.head = head
        self.config = config
        self.generator = generator
        self.dtype = dtype

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """Return the target's score (K,) of features (K, D): above 0 for what looks like it."""
        return self.of_target(self._head(features))

    def of_target(self, scores: Tensor) -> Tensor:
        """Return what boxes are ranked by (K,) of the head's scores (K, 2)."""
        return scores[:, 1]

    @torch.enable_grad()
    def fine_tune(
        self,
        positives: Samples,
        negatives: Samples,
        lr: float,
        iterations: int,
        loss_threshold: float = 0.0,
    ) -> list[float]:
        """Descend with fresh momentum -> the loss of every iteration.

        Hard negative mining: the negatives of a mini-batch are those with the highest
        scores of a pool, by the head as it is then, without dropout [1], section 4.3.
        It ends early when a loss is below the threshold [2], section 3.4: before the step
        on its mini-batch, or after it if `threshold_after_step`, as the code of [2].
        """
        config, losses = self.config, []
        # Momentum of an earlier update would carry on in its direction.
        optimizer = make_optimizer(self.head, lr, config)
        batches = positives.batches(iterations, config.batch_positives, self.generator)
        pools = negatives.batches(iterations, config.mining_pool, self.generator)
        for positive, pool in zip(batches, pools, strict=True):
            loss = self._loss(positive, pool)
            losses.append(loss.item())
            is_last = losses[-1] < loss_threshold
            if is_last and not config.threshold_after_step:
                break
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(self.head.parameters(), config.max_grad_norm)
            optimizer.step()
            if is_last:
                break
        return losses

    def _loss(self, positive: Tensor, pool: Tensor) -> Tensor:
        """Return the loss of the positives and of the hardest negatives of a pool."""
        if isinstance(self.head, TwoParts):
            scores = self._hardest_in_parts(self.head, torch.cat((positive, pool)), len(positive))
        else:
            hard = self._hardest(self.scores(pool))
            scores = self._head(torch.cat((positive, pool[hard])), self.generator)
        return binary_loss(scores[: len(positive)], scores[len(positive) :])

    def _hardest_in_parts(self, head: TwoParts, features: Tensor, positives: int) -> Tensor:
        """Return scores (P + batch_negatives, 2) of P positives and a pool, in turn in features.

        There is no dropout before the first layer: what it made of the pool is what it makes of
        the negatives that are chosen, and only its gradient is computed for them.
        """
        with autocast(features.device, self.dtype):
            with torch.no_grad():
                rows = head.rows(features)
                outputs = head.first(rows)
                scores = self.of_target(head.rest(outputs[positives:]).float())
            hard = positives + self._hardest(scores)
            chosen = torch.cat((torch.arange(positives).to(hard), hard))
            layer = head.first
            outputs = _Known.apply(layer.weight, layer.bias, rows[chosen], outputs[chosen])
            return head.rest(outputs, self.generator).float()

    def _hardest(self, scores: Tensor) -> Tensor:
        # 96 of 1024, by default: those that look most like the target to the head.
        return scores.topk(self.config.batch_negatives).indices

    def _head(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        with autocast(features.device, self.dtype):
            return self.head(features, dropout).float()


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which products are of numbers of this type; float32 changes nothing."""
    return torch.autocast(device.type, dtype, dtype != torch.float32)


def make_optimizer(network: nn.Module, lr: float, config: OnlineConfig) -> torch.optim.SGD:
    """Return SGD whose last layer has `fc6_factor` times the learning rate.

    network  layers that have a weight and a bias each
    config   its `bias_factor` multiplies the rate of biases in all layers
    """
    *inner, weight, bias = network.parameters()
    fc6, biased = config.fc6_factor, config.bias_factor  # fc6 is new in every video
    bias_decay = config.weight_decay if config.bias_decay else 0.0
    groups: list[dict[str, Any]] = [
        {"params": inner[::2]},
        {"params": inner[1::2], "lr": lr * biased, "weight_decay": bias_decay},
        {"params": [weight], "lr": lr * fc6},
        {"params": [bias], "lr": lr * fc6 * biased, "weight_decay": bias_decay},
    ]
    return torch.optim.SGD(
        groups,
        lr=lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
