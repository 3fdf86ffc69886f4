"""What the pages leave out, say of themselves, and take to read."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from book.extensions import reading_time, small_pages

ICONS = (
    'x={"arrow-up":[10,20,[1,"a"],"f062","M1"],bars:[4,5,[],"f0c9","M2 3"],plus:[1,1,[],"2b","M"]}'
)


def test_icons_that_no_page_has_are_left_out():
    assert small_pages.only(ICONS, {"bars"}) == 'x={bars:[4,5,[],"f0c9","M2 3"],}'


def test_files_that_no_page_loads_are_removed(tmp_path):
    for name in ("tex-chtml.js", "tex-chtml-full.js", "input/tex/extensions/a.js", "sre/b.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    small_pages.keep_only(tmp_path, small_pages.MATHJAX)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"tex-chtml.js", "input/tex/extensions/a.js"}


def test_a_notebook_to_download_has_its_text_and_no_pictures():
    pictures = {"image/png": "iVBO", "text/html": "<p>", "text/plain": ["<Figure>"]}
    drawn = {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": pictures}]}
    printed = {"cell_type": "code", "outputs": [{"output_type": "stream", "text": "1"}]}
    cells = [{"cell_type": "markdown", "source": "Text"}, drawn, printed]
    kept = json.loads(small_pages.without_pictures(json.dumps({"cells": cells})))["cells"]
    assert kept[1]["outputs"][0]["data"] == {"text/plain": ["<Figure>"]}
    assert (kept[0], kept[2]) == (cells[0], printed)


def test_a_page_has_the_date_and_commit_of_its_last_change(tmp_path):
    def git(*words):
        name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    for text in ("1", "2"):
        (tmp_path / "page.md").write_text(text)
        git("add", ".")
        git("commit", "-m", text)
    hashes = subprocess.run(
        ["git", "log", "--format=%h"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = small_pages.read_commits(tmp_path)["page.md"]
    assert found.endswith(f", commit {hashes.stdout.split()[0]}")


def test_without_a_repository_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert small_pages.read_commits(tmp_path) == {}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, ""),
        ({"minutes": 2.1}, "; its cells run in 2.1 minutes"),
        ({"minutes": 2.1, "machine": "a CPU"}, "; its cells run in 2.1 minutes on a CPU"),
    ],
)
def test_a_page_says_how_long_its_cells_run_and_on_what(tmp_path, metadata, said):
    path = tmp_path / "page.ipynb"
    path.write_text(json.dumps({"cells": [], "metadata": metadata}))
    assert small_pages.time_to_run(path) == said


def config(repository: str) -> SimpleNamespace:
    return SimpleNamespace(book_repository=repository, html_theme_options={})


def test_one_line_gives_every_page_its_links():
    here, nowhere = config("https://github.com/a/b"), config("")
    small_pages.set_links(None, here)
    small_pages.set_links(None, nowhere)
    options = here.html_theme_options
    assert options["repository_url"] == "https://github.com/a/b"
    assert {"binderhub_url", "colab_url"} < set(options["launch_buttons"])
    assert nowhere.html_theme_options == {}


@pytest.mark.parametrize("groups", [[], [{"label": "launch-buttons", "buttons": []}]])
def test_a_notebooks_page_opens_in_jupyterlab(groups):
    files = {"book/chapters/01": "01.ipynb", "book/index": "index.md"}
    env = SimpleNamespace(all_docs=files, doc2path=lambda page: Path(files[page]))
    for page in ("book/index", "search", "book/chapters/01"):
        small_pages.open_in_lab(
            SimpleNamespace(env=env), page, "", {"header_buttons": groups}, None
        )
    (shown,) = groups
    (button,) = shown.get("buttons", [shown])
    assert button["url"] == "http://localhost:8888/lab/tree/chapters/01.ipynb"


def test_minutes_are_counted_and_measured():
    cells = [
        {"cell_type": "markdown", "source": ["word " * 1000]},
        {"cell_type": "code", "source": ["x = 1\n"] * 60},
    ]
    notebook = {"cells": cells, "metadata": {}}
    assert reading_time.minutes_to_read(notebook) == 10  # five of words, five of code
    assert reading_time.minutes_to_run(notebook) == ""
    assert reading_time.minutes_to_run({"metadata": {"minutes": 2.1}}) == "3"
