"""The book builds without a warning, and opens without a network."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a page would fetch by itself when it is opened.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//|"""
    r"""<link\b[^>]*\brel=["'](?:stylesheet|preload)["'][^>]*\bhref=["'](?:https?:)?//|"""
    r"""<link\b[^>]*\bhref=["'](?:https?:)?//[^>]*\brel=["'](?:stylesheet|preload)["']|"""
    r"""@import\s+(?:url\()?["']?(?:https?:)?//"""
)

# A name of the library, {py:func}`...`, and one that became a link.
NAMED = re.compile(r'<code class="xref py ')
LINKED = re.compile(
    r'<a class="reference internal" href="[^"]+" title="[^"]+"><code class="xref py '
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """The book as it is stored, rendered."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "build")
    shutil.copytree(ROOT / "book", source / "book", ignore=ignore)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", source,
         "--path-output", built, "-W", "--keep-going"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return built / "_build" / "html"


def test_every_page_of_the_contents_is_there(pages):
    names = re.findall(r"book/[\w/]+", (ROOT / "_toc.yml").read_text())
    assert names and all((pages / f"{name}.html").is_file() for name in names)


def test_the_library_has_its_pages(pages):
    """What chapters link to: {py:func}`trackerlib.ops.roi_align`."""
    anchors = {
        "boxes": "trackerlib.boxes.box_iou",
        "ops": "trackerlib.ops.roi_align",
        "trackers": "trackerlib.trackers.mdnet.Config",
        "weights": "trackerlib.weights.load",
    }
    for page, anchor in anchors.items():
        assert f'id="{anchor}"' in (pages / "book" / "api" / f"{page}.html").read_text(), anchor


def test_links_to_the_library_lead_somewhere(pages):
    """Sphinx writes a name without a link, and no warning, where it does not know it."""
    for folder in ("chapters", "solutions", "reproduction"):
        for page in (pages / "book" / folder).glob("*.html"):
            names, links = NAMED.findall(page.read_text()), LINKED.findall(page.read_text())
            assert len(names) == len(links), page.name


def test_pages_fetch_nothing_from_elsewhere(pages):
    found = {
        (page.name, match.group())
        for page in pages.rglob("*.html")
        for match in FETCHED.finditer(page.read_text())
    }
    assert not found


STUBS = {  # of what make calls; $FATAL is killed halfway, and make with it
    "python": "exit 0",
    "papermill": 'echo half > "$2"; end papermill; echo whole > "$2"',
    # As Sphinx does, it leaves a page alone that is newer than its source.
    "jupyter-book": """page="$4/_build/html/index.html"; mkdir -p "${page%/*}"
test -e "$page" && exit 0
echo half > "$page"; end jupyter-book; cp "$2/book/reproduction/otb_table.ipynb" "$page" """,
}
END = '#!/bin/sh\nend() { if test "$FATAL" = "$1"; then kill -9 $PPID; exit 1; fi; }\n'


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("fatal", ["papermill", "jupyter-book"])
def test_a_build_that_is_killed_is_done_again(fatal, tmp_path):
    (tmp_path / "bin").mkdir()
    for name, script in STUBS.items():
        (tmp_path / "bin" / name).write_text(END + script)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "ready").touch()
    places = [f"BIN={tmp_path}/bin", f"BUILD={tmp_path}/build", f"READY={tmp_path}/ready"]

    def build(**settings):
        command = ["make", "book", *places]
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True
        )

    assert build(FATAL=fatal).returncode == -signal.SIGKILL
    done = build()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build/_build/html/index.html").read_text() == "whole\n"
    assert "jupyter-book" not in build().stdout, "what is whole is not built again"


def test_a_name_without_a_link_is_seen():
    name = '<code class="xref py py-func">box_iou()</code>'
    link = f'<a class="reference internal" href="../b.html#i" title="box_iou">{name}</a>'
    assert NAMED.search(name) and not LINKED.search(name)
    assert NAMED.search(link) and LINKED.search(link)


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/mathjax.js"></script>',
        '<link href="//fonts.example/a.css" rel="stylesheet">',
        "<style>@import url('https://fonts.example/a.css');</style>",
    ],
)
def test_a_page_that_fetches_is_seen(page):
    assert FETCHED.search(page)
