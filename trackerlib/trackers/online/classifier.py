"""Target or background: a head that is fine-tuned while tracking, on hard negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.3 (online updates) and 4.3 (hard mini-batches).
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018.
"""

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from trackerlib.nets.head import Head
from trackerlib.nets.losses import binary_loss
from trackerlib.trackers.online import Config
from trackerlib.trackers.online.memory import Samples


class Classifier:
    """Scores features; learns from samples.

    head       on its device
    generator  of the mini-batches and the dropout
    dtype      of the products; weights stay float32
    """

    def __init__(
        self,
        head: Head,
        config: Config,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ):
        self.head, self.config, self.generator, self.dtype = head, config, generator, dtype

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """(K, D) -> (K,): the target's score, above 0 for what looks like it."""
        return self._head(features)[:, 1]

    @torch.enable_grad()
    def learn(
        self,
        positives: Samples,
        negatives: Samples,
        rate: float,
        iterations: int,
        threshold: float = 0.0,
    ) -> list[float]:
        """Stochastic gradient descent from a standstill -> the loss of every iteration.

        The negatives of a mini-batch are the hardest of a pool, scored by the
        head as it is then, without dropout [1], section 4.3. It ends early when a
        loss is below the threshold [2], section 3.4.
        """
        config, losses = self.config, []
        optimiser = self._optimiser(rate)
        near = positives.batches(iterations, config.batch_positives, self.generator)
        far = negatives.batches(iterations, config.pool, self.generator)
        for positive, pool in zip(near, far, strict=True):
            hard = self.scores(pool).topk(config.batch_negatives).indices
            scores = self._head(torch.cat((positive, pool[hard])), self.generator)
            loss = binary_loss(scores[: len(positive)], scores[len(positive) :])
            losses.append(loss.item())
            if losses[-1] < threshold:
                break
            optimiser.zero_grad()
            loss.backward()
            clip_grad_norm_(self.head.parameters(), config.gradient_limit)
            optimiser.step()
        return losses

    def _head(self, features, dropout=None):
        with torch.autocast(features.device.type, self.dtype, self.dtype != torch.float32):
            return self.head(features, dropout).float()

    def _optimiser(self, rate):
        config = self.config
        last = list(self.head.fc6.parameters())
        inner = list(self.head.parameters())[: -len(last)]
        last = {"params": last, "lr": rate * config.fc6_factor}
        return torch.optim.SGD(
            [{"params": inner}, last],
            lr=rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
