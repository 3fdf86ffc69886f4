"""nbval under book/conftest.py: decimals may be rounded otherwise, or lie in a band; no more.

And which notebooks are compared again in another processor's arithmetic.
"""

import os
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

from book import conftest

CONFTEST = Path(conftest.__file__)
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
CASES = [  # what is stored, what the cell prints, whether they pass as equal
    ("AUC 0.453", "AUC 0.453", True),
    ("AUC 0.453", "AUC 0.454", True),
    ("AUC 0.453", "AUC 0.455", False),
    ("AUC 0.453", "AUC 0.462", False),
    ("AUC 0.453", "AUC 0.463", False),
    ("0.03 of 12.50", "0.02 of 12.51", True),
    ("0.03 of 12.50", "0.01 of 12.70", False),
    ("0.03 of 12.50", "0.00 of 12.50", False),
    ("0.03 of 12.50", "0.03 of 12.5", False),
    ("16/16 units", "16/17 units", False),
    ("16/16 units", "16/16 runs", False),
    ("-0.20", "0.20", False),
    ("-0.00", "0.00", True),
    ("1.5e-08", "1.6e-08", True),
    ("1.5e-08", "1.7e-08", False),
    ("1.5e-08", "1.5e-07", False),
    ("9.9e-05", "1.0e-04", True),
    ("0.1 0.2", "0.1", False),
    (" 9.99", "10.00", False),
    ("3.", "4.", False),
    ("nan", "0.1", False),
]
SCORE, FRAME = {"1": [0.393, 0.404]}, {"0": [28, 31]}
BANDED = [  # what is stored, what the cell prints, its bands, whether they pass as equal
    ("seed 0: 0.404", "seed 0: 0.393", SCORE, True),
    ("seed 0: 0.404", "seed 0: 0.399", SCORE, True),
    ("seed 0: 0.404", "seed 0: 0.391", SCORE, True),
    ("seed 0: 0.404", "seed 0: 0.390", SCORE, False),
    ("seed 0: 0.404", "seed 0: 0.406", SCORE, True),
    ("seed 0: 0.404", "seed 0: 0.407", SCORE, False),
    ("seed 0: 0.404", "seed 1: 0.404", SCORE, False),
    ("seed 0: 0.404", "runs 0: 0.404", SCORE, False),
    ("seed 0: 0.404", "seed 0: 0.393 0.1", SCORE, False),
    ("seed 0: 0.404, 0.50", "seed 0: 0.393, 0.51", SCORE, True),
    ("seed 0: 0.404, 0.50", "seed 0: 0.393, 0.52", SCORE, False),
    ("seed 0: 0.404", "seed 0: 0.4", SCORE, True),
    ("seed 0: 0.404", "seed 0: 0.39", SCORE, False),
    ("seed 0: 0.404", "seed 0: nan", SCORE, False),
    ("29 is the frame", "31 is the frame", FRAME, True),
    ("29 is the frame", "33 is the frame", FRAME, True),
    ("29 is the frame", "34 is the frame", FRAME, False),
    ("29 is the frame", "25 is the frame", FRAME, False),
    ("[ 9.99 0.1]", "[10.01 0.1]", {"0": [9.5, 10.5]}, True),
    ("-0.01 more", "+0.02 more", {"0": [-0.01, 0.02]}, True),
    ("-0.01 more", "-0.02 more", {"1": [5, 6]}, True),
    ("-0.01 more", "-0.03 more", {"1": [5, 6]}, False),
]


def outcomes(cases):
    return ["PASSED" if equal else "FAILED" for *_, equal in cases]


def printing(printed, stored, **metadata):
    output = new_output("stream", name="stdout", text=f"{stored}\n")
    cell = new_code_cell(f"print({printed!r})", execution_count=1, outputs=[output])
    cell.metadata.update(metadata)
    return cell


def showing(printed, stored, **metadata):
    """A cell that shows several pieces of HTML."""
    source = "from IPython.display import HTML, display\n" + "".join(
        f"display(HTML({html!r}))\n" for html in printed
    )
    outputs = [
        new_output(
            "display_data",
            data={"text/html": html, "text/plain": "<IPython.core.display.HTML object>"},
        )
        for html in stored
    ]
    cell = new_code_cell(source, execution_count=1, outputs=outputs)
    cell.metadata.update(metadata)
    return cell


STORED = ["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.60</td>"]
SECOND = {"text/html": {"3": [0.6, 0.7]}}
TABLES = [  # what the cell shows in place of STORED, its bands, whether it passes
    (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.72</td>"], SECOND, True),
    (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.73</td>"], SECOND, False),
    (["<td>1</td> <td>0.60</td>", "<td>2</td> <td>0.60</td>"], SECOND, False),
    (["<td>1</td> <td>0.50</td>"], SECOND, False),
    (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.65</td>"], {}, False),
    (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.65</td>"], {"stdout": {"3": [0, 1]}}, False),
]
PLAYER = "<script>frames = ['{}'], captions = ['score {}']</script>"
ONE = [PLAYER.format("QUJD" * 60 + "x" * 40, "0.50")]
OTHER = [PLAYER.format("QUJD" * 60 + "y" * 40, "0.58")]
PLAYERS = [  # what the cell shows in place of ONE, its bands, whether it passes
    (ONE, {}, True),
    (OTHER, {}, False),
    (OTHER, {"text/html": {"0": [0.5, 0.6]}}, True),
]
CACHE = """
from trackerlib.paths import cache_dir
print(*sorted(path.name for path in cache_dir().iterdir()))
(cache_dir() / "store").mkdir()
"""
KINDS = {  # cells, all of one notebook
    "decimals": [printing(printed, stored) for stored, printed, _ in CASES],
    "bands": [printing(printed, stored, bands={"stdout": b}) for stored, printed, b, _ in BANDED],
    "tables": [showing(shown, STORED, bands=bands) for shown, bands, _ in TABLES],
    "players": [showing(shown, ONE, bands=bands) for shown, bands, _ in PLAYERS],
    "cache": [
        new_code_cell(
            CACHE,
            execution_count=1,
            outputs=[new_output("stream", name="stdout", text="embedded-1234\n")],
        )
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cache with a rendered benchmark and a store, and what nbval is run in."""
    folder = tmp_path_factory.mktemp("compared")
    for name in ("cache/store", "cache/embedded-1234", "book"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    """Kind -> the outcome that nbval has for each of its cells, and all that it says."""
    cells = [cell for kind in KINDS.values() for cell in kind]
    (folder / "book" / "made.ipynb").write_text(writes(new_notebook(cells=cells, metadata=KERNEL)))
    shutil.copy(CONFTEST, folder / "book")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--nbval", "--rootdir=.", "."],
        cwd=folder / "book",
        env=os.environ | {"TRACKERLIB_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    outcomes = iter(re.findall(r"^made::ipynb::Cell \d+ (\w+)", done.stdout, re.MULTILINE))
    return {kind: [*islice(outcomes, len(cells))] for kind, cells in KINDS.items()}, done.stdout


def test_decimals_within_a_unit_of_their_last_digit_are_equal(found):
    assert found[0]["decimals"] == outcomes(CASES), found[1]


def test_numbers_within_their_band_are_equal(found):
    assert found[0]["bands"] == outcomes(BANDED), found[1]


def test_bands_count_the_numbers_of_all_outputs_of_a_kind(found):
    assert found[0]["tables"] == outcomes(TABLES), found[1]


def test_pictures_in_a_player_count_where_the_cell_has_no_bands(found):
    assert found[0]["players"] == outcomes(PLAYERS), found[1]


def test_every_notebook_has_a_store_of_its_own_beside_the_rendered_benchmark(found, folder):
    assert found[0]["cache"] == ["PASSED"], found[1]
    assert not any((folder / "cache" / "store").iterdir())


def showing_a_number(source, *tags):
    output = new_output("stream", name="stdout", text="0.1\n")
    return new_code_cell(source, outputs=[output], metadata={"tags": [*tags]})


SHOWN, NOT_COMPARED = showing_a_number("x"), showing_a_number("x", conftest.IGNORED)
REPEATED = {  # cells, whether what they show is compared in another arithmetic too
    "results alone": ([showing_a_number("from trackerlib.eval import report")], False),
    "NumPy": ([showing_a_number("import numpy as np\nfrom trackerlib import plots")], False),
    "PyTorch": ([new_code_cell("import torch.nn as nn"), SHOWN], True),
    "a function's import": ([new_code_cell("def f():\n    from torch import nn"), SHOWN], True),
    "trackers": ([new_code_cell("from trackerlib import plots, trackers"), SHOWN], True),
    "a tracker's Config": (
        [new_code_cell("from trackerlib.trackers.fdn import Config"), SHOWN],
        True,
    ),
    "the whole library": ([showing_a_number("import trackerlib")], True),
    "a written file": ([new_code_cell("%%writefile mine.py\nimport torch"), SHOWN], True),
    "not compared": ([new_code_cell("import torch"), NOT_COMPARED], False),
    "compared before": ([SHOWN, new_code_cell("import torch")], False),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_what_no_arithmetic_changes_is_left_out_where_it_is_asked_for(kind, tmp_path):
    cells, counts = REPEATED[kind]
    path = tmp_path / "made.ipynb"
    path.write_text(writes(new_notebook(cells=cells, metadata=KERNEL)))
    for asked in (True, False):
        config = SimpleNamespace(getoption={"arithmetic": asked}.get)
        is_left_out = conftest.pytest_ignore_collect(path, config)
        assert is_left_out == (True if asked and not counts else None)


def test_chapters_and_solutions_are_compared_in_every_arithmetic():
    pages = [*CONFTEST.parent.glob("chapters/*.ipynb"), *CONFTEST.parent.glob("solutions/*.ipynb")]
    assert pages and all(map(conftest.depends_on_arithmetic, pages))
