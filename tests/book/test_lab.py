"""JupyterLab in a real browser opens chapters and runs them, and their widgets answer.

`make test` runs a chapter as far as its first widget; `make trust` runs all of it.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WHOLE = os.environ.get("LAB_CHAPTERS") == "whole"
CHAPTERS = {"02_correlation_filters": 3, "07_rtmdnet": 2}  # sliders of the first widget
START, RUN = 120, 600 if not WHOLE else 1800  # seconds, on a busy machine
STEADY = {"TRACKERLIB_RECORDED": "read", "TRACKERLIB_MODE": "float32", "OMP_NUM_THREADS": "1"}
IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = "jupyterapp.commands.execute('notebook:run-all-cells')"
FAILED = """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .flatMap((cell) => cell.getOutputs?.() ?? [])
  .filter((output) => output.output_type === "error")
  .map((output) => `${output.ename}: ${output.evalue}`)"""
PICTURE = ".jp-OutputArea-output .widget-interact img, .widget-interact .jp-OutputArea-output img"


def shortened(path: Path) -> nbformat.NotebookNode:
    """A chapter without outputs, as far as its first widget, or all of it."""
    notebook = nbformat.read(path, as_version=4)
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    first = next(i for i in code if "interact(" in notebook.cells[i].source)
    notebook.cells = notebook.cells if WHOLE else notebook.cells[: first + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that serves the chapters."""
    if not CHROMIUM:
        pytest.skip("no chromium on the path; `apt-get install chromium` brings it")
    folder = tmp_path_factory.mktemp("lab")
    for name in CHAPTERS:
        nbformat.write(shortened(BOOK / "chapters" / f"{name}.ipynb"), folder / f"{name}.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={port}"]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", *options]
    address = f"http://127.0.0.1:{port}"
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | STEADY | own, stdout=log, stderr=log)
    try:
        wait_for(f"{address}/api", server)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str, server: subprocess.Popen) -> None:
    began = time.monotonic()
    while server.poll() is None and time.monotonic() - began < START:
        try:
            return urlopen(address).close()
        except URLError:
            time.sleep(0.2)
    pytest.fail(f"no JupyterLab after {START} s at {address}")


@pytest.fixture
def page(lab):
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_and_its_widget_answers(lab, page, name):
    page.set_default_timeout(RUN * 1000)
    page.goto(f"{lab}/lab/workspaces/{name}/tree/{name}.ipynb")  # no other chapter is open
    page.wait_for_function(IDLE)
    page.evaluate(RUN_ALL)
    assert page.evaluate(FAILED) == []
    before = page.locator(PICTURE).first.get_attribute("src")
    sliders = page.locator(".widget-interact [role=slider]")
    assert sliders.count() >= CHAPTERS[name]
    sliders.first.press("ArrowRight")
    page.wait_for_function(
        "([picture, before]) => ![null, before].includes(document.querySelector(picture)?.src)",
        arg=[PICTURE, before],
    )
