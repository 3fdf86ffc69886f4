"""A tracker in another program, which speaks TraX; these tests need the package vot-trax."""

import os
import sys
import textwrap

import numpy as np
import pytest

from trackerlib.trackers import parse, trax

FRAMES = [np.full((40, 50, 3), (10 * number, 2, 3), np.uint8) for number in range(4)]
BOX = np.array([4.0, 5.0, 10.0, 8.0])
SERVER = """\
#!{python}
import sys
import trax
with trax.Server([trax.Region.{region}], [trax.Image.{image}]) as server:
    while (request := server.wait()).type in (trax.TraxStatus.INITIALIZE, trax.TraxStatus.FRAME):
        {extra}
        if request.type == trax.TraxStatus.INITIALIZE:
            region = request.objects[0][0]
        elif region.type == "rectangle":
            x, y, w, h = region.bounds()
            region = trax.Rectangle.create(x + 1.5, y, w, h)
        server.status([(region, {{}})])
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    pytest.importorskip("trax", reason="vot-trax is not installed: pip install vot-trax")
    monkeypatch.chdir(tmp_path)

    def write(region="RECTANGLE", image="PATH", extra="pass"):
        path = tmp_path / "my-tracker"
        path.write_text(
            SERVER.format(python=sys.executable, region=region, image=image, extra=extra)
        )
        path.chmod(0o755)
        return parse("trax:./my-tracker")

    return write


@pytest.mark.parametrize("image", ["PATH", "MEMORY"])
def test_a_program_tracks(server, image):
    tracker = server(image=image).build()
    for _ in range(2):  # the second target has a program of its own
        tracker.init(FRAMES[0], BOX)
        boxes = [tracker.update(frame) for frame in FRAMES[1:]]
        np.testing.assert_allclose(np.array(boxes)[:, 0], [5.5, 7, 8.5])
    process = tracker._process
    del tracker
    assert process.poll() is not None


def test_a_polygon_is_the_box_around_it(server):
    tracker = server(region="POLYGON").build()
    tracker.init(FRAMES[0], BOX)
    np.testing.assert_allclose(tracker.update(FRAMES[1]), BOX)


def test_a_program_that_fails_says_what_it_wrote(server):
    tracker = server(extra="sys.exit('no network here')").build()
    with pytest.raises(RuntimeError, match=r"my-tracker: .*; the program wrote: no network here"):
        tracker.init(FRAMES[0], BOX)


def test_a_program_that_hangs_is_ended(server, monkeypatch):
    monkeypatch.setattr(trax, "PATIENCE", 3.0)
    tracker = server(extra="__import__('time').sleep(600)").build()
    with pytest.raises(RuntimeError, match="no answer for 3 s"):
        tracker.init(FRAMES[0], BOX)
    assert tracker._process.poll() is not None


def test_another_program_is_another_tracker(server):
    first, second = server().code(), server(extra="print(1, file=sys.stderr)").code()
    assert first != second
    assert server().settings() == {"tracker": "trax", "command": "./my-tracker"}


def test_a_tracker_of_this_library_through_trax(server, moving):
    frames, truth = moving(40, 32)
    boxes = []
    for text in (f"trax:{sys.executable} -m trackerlib trax kcf", "kcf"):
        tracker = parse(text).build()
        tracker.init(frames[0], truth[0])
        boxes.append([tracker.update(frame) for frame in frames[1:4]])
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-3)  # TraX has float32


def test_without_the_package_the_cure_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "trax.client", None)
    with pytest.raises(ImportError, match=r"expected the package vot-trax.*pip install vot-trax"):
        parse(f"trax:{sys.executable}").build()


def test_a_command_that_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script").write_text(textwrap.dedent("echo"))
    assert not os.access("script", os.X_OK)
    for text in ("trax:./nix", "trax:./script"):
        with pytest.raises(ValueError, match=r"a program that can be run, .*chmod"):
            parse(text)
    with pytest.raises(ValueError, match=r"a command after trax:.*trax:./my-tracker"):
        parse("trax:")
