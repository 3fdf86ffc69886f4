"""Patches of earlier frames, drawn by when they were seen and by how sure their labels are.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, section III-A.
"""

from collections import deque

import torch
from torch import Tensor

from trackerlib.nets.cues import CUES, SIDE
from trackerlib.trackers.online.memory import Memory

LEAST = 1e-3  # quality of a frame, so that there is always one to draw


class Pool:
    """Patches of one class.

    frames     how many are kept, the oldest are forgotten
    rows       patches of a frame at most
    decay      sigma of equation 12: a frame of age t is exp(-sigma t^2) times as likely as
               the latest; 0 for equation 11, all alike
    generator  of the draws
    """

    def __init__(
        self,
        frames: int,
        rows: int,
        decay: float,
        generator: torch.Generator,
        device: str = "cpu",
    ):
        self.decay, self.generator = decay, generator
        self.patches = Memory(frames, frames * rows, CUES * SIDE**2, device)
        self.importance = Memory(frames, frames * rows, 1, device)
        self.qualities = deque(maxlen=frames)

    def add(self, patches: Tensor, importance: Tensor, quality: float) -> None:
        """Keep patches (n, CUES, SIDE, SIDE) of one frame.

        importance  (n,) of the patches in the loss
        quality     Q of the frame, 1 where its labels are known
        """
        self.patches.add(patches.flatten(1))
        self.importance.add(importance[:, None])
        self.qualities.append(max(quality, LEAST))

    def chances(self) -> Tensor:
        """Of every patch kept to be drawn (n,), oldest first; sum 1. Source: [1] equation 14."""
        counts = torch.tensor(self.patches.counts)
        ages = torch.arange(len(counts) - 1, -1, -1, dtype=torch.float64)
        frames = torch.exp(-self.decay * ages**2) * torch.tensor(self.qualities)
        patches = (frames / counts).repeat_interleave(counts)
        return patches / patches.sum()

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Patches (count, CUES, SIDE, SIDE) and their importance (count,)."""
        drawn = self.chances().multinomial(count, True, generator=self.generator)
        kept = self.patches.latest(len(self.qualities))
        rows = kept.places[drawn].to(kept.table.device)
        patches = kept.table[rows].view(count, CUES, SIDE, SIDE)
        return patches, self.importance.table[rows, 0]
