"""Patches of earlier frames, drawn by when they were seen and by how sure their labels are.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, section III-A.
"""

from collections import deque

import torch
from torch import Tensor

from trackerlib.trackers.deeptrack.cues import CUES, PATCH_SIDE
from trackerlib.trackers.mdnet.memory import Memory

MIN_QUALITY = 1e-3  # of a frame, so that there is always one to draw


class SamplePool:
    """Patches of one class.

    max_frames  that are kept; the oldest are forgotten
    rows        patches of a frame at most
    decay       sigma of equation 12: a frame of age t is exp(-sigma t^2) times as likely as
                the latest; 0 for equation 11, all alike
    generator   of the draws
    device      where patches are kept
    chance      "frame": of equal frames each is as likely; "patch": of equal patches each
    """

    def __init__(
        self,
        max_frames: int,
        rows: int,
        decay: float,
        generator: torch.Generator,
        device: str = "cpu",
        chance: str = "frame",
    ):
        self.decay = decay
        self.chance = chance
        self.generator = generator
        self.patches = Memory(max_frames, max_frames * rows, CUES * PATCH_SIDE**2, device)
        self.importance = Memory(max_frames, max_frames * rows, 1, device)
        self.qualities: deque[float] = deque(maxlen=max_frames)

    def add(self, patches: Tensor, importance: Tensor, quality: float) -> None:
        """Keep patches (n, CUES, PATCH_SIDE, PATCH_SIDE) of one frame.

        importance  (n,) of the patches in the loss
        quality     Q of the frame, 1 where its labels are known
        """
        self.patches.add(patches.flatten(1))
        self.importance.add(importance[:, None])
        self.qualities.append(max(quality, MIN_QUALITY))

    def probabilities(self) -> Tensor:
        """Return every kept patch's probability of being drawn (n,), oldest first.

        Source: [1] equation 14. Two frames of 1 and 3 patches, alike in age and quality,
        give 1/2, 1/6, 1/6, 1/6 where a frame counts once, however many patches it has; with the
        equal chances of patches, equation 11, 1/4 each.
        """
        counts = torch.tensor(self.patches.counts)
        ages = torch.arange(len(counts) - 1, -1, -1, dtype=torch.float64)
        frames = torch.exp(-self.decay * ages**2) * torch.tensor(self.qualities)
        shares = frames if self.chance == "patch" else frames / counts
        patches = shares.repeat_interleave(counts)
        return patches / patches.sum()

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Return patches (count, CUES, PATCH_SIDE, PATCH_SIDE) and their importance (count,)."""
        drawn = self.probabilities().multinomial(count, True, generator=self.generator)
        kept = self.patches.latest(len(self.qualities))
        rows = kept.rows[drawn].to(kept.table.device)
        patches = kept.table[rows].view(count, CUES, PATCH_SIDE, PATCH_SIDE)
        return patches, self.importance.table[rows, 0]
