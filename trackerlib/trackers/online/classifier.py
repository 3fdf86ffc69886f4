"""Target or background: a head that is fine-tuned while tracking, on hard negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.3 (online updates) and 4.3 (hard mini-batches).
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from trackerlib.nets.losses import binary_loss
from trackerlib.trackers.online import Config
from trackerlib.trackers.online.memory import Samples


class Classifier:
    """Scores features; learns from samples.

    head       scores of features, (K, D) -> (K, 2), such as nets.head.Head; on its device
    generator  of the mini-batches and the dropout
    dtype      of the products; weights stay float32
    """

    def __init__(
        self,
        head: nn.Module,
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
        descent = optimiser(self.head, rate, config)
        near = positives.batches(iterations, config.batch_positives, self.generator)
        far = negatives.batches(iterations, config.pool, self.generator)
        for positive, pool in zip(near, far, strict=True):
            hard = self.scores(pool).topk(config.batch_negatives).indices
            scores = self._head(torch.cat((positive, pool[hard])), self.generator)
            loss = binary_loss(scores[: len(positive)], scores[len(positive) :])
            losses.append(loss.item())
            if losses[-1] < threshold:
                break
            descent.zero_grad()
            loss.backward()
            clip_grad_norm_(self.head.parameters(), config.gradient_limit)
            descent.step()
        return losses

    def _head(self, features, dropout=None):
        with autocast(features.device, self.dtype):
            return self.head(features, dropout).float()


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Products in numbers of this type; none other if it is float32."""
    return torch.autocast(device.type, dtype, dtype != torch.float32)


def optimiser(network: nn.Module, rate: float, config: Config) -> torch.optim.SGD:
    """Whose last layer moves faster, by `fc6_factor`."""
    *inner, weight, bias = network.parameters()
    last = {"params": [weight, bias], "lr": rate * config.fc6_factor}
    return torch.optim.SGD(
        [{"params": inner}, last],
        lr=rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
