"""What every test may ask for."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import pytest

# Compiling a backbone takes seconds for each size of image: tests of the modes name their own.
os.environ.setdefault("TRACKERLIB_MODE", "float32")

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"

# A busy machine is no reason to fail, and a failure must come again.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")
# `make trust`: other examples each time, and many.
hypothesis.settings.register_profile("trust", deadline=None, max_examples=2000, print_blob=True)


# A shell starts jobs in the background with these ignored, and processes pass that on; what is
# tested of signals is what they do in the foreground.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


def slow_tests() -> dict[str, float]:
    """Return seconds by name from slow.txt: {"eval/test_kill.py::test_a_killed_run...": 46}."""
    lines = (TESTS / "slow.txt").read_text().splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {name: float(seconds) for seconds, name in pairs}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what slow.txt names, which `make check` leaves out; let its files begin first."""
    slow, seconds = slow_tests(), Counter[str]()
    for name in slow:
        seconds[name.partition("::")[0]] += slow[name]
    for item in items:
        file = os.path.relpath(item.path, TESTS)
        if f"{file}::{getattr(item, 'originalname', item.name)}" in slow:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: -seconds[os.path.relpath(item.path, TESTS)])


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real sequences and published results, beside the checkout where there are any."""
    if not SHARED.is_dir():
        pytest.skip(f"needs real sequences in {SHARED}, a folder beside the checkout")
    return SHARED


@pytest.fixture
def trust(pytestconfig: pytest.Config) -> None:
    """What only `make trust` runs."""
    if pytestconfig.getoption("--hypothesis-profile") != "trust":
        pytest.skip("takes long: make trust runs it")


def _texture(rng: np.random.Generator, height: int, width: int, blur: float) -> np.ndarray:
    noise = rng.normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def moving() -> Callable:
    """(w, h) -> 20 new frames of 320x240 and the boxes (20, 4) of a textured target on a curve."""

    def make(width: int, height: int) -> tuple[list[np.ndarray], np.ndarray]:
        rng = np.random.default_rng(0)
        scene, target = _texture(rng, 240, 320, 6), _texture(rng, height, width, 2)
        frames, boxes = [], []
        for t in range(20):
            x, y = 60 + 4 * t, round(50 + 20 * np.sin(t / 5))
            frames.append(scene.copy())
            frames[-1][y : y + height, x : x + width] = target
            boxes.append([x, y, width, height])
        return frames, np.array(boxes, dtype=np.float64)

    return make


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A cluster that is there already: no processes to start for every test."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address
