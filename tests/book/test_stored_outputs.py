"""nbval under book/conftest.py: decimals may differ a little, nothing else may."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

CONFTEST = Path(__file__).resolve().parents[2] / "book" / "conftest.py"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
CASES = [  # what is stored, what the cell prints, whether they pass as equal
    ("AUC 0.453", "AUC 0.453", True),
    ("AUC 0.453", "AUC 0.462", True),
    ("AUC 0.453", "AUC 0.463", False),
    ("0.03 of 12.50", "0.01 of 12.70", True),
    ("0.03 of 12.50", "0.00 of 12.50", False),
    ("0.03 of 12.50", "0.03 of 12.5", False),
    ("16/16 units", "16/17 units", False),
    ("16/16 units", "16/16 runs", False),
    ("-0.20", "0.20", False),
    ("1.5e-08", "1.5e-07", False),
    ("0.1 0.2", "0.1", False),
]


def test_decimals_within_two_percent_or_two_units_are_equal(tmp_path):
    cells = []
    for stored, printed, _ in CASES:
        output = new_output("stream", name="stdout", text=f"{stored}\n")
        cells.append(new_code_cell(f"print({printed!r})", execution_count=1, outputs=[output]))
    Path(tmp_path, "made.ipynb").write_text(writes(new_notebook(cells=cells, metadata=KERNEL)))
    shutil.copy(CONFTEST, tmp_path)
    command = [sys.executable, "-m", "pytest", "-v", "--nbval", "--rootdir=.", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = re.findall(r"^made::ipynb::Cell \d+ (\w+)", run.stdout, re.MULTILINE)
    assert found == ["PASSED" if equal else "FAILED" for *_, equal in CASES], run.stdout
