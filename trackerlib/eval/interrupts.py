"""Signals that end a program, as an exception that leaves time to keep what is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupted", "Interrupts", "check"]

# Ctrl-C; kill and systems that shut down; a terminal that is closed (Windows has none)
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interrupted(KeyboardInterrupt):
    """A signal that ends the program; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interrupts:
    """Have SIGINT, SIGTERM and SIGHUP raise Interrupted, inside `with`.

    The first that comes ends the program: what comes while it keeps what is done is not heard.
    With `last`, nor is anything after the `with`, where a program has its code and only has
    to end: another Ctrl-C would print where Python was, and lose the code.

    A signal that the program was started to ignore (nohup), or that others handle, stays
    theirs. Outside of the main thread, which alone may handle signals, nothing changes.
    """

    def __init__(self, last: bool = False) -> None:
        self.received: int | None = None
        self._last = last
        self._holding = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in filter(_is_free, SIGNALS):
                self._former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            outer = getattr(handler, "__self__", None)
            if isinstance(outer, Interrupts) and outer.received is None:
                outer.received = self.received
            signal.signal(number, signal.SIG_IGN if self._last else handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing interrupt what is inside; `check` afterwards."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def check(self) -> None:
        """Raise Interrupted if a signal came while it was held."""
        if self.received is not None:
            raise Interrupted(self.received)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            return
        self.received = number
        if not self._holding:
            raise Interrupted(number)


def check() -> None:
    """Raise Interrupted if a signal came whose exception was lost.

    So it is where Python ignores exceptions: in a `__del__` that ran just then, for example.
    """
    for number in SIGNALS:
        ours = getattr(signal.getsignal(number), "__self__", None)
        if isinstance(ours, Interrupts):
            ours.check()


def _is_free(number: int) -> bool:
    handler = signal.getsignal(number)
    ours = isinstance(getattr(handler, "__self__", None), Interrupts)
    return ours or handler in (signal.SIG_DFL, signal.default_int_handler)
