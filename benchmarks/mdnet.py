"""MDNet and its descendants: accuracy of all and of ablations, speed, memory, identities.

    python -m benchmarks.mdnet --data FOLDER --accuracy STORE --seeds 0 1 2
    python -m benchmarks.mdnet --data FOLDER --split DragonBaby --speed

Accuracy computes what is not yet in the store. Speed is of a process for each row: median
milliseconds per frame, seconds of the first frame without compilation (it is tracked twice),
peak resident memory, iterations of fine-tuning, mean milliseconds of every stage. `--memory SPEC`
compares the peaks of 200 and of 1,000 frames, the sequence over and over. `--severity 0.5 1`
takes fast motion and occlusion of the embedded benchmark in place of the data. `--identity STORE`
counts whom is followed where others look like the target, in the embedded benchmark.
`--curve NAME CHECKPOINT` adds the training of a head, of a run of trackerlib.train.multidomain.
What is measured goes into the file of `--json`, beside what is there: data/multidomain.json,
data/rtmdnet.json for RT-MDNet's and data/dlst.json for DLST's.

The rows of RT-MDNet's table 2, from RoIPooling on, want a head each, since that of another row
would favour the features that it was trained on: data/README.md says how to make them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import detection
from benchmarks.msdat import history, keep
from trackerlib.analysis.identity_switches import LOOK_ALIKES, actors, switches
from trackerlib.analysis.identity_switches import followed as followed_by
from trackerlib.analysis.profiler import Profiler
from trackerlib.data import Dataset, open_dataset
from trackerlib.data.sequence import Sequence
from trackerlib.data.synthetic.dataset import render
from trackerlib.eval import runner
from trackerlib.eval.report import collect
from trackerlib.eval.store import Store
from trackerlib.trackers import parse
from trackerlib.trackers.mdnet import Tracker

ABOUT = "benchmarks/mdnet.py, on targets of OTB"
ROWS = {
    "MDNet": "mdnet",
    "MDNet, float32": "mdnet:mode=float32",
    "FDN": "fdn",
    "FDN, RoIPool": "fdn:pooling=pool",
    "FDN, 1 point": "fdn:samples=1",
    "FDN, 3 x 3 points": "fdn:samples=3",
    "FDN, no regression": "fdn:regression=false",
    "FDN, head not trained": "fdn:head=random",
    "FDN, 2 layers, not trained": "fdn:fc_layers=2,head=random",
    "FDN, no threshold": "fdn:loss_threshold=0",
    "RT-MDNet": "rtmdnet",
    "RT-MDNet, float32": "rtmdnet:mode=float32",
    "RT-MDNet, int8": "rtmdnet:mode=int8",
    "RT-MDNet, no regression": "rtmdnet:regression=false",
    "RT-MDNet, no embedding": "rtmdnet:head=vggm-rtmdnet-binary",
    "RT-MDNet, neither": "rtmdnet:regression=false,head=vggm-rtmdnet-binary",
    "DLST": "dlst",
    "DLST, R = 4": "dlst:radius=4",
    "DLST-sloc": "dlst:search=located",
    "DLST-fc": "dlst:classifier=connected",
    "DLST-nloc": "dlst:search=previous",
    "MDNet-NH": "mdnet:head=random,first_lr=1e-3,lr=3e-3,first_iterations=30,iterations=10",
    "MDNet-NL": "mdnet:head=random,first_lr=1e-4,lr=3e-4,first_iterations=30,iterations=10",
}
TABLE_2 = {
    "RoIPooling": "pooling=pool,dense=false",
    "RoIAlign": "pooling=align,dense=false",
    "adaptive RoIAlign": "dense=false",
    "RoIAlign, dense": "pooling=align",
    "improved RoIAlign": "pooling=adaptive",
}
for name, choice in TABLE_2.items():
    own = name.lower().replace(",", "").replace(" ", "-")  # the name its head is added under
    ROWS[name] = f"rtmdnet:regression=false,{choice},head={own}"
DIFFICULT = ("Ball", "Columns")  # fast motion and occlusion, in the embedded benchmark
TIMED = {
    "MDNet, float32": "mdnet:mode=float32",
    "MDNet, default mode": "mdnet",
    "FDN, float32": "fdn:mode=float32",
    "FDN, default mode": "fdn",
    "FDN, no threshold": "fdn:loss_threshold=0",
    "RT-MDNet, float32": "rtmdnet:mode=float32",
    "RT-MDNet, default mode": "rtmdnet",
    "DLST, float32": "dlst:mode=float32",
    "DLST, default mode": "dlst",
}


def accuracy(
    dataset: Dataset, folder: Path, names: list[str], seeds: list[int], workers: int
) -> list[dict[str, Any]]:
    """Return a row for each name and this number of targets: AUC and precision."""
    store, targets = Store(folder), len(dataset.sequences)
    label = dataset.name if dataset.name.startswith("severity") else f"{targets} targets"
    return [
        detection.tracked(f"{name}, {label}", parse(ROWS[name]), dataset, store, seeds, workers)
        for name in names
    ]


def difficult(severity: float) -> Dataset:
    """Return fast motion and occlusion of the embedded benchmark, turned up or down."""
    rendered = tuple(render(name, severity) for name in DIFFICULT)
    return Dataset(f"severity {severity:g}", rendered)


def followed(text: str, sequence: Sequence, frames: int) -> dict[str, Any]:
    """Return what so many frames of a sequence take, the sequence over and over."""
    tracker = parse(text).build()
    assert isinstance(tracker, Tracker)
    for _ in range(2):
        began = time.perf_counter()
        tracker.init(sequence.frames[0], sequence.boxes[0])
        first = time.perf_counter() - began
    profiler, seconds, iterations = Profiler(tracker), [], 0
    for index in islice(cycle(range(len(sequence))), 1, frames):
        frame, began = sequence.frames[index], time.perf_counter()
        profiler.update(frame)
        seconds.append(time.perf_counter() - began)
        iterations += len(tracker.losses)
    return {
        "frame": round(1e3 * float(np.median(seconds)), 1),
        "mean": round(1e3 * float(np.mean(seconds)), 1),
        "first": round(first, 2),
        "memory": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "iterations": iterations,
        "stages": {
            stage: round(1e3 * spent / (frames - 1), 1)
            for stage, spent in profiler.seconds.items()
        },
    }


def share(parts: list[float]) -> float:
    """Return the mean, per 100."""
    return round(100 * float(np.mean(parts)), 2)


def identities(
    folder: Path, names: list[str], seeds: list[int], workers: int
) -> list[dict[str, Any]]:
    """Return, for each name, switches between actors and frames lost to others, per 100.

    Means over the look-alike sequences of the embedded benchmark, for every seed.
    """
    dataset, store = open_dataset("embedded", ",".join(LOOK_ALIKES)), Store(folder)
    actors_of, rows = {name: actors(name) for name in LOOK_ALIKES}, []
    for name in names:
        jobs = runner.plan([parse(ROWS[name])], dataset, seeds=seeds)
        runner.run(jobs, store, workers)
        found = {
            (r.unit.sequence, r.unit.seed): followed_by(r.track.boxes, actors_of[r.unit.sequence])
            for r in collect(jobs, dataset, store).results
        }
        row: dict[str, Any] = {"row": name, "switches": [], "others": []}
        for seed in seeds:
            whom = [found[sequence, seed] for sequence in LOOK_ALIKES]
            row["switches"].append(share([switches(w) / len(w) for w in whom]))
            row["others"].append(share([(w > 0).mean() for w in whom]))
        rows.append(row)
        print(row, flush=True)
    return rows


def curve(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the history of a head's training, its losses as lists."""
    return [
        point | {part: list(point[part].values()) or None for part in ("training", "held_out")}
        for point in history(checkpoint)
    ]


def apart(text: str, arguments: argparse.Namespace, frames: int) -> dict[str, Any]:
    """Return what `followed` does, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.mdnet", "--data", arguments.data]
    command += ["--split", arguments.split, "--threads", str(arguments.threads)]
    command += ["--follow", text, "--frames", str(frames)]
    return json.loads(subprocess.check_output(command).splitlines()[-1])


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", default="all", help="of the data set, or names of sequences")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=ROWS)
    parser.add_argument("--timed", nargs="*", default=list(TIMED), choices=TIMED)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--workers", type=int, default=1, help="for --accuracy")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for --speed")
    parser.add_argument("--frames", type=int, default=60, help="for --speed")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--accuracy", type=Path, metavar="STORE")
    parser.add_argument("--severity", nargs="*", type=float, help="of the embedded benchmark")
    parser.add_argument("--identity", type=Path, metavar="STORE")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--memory", metavar="SPEC")
    parser.add_argument("--follow", metavar="SPEC", help="one process of the two above")
    parser.add_argument("--curve", nargs=2, metavar=("NAME", "CHECKPOINT"))
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for."""
    given = arguments()
    torch.set_num_threads(given.threads)
    if given.curve:
        name, checkpoint = given.curve
        keep(given.json, ABOUT, learned=[{"row": name, "curve": curve(Path(checkpoint))}])
        return
    if given.identity:
        rows = identities(given.identity, given.rows, given.seeds, given.workers)
        keep(given.json, ABOUT, identity=rows)
        return
    dataset = open_dataset(given.data, given.split)
    if given.follow:
        print(json.dumps(followed(given.follow, dataset.sequences[0], given.frames)))
    elif given.memory:
        few, many = (apart(given.memory, given, frames)["memory"] for frames in (200, 1000))
        print(f"{given.memory}: {few} MB, {many} MB, {many / few - 1:+.1%}")
    elif given.speed:
        rows = []
        for name in given.timed:
            rows.append({"row": name} | apart(TIMED[name], given, given.frames))
            print(rows[-1], flush=True)
        keep(given.json, ABOUT, speed=rows)
    elif given.accuracy:
        datasets = [difficult(s) for s in given.severity] if given.severity else [dataset]
        how = given.accuracy, given.rows, given.seeds, given.workers
        rows = [row for dataset in datasets for row in accuracy(dataset, *how)]
        keep(given.json, ABOUT, accuracy=rows)


if __name__ == "__main__":
    main()
