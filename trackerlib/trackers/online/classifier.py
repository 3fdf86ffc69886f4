"""Target or background: a head that is fine-tuned while tracking, on hard negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.3 (online updates) and 4.3 (hard mini-batches).
"""

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from trackerlib.nets.head import Head, binary_loss
from trackerlib.trackers.online import Config
from trackerlib.trackers.online.memory import Samples


class Classifier:
    """Scores features; learns from samples.

    head       on its device
    generator  of the mini-batches and the dropout
    """

    def __init__(self, head: Head, config: Config, generator: torch.Generator):
        self.head, self.config, self.generator = head, config, generator

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """(K, D) -> (K,): the target's score, above 0 for what looks like it."""
        return self.head(features)[:, 1]

    @torch.enable_grad()
    def learn(
        self, positives: Samples, negatives: Samples, rate: float, iterations: int
    ) -> list[float]:
        """Stochastic gradient descent from a standstill -> the loss of every iteration.

        The negatives of a mini-batch are the hardest of a pool, scored by the
        head as it is then, without dropout [1], section 4.3.
        """
        config, losses = self.config, []
        optimiser = self._optimiser(rate)
        near = positives.batches(iterations, config.batch_positives, self.generator)
        far = negatives.batches(iterations, config.pool, self.generator)
        for positive, pool in zip(near, far, strict=True):
            hard = self.scores(pool).topk(config.batch_negatives).indices
            scores = self.head(torch.cat((positive, pool[hard])), self.generator)
            loss = binary_loss(scores[: len(positive)], scores[len(positive) :])
            optimiser.zero_grad()
            loss.backward()
            clip_grad_norm_(self.head.parameters(), config.gradient_limit)
            optimiser.step()
            losses.append(loss.item())
        return losses

    def _optimiser(self, rate):
        config = self.config
        inner = [*self.head.fc4.parameters(), *self.head.fc5.parameters()]
        last = {"params": self.head.fc6.parameters(), "lr": rate * config.fc6_factor}
        return torch.optim.SGD(
            [{"params": inner}, last],
            lr=rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
