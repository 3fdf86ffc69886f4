"""Where things live on disk, how files are written whole or not at all, and how they are known."""

import glob
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

__all__ = ["cache_dir", "draft_of", "hash_bytes", "hash_file", "remove_drafts", "shipped"]

SETTLED = 2e9  # nanoseconds; a clock of files has ticks of up to 2 s (FAT)


def cache_dir() -> Path:
    """Return the folder for what the library makes: $TRACKERLIB_CACHE or ~/.cache/trackerlib."""
    return Path(os.environ.get("TRACKERLIB_CACHE") or Path.home() / ".cache" / "trackerlib")


def shipped(name: str) -> Path:
    """Return a file of the project's data/ folder: beside the package, or inside it in a wheel."""
    package = Path(__file__).resolve().parent
    beside = package.parent / "data" / name
    return beside if beside.exists() else package / "shipped" / name


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to, which takes its place when all went well.

    Whatever happens, a power cut included, `path` is what it was or what it should be, never
    half of it. A draft that was not finished is removed, but for that of a killed process, which
    `remove_drafts` removes. Raises what writing raises.
    """
    draft = path.with_name(f".{path.name}.draft-{os.getpid()}")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # the name must not be on the disk before the content
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


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
    # In a file that has just changed, a further change may not show in the time of the last.
    settled = time.time_ns() - status.st_mtime_ns > SETTLED
    read = _hash_file if settled else _hash_file.__wrapped__
    return read(path, kind, status.st_size, status.st_mtime_ns)


@lru_cache
def _hash_file(path: Path, kind: str, size: int, _changed: int) -> str:
    start = hashlib.sha1(b"blob %d\0" % size) if kind == "git_blob" else hashlib.sha256()
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: start).hexdigest()
