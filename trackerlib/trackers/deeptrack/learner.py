"""Iterative stochastic gradient descent, and the lazy update: train only when it must.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, sections II-D and III.
"""

import math

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from trackerlib.trackers.deeptrack.config import Config
from trackerlib.trackers.deeptrack.cues import CUES
from trackerlib.trackers.deeptrack.losses import truncated_l2
from trackerlib.trackers.deeptrack.network import NEURONS, DeepTrack
from trackerlib.trackers.deeptrack.pool import SamplePool

MAX_SHARE = 0.5  # of patches with a loss, up to which a second forward pass is faster


class Learner:
    """Scores patches; is trained on those of two pools.

    network    on its device
    generator  of the mirrored positives

    kept  share of the cues' patches that have a loss, in every step of the latest training
    """

    def __init__(self, network: DeepTrack, config: Config, generator: torch.Generator):
        self.network = network
        self.config = config
        self.generator = generator
        self.kept: list[float] = []

    @torch.no_grad()
    def scores(self, patches: Tensor) -> Tensor:
        """Return scores of target and background (N, 2) of patches (N, CUES, 32, 32)."""
        return self.network(patches)

    @torch.no_grad()
    def scan(self, scene: Tensor, boxes: Tensor) -> Tensor:
        """Return the same for boxes (K, 4) of a scene (CUES, H, W), see `DeepTrack.scan`."""
        return self.network.scan(scene, boxes, self.config.scanned)

    def losses(self, errors: Tensor, labels: Tensor, importance: Tensor) -> Tensor:
        """Return the truncated norms of errors (..., 2), by importance (...), [1] equation 10."""
        config = self.config
        norms = truncated_l2(
            errors, labels, config.truncation, config.positive_factor, config.squared
        )
        return importance * norms

    def initialise(self, positives: SamplePool, negatives: SamplePool) -> list[float]:
        """Train on the first frame -> the loss before every step.

        By Adam all steps are taken, unless a loss is below `first_tolerance`: what a network
        knows well by then, it need not learn later.
        By SGD, as in later frames, it ends below epsilon, and the fusion layer is trained beside
        the cues, from random numbers. The fusion layer is in use afterwards.
        """
        config, network = self.config, self.network
        if config.first_descent == "sgd":
            network.fused = config.fusion
            limits = [config.tolerance] * config.first_steps
            return self._descend(self._sgd(), (positives, negatives), limits)
        optimizer = torch.optim.Adam(network.cues.parameters(), config.first_lr, fused=True)
        limits = [config.first_tolerance] * config.first_steps
        losses = self._descend(optimizer, (positives, negatives), limits)
        if config.fusion:
            network.fuse()
        return losses

    def fine_tune(self, positives: SamplePool, negatives: SamplePool) -> list[float]:
        """Train on frames so far, [1] algorithm 1 -> the loss before every step.

        It does not begin unless the loss is above 2 epsilon, and ends below epsilon or
        after so many steps.
        """
        config = self.config
        # To begin at 2 epsilon and end at epsilon keeps it from starting again at once.
        limits = [2 * config.tolerance * config.lazy] + [config.tolerance] * (config.steps - 1)
        return self._descend(self._sgd(), (positives, negatives), limits)

    def _sgd(self) -> torch.optim.SGD:
        """Plain gradient descent, at the rates r of the cues and of the fusion layer."""
        config, network = self.config, self.network
        groups = (
            {"params": network.cues.parameters(), "lr": config.lr},
            {"params": network.fusion.parameters(), "lr": config.fusion_lr},
        )
        return torch.optim.SGD(groups, fused=True)

    @torch.enable_grad()
    def _descend(
        self,
        optimizer: torch.optim.Optimizer,
        pools: tuple[SamplePool, SamplePool],
        limits: list[float],
    ) -> list[float]:
        """Steps, as many as there are limits, until a loss is below its own -> the losses.

        A step moves the network of each cue by the loss of its own scores, and the fusion
        layer by the loss of the fused ones: all at once, or cue by cue, see `_iterate`.
        Raises FloatingPointError for a loss that is infinite or no number.
        """
        network, losses, self.kept = self.network, [], []
        for limit in limits:
            patches, importance, labels = self._batch(*pools)
            neurons = network.cues.neurons(patches)
            # Detached: the cues' networks learn from their own scores, see `_own_loss`.
            errors = network.combined(neurons.detach()) - labels  # (B, 2)
            fused = self.losses(errors, labels, importance).mean()
            losses.append(float(fused.detach()))
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(
                    f"DeepTrack diverged after {len(losses) - 1} training steps: its loss is "
                    f"{losses[-1]}; lower `lr`, `fusion_lr` or `first_lr` of its Config"
                )
            if losses[-1] < limit:
                break
            if self.config.descent == "iterative":
                self._iterate(optimizer, patches, importance, labels)
                continue
            loss = self._own_loss(neurons, patches, importance, labels)
            (loss + fused if network.fused else loss).backward()
            self._take(optimizer)
        return losses

    def _iterate(
        self, optimizer: torch.optim.Optimizer, patches: Tensor, importance: Tensor, labels: Tensor
    ) -> None:
        """Take algorithm 1's step on a mini-batch: cue by cue, the fusion layer after each.

        Once a cue's network has moved, the fusion layer sees its new neurons, and moves in the
        weights of these alone: coordinate descent, [1] section III-A. Its bias belongs to no cue
        and moves with each. [1] leaves open whether cues share a mini-batch; here they do.
        """
        network, kept = self.network, []
        for cue in range(CUES):
            errors = network.cues(patches)[:, cue] - labels
            losses = self.losses(errors, labels, importance)  # (B,)
            kept.append(float(losses.ne(0).float().mean()))
            losses.mean().backward()
            self._take(optimizer)
            if network.fused:
                neurons = network.cues.neurons(patches).detach()
                errors = network.combined(neurons) - labels
                self.losses(errors, labels, importance).mean().backward()
                grad = network.fusion.weight.grad
                assert grad is not None  # after the backward pass
                others = torch.arange(grad.shape[1]).to(grad.device) // NEURONS != cue
                grad[:, others] = 0
                self._take(optimizer)
        self.kept.append(sum(kept) / CUES)

    def _take(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradients, move what has one, and forget them."""
        self._clip_gradients()
        optimizer.step()
        optimizer.zero_grad()

    def _batch(
        self, positives: SamplePool, negatives: SamplePool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Patches, their importance and their labels; half of the positives are mirrored."""
        config = self.config
        positive, positive_importance = positives.draw(config.batch_positives)
        negative, negative_importance = negatives.draw(config.batch_negatives)
        mirrored = torch.rand(len(positive), generator=self.generator) < 0.5
        positive = torch.where(
            mirrored[:, None, None, None].to(positive.device), positive.flip(-1), positive
        )
        # (1, 0) for the target, (0, 1) for background.
        labels = positive.new_zeros(len(positive) + len(negative), 2)
        labels[: len(positive), 0] = labels[len(positive) :, 1] = 1
        return (
            torch.cat((positive, negative)),
            torch.cat((positive_importance, negative_importance)),
            labels,
        )

    def _own_loss(
        self, neurons: Tensor, patches: Tensor, importance: Tensor, labels: Tensor
    ) -> Tensor:
        """The loss of the cues' own scores.

        Patches whose losses are all cut to 0 add nothing to the gradient. Where most are so,
        the others go through the network again, and only they back-propagate.
        """
        network, labels, importance = self.network.cues, labels[:, None], importance[:, None]
        losses = self.losses(network.scores(neurons) - labels, labels, importance)  # (B, CUES)
        self.kept.append(float(losses.ne(0).float().mean()))
        rows, count = losses.any(1), len(losses)  # rows (B,): any of a patch's cues has a loss
        if 0 < rows.sum() < MAX_SHARE * count:
            labels = labels[rows]
            losses = self.losses(network(patches[rows]) - labels, labels, importance[rows])
        return losses.sum() / count

    def _clip_gradients(self) -> None:
        """Clip the gradient of each cue's network, and that of the fusion layer, by its norm."""
        limit, network = self.config.max_grad_norm, self.network
        grads = (p.grad for p in network.cues.parameters())
        slopes = [grad.view(CUES, -1) for grad in grads if grad is not None]  # (CUES, weights)
        if slopes:
            scale = (limit / torch.cat(slopes, 1).norm(dim=1, keepdim=True)).clamp(max=1)
            for slope in slopes:
                slope *= scale
        clip_grad_norm_(network.fusion.parameters(), limit)
