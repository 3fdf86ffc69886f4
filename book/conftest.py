"""How stored outputs are compared with those of a new run.

Words, whole numbers and digits must be equal; a decimal number may differ by
one unit of its last digit, where rounding falls on either side. Where a
tracker runs live, the processor's last bits decide its boxes, and a cell's
metadata has a band for each number that they reach:

    "bands": {"stdout": {"2": [0.393, 0.404]}}

The third number that the cell prints may lie in that range, widened by two
units of its last digit. `python -m benchmarks.bands` measures the ranges. In a
cell with bands, blanks that pad numbers and pictures inside text do not count.

Every notebook has a cache of its own, in which the rendered benchmark is the
machine's and the store of results is empty.

With --arithmetic, notebooks are left out that another processor's arithmetic
cannot change.
"""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from xdist.scheduler import LoadFileScheduling

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
PICTURE = re.compile(r"[A-Za-z0-9+/=]{200,}")  # base64, in a player's HTML
UNITS, BAND_UNITS = 1, 2
LONG = ("your_own/video",)  # notebooks that take long and come late: first
# What of the library computes with NumPy or reads, and runs no network.
PLAIN = {"data", "eval", "paths", "plots"}
IGNORED = "nbval-ignore-output"  # tag of cells whose outputs are not compared
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)

Band = tuple[float, float]


class Output(str):
    """Text that equals other text if its numbers are as close as they must."""

    __hash__ = str.__hash__
    bands: dict[int, Band] = {}  # noqa: RUF012 (the class's is never changed)

    def __eq__(self, other):
        (words, numbers), (others, found) = (
            split(text, bool(self.bands)) for text in (self, other)
        )
        return words == others and all(
            close(number, value, self.bands.get(index))
            for index, (number, value) in enumerate(
                zip(numbers, found, strict=True)
            )
        )

    def __ne__(self, other):
        return not self == other


def split(text: str, banded: bool = False) -> tuple[list[str], list[str]]:
    """Return a text's words and, from between them, its numbers."""
    if banded:
        text = PICTURE.sub("", text)
    words = NUMBER.split(text)
    if banded:
        words = [re.sub(" +", " ", word).strip(" ") for word in words]
    return words, NUMBER.findall(text)


def decimals(number: str) -> int:
    """Return how many digits a printed number has behind its point."""
    return len(number.lower().partition("e")[0].partition(".")[2])


def unit(number: str) -> float:
    """Return what one step of a printed number's last digit is worth."""
    power = number.lower().partition("e")[2]
    return 10.0 ** (int(power or 0) - decimals(number))


def close(stored: str, found: str, band: Band | None = None) -> bool:
    """Return whether a number equals a stored one, or lies in its band."""
    if band:
        beyond = max(band[0] - float(found), float(found) - band[1])
        step = min(unit(stored), unit(found))
        return beyond <= (BAND_UNITS + 0.5) * step
    if stored == found:
        return True
    same_form = 0 < decimals(stored) == decimals(found)
    difference = abs(float(stored) - float(found))
    return same_form and difference <= (UNITS + 0.5) * unit(stored)


def with_bands(outputs, bands: dict[str, dict[str, list[float]]]):
    """Return a cell's stored outputs, the bands attached to their texts."""
    counts: Counter[str] = Counter()

    def attached(key, text):
        if key not in bands or not isinstance(text, str):
            return text
        text, first = Output(text), counts[key]
        known = {int(k) - first: tuple(v) for k, v in bands[key].items()}
        text.bands = {k: v for k, v in known.items() if k >= 0}
        counts[key] += len(split(text, banded=True)[1])
        return text

    found = []
    for output in outputs:
        output = output.copy()
        if output.output_type == "stream":
            output["text"] = attached(output.name, output.text)
        elif "data" in output:
            data = output["data"].items()
            output["data"] = {key: attached(key, text) for key, text in data}
        found.append(output)
    return found


def _as_output(cell, text, sanitize=IPyNbCell.sanitize):
    if isinstance(text, Output) or not isinstance(text, str):
        return text
    return Output(sanitize(cell, text))


def _compare(cell, found, stored, *rest, compare=IPyNbCell.compare_outputs):
    bands = cell.cell.metadata.get("bands", {})
    return compare(cell, found, with_bands(stored, bands), *rest)


IPyNbCell.sanitize = _as_output
IPyNbCell.compare_outputs = _compare


def imported(source: str) -> list[str]:
    """Return the modules and names that code imports, magics apart."""
    names: list[str] = []
    for node in ast.walk(ast.parse(MAGIC.sub("", source))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def depends_on_arithmetic(notebook: Path) -> bool:
    """Return whether an output is compared that PyTorch may have computed.

    It may from the first cell on that imports PyTorch, or what of the library
    is not PLAIN.
    """
    computes = False
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        for name in imported("".join(cell["source"])):
            top, *rest = name.split(".")
            is_plain = top == "trackerlib" and PLAIN.intersection(rest[:1])
            computes |= top in ("torch", "trackerlib") and not is_plain
        is_ignored = IGNORED in cell["metadata"].get("tags", [])
        if computes and cell["outputs"] and not is_ignored:
            return True
    return False


def pytest_addoption(parser):
    parser.addoption(
        "--arithmetic",
        action="store_true",
        help="leave out notebooks that another arithmetic cannot change",
    )


def pytest_ignore_collect(collection_path, config):
    is_notebook = collection_path.suffix == ".ipynb"
    if is_notebook and config.getoption("arithmetic"):
        return None if depends_on_arithmetic(collection_path) else True
    return None


def own_cache(folder: Path) -> Path:
    """Fill a folder with links to the library's cache, without the store."""
    from trackerlib.paths import cache_dir

    cached = cache_dir().iterdir() if cache_dir().is_dir() else ()
    for entry in cached:
        if entry.name != "store":
            (folder / entry.name).symlink_to(entry)
    return folder


def _with_cache(notebook, setup=IPyNbFile.setup):
    notebook.cache = TemporaryDirectory(prefix="trackerlib-")
    with pytest.MonkeyPatch.context() as patch:
        folder = own_cache(Path(notebook.cache.name))
        patch.setenv("TRACKERLIB_CACHE", str(folder))
        setup(notebook)


def _without_cache(notebook, teardown=IPyNbFile.teardown):
    teardown(notebook)
    notebook.cache.cleanup()


IPyNbFile.setup = _with_cache
IPyNbFile.teardown = _without_cache


def pytest_collection_modifyitems(items):
    """Let what takes longest begin first."""

    def place(item):
        name = f"{item.path.parent.name}/{item.path.stem}"
        return LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=place)


class Scheduling(LoadFileScheduling):
    """Notebooks run side by side, in the order in which they are collected."""

    def schedule(self):
        self.config.option.loadscopereorder = False
        super().schedule()


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)
