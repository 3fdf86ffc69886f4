"""Tracking in a notebook: the parts of the page "Track your own video"."""

import base64
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="needs anywidget")
from trackerlib.tracking.notebook import BoxDrawing, downloads, uploaded, watched

FRAME = np.full((48, 64, 3), (200, 40, 90), np.uint8)


def test_a_widget_has_the_boxes_that_the_browser_sends():
    widget = BoxDrawing(FRAME, [[1, 2, 3, 4]])
    assert widget.boxes == [[1, 2, 3, 4]] and widget.frame["width"] == 64
    widget.set_state({"boxes": [[5, 6, 7, 8], [1, 1, 9, 9]]})
    np.testing.assert_array_equal(widget.boxes, [[5, 6, 7, 8], [1, 1, 9, 9]])


def test_the_widgets_script_draws(browser, tmp_path):
    """What JupyterLab does with it, without JupyterLab."""
    script = BoxDrawing(FRAME)._esm
    code = base64.b64encode(str(script).encode()).decode()
    browser.open("about:blank")
    data = str(BoxDrawing(FRAME).frame).replace("'", '"')
    browser.value(
        f"""import("data:text/javascript;base64,{code}").then((module) => {{
          const values = {{ frame: {data}, boxes: [] }};
          window.values = values;
          const model = {{
            get: (name) => values[name],
            set: (name, value) => {{ values[name] = value; }},
            save_changes: () => {{ window.saved = true; }},
          }};
          module.default.render({{ model, el: document.body }});
        }}), 0"""
    )
    browser.wait("document.querySelector('svg') !== null")
    left, top, width = browser.value(
        "(({left, top, width}) => [left, top, width])"
        "(document.querySelector('svg').getBoundingClientRect())"
    )
    scale = width / 64
    ends = [(left + x * scale, top + y * scale) for x, y in ((8, 6), (28, 20))]
    browser.drag(*ends)
    assert browser.value("window.saved && window.values.boxes") == [[8, 6, 20, 14]]


def test_an_upload_is_written_and_stays_in_its_folder(tmp_path):
    assert uploaded(SimpleNamespace(value=()), tmp_path) is None
    for name in ("clip.mp4", "../clip.mp4", "C:\\fakepath\\clip.mp4"):
        file = {"name": name, "content": memoryview(b"video")}
        path = uploaded(SimpleNamespace(value=(file,)), tmp_path)
        assert path == tmp_path / "clip.mp4" and path.read_bytes() == b"video"


def test_an_upload_of_ipywidgets_7_is_written_too(tmp_path):
    """Which Colab has, in place of 8."""
    value = {"clip.mp4": {"metadata": {"name": "clip.mp4", "size": 5}, "content": b"video"}}
    path = uploaded(SimpleNamespace(value=value), tmp_path)
    assert path == tmp_path / "clip.mp4" and path.read_bytes() == b"video"
    assert uploaded(SimpleNamespace(value={}), tmp_path) is None


def test_results_are_passed_on_and_shown(monkeypatch):
    shown = []
    module = sys.modules["trackerlib.tracking.notebook"]
    monkeypatch.setattr(module, "display", shown.append)
    results = [
        SimpleNamespace(
            image=FRAME, box=np.array([5.0, 5, 9, 9]), score=None, lost=None, target=target
        )
        for target in (1, 2, 1, 2)
    ]
    assert list(watched(results, targets=2)) == results
    assert len(shown) == 1 and bytes(shown[0].value).startswith(b"\xff\xd8")


def test_files_can_be_downloaded(tmp_path):
    (tmp_path / "a & b.csv").write_text("frame,time\n")
    page = downloads(tmp_path / "a & b.csv").data
    assert 'download="a &amp; b.csv"' in page
    data = re.search(r"base64,([^\"]+)", page)[1]
    assert base64.b64decode(data) == b"frame,time\n"
