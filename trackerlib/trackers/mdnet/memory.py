"""Features of the latest frames, in one block of memory; never images."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """Some rows of a table of features, without a copy."""

    table: Tensor  # (R, D)
    rows: Tensor  # (n,) which of them, on the CPU

    def batches(self, count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield `count` mini-batches (size, D), see `draws`."""
        for rows in self.draws(count, size, generator):
            yield self.table.index_select(0, rows)

    def draws(self, count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield `count` times `size` row numbers. Every row comes before any comes again.

        Raises ValueError if there are no rows.
        """
        if not len(self.rows):
            raise ValueError(
                "Samples.draws: expected at least one row, got none; "
                "widen the range of IoU in which samples are drawn"
            )
        # 3 rows, 2 batches of 4: three shuffles of the rows give 9 numbers, of which 8 are used.
        rounds = -(-count * size // len(self.rows))
        order = torch.cat(
            [torch.randperm(len(self.rows), generator=generator) for _ in range(rounds)]
        )
        for batch in self.rows[order[: count * size]].split(size):
            yield batch.to(self.table.device)


class Memory:
    """A ring of rows that forgets whole frames, the oldest first.

    max_frames  that are kept
    capacity    rows in all of them together at most
    width       of a row
    """

    def __init__(
        self,
        max_frames: int,
        capacity: int,
        width: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.table = torch.empty(capacity, width, device=device, dtype=dtype)
        self.counts: deque[int] = deque(maxlen=max_frames)  # rows of each frame
        self.end = 0  # rows ever added

    def add(self, features: Tensor) -> None:
        """Keep the features (n, D) of one frame. Raises ValueError if there is no room."""
        full = len(self.counts) == self.counts.maxlen
        kept = list(self.counts)[1:] if full else list(self.counts)
        rows = sum(kept) + len(features)
        if rows > len(self.table):
            raise ValueError(
                f"Memory.add: expected at most {len(self.table)} rows in "
                f"{len(kept) + 1} frames, got {rows}; raise capacity"
            )
        self.counts.append(len(features))
        self.end += len(features)
        where = self._newest(len(features)).to(self.table.device)
        self.table[where] = features.to(self.table.dtype)

    def latest(self, max_frames: int) -> Samples:
        """Return what is kept of the latest frames."""
        return Samples(self.table, self._newest(sum(list(self.counts)[-max_frames:])))

    def _newest(self, count: int) -> Tensor:
        """Numbers of the newest rows: of 5, after 7 were added, the newest 3 are 4, 0 and 1."""
        return torch.arange(self.end - count, self.end) % len(self.table)
