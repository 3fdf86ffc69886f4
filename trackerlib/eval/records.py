"""Records in JSON that hold a hash of all else in them, so that a byte that changes is seen."""

import json
from pathlib import Path
from typing import Any

from trackerlib.paths import hash_bytes

__all__ = ["SEAL", "as_json", "is_whole", "parsed", "read_record", "sealed"]

SEAL = "record_sha256"  # of all the other keys


def as_json(**record: Any) -> str:
    """Return a record as text."""
    return json.dumps(record, indent=1) + "\n"


def sealed(**record: Any) -> str:
    """Return a record as text, with the hash of it under the key SEAL."""
    return as_json(**{SEAL: _seal(record)} | record)


def is_whole(record: dict) -> bool:
    """Return whether a record is as `sealed` wrote it."""
    return record.get(SEAL) == _seal(record)


def parsed(content: bytes) -> dict:
    """Return the record that some bytes are; empty where they are none."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, no text, or [[[[...
        return {}
    return record if isinstance(record, dict) else {}


def read_record(path: Path) -> dict:
    """Return the record that a file holds; empty where it is none, or no file."""
    try:
        return parsed(path.read_bytes())
    except FileNotFoundError:
        return {}


def _seal(record: dict) -> str:
    rest = {key: value for key, value in record.items() if key != SEAL}
    return hash_bytes(json.dumps(rest, sort_keys=True).encode())
