"""DeepTrack: accuracy of its mechanisms on and off, when and from what it is trained, speed.

    python -m benchmarks.deeptrack --data FOLDER --accuracy STORE --seeds 0 1 2
    python -m benchmarks.deeptrack --data FOLDER --split DragonBaby --learning

Accuracy computes what is not yet in the store. Learning tracks every sequence once: the share
of the frames in which the network is trained, of the cues' patches that have a loss, steps per
frame, mean milliseconds of a frame, of every stage, and of a training step. What is measured
goes into the file of `--json`, beside what is there: data/deeptrack.json.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import detection
from benchmarks.msdat import keep
from trackerlib.analysis.profiler import Profiler
from trackerlib.data import open_dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval.store import Store
from trackerlib.trackers import parse
from trackerlib.trackers.deeptrack import Tracker

ABOUT = "benchmarks/deeptrack.py, on targets of OTB and of the embedded benchmark"
ROWS = {
    "DeepTrack": "deeptrack",
    "no structural loss": "deeptrack:structural=false",
    "no truncation": "deeptrack:truncation=0",
    "latest positives": "deeptrack:temporal=false",
    "no label noise": "deeptrack:noise=false",
    "no fusion": "deeptrack:fusion=false",
    "not lazy": "deeptrack:lazy=false",
    "one threshold": "deeptrack:positive_factor=0",
    "ten times truncated": "deeptrack:truncation=0.025",
    "one positive": "deeptrack:positives=1,first_positives=1",
    "wide positives": "deeptrack:positive_iou=0.5,positive_translation=0.3,positive_scale=1.1",
    "best particle": "deeptrack:averaged=1",
    "not saturated": "deeptrack:saturated=false",
    "cut out": "deeptrack:dense=false",
}


def followed(name: str, sequence: Sequence, frames: int) -> dict[str, Any]:
    """Return what it takes to track a sequence, and when the network is trained."""
    tracker = parse(ROWS[name]).build()
    assert isinstance(tracker, Tracker)
    began = time.perf_counter()
    tracker.init(sequence.frames[0], sequence.boxes[0])
    first = time.perf_counter() - began
    profiler = Profiler(tracker)
    kept: list[float] = []
    steps: list[int] = []
    seconds: list[float] = []
    for index in range(1, min(frames, len(sequence))):
        image = sequence.frames[index]
        began = time.perf_counter()
        profiler.update(image)
        seconds.append(time.perf_counter() - began)
        kept += tracker.classifier.kept
        steps.append(len(tracker.classifier.kept))
    per_frame = {stage: 1e3 * spent / len(steps) for stage, spent in profiler.seconds.items()}
    return {
        "row": f"{name}, {sequence.name}",
        "frame": round(1e3 * float(np.mean(seconds)), 1),
        "median": round(1e3 * float(np.median(seconds)), 1),
        "first": round(first, 2),
        "learned": round(float(np.mean(np.array(steps) > 0)), 3),
        "steps": round(float(np.mean(steps)), 2),
        "kept": round(float(np.mean(kept)), 3),
        "step": round(1e3 * profiler.seconds["fine-tuning"] / max(1, sum(steps)), 2),
        "stages": {stage: round(spent, 1) for stage, spent in per_frame.items()},
    }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", default="all", help="of the data set, or names of sequences")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=ROWS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--workers", type=int, default=1, help="for --accuracy")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for --learning")
    parser.add_argument("--frames", type=int, help="for --learning: at most")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--accuracy", type=Path, metavar="STORE")
    parser.add_argument("--learning", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    dataset = open_dataset(given.data, given.split)
    if given.accuracy:
        count, (first, *_) = len(dataset.sequences), dataset.sequences
        label = (
            f"{count} targets of {dataset.name}" if count > 1 else f"{first.name} ({dataset.name})"
        )
        for name in given.rows:
            job = parse(ROWS[name]), dataset, Store(given.accuracy), given.seeds, given.workers
            row = detection.tracked(f"{name}, {label}", *job)
            keep(given.json, ABOUT, accuracy=[row])
    if given.learning:
        for name in given.rows:
            for sequence in dataset.sequences:
                row = followed(name, sequence, given.frames or len(sequence))
                print(row, flush=True)
                keep(given.json, ABOUT, learning=[row])


if __name__ == "__main__":
    main()
