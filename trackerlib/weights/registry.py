"""Which weights there are: the table data/weights.json, and what a user has added to it.

The table says of every file where it comes from, what it may be used for, what it was
trained on, and by which hash it is known. The user's own table has the same form and
lies beside the files, in `folder()`.
"""

import dataclasses
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trackerlib.paths import cache_dir, draft_of, expanded, hash_file, shipped

__all__ = ["Entry", "folder", "locate", "record", "registry", "stated"]

HASHES = {"sha256": r"[0-9a-f]{8,64}", "git_blob": r"[0-9a-f]{40}"}
FILE = r"[\w-][\w.-]*"  # stays inside its folder
TEXTS = "licence", "trained_on", "benchmark_seen"  # fields that a file of weights may state
LISTS = "data_sets", "uav123_seen", "overlaps"  # likewise
STATED = "trackerlib"  # what they stand under in its metadata, as JSON
MAX_HEADER = 10**8  # bytes, as the format of safetensors says


@dataclass(frozen=True)
class Entry:
    """One file of weights.

    name            what `load` takes
    file            its name on disk
    network         which, of weights.NETWORKS: vggm, head, ...
    format          how the file is laid out, of `formats.FORMATS`
    config          fields of the network's Config that the weights ask for
    origin          page or citation; of an added file, also what was left out of it
    licence         as its authors state it
    trained_on      which images or videos
    benchmark_seen  whether sequences of a tracking benchmark are among them
    url             where to download it; None: it is added by hand
    sha256          of the file, or as much of its beginning as is known
    git_blob        its id in the authors' git repository, where that is what is known
    size            bytes, if known
    bundled         ships in the project's data/ folder
    data_sets       those trained on: name, terms, clips, and clips held out to choose weights by
    uav123_seen     sequences of UAV123 among these, which are no test of such weights
    overlaps        sequences that a test table has too, where that was allowed
    """

    name: str
    file: str
    network: str
    format: str
    config: dict[str, Any]
    origin: str
    licence: str
    trained_on: str
    benchmark_seen: str
    url: str | None = None
    sha256: str | None = None
    git_blob: str | None = None
    size: int | None = None
    bundled: bool = False
    data_sets: list[dict[str, Any]] = field(default_factory=list)
    uav123_seen: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)

    def __post_init__(self):
        hashes = {kind: getattr(self, kind) for kind in HASHES if getattr(self, kind) is not None}
        if not hashes or any(not re.fullmatch(HASHES[kind], hashes[kind]) for kind in hashes):
            raise ValueError(
                f"registry: expected a hash for {self.name!r}, sha256 or git_blob in lower-case "
                f"hexadecimal digits, got {hashes or 'none'}; without one nothing is loaded"
            )
        if not re.fullmatch(FILE, self.file):
            raise ValueError(
                f"registry: expected the bare name of a file for {self.name!r}, got {self.file!r}"
            )

    def problem(self, path: Path) -> str | None:
        """Return what is wrong with a file that should be this one; None if it is."""
        size = path.stat().st_size
        if self.size not in (None, size):
            return f"expected {self.size:,} bytes, got {size:,}"
        for kind in HASHES:
            expected = getattr(self, kind)
            # Of some files only the beginning of the hash is published.
            if expected and not hash_file(path, kind).startswith(expected):
                return f"expected {kind} {expected}, got {hash_file(path, kind)}"
        return None


def stated(path: Path) -> dict[str, Any]:
    """Return the fields of an entry that a file of safetensors states in its metadata.

    Those are TEXTS and LISTS, in JSON under the name STATED; any other file gives none.
    Raises ValueError for fields of another kind.
    """
    text = _metadata(path).get(STATED, "{}")
    try:
        found = json.loads(text)
        fields = {name: found[name] for name in (*TEXTS, *LISTS) if name in found}
    except (ValueError, TypeError):
        fields = {STATED: None}
    if not all(type(value) is (list if name in LISTS else str) for name, value in fields.items()):
        raise ValueError(
            f"registry: expected texts for {', '.join(TEXTS)} and lists for {', '.join(LISTS)} in "
            f"the metadata of {path}, got {text!r:.60}; write the file again"
        )
    return fields


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a file of safetensors; nothing for a file of another format."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if 0 < size <= MAX_HEADER else b""
    # The header is JSON; its length comes first, in eight bytes.
    if not header.startswith(b"{"):
        return {}
    try:
        return json.loads(header).get("__metadata__") or {}
    except ValueError:
        return {}


def folder() -> Path:
    """Return where downloaded and added weights lie: $TRACKERLIB_WEIGHTS, or in the cache."""
    return expanded(os.environ.get("TRACKERLIB_WEIGHTS", "").strip() or cache_dir() / "weights")


def locate(entry: Entry) -> Path:
    """Return where the file of an entry lies, or would."""
    return shipped(f"weights/{entry.file}") if entry.bundled else folder() / entry.file


def registry() -> dict[str, Entry]:
    """Return all entries by name: those that ship, then those that the user has added.

    A name that ships means what ships, whatever the user's table says.
    Raises ValueError for an ill-formed table or an entry without a hash.
    """
    ships, added = _entries(shipped("weights.json")), _entries(folder() / "weights.json")
    return ships | added | ships


def record(entry: Entry) -> None:
    """Add an entry to the user's table."""
    path = folder() / "weights.json"
    entries = _entries(path) | {entry.name: entry}
    table = {"weights": [dataclasses.asdict(entry) for entry in entries.values()]}
    with draft_of(path) as draft:
        draft.write_text(json.dumps(table, indent=2))


def _entries(path: Path) -> dict[str, Entry]:
    if not path.is_file():
        return {}
    try:
        entries = [Entry(**fields) for fields in json.loads(path.read_text())["weights"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"registry: {path} cannot be used: {error}") from error
    return {entry.name: entry for entry in entries}
