"""Notebooks' text is plain, as JupyterLab shows it, and the pages make of it what MyST has."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from benchmarks import plain_text as writer
from book.extensions import plain_text as reader

BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
ROLE = re.compile(r"\{[\w:]+\}`|```\{math\}|```\{figure\}")
EQUATION = "```{math}\n:label: eq-a\nx = 1\n```"
PLAIN = '<a id="eq-a"></a>\n\n$$\nx = 1\n\\tag{2.1}\n$$'
CHAPTER = Path("chapters/02_made.ipynb")


def converted(*cells, path: Path = CHAPTER):
    notebook = new_notebook(cells=list(cells))
    writer.convert(notebook, path)
    return notebook.cells


def figure(name: str, caption: str):
    shown = {"figure": {"name": name, "caption": caption}, "image": {"alt": "a"}}
    return new_code_cell("plot()", metadata={"mystnb": shown})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(BOOK)))
def test_a_notebook_is_written_for_jupyterlab(path):
    """`python -m benchmarks.plain_text NOTEBOOK` writes it so, and counts its numbers."""
    notebook = nbformat.read(path, as_version=4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert not [found for text in texts for found in ROLE.findall(text)]
    before = nbformat.writes(notebook)
    writer.convert(notebook, path)
    assert nbformat.writes(notebook) == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(BOOK)))
def test_a_figure_says_what_is_seen(path):
    notebook = nbformat.read(path, as_version=4)
    silent = [
        cell.source[:80]
        for cell in notebook.cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        and not cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    ]
    assert not silent


def test_equations_and_references_have_numbers():
    (cell,) = converted(new_markdown_cell(f"{EQUATION}\n\nBy equation {{eq}}`eq-a`."))
    assert cell.source == f"{PLAIN}\n\nBy equation [(2.1)](#eq-a)."


def test_a_caption_becomes_a_cell_and_figures_are_counted():
    cells = converted(figure("fig-a", "One."), figure("fig-b", "As {numref}`fig-a`."))
    assert [cell.cell_type for cell in cells] == ["code", "markdown"] * 2
    assert cells[1].source == '<a id="fig-a"></a>\n**Fig. 2.1.** One.'
    assert cells[3].source == '<a id="fig-b"></a>\n**Fig. 2.2.** As [Fig. 2.1](#fig-a).'
    assert cells[0].metadata.mystnb == {"image": {"alt": "a"}}


def test_citations_are_links_in_brackets_or_names_in_a_sentence():
    text = "OTB {cite}`wu2013online,wu2015otb` and section 4 of {cite}`henriques2015kcf`"
    (cell,) = converted(new_markdown_cell(text))
    assert cell.source == (
        "OTB ([Wu et al., 2013](https://doi.org/10.1109/CVPR.2013.312), "
        "[Wu et al., 2015](https://doi.org/10.1109/TPAMI.2014.2388226)) "
        "and section 4 of [Henriques et al. (2015)](https://arxiv.org/abs/1404.7584)"
    )


def test_terms_are_bold_and_names_are_code():
    text = "**{term}`backbone`**, {term}`candidates <candidate>`, {py:func}`~trackerlib.ops.hog`"
    (cell,) = converted(new_markdown_cell(text))
    assert cell.source == "**backbone**, **candidates**, `trackerlib.ops.hog`"


@pytest.mark.parametrize("text", ["{eq}`eq-none`", "{numref}`fig-none`", "{cite}`none2020`"])
def test_an_unknown_label_or_key_is_refused(text):
    with pytest.raises(ValueError, match="none"):
        converted(new_markdown_cell(text))


def test_pages_read_what_is_written():
    text = f"{EQUATION}\n\nBy {{eq}}`eq-a`; see {{numref}}`fig-a`."
    notebook = new_notebook(cells=[figure("fig-a", "One."), new_markdown_cell(text)])
    writer.convert(notebook, CHAPTER)
    source = [nbformat.writes(notebook)]
    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda name: f"{name}.ipynb"))
    reader.read(app, "02_made", source)
    code, prose = json.loads(source[0])["cells"]
    assert code["metadata"]["mystnb"]["figure"] == {"name": "fig-a", "caption": "One."}
    assert prose["source"] == text


def test_a_caption_below_no_figure_is_refused():
    cell = {"cell_type": "markdown", "metadata": {}, "source": ""}
    with pytest.raises(ValueError, match="caption below a code cell"):
        reader.add_caption(cell, '<a id="fig-a"></a>\nOne.', Path("made.ipynb"))


def test_quotations_that_begin_with_a_known_word_become_boxes():
    document = nodes.container()
    for word in ("Warning.", "Mind."):
        parts = nodes.Text(""), nodes.strong("", word), nodes.Text(" Text.")  # as MyST has them
        paragraph = nodes.paragraph("", "", *parts)
        document += nodes.block_quote("", paragraph)
    reader.to_boxes(document)
    box, quote = document.children
    assert box.children[0].astext() == "Warning" and box.astext().endswith("Text.")
    assert isinstance(quote, nodes.block_quote)
