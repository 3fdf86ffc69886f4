"""Sphinx extension: how long the chapters take, counted from the notebooks.

The directive `chapter-table` lists the notebooks of a folder with the minutes
to read them, counted here, and to run them, which `make notebooks` measures
and stores in a notebook's metadata, `{"minutes": 2.5}`.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

WORDS, LINES = 200, 12  # read per minute: of prose, of code
ROUNDED = 5  # minutes


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive("chapter-table", ChapterTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def sources(notebook: dict[str, Any], kind: str) -> str:
    """Return the text of all cells of a kind, without links' addresses."""
    cells = [c for c in notebook["cells"] if c["cell_type"] == kind]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"\]\([^)]*\)|<[^>]*>", " ", text)


def minutes_to_read(notebook: dict[str, Any]) -> int:
    """Return how long a notebook takes to read, in steps of five minutes."""
    words = len(sources(notebook, "markdown").split())
    code = sources(notebook, "code").splitlines()
    lines = sum(bool(line.strip()) for line in code)
    minutes = words / WORDS + lines / LINES
    return max(1, round(minutes / ROUNDED)) * ROUNDED


def minutes_to_run(notebook: dict[str, Any]) -> str:
    """Return how long its last run took, in whole minutes, "" if unknown."""
    minutes = notebook["metadata"].get("minutes")
    return str(math.ceil(minutes)) if minutes else ""


class ChapterTable(SphinxDirective):
    """A table of a folder's notebooks; its argument is the folder."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        rows, runs = [], False
        for path in sorted((folder / self.arguments[0]).glob("*.ipynb")):
            notebook = json.loads(path.read_text("utf-8"))
            title = sources(notebook, "markdown").splitlines()[0].lstrip("# ")
            link = f"[{title}]({path.relative_to(folder).as_posix()})"
            number = int(path.stem.partition("_")[0])
            ran = minutes_to_run(notebook)
            runs = runs or bool(ran)
            rows.append((str(number), link, minutes_to_read(notebook), ran))
            self.env.note_dependency(str(path))
        head = ("", "chapter", "minutes to read", "to run")
        table = [head, ("--:", "---", "--:", "--:"), *rows]
        count = 4 if runs else 3
        lines = [f"| {' | '.join(map(str, row[:count]))} |" for row in table]
        shown = nodes.container()
        self.state.nested_parse(StringList(lines), 0, shown)
        return shown.children
