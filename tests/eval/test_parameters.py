from pathlib import Path

import nbformat
import papermill
import pytest
from fake_tracker import sequence

from trackerlib.eval.parameters import check_parameters

TYPES = {"data": str, "workers": int, "seeds": list[int]}
GOOD = {"data": "embedded", "workers": 1, "seeds": [0, 1]}


def test_known_parameters_pass_beside_what_a_notebook_holds():
    executed = ["data = 'embedded'", "# Parameters\nworkers = 1\nseeds = [0, 1]\n", "frames = 3"]
    check_parameters(GOOD | {"In": executed, "frames": 3}, **TYPES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": 3}, r"'data': expected str, got 3 \(int\)"),
        ({"workers": True}, "'workers': expected int, got True"),
        ({"workers": "2"}, "'workers': expected int, got '2'"),
        ({"seeds": [0, "1"]}, r"'seeds': expected list\[int\]"),
        ({"seeds": 0}, r"'seeds': expected list\[int\]"),
        ({"In": ["", "# Parameters\ntraker = 'kcf'\n"]}, "unknown parameter 'traker'"),
    ],
)
def test_others_stop_with_the_list_of_known_ones(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_parameters(GOOD | change, **TYPES)
    assert "data (str), workers (int), seeds (list[int])" in str(caught.value)


def execute(folder, cells, parameters):
    """Run the template's first code cells, with what papermill really injects."""
    book = Path(__file__).resolve().parents[2] / "book"
    notebook = nbformat.read(book / "reproduction" / "otb_table.ipynb", as_version=4)
    notebook.cells = [c for c in notebook.cells if c.cell_type == "code"][:cells]
    nbformat.write(notebook, folder / "template.ipynb")
    papermill.execute_notebook(folder / "template.ipynb", None, parameters, progress_bar=False)


def test_papermill_is_stopped_by_an_unknown_parameter(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="unknown parameter 'traker'"):
        execute(tmp_path, 2, {"traker": "kcf"})


def test_papermill_is_stopped_by_a_tracker_of_former_names(tmp_path):
    images = sequence(tmp_path / "images").frames.paths
    (tmp_path / "otb" / "Dark" / "img").mkdir(parents=True)
    for path in images:
        (tmp_path / "otb" / "Dark" / "img" / path.name).hardlink_to(path)
    (tmp_path / "otb" / "Dark" / "groundtruth_rect.txt").write_text("11,9,20,16\n" * len(images))
    given = {"data": str(tmp_path / "otb"), "trackers": "identity detection:trunk=vggm"}
    with pytest.raises(papermill.PapermillExecutionError, match="trunk is now called backbone"):
        execute(tmp_path, 4, given)
