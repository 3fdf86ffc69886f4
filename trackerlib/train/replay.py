"""Batches whose features are kept, and come again: for a backbone that does not change.

Features take most of the time on a CPU. So after every new batch former ones are taken, several
times as many. Which ones follows from the seed and the step alone, so that a training that was
killed goes on with the batches that it would have had.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np

__all__ = ["Replay"]

Features = TypeVar("Features")


class Replay(Generic[Features]):
    """The last batches of every video, by their numbers.

    order  video of every batch, from batch 0 on
    make   number and video of a batch -> its features, where they are not kept
    kept   batches of every video whose features are kept
    """

    def __init__(
        self, order: Iterator[int], make: Callable[[int, int], Features], kept: int, seed: int
    ):
        self.order = order
        self.make = make
        self.kept = kept
        self.seed = seed
        self.numbers: dict[int, deque[int]] = {}  # of each video's batches
        self.features: dict[int, Features] = {}  # by the batch's number
        self.count = 0  # batches so far

    def add(self, features: Features | None = None) -> None:
        """Take the next batch; without features, they are made when it comes again."""
        numbers = self.numbers.setdefault(next(self.order), deque())
        numbers.append(self.count)
        if features is not None:
            self.features[self.count] = features
        if len(numbers) > self.kept:
            self.features.pop(numbers.popleft(), None)
        self.count += 1

    def choose(self, step: int) -> Features:
        """Return the batch that comes again at this step: any video, any of its batches."""
        rng = np.random.default_rng((self.seed, step))
        video = list(self.numbers)[rng.integers(len(self.numbers))]
        number = self.numbers[video][rng.integers(len(self.numbers[video]))]
        if number not in self.features:
            self.features[number] = self.make(number, video)
        return self.features[number]
