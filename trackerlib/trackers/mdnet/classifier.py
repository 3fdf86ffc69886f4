"""Target or background: a head that is fine-tuned while tracking, on hard negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.3 (online updates) and 4.3 (hard mini-batches).
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from itertools import repeat
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from trackerlib.nets.head import Head
from trackerlib.nets.losses import binary_loss
from trackerlib.ops.threads import one_thread, threads
from trackerlib.trackers.mdnet.config import OnlineConfig
from trackerlib.trackers.mdnet.descent import SGD
from trackerlib.trackers.mdnet.memory import Samples
from trackerlib.trackers.mdnet.parts import KnownOutputs, TwoParts
from trackerlib.trackers.mdnet.span import Span

Step = tuple[Tensor, Callable[[], Tensor]]  # a loss, and what back-propagates it -> the norm ()


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
        self.outputs: Tensor | None = None
        self.threads = 1

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """Return the target's score (K,) of features (K, D): above 0 for what looks like it.

        `outputs` then has the head's two scores of each (K, 2).
        """
        self.outputs = self._head(features)
        return self.of_target(self.outputs)

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
        mining: str = "iteration",
    ) -> list[float]:
        """Descend with fresh momentum -> the loss of every iteration.

        Hard negative mining: the negatives of a mini-batch are those with the highest
        scores of a pool, by the head as it is then, without dropout [1], section 4.3. Each
        iteration draws a pool; if mining is "update", all share one.
        It ends early when a loss is below the threshold [2], section 3.4: before the step
        on its mini-batch, or after it if `threshold_after_step`, as the code of [2].
        """
        self.threads = torch.get_num_threads()
        # Of a head in parts, the first layer's work is shared among threads, and nothing else is.
        small = one_thread() if isinstance(self.head, TwoParts) else nullcontext()
        with small:
            return self._fine_tune(positives, negatives, lr, iterations, loss_threshold, mining)

    def _fine_tune(
        self,
        positives: Samples,
        negatives: Samples,
        lr: float,
        iterations: int,
        loss_threshold: float,
        mining: str,
    ) -> list[float]:
        config, generator = self.config, self.generator
        batches = positives.batches(iterations, config.batch_positives, generator)
        if mining == "iteration":
            pools: Iterable[Tensor] = negatives.batches(iterations, config.mining_pool, generator)
            return self._descend(self.head, map(self._step, batches, pools), lr, loss_threshold)
        (pool,) = negatives.batches(1, config.mining_pool, generator)
        if not isinstance(self.head, Head):
            pools = repeat(pool)
            return self._descend(self.head, map(self._step, batches, pools), lr, loss_threshold)
        span = Span(self.head, torch.cat((*batches, pool)))
        steps = (self._step_in_span(span, step) for step in range(iterations))
        losses = self._descend(span, steps, lr, loss_threshold)
        span.write()
        return losses

    def _descend(
        self, network: nn.Module, steps: Iterable[Step], lr: float, loss_threshold: float
    ) -> list[float]:
        config, losses = self.config, []
        # Momentum of an earlier update would carry on in its direction.
        optimizer = make_optimizer(network, lr, config)
        for loss, back_propagate in steps:
            losses.append(loss.item())
            is_last = losses[-1] < loss_threshold
            if is_last and not config.threshold_after_step:
                break
            optimizer.zero_grad()
            norm = back_propagate()
            if norm > config.max_grad_norm:
                clip_grads_with_norm_(network.parameters(), config.max_grad_norm, norm)
            with threads(self.threads):
                optimizer.step()
            if is_last:
                break
        return losses

    def _step(self, positive: Tensor, pool: Tensor) -> Step:
        """Return the loss of the positives and of the hardest negatives of a pool."""
        if isinstance(self.head, TwoParts):
            scores = self._hardest_in_parts(self.head, torch.cat((positive, pool)), len(positive))
        else:
            hard = self._hardest(self.scores(pool))
            scores = self._head(torch.cat((positive, pool[hard])), self.generator)
        loss = binary_loss(scores[: len(positive)], scores[len(positive) :])

        def back_propagate() -> Tensor:
            loss.backward()
            gradients = (parameter.grad for parameter in self.head.parameters())
            return get_total_norm([gradient for gradient in gradients if gradient is not None])

        return loss, back_propagate

    def _hardest_in_parts(self, head: TwoParts, features: Tensor, positives: int) -> Tensor:
        """Return scores (P + batch_negatives, 2) of P positives and a pool, in turn in features.

        There is no dropout before the first layer: what it made of the pool is what it makes of
        the negatives that are chosen, and only its gradient is computed for them.
        """
        with autocast(features.device, self.dtype):
            with torch.no_grad():
                rows = head.rows(features)
                with threads(self.threads):
                    outputs = head.first(rows)
                chosen = self._chosen(head, outputs, positives)
            layer = head.first
            known = rows[chosen], outputs[chosen], self.threads
            outputs = KnownOutputs.apply(layer.weight, layer.bias, *known)
            return head.rest(outputs, self.generator).float()

    def _step_in_span(self, span: Span, step: int) -> Step:
        """Return the loss of a mini-batch of the span, whose last rows are the pool."""
        count = self.config.batch_positives
        with autocast(span.features.device, self.dtype):
            with torch.no_grad():
                rows = span.rows(step * count, count, self.config.mining_pool)
                outputs = span.first(rows)
                chosen = self._chosen(span.head, outputs, count)
            outputs = outputs[chosen].requires_grad_()
            scores = span.head.rest(outputs, self.generator).float()
        loss = binary_loss(scores[:count], scores[count:])

        def back_propagate() -> Tensor:
            loss.backward()
            return span.backward(rows[chosen], cast(Tensor, outputs.grad))

        return loss, back_propagate

    def _chosen(self, head: TwoParts, outputs: Tensor, positives: int) -> Tensor:
        """Return which rows are learned from: the positives, which come first, and the hardest."""
        scores = self.of_target(head.rest(outputs[positives:]).float())
        hard = positives + self._hardest(scores)
        return torch.cat((torch.arange(positives).to(hard), hard))

    def _hardest(self, scores: Tensor) -> Tensor:
        # 96 of 1024, by default: those that look most like the target to the head.
        return scores.topk(self.config.batch_negatives).indices

    def _head(self, features: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        with autocast(features.device, self.dtype):
            return self.head(features, dropout).float()


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which products are of numbers of this type; float32 changes nothing."""
    return torch.autocast(device.type, dtype, dtype != torch.float32)


def make_optimizer(network: nn.Module, lr: float, config: OnlineConfig) -> SGD:
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
    return SGD(groups, lr, config.momentum, config.weight_decay)
