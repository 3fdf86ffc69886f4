"""What every notebook of the book must be, whatever it says."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from trackerlib import trackers
from trackerlib.paths import cache_dir

BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
CHAPTERS = [path for path in NOTEBOOKS if path.parent.name == "chapters"]
MAX_AFTER_CODE, MAX_DRAWING = 0.2, 0.15  # shares: of code cells, of their visible lines
DRAWS = re.compile(r"\b(?:plt|ax|axes|fig)\b(?:\[[^]]*\])*(?:\.| =|,)|\bplots\.\w+\(")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: str(path.relative_to(BOOK)))
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook, without: str = ""):
    """Code cells but those with a tag."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if without not in cell.metadata.get("tags", [])]


def test_is_valid_small_and_runs_on_the_environments_kernel(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size <= 1_500_000
    assert notebook.metadata.kernelspec.name == "python3"


def test_carries_outputs_but_no_widget_state_and_no_error(notebook):
    assert "widgets" not in notebook.metadata
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert outputs and all(output.output_type != "error" for output in outputs)
    executed = [cell.execution_count for cell in code_cells(notebook, "remove-output")]
    assert None not in executed and executed == sorted(set(executed)), "run it from top to bottom"


def test_cells_can_be_read(notebook):
    for cell in code_cells(notebook):
        lines = cell.source.splitlines()
        assert len(lines) <= 40, cell.source
        assert max(map(len, lines), default=0) <= 79, max(lines, key=len)


def test_a_sentence_stands_before_most_cells(path, notebook):
    kinds = [cell.cell_type for cell in notebook.cells]
    after_code = sum(pair == ("code", "code") for pair in pairwise(kinds))
    assert after_code <= MAX_AFTER_CODE * kinds.count("code")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_little_of_the_shown_code_draws(path, notebook):
    shown = [cell.source for cell in code_cells(notebook, "hide-input")]
    lines = [line for source in shown for line in source.splitlines() if line.strip()]
    assert sum(bool(DRAWS.search(line)) for line in lines) <= MAX_DRAWING * len(lines)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_exercises_are_boxes_with_folded_answers(path, notebook):
    (text,) = (cell.source for cell in notebook.cells if "## Exercises\n" in cell.source)
    parts = text.partition("## Exercises\n")[2].split("> **Exercise ")[1:]
    assert len(parts) >= 3
    assert all(part.count("<details><summary>Answer</summary>\n\n") == 1 for part in parts)


def test_says_nothing_of_the_machine_it_ran_on(path):
    text = path.read_text()
    assert str(cache_dir()) not in text and str(BOOK.parent) not in text


def test_what_is_not_compared_is_not_everything(notebook):
    """nbval compares a cell unless it is tagged; a notebook of tagged cells would test nothing."""
    assert any(cell.outputs for cell in code_cells(notebook, "nbval-ignore-output"))


def test_every_chapter_has_its_solutions():
    chapters = {path.name for path in (BOOK / "chapters").glob("*.ipynb")}
    assert chapters and chapters == {path.name for path in (BOOK / "solutions").glob("*.ipynb")}


def test_the_table_is_about_every_tracker():
    template = nbformat.read(BOOK / "reproduction" / "otb_table.ipynb", as_version=4)
    (parameters,) = (c for c in template.cells if "parameters" in c.metadata.get("tags", []))
    namespace = {}
    exec(parameters.source, namespace)
    asked = {trackers.parse(text).module for text in namespace["trackers"].split()}
    # those with networks take minutes where the others take seconds
    assert asked == set(trackers.names()) - {
        "deeptrack",
        "detection",
        "dlst",
        "fdn",
        "hcf",
        "mdnet",
        "msdat",
        "rtmdnet",
    }
