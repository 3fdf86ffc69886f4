"""nbval under book/conftest.py: decimals may be rounded otherwise, or lie in a band; no more."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

CONFTEST = Path(__file__).resolve().parents[2] / "book" / "conftest.py"
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


@pytest.fixture
def compare(tmp_path):
    """Cells -> the outcome that nbval has for each, and all that it says."""

    def run(cells):
        made = new_notebook(cells=cells, metadata=KERNEL)
        Path(tmp_path, "made.ipynb").write_text(writes(made))
        shutil.copy(CONFTEST, tmp_path)
        command = [sys.executable, "-m", "pytest", "-v", "--nbval", "--rootdir=.", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return re.findall(r"^made::ipynb::Cell \d+ (\w+)", done.stdout, re.MULTILINE), done.stdout

    return run


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


def test_decimals_within_a_unit_of_their_last_digit_are_equal(compare):
    found, said = compare([printing(printed, stored) for stored, printed, _ in CASES])
    assert found == outcomes(CASES), said


def test_numbers_within_their_band_are_equal(compare):
    cells = [
        printing(printed, stored, bands={"stdout": bands}) for stored, printed, bands, _ in BANDED
    ]
    found, said = compare(cells)
    assert found == outcomes(BANDED), said


def test_bands_count_the_numbers_of_all_outputs_of_a_kind(compare):
    stored = ["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.60</td>"]
    second = {"text/html": {"3": [0.6, 0.7]}}
    cases = [
        (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.72</td>"], second, True),
        (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.73</td>"], second, False),
        (["<td>1</td> <td>0.60</td>", "<td>2</td> <td>0.60</td>"], second, False),
        (["<td>1</td> <td>0.50</td>"], second, False),
        (["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.65</td>"], {}, False),
        (
            ["<td>1</td> <td>0.50</td>", "<td>2</td> <td>0.65</td>"],
            {"stdout": {"3": [0, 1]}},
            False,
        ),
    ]
    found, said = compare([showing(printed, stored, bands=bands) for printed, bands, _ in cases])
    assert found == outcomes(cases), said


def test_pictures_in_a_player_count_where_the_cell_has_no_bands(compare):
    one, other = ("QUJD" * 60 + tail + "1" * 40 for tail in ("x", "y"))
    stored = [f"<script>frames = ['{one}'], captions = ['score 0.50']</script>"]
    printed = [f"<script>frames = ['{other}'], captions = ['score 0.58']</script>"]
    bands = {"text/html": {"0": [0.5, 0.6]}}
    cases = [(stored, {}, True), (printed, {}, False), (printed, bands, True)]
    found, said = compare([showing(html, stored, bands=bands) for html, bands, _ in cases])
    assert found == outcomes(cases), said


def test_every_notebook_has_a_store_of_its_own_beside_the_rendered_benchmark(
    compare, tmp_path_factory, monkeypatch
):
    cache = tmp_path_factory.mktemp("cache")
    (cache / "store").mkdir()
    (cache / "embedded-1234").mkdir()
    monkeypatch.setenv("TRACKERLIB_CACHE", str(cache))
    source = "from trackerlib.paths import cache_dir\n"
    source += "print(*sorted(path.name for path in cache_dir().iterdir()))\n"
    source += "(cache_dir() / 'store').mkdir()"
    output = new_output("stream", name="stdout", text="embedded-1234\n")
    found, said = compare([new_code_cell(source, execution_count=1, outputs=[output])])
    assert found == ["PASSED"], said
    assert not any((cache / "store").iterdir())
