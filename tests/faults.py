"""What a disk does at its worst: a fault at each step of what is written to a folder.

A step is a file opened for writing, a file or folder made, renamed or removed, as Python's audit
events tell before it happens. What is written between two steps is in a draft, or in a download
that goes on, of any length.
"""

import errno
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

FAULTS = "killed", "full", "not permitted"
WRITES = os.O_WRONLY | os.O_RDWR
STEPS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "shutil.rmtree"}
FRUGAL = {"os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}  # which a full disk permits


class Killed(BaseException):
    """Nothing happens on the disk from here on, as after SIGKILL."""


class Fault:
    """From a step on, whatever would be done in a folder is refused as `kind` names it."""

    current: "Fault | None" = None

    def __init__(self, kind: str, folder: Path, step: int) -> None:
        self.kind, self.folder, self.left = kind, str(folder), step
        self.happened = False

    def __enter__(self) -> "Fault":
        Fault.current = self
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> bool:
        Fault.current = None
        expected = Killed if self.kind == "killed" else OSError
        return self.happened and isinstance(error, expected)

    def meet(self, event: str, arguments: tuple) -> None:
        """Raise where the fault is there and the event is a step in the folder."""
        opens = event == "open" and arguments[2] & WRITES
        if not (opens or event in STEPS) or not str(arguments[0]).startswith(self.folder):
            return
        self.left -= 1
        if self.left >= 0 or (self.kind == "full" and event in FRUGAL):
            return
        self.happened = True
        if self.kind == "killed":
            raise Killed
        code = errno.ENOSPC if self.kind == "full" else errno.EACCES
        raise OSError(code, os.strerror(code), arguments[0])


def _hook(event: str, arguments: tuple) -> None:
    if Fault.current:
        Fault.current.meet(event, arguments)


sys.addaudithook(_hook)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder's files, but for drafts and locks, whose names begin with a ."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        str(name): path.read_bytes()
        for name, path in files.items()
        if not any(part.startswith(".") for part in name.parts)
    }


def disturbed(
    kind: str,
    folder: Path,
    do: Callable[[Path], object],
    check: Callable[[Path], object] = lambda root: None,
    result: Callable[[Path], object] = contents,
) -> int:
    """Do something with a fault at its first step, its second and so on -> how many there are.

    After each fault `check` passes, and doing it once more gives what an undisturbed run does.
    """
    do(folder / "undisturbed")
    expected = result(folder / "undisturbed")
    assert expected
    for step in count():
        root = folder / f"{kind} {step}"
        with Fault(kind, root, step) as fault:
            do(root)
        check(root)
        do(root)
        assert result(root) == expected, f"{kind} at step {step + 1}"
        if not fault.happened:
            return step
