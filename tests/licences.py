"""The licences of what requirements.lock installs here, as packages state them: make licences.

    python tests/licences.py

Statements are about a package's own code. A wheel holds what its authors linked besides: that of
PyAV, FFmpeg with x264 and x265, which are under the GPL. requirements-cuda.lock has NVIDIA's
libraries, under a licence of its own: to use, not to change. This project hands on none of them.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PERMISSIVE = {  # and the Mozilla licence, which asks for changes of its own files alone
    *("0BSD", "BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
    *("MIT", "MIT License", "MIT-0", "MIT-CMU", "ISC", "ISC License (ISCL)", "Zlib"),
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Apache Software License"),
    *("Apache 2.0", "Apache License, Version 2.0", "PSF-2.0"),
    *("Python Software Foundation License", "CC0-1.0", "Public Domain"),
    *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
}
EXCEPTIONS = {("docutils", "GNU General Public License (GPL)"): "an Emacs mode, not in the wheel"}


def stated(name: str) -> str:
    """Return an installed package's licences, separated as it does: by AND, OR or semicolons."""
    package = distribution(name)
    metadata = package.metadata
    classifiers = [text.split(" :: ") for text in metadata.get_all("Classifier") or []]
    kinds = "; ".join(parts[-1] for parts in classifiers if parts[0] == "License")
    text = metadata.get("License-Expression") or kinds or metadata.get("License") or ""
    if not text:
        files = [file for file in package.files or [] if Path(file).name.startswith("LICEN")]
        text = files[0].read_text() if files else ""
    return text.strip().partition("\n")[0]


def unknown(name: str, text: str) -> list[str]:
    """Return those of a package's licences that may not go with this project's."""
    parts = re.split(r"; | AND | OR ", text)
    return [p for p in parts if p not in PERMISSIVE and (name, p) not in EXCEPTIONS]


def locked() -> list[str]:
    """Return the names in the lock of what is installed here."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return [name for name in names if _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def main() -> int:
    """Print a line for each package -> 1 where a licence is not known."""
    found = {name: stated(name) for name in locked()}
    for name, text in found.items():
        print(f"{name:34}{text or 'states none'}")
    strange = [f"{name}: {text}" for name, text in found.items() if unknown(name, text)]
    for line in strange:
        print(f"not known to go with MIT: {line}", file=sys.stderr)
    return 1 if strange else 0


if __name__ == "__main__":
    sys.exit(main())
