"""What SIGKILL interrupts is resumed to the byte."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import nbformat
import numpy as np
import psutil
import pytest

from trackerlib.data import open_dataset
from trackerlib.eval.runner import plan, run
from trackerlib.eval.store import Store
from trackerlib.trackers import parse

SEQUENCES, FRAMES, SEEDS = 4, 60, 6
TEMPLATE = Path(__file__).resolve().parents[2] / "book/reproduction/otb_table.ipynb"
PATIENCE = 300  # seconds; far more than a busy machine needs


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


def start(
    otb: Path, store: Path, workers: int, errors: int = subprocess.DEVNULL
) -> subprocess.Popen:
    seeds = [str(seed) for seed in range(SEEDS)]
    options = ["--trackers", "kcf", "--device", "cpu", "--workers", str(workers)]
    places = ["--data", str(otb), "--store", str(store), "--seeds", *seeds]
    command = [sys.executable, "-m", "trackerlib", "run", *options, *places]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)


def boxes(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*.txt")}


def wait_for(store: Path, count: int, process: subprocess.Popen) -> None:
    """Until the store holds `count` results."""
    deadline = time.monotonic() + PATIENCE
    while len(boxes(store)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def undisturbed(otb, scheduler, tmp_path_factory):
    """What a run gives that nothing interrupts."""
    store = Store(tmp_path_factory.mktemp("undisturbed"))
    jobs = plan([parse("kcf")], open_dataset(otb), seeds=range(SEEDS), device="cpu")
    assert run(jobs, store, scheduler=scheduler).failed == 0
    result = boxes(store.root)
    assert len(result) == SEQUENCES * SEEDS
    assert len(set(result.values())) >= SEQUENCES  # the tracker does move
    return result


class Killed(NamedTuple):
    """A store in which three runs were killed, one after the other."""

    store: Path
    left: list[int]  # units that each of them left to do
    orphans: list[psutil.Process]  # workers that outlived theirs by a minute


@pytest.fixture(scope="module")
def killed(otb, tmp_path_factory):
    store, moments, left, orphans = tmp_path_factory.mktemp("store"), random.Random(2), [], []
    for _ in range(3):
        process = start(otb, store, workers=1)
        wait_for(store, len(boxes(store)) + moments.randint(1, 3), process)
        time.sleep(moments.uniform(0, 0.1))
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        left.append(SEQUENCES * SEEDS - len(boxes(store)))
        orphans += psutil.wait_procs(children, timeout=60)[1]
    return Killed(store, left, orphans)


class Resumed(NamedTuple):
    """What a run of two workers that went on in that store gave, one of them being killed."""

    workers: int
    left: int  # units to do when the worker was killed
    status: int
    printed: bytes
    boxes: dict[str, bytes]


@pytest.fixture(scope="module")
def resumed(otb, killed):
    process = start(otb, killed.store, workers=2)
    wait_for(killed.store, SEQUENCES * SEEDS - killed.left[-1] + 2, process)
    workers = workers_of(process)
    workers[0].kill()
    left = SEQUENCES * SEEDS - len(boxes(killed.store))
    status = process.wait(PATIENCE)
    return Resumed(len(workers), left, status, process.stdout.read(), boxes(killed.store))


def test_a_killed_run_leaves_its_results_and_no_workers(killed):
    assert killed.left[0] > killed.left[1] > killed.left[2] > 0
    assert not killed.orphans, "a killed run leaves its workers behind"


def test_a_killed_run_resumes_to_the_same_bytes(undisturbed, killed, resumed):
    assert resumed.status == 0
    assert resumed.printed.startswith(b"%d units computed" % killed.left[-1])
    assert resumed.boxes == undisturbed


def test_a_run_survives_the_death_of_one_of_two_workers(undisturbed, resumed):
    assert resumed.workers == 2 and resumed.left > 0
    assert resumed.status == 0 and resumed.boxes == undisturbed


@pytest.mark.parametrize(("signals", "code"), [(["SIGINT"] * 3, 130), (["SIGTERM"], 143)])
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs signals of Unix")
def test_a_run_that_is_interrupted_says_so_and_nothing_else(otb, tmp_path, signals, code):
    """A terminal sends Ctrl-C to the workers too, and one is pressed more than once."""
    process = start(otb, tmp_path, workers=2, errors=subprocess.PIPE)
    wait_for(tmp_path, 1, process)
    send = os.kill if signals == ["SIGTERM"] else os.killpg
    for name in signals:
        send(process.pid, getattr(signal, name))
        time.sleep(0.3)
    printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, errors.decode()
    assert b"the same command goes on from there" in printed
    lines = errors.decode().replace("\r", "\n").splitlines()
    assert [line for line in lines if line.strip() and "%|" not in line] == ["interrupted"]


def test_a_killed_notebook_leaves_its_results_and_goes_on(trust, otb, undisturbed, tmp_path):
    notebook = nbformat.read(TEMPLATE, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:4]  # the run
    nbformat.write(notebook, tmp_path / "template.ipynb")
    places = {"data": otb, "store": tmp_path / "store", "trackers": "kcf", "device": "cpu"}
    given = [word for name, value in places.items() for word in ("-r", name, str(value))]
    given += ["-y", f"seeds: {[*range(SEEDS)]}"]
    files = tmp_path / "template.ipynb", tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", *map(str, files), *given]

    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "store", 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=60)[1], "a killed notebook leaves its kernel"
    assert not list(Store(tmp_path / "store").damages())
    assert 2 <= len(boxes(tmp_path / "store")) < len(undisturbed)
    assert subprocess.run(command, stderr=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0
    assert boxes(tmp_path / "store") == undisturbed
