"""Bands of notebooks' cells: what differs between runs, and what no band can hold."""

import os
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

from benchmarks import bands, perturbations
from benchmarks.perturbations import ARITHMETICS, PERTURBATIONS
from book.conftest import split


def printed(text):
    return {"stdout": split(text, banded=True)}


def cell(text, *tags, **metadata):
    output = new_output("stream", name="stdout", text=text)
    return new_code_cell("print()", outputs=[output], metadata={"tags": list(tags), **metadata})


def test_a_band_is_the_range_of_what_was_seen():
    runs = [printed(text) for text in ("1 score 0.404", "1 score 0.393", "1 score 0.400")]
    assert bands.bands(runs[0], runs) == {"stdout": {"1": [0.393, 0.404]}}


def test_rounding_needs_a_band_in_live_cells_alone():
    runs = [printed("score 0.404"), printed("score 0.405")]
    assert bands.bands(runs[0], runs) == {}
    assert bands.bands(runs[0], runs, live=True) == {"stdout": {"0": [0.404, 0.405]}}


def test_whole_numbers_have_bands_too():
    runs = [printed("frame 29"), printed("frame 31")]
    assert bands.bands(runs[0], runs) == {"stdout": {"0": [29, 31]}}


@pytest.mark.parametrize("text", ["scores 0.404", "score 0.404 0.1", "score nan", "score 0.404;"])
def test_other_words_have_no_band(text):
    with pytest.raises(ValueError, match="other words"):
        bands.bands(printed("score 0.404"), [printed(text)])


def test_outputs_of_another_kind_have_no_band():
    with pytest.raises(ValueError, match="outputs of other kinds than stdout"):
        bands.bands(printed("1"), [printed("1") | {"stderr": ([""], [])}])


def test_numbers_of_a_cell_are_counted_over_its_outputs():
    outputs = [
        new_output("display_data", data={"text/html": f"<b>{n}</b>", "image/png": "1234"})
        for n in (1, 2)
    ]
    found = bands.texts(new_code_cell("", outputs=outputs))
    assert found == {"text/html": (["<b>", "</b>", "<b>", "</b>"], ["1", "2"])}


def runs_of(usual, pixels, **others):
    """Runs of a notebook of one cell: what it prints under each perturbation."""
    texts = dict.fromkeys(ARITHMETICS, usual) | {"other pixels": pixels} | others
    return {name: [printed(text)] for name, text in texts.items()}


def test_other_pixels_count_in_live_cells_alone():
    runs = runs_of("0.40", "0.50")
    for tags, expected in ((), None), (("live",), {"stdout": {"0": [0.4, 0.5]}}):
        notebook = new_notebook(cells=[cell("0.40", *tags)])
        assert bands.measure(notebook, runs) == []
        assert notebook.cells[0].metadata.get("bands") == expected


def test_bands_are_measured_anew():
    notebook = new_notebook(cells=[cell("0.40", bands={"stdout": {"0": [0, 1]}})])
    bands.measure(notebook, runs_of("0.40", "0.40"))
    assert "bands" not in notebook.cells[0].metadata


@pytest.mark.parametrize("tag", ["nbval-ignore-output", "remove-output"])
def test_what_is_not_compared_has_no_bands(tag):
    notebook = new_notebook(cells=[cell("0.40", tag)])
    assert bands.measure(notebook, runs_of("other words", "0.40")) == []
    assert "bands" not in notebook.cells[0].metadata


def test_other_words_are_reported_with_their_cell():
    notebook = new_notebook(cells=[cell("good"), cell("the same")])
    runs = runs_of("good", "good")
    for name, words in zip(runs, ["another", *["the same"] * len(runs)], strict=False):
        runs[name].append(printed(words))
    (problem,) = bands.measure(notebook, runs)
    assert problem == "cell 1: other words: 'the same' was 'another'"


def test_a_notebook_is_run_under_a_perturbation(tmp_path):
    code = """
import os
import numpy as np, cv2
image = np.full((4, 5, 3), 100, np.uint8)
found = cv2.imdecode(cv2.imencode(".png", image)[1], cv2.IMREAD_COLOR)
print(sorted(set(np.abs(found.astype(int) - 100).ravel())) == [1], os.environ["OMP_NUM_THREADS"])
"""
    path = tmp_path / "made.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    path.write_text(writes(new_notebook(cells=[new_code_cell(code)], metadata=kernel)))
    assert bands.run(path, "other pixels") == [{"stdout": (["True", "\n"], ["1"])}]


CHECKS = {
    "other pixels": """
import cv2, numpy as np
image = np.full((64, 64, 3), 100, np.uint8); image[0] = 0; image[1] = 255
code = cv2.imencode(".png", image)[1]
first, again = (cv2.imdecode(code, cv2.IMREAD_COLOR) for _ in range(2))
assert (first == again).all() and set(np.unique(first[2:])) == {99, 101}
assert set(np.unique(first[0])) == {0, 1} and set(np.unique(first[1])) == {254, 255}
assert cv2.imdecode(np.zeros(4, np.uint8), cv2.IMREAD_COLOR) is None
""",
    "another Fourier transform": """
import torch
from torch.fft import irfft2, rfft2
x = torch.randn(3, 50, 62, generator=torch.Generator().manual_seed(0))
spectrum = rfft2(x)
assert spectrum.dtype == torch.complex64
assert torch.equal(spectrum, rfft2(x.double()).to(torch.complex64))
back = irfft2(spectrum, (50, 62))
assert back.dtype == torch.float32
torch.testing.assert_close(back, x)
""",
}


def run_perturbed(name, code, folder):
    environment = os.environ | perturbations.environment(name, folder)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CHECKS)
def test_a_process_is_changed(name, tmp_path):
    run_perturbed(name, CHECKS[name], tmp_path)


def test_a_change_reaches_the_processes_of_a_process(tmp_path):
    command = [sys.executable, "-c", CHECKS["other pixels"]]
    nested = f"import subprocess; subprocess.run({command!r}, check=True)"
    run_perturbed("other pixels", nested, tmp_path)


def test_perturbations_are_variables_unless_they_change_a_process(tmp_path):
    for name, variables in PERTURBATIONS.items():
        found = perturbations.environment(name, tmp_path)
        assert ("PYTHONPATH" in found) == ("TRACKERLIB_CHANGE" in variables)
