"""Target or background: a network that learns online from nothing, cue by cue, when it must.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, sections II-D and III.
"""

import math

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from trackerlib.nets.cues import CUES
from trackerlib.nets.deeptrack import DeepTrack
from trackerlib.nets.losses import truncated
from trackerlib.trackers.online.temporal import Pool

SPARSE = 0.5  # share of patches below which a second forward pass saves more than it costs


class Learner:
    """Scores patches; learns from those of two pools.

    network    on its device
    config     of trackers.deeptrack
    generator  of the mirrored positives

    kept  share of the cues' patches that have a loss in every step of the latest learning
    """

    def __init__(self, network: DeepTrack, config, generator: torch.Generator):
        self.network, self.config, self.generator, self.kept = network, config, generator, []

    @torch.no_grad()
    def scores(self, patches: Tensor) -> Tensor:
        """(N, CUES, SIDE, SIDE) -> (N, 2): of the target and of the background."""
        return self.network(patches)

    @torch.no_grad()
    def scan(self, scene: Tensor, boxes: Tensor) -> Tensor:
        """The same for boxes (K, 4) of a scene (CUES, H, W), see `DeepTrack.scan`."""
        return self.network.scan(scene, boxes)

    def losses(self, errors: Tensor, labels: Tensor, importance: Tensor) -> Tensor:
        """Of errors (..., 2): their truncated norm, by importance (...), [1] equation 10."""
        config = self.config
        return importance * truncated(errors, labels, config.truncation, config.finer)

    def begin(self, positives: Pool, negatives: Pool) -> list[float]:
        """Learn the first frame, by Adam -> the loss before every step.

        All steps are taken: what a network knows well by then, it need not learn later.
        The fusion layer is in use afterwards.
        """
        config, network = self.config, self.network
        descent = torch.optim.Adam(network.cues.parameters(), config.first_rate, fused=True)
        losses = self._descend(descent, (positives, negatives), [0.0] * config.first_steps)
        if config.fusion:
            network.fuse()
        return losses

    def learn(self, positives: Pool, negatives: Pool) -> list[float]:
        """Iterative stochastic gradient descent, [1] algorithm 1 -> the loss before every step.

        It does not begin unless the loss is above 2 epsilon, and ends below epsilon or
        after so many steps.
        """
        config, network = self.config, self.network
        groups = (
            {"params": network.cues.parameters(), "lr": config.rate},
            {"params": network.fusion.parameters(), "lr": config.fusion_rate},
        )
        limits = [2 * config.tolerance * config.lazy] + [config.tolerance] * (config.steps - 1)
        return self._descend(torch.optim.SGD(groups, fused=True), (positives, negatives), limits)

    @torch.enable_grad()
    def _descend(self, descent, pools, limits):
        """Steps, as many as there are limits, until a loss is below its own -> the losses.

        A step moves the network of each cue by the loss of its own scores, and the fusion
        layer by the loss of the fused ones: of all at once, where [1] takes one after the
        other. Raises FloatingPointError for a loss that is infinite or no number.
        """
        network, losses, self.kept = self.network, [], []
        for limit in limits:
            batch = patches, importance, labels = self._batch(*pools)
            units = network.cues.units(patches)
            errors = network.combined(units.detach()) - labels
            fused = self.losses(errors, labels, importance).mean()
            losses.append(float(fused.detach()))
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(
                    f"DeepTrack diverged after {len(losses) - 1} steps of learning: its loss is "
                    f"{losses[-1]}; lower `rate`, `fusion_rate` or `first_rate` of its Config"
                )
            if losses[-1] < limit:
                break
            loss = self._own(units, *batch)
            (loss + fused if network.fused else loss).backward()
            self._limit()
            descent.step()
            descent.zero_grad()
        return losses

    def _batch(self, positives, negatives):
        """Patches, their importance and their labels; half of the positives are mirrored."""
        config = self.config
        near, near_importance = positives.draw(config.batch_positives)
        far, far_importance = negatives.draw(config.batch_negatives)
        mirrored = torch.rand(len(near), generator=self.generator) < 0.5
        near = torch.where(mirrored[:, None, None, None].to(near.device), near.flip(-1), near)
        labels = near.new_zeros(len(near) + len(far), 2)
        labels[: len(near), 0] = labels[len(near) :, 1] = 1
        return torch.cat((near, far)), torch.cat((near_importance, far_importance)), labels

    def _own(self, units, patches, importance, labels):
        """The loss of the cues' own scores.

        Patches whose losses are all cut to 0 add nothing to the gradient. Where most are so,
        the others go through the network again, and only they back-propagate.
        """
        network, labels, importance = self.network.cues, labels[:, None], importance[:, None]
        losses = self.losses(network.scores(units) - labels, labels, importance)
        self.kept.append(float(losses.ne(0).float().mean()))
        rows, count = losses.any(1), len(losses)
        if 0 < rows.sum() < SPARSE * count:
            labels = labels[rows]
            losses = self.losses(network(patches[rows]) - labels, labels, importance[rows])
        return losses.sum() / count

    def _limit(self):
        """Cut the gradient of each cue's network, and that of the fusion layer, to its limit."""
        limit, network = self.config.gradient_limit, self.network
        slopes = [p.grad.view(CUES, -1) for p in network.cues.parameters()]
        scale = (limit / torch.cat(slopes, 1).norm(dim=1, keepdim=True)).clamp(max=1)
        for slope in slopes:
            slope *= scale
        clip_grad_norm_(network.fusion.parameters(), limit)
