"""Where things live on disk: what ships with the library, what it makes for itself."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Folder for what the library makes or downloads: $TRACKERLIB_CACHE or ~/.cache/trackerlib."""
    return Path(os.environ.get("TRACKERLIB_CACHE") or Path.home() / ".cache" / "trackerlib")


def shipped(name: str) -> Path:
    """A file of the project's data/ folder: beside the package, or inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    beside = package.parent / "data" / name
    return beside if beside.exists() else package / "shipped" / name
