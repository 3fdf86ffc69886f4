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
    places: Tensor  # (n,) which rows, on the CPU

    def batches(self, count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """`count` mini-batches (size, D), see `draws`."""
        for rows in self.draws(count, size, generator):
            yield self.table.index_select(0, rows)

    def draws(self, count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """`count` times the places of `size` rows. Every row comes before any comes again.

        Raises ValueError if there are no rows.
        """
        if not len(self.places):
            raise ValueError(
                "Samples.draws: expected at least one row, got none; "
                "widen the range of overlaps in which samples are drawn"
            )
        rounds = -(-count * size // len(self.places))
        order = torch.cat(
            [torch.randperm(len(self.places), generator=generator) for _ in range(rounds)]
        )
        for batch in self.places[order[: count * size]].split(size):
            yield batch.to(self.table.device)


class Memory:
    """A ring of rows that forgets whole frames, the oldest first.

    frames    how many are kept
    capacity  rows in all of them together at most
    """

    def __init__(
        self,
        frames: int,
        capacity: int,
        width: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.table = torch.empty(capacity, width, device=device, dtype=dtype)
        self.counts = deque(maxlen=frames)  # rows of each frame
        self.end = 0  # rows ever added

    def add(self, features: Tensor) -> None:
        """Keep the features (n, D) of one frame. Raises ValueError if there is no room."""
        kept = list(self.counts)[1:] if len(self.counts) == self.counts.maxlen else self.counts
        rows = sum(kept) + len(features)
        if rows > len(self.table):
            raise ValueError(
                f"Memory.add: expected at most {len(self.table)} rows in "
                f"{len(kept) + 1} frames, got {rows}; raise capacity"
            )
        self.counts.append(len(features))
        self.end += len(features)
        self.table[self._places(len(features)).to(self.table.device)] = features.to(
            self.table.dtype
        )

    def latest(self, frames: int) -> Samples:
        """What is kept of the latest frames."""
        return Samples(self.table, self._places(sum(list(self.counts)[-frames:])))

    def _places(self, count):
        """Of the latest rows."""
        return torch.arange(self.end - count, self.end) % len(self.table)
