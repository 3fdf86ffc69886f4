"""Runs the book's notebooks and stores what they print.

    python -m benchmarks.notebooks read book/chapters/05_mdnet.ipynb ...

`read` takes recorded runs from data/results, `write` records them there (`eval/recorded.py`).
Every notebook has a cache of its own, with the rendered benchmark and an empty store of results.
A notebook is written when its last cell has run; one that fails stays as it was.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from benchmarks import ops, plain_text
from book.conftest import own_cache

# Another environment, other last bits: what is stored is a CPU's, in the mode that every CPU has.
STEADY = {"CUDA_VISIBLE_DEVICES": "", "TRACKERLIB_MODE": "float32", "OMP_NUM_THREADS": "1"}
TIMEOUT = 1800  # seconds for a cell
KEPT = ("kernelspec", "language_info", "machine", "minutes")  # of a notebook's metadata


class Client(NotebookClient):
    """Runs notebooks whose widgets nobody sees.

    nbclient answers a widget that captures output through the channel on which it waits for the
    cell's end; the end can be missed then, and the run never goes on
    (https://github.com/jupyter/nbclient/issues/312). This one does not answer.
    """

    def on_comm_open_jupyter_widget(self, msg: dict[str, Any]) -> None:
        """Let a widget be."""


def execute(path: Path, environment: dict[str, str]) -> NotebookNode:
    """Return a notebook with the outputs of a run in the given environment.

    Raises CellExecutionError where a cell does.
    """
    notebook = nbformat.read(path, as_version=4)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        cache = {"TRACKERLIB_CACHE": str(own_cache(Path(folder)))}
        client = Client(
            notebook,
            timeout=TIMEOUT,
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
        )
        client.execute(env=os.environ | STEADY | cache | environment)
    notebook.metadata.minutes = round((time.monotonic() - began) / 60, 1)  # the book tells them
    notebook.metadata.machine = f"one thread of {ops.machine('cpu')}"
    return notebook


def tidy(notebook: NotebookNode) -> None:
    """Remove what differs from run to run, and the outputs of cells tagged remove-output."""
    for key in set(notebook.metadata) - set(KEPT):
        del notebook.metadata[key]
    notebook.metadata.language_info = {"name": "python"}  # the version is this environment's
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "remove-output" in cell.metadata.get("tags", []):
            cell.outputs, cell.execution_count = [], None


def main(argv: list[str] | None = None) -> int:
    """Run notebooks one after the other -> 0, or 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", choices=("read", "write"))
    parser.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args(argv)
    status = 0
    for path in arguments.notebooks:
        print(path, flush=True)
        try:
            notebook = execute(path, {"TRACKERLIB_RECORDED": arguments.records})
        except CellExecutionError as error:
            print(f"{path}: {error}", file=sys.stderr, flush=True)
            status = 1
        else:
            tidy(notebook)
            plain_text.convert(notebook, path)
            nbformat.write(notebook, path)
    return status


if __name__ == "__main__":
    sys.exit(main())
