"""Small work is done sooner by one thread than shared among several."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread", "threads"]


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Run what PyTorch computes on a CPU in so many threads, then in as many as before.

    Its value is how many there were before. To change the number and to change it back takes
    under a microsecond. It is a decorator too: `@threads(1)`.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[int]:
    """Return `threads(1)`, for FFTs and other steps of microseconds.

    Threads that wait for each other take longer, and many times as long where another program
    holds one of their cores.
    """
    with threads(1) as before:
        yield before
