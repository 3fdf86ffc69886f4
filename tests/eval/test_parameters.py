import re
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


def test_a_text_may_be_one_of_several():
    kinds = TYPES | {"conventions": ("otb", "pysot")}
    check_parameters(GOOD | {"conventions": "pysot"}, **kinds)
    for wrong in ("PYSOT", "", 3, None):
        message = (
            r"'conventions': expected one of otb, pysot, got .*conventions \(one of otb, pysot"
        )
        with pytest.raises(ValueError, match=message):
            check_parameters(GOOD | {"conventions": wrong}, **kinds)


BOOK = Path(__file__).resolve().parents[2] / "book"
PAGES = sorted(BOOK.glob("reproduction/*.ipynb"))
# A compact file has what frames are worth under OTB's conventions alone.
FROM_A_FILE = "collect_archive", "eval.paper_tables"
TEMPLATES = [page for page in PAGES if not any(name in page.read_text() for name in FROM_A_FILE)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.stem)
def test_every_template_scores_by_the_conventions_that_are_asked_for(path):
    cells = nbformat.read(path, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    assert any('\nconventions = "otb"' in source for source in sources)
    assert any("conventions=tuple(CONVENTIONS)" in source for source in sources)
    code = "\n".join(sources)
    assert "\nscoring = CONVENTIONS[conventions]" in code
    uses = re.findall(r"(?:report\.collect|plots\.success_plot)\(.*", code)
    assert len(uses) >= 2 and all(line.endswith(", scoring)") for line in uses)


def test_papermill_is_stopped_by_conventions_that_nobody_has(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="expected one of otb, got10k"):
        execute(tmp_path, 2, {"conventions": "lasot"})


def execute(folder, cells, parameters):
    """Run the template's first code cells, with what papermill really injects."""
    notebook = nbformat.read(BOOK / "reproduction" / "otb_table.ipynb", as_version=4)
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
