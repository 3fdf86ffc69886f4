"""A benchmark small enough to write to disk."""

import made
import pytest

from trackerlib.data import manifest


@pytest.fixture
def tiny_manifest(monkeypatch):
    """A benchmark of three targets of 45, 3 and 3 frames, in the place of the real one."""
    long = "".join(f"{i + 1},2,20,10\n" for i in range(45))
    texts = {"Long": long, "Pair-1": "1,2,20,10\n" * 3, "Pair-2": "9,2,20,10\n" * 3}
    entries = {name: made.entry(name, text) for name, text in texts.items()}
    monkeypatch.setattr(manifest, "load", lambda: entries)
    return texts
