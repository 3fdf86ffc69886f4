"""How far what a notebook prints differs between processors: the bands of its cells.

    python -m benchmarks.bands book/chapters/09_deeptrack.ipynb ...

A notebook is run as it is and under the perturbations of `benchmarks.perturbations`, each of them
something that another processor could do. Where a number then differs from the stored one by more
than rounding, its cell's metadata gets the lowest and the highest value seen; `book/conftest.py`
compares with them. Bands that are there already are measured anew.

A cell tagged `live` shows a tracker at work, whose boxes the last bits decide. Few arithmetics are
at hand here and many elsewhere, so its bands also hold what comes of frames whose every pixel is
another by a grey level. No other cell's do.

Words must be the same in every run: where they are not, the cell is named, its notebook stays as
it was, and the status is 1.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from benchmarks import notebooks, perturbations
from benchmarks.perturbations import ARITHMETICS, PERTURBATIONS
from book.conftest import close, split

PICTURES = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")  # not compared

Texts = dict[str, tuple[list[str], list[str]]]  # stream or MIME type -> words, numbers
Bands = dict[str, dict[str, list[float]]]  # stream or MIME type -> index of a number -> its range


def run(path: Path, name: str) -> list[Texts]:
    """Run a notebook under a perturbation -> what each of its code cells prints.

    Raises CellExecutionError where a cell does.
    """
    with tempfile.TemporaryDirectory() as folder:
        variables = perturbations.environment(name, Path(folder))
        notebook = notebooks.execute(path, {"TRACKERLIB_RECORDED": "read"} | variables)
    return [texts(cell) for cell in code_cells(notebook)]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return a notebook's code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell: NotebookNode) -> Texts:
    """Return a cell's words and numbers, those of all outputs of a kind in one list."""
    found: Texts = {}
    for output in cell.outputs:
        pieces = output.get("data", {})
        if output.output_type == "stream":
            pieces = {output.name: output.text}
        for kind, text in pieces.items():
            if kind not in PICTURES and isinstance(text, str):
                words, numbers = split(text, banded=True)
                known = found.setdefault(kind, ([], []))
                known[0].extend(words)
                known[1].extend(numbers)
    return found


def bands(stored: Texts, runs: Iterable[Texts], live: bool = False) -> Bands:
    """Return the ranges of a cell's numbers that differ between runs.

    live  also those that differ by no more than rounding, which may be luck

    Raises ValueError where words differ.
    """
    found: Bands = {}
    runs = list(runs)
    if any(list(run) != list(stored) for run in runs):
        raise ValueError(f"outputs of other kinds than {', '.join(stored)}")
    for kind, (words, numbers) in stored.items():
        for run in runs:
            if run[kind][0] != words:
                raise ValueError(f"other words: {_first_difference(words, run[kind][0])}")
        for index, seen in enumerate(zip(numbers, *(run[kind][1] for run in runs), strict=True)):
            differ = len(set(seen)) > 1 if live else not all(close(seen[0], n) for n in seen)
            if differ:
                values = [float(number) for number in seen]
                found.setdefault(kind, {})[str(index)] = [min(values), max(values)]
    return found


def _first_difference(words: list[str], others: list[str]) -> str:
    for word, other in zip(words, others, strict=False):
        if word != other:
            return f"{word!r} was {other!r}"
    return f"{len(words)} pieces were {len(others)}"


def measure(notebook: NotebookNode, runs: dict[str, list[Texts]]) -> list[str]:
    """Set the bands in a notebook's metadata -> what no band can hold, a line for each cell."""
    problems = []
    for place, cell in enumerate(code_cells(notebook)):
        tags = cell.metadata.get("tags", [])
        cell.metadata.pop("bands", None)
        if "nbval-ignore-output" in tags or "remove-output" in tags:
            continue
        live = "live" in tags
        names = [name for name in runs if live or name in ARITHMETICS]
        try:
            found = bands(texts(cell), [runs[name][place] for name in names], live)
        except ValueError as error:
            problems.append(f"cell {place}: {error}")
            continue
        if found:
            cell.metadata["bands"] = found
    return problems


def main(argv: list[str] | None = None) -> int:
    """Measure the bands of notebooks and write them -> 0, or 1 where words differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="notebooks at a time")
    parser.add_argument("--dry-run", action="store_true", help="print bands, write none")
    arguments = parser.parse_args(argv)
    status = 0
    with ProcessPoolExecutor(arguments.workers) as pool:
        running = {
            path: {name: pool.submit(run, path, name) for name in PERTURBATIONS}
            for path in arguments.notebooks
        }
        for path, futures in running.items():
            runs = {name: future.result() for name, future in futures.items()}
            notebook = nbformat.read(path, as_version=4)
            problems = measure(notebook, runs)
            status = status or int(bool(problems))
            _report(path, notebook, problems)
            if not problems and not arguments.dry_run:
                nbformat.write(notebook, path)
    return status


def _report(path: Path, notebook: NotebookNode, problems: list[str]) -> None:
    for place, cell in enumerate(code_cells(notebook)):
        for kind, ranges in cell.metadata.get("bands", {}).items():
            shown = ", ".join(f"{low:g} to {high:g}" for low, high in ranges.values())
            print(f"{path}, cell {place}, {kind}: {shown}", flush=True)
    for problem in problems:
        print(f"{path}, {problem}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
