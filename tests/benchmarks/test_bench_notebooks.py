"""Notebooks are run with widgets that nobody sees, stored tidy, and left alone where one fails."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from benchmarks import notebooks

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "signature": "1"}
WIDGET = """
from ipywidgets import IntSlider, interact

@interact(index=IntSlider(1, min=0, max=2))
def show(index):
    print(index)
"""


@pytest.fixture
def store(tmp_path):
    """Write a notebook of such code cells -> its path."""

    def write(*cells):
        path = tmp_path / "made.ipynb"
        nbformat.write(new_notebook(cells=list(cells), metadata=KERNEL), path)
        return path

    return write


def test_outputs_are_stored_and_what_differs_from_run_to_run_is_not(store):
    environment = (
        "import os; print(*map(os.environ.get, ('TRACKERLIB_RECORDED', 'OMP_NUM_THREADS')))"
    )
    path = store(
        new_code_cell(
            "print(1)\nprint(2)", metadata={"execution": {"shell.execute_reply": "now"}}
        ),
        new_code_cell(WIDGET, metadata={"tags": ["remove-output"]}),
        new_code_cell(environment),
    )
    assert notebooks.main(["read", str(path)]) == 0
    found = nbformat.read(path, as_version=4)
    assert set(found.metadata) <= {"kernelspec", "language_info", "machine", "minutes"}
    assert 0 <= found.metadata.minutes < 2
    assert found.metadata.machine.startswith("one thread of ")
    assert found.metadata.language_info == {"name": "python"}
    numbers, widget, last = found.cells
    assert [output.text for output in numbers.outputs] == ["1\n2\n"]
    assert numbers.execution_count == 1 and not numbers.metadata
    assert widget.outputs == [] and widget.execution_count is None
    assert last.outputs[0].text == "read 1\n"


def test_a_notebook_that_fails_stays_as_it_was(store, capsys):
    path = store(new_code_cell("print(1)"), new_code_cell("1 / 0"))
    before = path.read_bytes()
    assert notebooks.main(["write", str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err
