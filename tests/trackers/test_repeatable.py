"""The same seed gives the same boxes, in one process or in two, whatever ran before."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_trackers import SPECIFICATIONS

from trackerlib.trackers import parse

TESTS = Path(__file__).resolve().parents[1]
MIL = "opencv:algorithm=mil"  # draws C's random numbers, which OpenCV does not seed
ALL = {**SPECIFICATIONS, "mil": MIL}
LENGTH = 5


def tracked(text, frames, box, seed=3):
    """Boxes (LENGTH, 4) of a new tracker."""
    tracker = parse(text).build(seed=seed)
    tracker.init(frames[0], box)
    return np.array([tracker.update(frame) for frame in frames[1 : LENGTH + 1]])


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory, moving):
    """Boxes of every tracker by name, from another process, in the opposite order."""
    folder = tmp_path_factory.mktemp("elsewhere")
    frames, truth = moving(40, 32)
    np.savez(folder / "frames.npz", frames=frames, box=truth[0])
    settings = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, __file__, str(folder)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "boxes.npz") as boxes:
        return dict(boxes)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_boxes(moving, elsewhere, name):
    frames, truth = moving(40, 32)
    first, again = (tracked(ALL[name], frames, truth[0]) for _ in range(2))
    assert np.isfinite(first).all() and first.shape == (LENGTH, 4)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(elsewhere[name], first)


@pytest.mark.parametrize("name", ["mil", "mdnet", "deeptrack"])
def test_another_seed_gives_other_boxes(moving, name):
    """So that equal boxes above are the seed's doing."""
    frames, truth = moving(40, 32)
    one, other = (tracked(ALL[name], frames, truth[0], seed) for seed in (3, 4))
    assert (one != other).any()


if __name__ == "__main__":
    given = np.load(Path(sys.argv[1], "frames.npz"))
    found = {name: tracked(ALL[name], given["frames"], given["box"]) for name in reversed(ALL)}
    np.savez(Path(sys.argv[1], "boxes.npz"), **found)
