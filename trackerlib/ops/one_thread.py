"""Small work is done sooner by one thread than shared among several."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run what PyTorch computes on a CPU in one thread, then in as many as before.

    For FFTs and other steps of microseconds: threads that wait for each other take longer, and
    many times as long where another program holds one of their cores. To change the number
    and to change it back takes under a microsecond. It is a decorator too: `@one_thread()`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
