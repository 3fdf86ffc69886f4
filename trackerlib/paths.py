"""Where things live on disk, how files are written whole or not at all, and how they are known."""

import errno
import glob
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

__all__ = [
    "cache_dir",
    "disk_cure",
    "draft_folder",
    "draft_of",
    "expanded",
    "hash_bytes",
    "hash_file",
    "is_settled",
    "remove_drafts",
    "shipped",
]

CURES = {  # of what a disk refuses
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EFBIG: "a file may not be so large (see ulimit -f): give another folder",
    errno.EROFS: "it is read-only: give a folder that can be written",
    errno.EACCES: "it is not yours to write: give a folder that can be written",
    errno.EPERM: "it is not yours to write: give a folder that can be written",
    errno.ENAMETOOLONG: "the name is too long: give a shorter one",
    errno.EISDIR: "it is a folder: give the name of a file",
    errno.ENOTDIR: "it is in no folder: give a folder that exists",
    errno.ENOENT: "its folder does not exist: make it, or give another",
}
SETTLED = 2e9  # nanoseconds; a clock of files has ticks of up to 2 s (FAT)


def cache_dir() -> Path:
    """Return the folder for what the library makes: $TRACKERLIB_CACHE or ~/.cache/trackerlib.

    A variable that is empty or blank counts as not set.
    """
    return expanded(os.environ.get("TRACKERLIB_CACHE", "").strip() or "~/.cache/trackerlib")


def expanded(path: str | Path) -> Path:
    """Return a path as a user gave it, with a leading ~ or ~user replaced by the home folder.

    A shell does not do so in quotes, in YAML, or after an `=`. What is here under a name that
    begins with ~ is taken by that name where no user has it, and is ./~name anywhere.
    Raises ValueError for a user that this machine does not know.
    """
    found = Path(os.path.expanduser(path))
    if not found.parts or not found.parts[0].startswith("~"):
        return found
    if not (str(path).startswith(".") or Path(found.parts[0]).exists()):
        raise ValueError(
            f"expected a path that begins with the name of a user of this machine after its ~, "
            f"got {path}; write the folder out, or ./{path} for a file of that name"
        )
    return found.absolute()  # which is not expanded again


def disk_cure(error: OSError) -> str:
    """Return what a user can do about an error of the disk: "" where it is of another kind."""
    return CURES.get(error.errno or 0, "")


def shipped(name: str) -> Path:
    """Return a file of the project's data/ folder: beside the package, or inside it in a wheel."""
    package = Path(__file__).resolve().parent
    beside = package.parent / "data" / name
    return beside if beside.exists() else package / "shipped" / name


@contextmanager
def draft_of(path: Path, suffix: str = "") -> Iterator[Path]:
    """Yield a path beside `path` to write to, which takes its place when all went well.

    suffix  of the draft's name, for writers that choose a format by it: ".mp4"

    Whatever happens, a power cut included, `path` is what it was or what it should be, never
    half of it. A draft that was not finished is removed, but for that of a killed process, which
    `remove_drafts` removes. A link stays, and what it leads to is replaced. A device or a pipe,
    /dev/stdout say, is yielded itself: nothing can take its place. Raises what writing raises.
    """
    if path.parts[:2] == ("/", "dev") or (path.exists() and not path.is_file()):
        yield path
        return
    path = path.resolve() if path.is_symlink() else path
    draft = path.with_name(f".{path.name}.draft-{os.getpid()}{suffix}")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # the name must not be on the disk before the content
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def draft_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which is not there yet, to become it when all went well.

    A killed process leaves a hidden folder beside it. Raises what making folders raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.draft-", dir=path.parent) as made:
        draft = Path(made, path.name)
        draft.mkdir()
        yield draft
        draft.rename(path)


def remove_drafts(path: Path) -> None:
    """Remove what killed processes left of `draft_of(path)`; no other process may write it now."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.draft-*"):
        draft.unlink(missing_ok=True)


def hash_bytes(content: bytes) -> str:
    """Return the sha256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path, kind: str = "sha256") -> str:
    """Return a file's sha256, or the id ("git_blob") that git gives it, in hexadecimal digits.

    A file is read once per process, and again when it has changed. Raises OSError if it
    cannot be read.
    """
    status = path.stat()
    read = _hash_file if is_settled(status) else _hash_file.__wrapped__
    return read(path, kind, status.st_size, (status.st_mtime_ns, status.st_ctime_ns))


def is_settled(status: os.stat_result) -> bool:
    """Return whether a file's times tell its next change from its last.

    In a file that has just changed, a further change may not show in them.
    """
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED


@lru_cache
def _hash_file(path: Path, kind: str, size: int, _changed: tuple[int, int]) -> str:
    # SHA-1 is what a repository states of its files; nobody finds another file with a given one.
    start = hashlib.sha1(b"blob %d\0" % size) if kind == "git_blob" else hashlib.sha256()  # noqa: S324
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: start).hexdigest()
