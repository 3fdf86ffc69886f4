"""Adapters to got10k and TraX, with stand-ins for both packages.

Both were also run in the real ones, once: got10k 0.1.3, and vot-toolkit 0.7.4 (vot-trax 4.0.2,
attributee 0.1.9), whose boxes, failures and measures equalled those of `--protocol vot`.
"""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from trackerlib import adapters, trackers
from trackerlib.adapters import Got10kSpec, as_got10k, serve_trax
from trackerlib.data import Dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval import runner
from trackerlib.eval.tracking import track

BOX = np.array([4.0, 3.0, 12.0, 10.0])


class Base:
    """got10k.trackers.Tracker, without its `track`."""

    def __init__(self, name, is_deterministic=False):
        self.name, self.is_deterministic = name, is_deterministic


class Theirs(Base):
    """Moves by a pixel per frame, and wants images of Pillow."""

    def __init__(self):
        super().__init__("theirs")

    def init(self, image, box):
        assert isinstance(image, Image.Image) and image.mode == "RGB"
        self.box = box

    def update(self, image):
        assert image.getpixel((0, 0)) == (1, 2, 3)
        self.box = np.add(self.box, [1, 0, 0, 0])
        return self.box.tolist()


class Frames(list):
    """Frames in memory."""


@pytest.fixture
def sequence():
    frame = np.full((40, 50, 3), (1, 2, 3), np.uint8)
    return Sequence("Made", Frames([frame] * 4), np.tile(BOX, (4, 1)), np.arange(1, 5))


@pytest.fixture
def got10k(monkeypatch):
    monkeypatch.setitem(sys.modules, "got10k", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "got10k.trackers", SimpleNamespace(Tracker=Base))


@pytest.mark.parametrize("first_pixel", [0, 1])
def test_a_tracker_of_ours_in_got10k(got10k, first_pixel):
    tracker = as_got10k(trackers.parse("identity"), first_pixel=first_pixel)
    assert isinstance(tracker, Base) and tracker.name == "identity"
    tracker.init(Image.new("RGB", (50, 40)), BOX)
    np.testing.assert_array_equal(tracker.tracker.box, BOX - [first_pixel, first_pixel, 0, 0])
    np.testing.assert_array_equal(tracker.update(Image.new("RGB", (50, 40))), BOX)


def test_a_tracker_of_got10k_in_our_table(sequence):
    spec = Got10kSpec("theirs", Theirs)
    job, other = runner.plan([spec, trackers.parse("identity")], Dataset("made", (sequence,)))
    assert job.unit.label == "theirs" and job.unit.settings != other.unit.settings
    found = track(spec.build("cpu", 0), sequence, job.segment)
    np.testing.assert_array_equal(found.boxes[:, 0], [4, 5, 6, 7])


def test_code_is_that_of_the_module():
    assert Got10kSpec("a", Theirs).code() == Got10kSpec("b", Theirs).code()
    assert Got10kSpec("a", Theirs).code() != Got10kSpec("a", adapters.Got10kTracker).code()


class Server:
    """trax.Server: plays requests back, and keeps what was answered."""

    def __init__(self, regions, images, tracker_name):
        assert (regions, images, tracker_name) == (["rectangle"], ["path"], "identity")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.answers.append("closed")

    def wait(self):
        return self.requests.pop(0)

    def status(self, objects):
        self.answers.append(objects)


def test_a_tracker_of_ours_serves_trax(monkeypatch, tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((40, 50, 3), np.uint8))
    image = {"color": SimpleNamespace(path=lambda: str(tmp_path / "1.png"))}
    region = SimpleNamespace(bounds=lambda: tuple(BOX))
    frame = SimpleNamespace(type="frame", image=image, objects=None)
    start = SimpleNamespace(type="initialize", image=image, objects=[(region, {})])
    moved = SimpleNamespace(bounds=lambda: (5, 3, 12, 10))
    again = SimpleNamespace(type="initialize", image=image, objects=[(moved, {})])
    Server.requests = [start, frame, again, frame, SimpleNamespace(type="quit")]
    Server.answers = []
    trax = SimpleNamespace(
        Server=Server,
        Region=SimpleNamespace(RECTANGLE="rectangle"),
        Image=SimpleNamespace(PATH="path"),
        TraxStatus=SimpleNamespace(INITIALIZE="initialize", FRAME="frame"),
        Rectangle=SimpleNamespace(create=lambda *box: box),
    )
    monkeypatch.setitem(sys.modules, "trax", trax)
    serve_trax(trackers.parse("identity"))
    first, second = [(tuple(BOX), {})], [((5, 3, 12, 10), {})]
    assert Server.answers == [first, first, second, second, "closed"]
