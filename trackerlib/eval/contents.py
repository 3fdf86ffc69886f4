"""What tells the frames of one sequence from those of another: a hash over their files.

Every byte of every file counts, so that an image changed in place is another one. Reading a
data set takes seconds (OTB's 100 targets have 2.5 GB); the hash of a large sequence is therefore
kept in the library's cache, and counts as long as none of its files has another size, time of
change or place on the disk.
"""

import contextlib
import json
import os
from pathlib import Path

from trackerlib.data.sequence import Sequence
from trackerlib.paths import cache_dir, draft_of, hash_bytes, hash_file, is_settled

__all__ = ["contents_of"]

LARGE = 1 << 22  # bytes: below them, reading all is as quick as looking up the hash


def contents_of(sequence: Sequence) -> str:
    """Return a hash of a sequence's frames, the same wherever the files are copied to.

    Frames without files are known by their repr, some of a video's by their numbers too. A file
    that is missing or cannot be read counts as such; tracking then reports it.
    """
    frames = sequence.frames
    paths = getattr(frames, "paths", None) or [getattr(frames, "path", None)]
    if paths == [None]:
        return _short(repr(frames))
    contents = _contents(paths)
    picks = getattr(frames, "picks", None)  # of the frames of one file
    return contents if picks is None else _short([contents, picks])


def _contents(paths: list[Path]) -> str:
    """Return a hash of files, from the cache where they are large and have not changed."""
    statuses = [_status(path) for path in paths]
    known = [status for status in statuses if status]
    if sum(status.st_size for status in known) < LARGE or not all(map(is_settled, known)):
        return _read(paths, statuses)
    state = _short([status and _change(status) for status in statuses])
    record = cache_dir() / "frames" / f"{_short([str(path.absolute()) for path in paths])}.json"
    kept = _kept(record)
    if kept.get("state") != state:
        kept = {"state": state, "contents": _read(paths, statuses)}
        _keep(record, kept)
    return kept["contents"]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat() if path.is_file() else None
    except OSError:
        return None


def _change(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes with a file: its times tell a change in place, whoever resets one."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _read(paths: list[Path], statuses: list[os.stat_result | None]) -> str:
    sizes = [status.st_size if status else -1 for status in statuses]
    return _short([sizes, [_hash(path) for path in paths]])


def _hash(path: Path) -> str:
    try:
        return hash_file(path) if path.is_file() else ""
    except OSError:
        return ""


def _kept(record: Path) -> dict[str, str]:
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):  # none yet, or no whole one: the files are read
        return {}
    return found if isinstance(found, dict) and "contents" in found else {}


def _keep(record: Path, kept: dict[str, str]) -> None:
    # It spares time and nothing else: a cache that cannot be written is no reason to stop.
    with contextlib.suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(record) as draft:
            draft.write_text(json.dumps(kept) + "\n")


def _short(values: object) -> str:
    return hash_bytes(repr(values).encode())[:16]
