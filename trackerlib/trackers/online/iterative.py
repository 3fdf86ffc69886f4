"""Target or background: a network that learns online from nothing, cue by cue, when it must.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, sections II-D and III.
"""

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from trackerlib.nets.deeptrack import DeepTrack
from trackerlib.nets.losses import truncated
from trackerlib.trackers.online.temporal import Pool

SPARSE = 0.5  # share of patches below which a second forward pass saves more than it costs


class Learner:
    """Scores patches; learns from those of two pools.

    network    on its device
    config     of trackers.deeptrack
    generator  of the mirrored positives

    kept  share of the patches that back-propagate in every step of the latest learning
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
        """Of patches with errors (N, 2): their truncated norm, by importance (N,), [1] eq. 10."""
        config = self.config
        return importance * truncated(errors, labels, config.truncation, config.finer)

    def begin(self, positives: Pool, negatives: Pool) -> list[float]:
        """Learn the first frame, by Adam -> the loss before every step.

        All steps are taken: what a network knows well by then, it need not learn later.
        """
        config = self.config
        descent = torch.optim.Adam(self.network.cues.parameters(), config.first_rate, fused=True)
        limits = [0.0] * config.first_steps
        return self._descend(descent, (positives, negatives), config.rate, limits)

    def learn(self, positives: Pool, negatives: Pool) -> list[float]:
        """Iterative stochastic gradient descent, [1] algorithm 1 -> the loss before every step.

        It does not begin unless the loss is above 2 epsilon, and ends below epsilon or
        after so many steps.
        """
        config = self.config
        descent = torch.optim.SGD(self.network.cues.parameters(), config.rate, fused=True)
        limits = [2 * config.tolerance * config.lazy] + [config.tolerance] * (config.steps - 1)
        return self._descend(descent, (positives, negatives), config.fusion_rate, limits)

    @torch.enable_grad()
    def _descend(self, descent, pools, fusion_rate, limits):
        """Steps, as many as there are limits, until a loss is below its own.

        A step moves the network of each cue by the loss of its own scores, and the fusion
        layer by the loss of the fused ones: of all cues at once, where [1] takes one after
        the other.
        """
        losses, self.kept = [], []
        for limit in limits:
            batch = patches, importance, labels = self._batch(*pools)
            units = self.network.units(patches)
            errors = self.network.combined(units).detach() - labels
            fused = self.losses(errors, labels, importance)
            losses.append(float(fused.mean()))
            if losses[-1] < limit:
                break
            self._gradients(units, *batch)
            descent.step()
            descent.zero_grad()
            if self.config.fusion:
                errors[fused == 0] = 0
                self._fuse(torch.cat(units, 1).detach(), errors, importance, fusion_rate)
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

    def _gradients(self, units, patches, importance, labels):
        """Of the losses of the cues' own scores.

        Patches whose loss is cut to 0 add nothing to the gradient. Where most are cut, the
        others go through the network again, and only they back-propagate.
        """
        cues, count, wrong = self.network.cues, len(patches), 0
        for number, (cue, seen) in enumerate(zip(cues, units, strict=True)):
            losses = self.losses(cue.fc2(seen) - labels, labels, importance)
            rows = losses.nonzero()[:, 0]
            wrong += len(rows)
            if not len(rows):
                continue
            if len(rows) < SPARSE * count:
                errors = cue(patches[rows, number : number + 1]) - labels[rows]
                losses = self.losses(errors, labels[rows], importance[rows])
            (losses.sum() / count).backward()
            clip_grad_norm_(cue.parameters(), self.config.gradient_limit)
        self.kept.append(wrong / (len(cues) * count))

    @torch.no_grad()
    def _fuse(self, units, errors, importance, rate):
        """Descend on the loss of the fused scores, of which only the last layer moves."""
        slopes = 2 * importance[:, None] * errors / len(errors)
        self.network.fusion.weight -= rate * slopes.T @ units
        self.network.fusion.bias -= rate * slopes.sum(0)
