"""What SIGKILL interrupts is resumed to the byte."""

import random
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

SEQUENCES, FRAMES, SEEDS = 4, 60, 5


@pytest.fixture(scope="module")
def otb(tmp_path_factory):
    """Noise that drifts over noise, in OTB's folder format."""
    root, rng = tmp_path_factory.mktemp("otb"), np.random.default_rng(0)
    for name in "ABCD"[:SEQUENCES]:
        (root / name / "img").mkdir(parents=True)
        scene, target = rng.integers(0, 256, (96, 128, 3)), rng.integers(0, 256, (32, 32, 3))
        place = np.array([40.0, 30.0]) + rng.normal(0, 1, (FRAMES, 2)).cumsum(0)
        for number, (x, y) in enumerate(place.clip(0, 60).astype(int), 1):
            frame = scene.copy()
            frame[y : y + 32, x : x + 32] = target
            image = cv2.GaussianBlur(frame.astype(np.uint8), (5, 5), 0)
            cv2.imwrite(str(root / name / "img" / f"{number:04d}.jpg"), image)
        rows = np.column_stack((place.clip(0, 60).astype(int) + 1, np.full((FRAMES, 2), 32)))
        np.savetxt(root / name / "groundtruth_rect.txt", rows, "%d", ",")
    return root


def start(otb: Path, store: Path, workers: int = 1) -> subprocess.Popen:
    seeds = [str(seed) for seed in range(SEEDS)]
    options = ["--trackers", "kcf", "--device", "cpu", "--workers", str(workers)]
    places = ["--data", str(otb), "--store", str(store), "--seeds", *seeds]
    command = [sys.executable, "-m", "trackerlib", "run", *options, *places]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def boxes(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*.txt")}


def wait_for(store: Path, count: int, process: subprocess.Popen) -> None:
    """Until the store holds `count` results."""
    deadline = time.monotonic() + 60
    while len(boxes(store)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(otb, tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed")
    assert start(otb, store).wait(120) == 0
    result = boxes(store)
    assert len(result) == SEQUENCES * SEEDS
    assert len(set(result.values())) >= SEQUENCES  # the tracker does move
    return result


def test_a_killed_run_resumes_to_the_same_bytes(otb, undisturbed, tmp_path):
    moments, left = random.Random(2), []
    for _ in range(3):
        process = start(otb, tmp_path)
        wait_for(tmp_path, len(boxes(tmp_path)) + moments.randint(1, 3), process)
        time.sleep(moments.uniform(0, 0.1))
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        left.append(len(undisturbed) - len(boxes(tmp_path)))
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive, "a killed run leaves its workers behind"
    assert left[0] > left[1] > left[2] > 0
    process = start(otb, tmp_path)
    assert process.wait(120) == 0
    assert process.stdout.read().startswith(b"%d units computed" % left[-1])
    assert boxes(tmp_path) == undisturbed


def test_a_run_survives_the_death_of_one_of_two_workers(otb, undisturbed, tmp_path):
    process = start(otb, tmp_path, workers=2)
    wait_for(tmp_path, 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    assert len(boxes(tmp_path)) < len(undisturbed)
    assert process.wait(120) == 0
    assert boxes(tmp_path) == undisturbed
