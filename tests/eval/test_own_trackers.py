"""Trackers of one's own in a run: in workers, in the store, and when they fail."""

import os
import sys

import numpy as np
import pytest
from fake_tracker import BOX

from trackerlib.eval.runner import plan, run
from trackerlib.eval.store import Store
from trackerlib.trackers import own, parse

CODE = """
import os

class Mine:
    def __init__(self, seed, step: float = 1.0):
        self.step, self.seed = step, seed
    def init(self, frame, box):
        self.box = box
    def update(self, frame):
        self.box = self.box + [self.step, 0, 0, 0]
        return self.box

class Short(Mine):
    def update(self, frame):
        return self.box[:3]

class Process(Mine):
    def update(self, frame):
        return [os.getpid() % 1000, self.seed % 1000, 1, 1]
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the working folder alone."""
    (tmp_path / "own_module.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path / "own_module.py"
    sys.modules.pop("own_module", None)
    own._imported.clear()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_changed_code_is_run_again(module, dataset, store, scheduler):
    def again(*texts):
        jobs = plan([parse(text) for text in texts], dataset, device="cpu")
        return jobs, run(jobs, store, scheduler=scheduler)

    texts = "own_module:Mine", "own_module:Mine:step=3", "identity"
    assert again(*texts)[1].done == 6
    assert again(*texts)[1].skipped == 6
    module.write_text(CODE.replace("[self.step", "[self.step + 10"))
    jobs, summary = again(*texts)
    assert (summary.done, summary.skipped, summary.failed) == (4, 2, 0)
    moved = {job.unit.label: store.read(job.unit).track.boxes[1, 0] - BOX[0] for job in jobs}
    assert moved == {"own_module:Mine": 11, "own_module:Mine:step=3": 13, "identity": 0}


def test_a_box_of_another_shape_fails_its_unit(module, dataset, store, scheduler):
    jobs = plan([parse("own_module:Short")], dataset, device="cpu")
    assert run(jobs, store, scheduler=scheduler).failed == 2
    reason = store.failure(jobs[0].unit).reason
    assert "Bright, frame 2: expected a box of 4 numbers from the tracker, got array(" in reason


def test_processes_import_it_from_the_folder_in_which_it_was_named(module, dataset, store):
    jobs = plan([parse("own_module:Process")], dataset, device="cpu")
    assert run(jobs, store, workers=1).failed == 0
    boxes = [store.read(job.unit).track.boxes[1] for job in jobs]
    assert boxes[0][0] != os.getpid() % 1000
    assert len({float(box[1]) for box in boxes}) == 2  # each sequence has its seed
    assert np.isfinite(boxes).all()
