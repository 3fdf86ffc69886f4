"""Where things live on disk, how files are written whole or not at all, and how they are known."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

__all__ = ["cache_dir", "draft_of", "hash_bytes", "hash_file", "shipped"]


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

    Whatever happens, `path` is what it was or what it should be, never half of it. A draft
    that was not finished is removed. Raises what writing raises.
    """
    draft = path.with_name(f".{path.name}.draft-{os.getpid()}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def hash_bytes(content: bytes) -> str:
    """Return the sha256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path, kind: str = "sha256") -> str:
    """Return a file's sha256, or the id ("git_blob") that git gives it, in hexadecimal digits.

    Read once per process, and again when the file has changed.
    """
    status = path.stat()
    return _hash_file(path, kind, status.st_size, status.st_mtime_ns)


@lru_cache
def _hash_file(path: Path, kind: str, size: int, _changed: int) -> str:
    start = hashlib.sha1(b"blob %d\0" % size) if kind == "git_blob" else hashlib.sha256()
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: start).hexdigest()
