"""How fast every tracker is: this checkout, an earlier one and the papers' peers, in turn.

    python -m benchmarks.speed --data FOLDER --old CHECKOUT --json data/speed.json

Every run is a process of its own, with an empty cache of compiled code. Of each tracker and
sequence: the first box (seconds from nothing but PyTorch's import, and again in the same
process), the median and the mean frame with updates, every stage, the peak of memory; and what
the machine does at that moment: a copy (GB/s), a product of matrices in both types (GFLOP/s).
Checkouts take turns, round after round; medians over the rounds and their ratios are the result,
which a busy machine disturbs least. A run that is in the file, of the mode that this machine's
networks run in, is not made again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

ABOUT = "benchmarks/speed.py; milliseconds of frames, seconds of first boxes, MB of peaks"
ROOT = Path(__file__).resolve().parents[1]
SEQUENCES = ("DragonBaby", "MotorRolling", "Skiing")
EMBEDDED = ("Ball", "Columns", "Twins")
TRACKERS = {  # how many frames of a sequence, where an early checkout needs seconds for a frame
    "rtmdnet": 60,
    "fdn": 40,
    "deeptrack": 40,
    "msdat": 60,
    "kcf": 80,
    "mdnet": 16,
    "dlst": 24,
}
PEERS = {  # of this checkout alone
    "mdnet:mode=float32": 8,
    "hcf": 40,
    "opencv:algorithm=csrt": 80,
}
NEW, OLD = "new", "old"
KEY = "mode", "tracker", "sequence", "of", "round"


def one(text: str, data: str, name: str, frames: int) -> dict[str, Any]:
    """Return what one tracker takes on the first frames of one sequence, in this process."""
    from trackerlib.analysis.profiler import Profiler
    from trackerlib.data import open_dataset
    from trackerlib.trackers import parse

    (sequence,) = open_dataset(data, name).sequences
    images = [sequence.frames[index] for index in range(min(frames, len(sequence)))]
    firsts = []
    for _ in range(2):
        began = time.perf_counter()
        tracker = parse(text).build()
        tracker.init(images[0], sequence.boxes[0])
        firsts.append(time.perf_counter() - began)
        tracker.update(images[1])  # what is compiled later, is compiled
    profiler, seconds = Profiler(tracker), []
    for image in images[2:]:
        began = time.perf_counter()
        profiler.update(image)
        seconds.append(time.perf_counter() - began)
    return {
        "cold": firsts[0],
        "warm": firsts[1],
        "median": 1e3 * median(seconds),
        "mean": 1e3 * sum(seconds) / len(seconds),
        "stages": {k: 1e3 * v / len(seconds) for k, v in profiler.seconds.items()},
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "machine": moment(),
    }


def moment() -> dict[str, float]:
    """Return what the machine does at this moment: a copy, and products of both types."""
    block = torch.ones(2**24)
    copied = _fastest(lambda: block.clone())
    speeds = {"copy": 2 * block.nbytes / copied / 1e9}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        square = torch.ones(1024, 1024, dtype=dtype)
        speeds[name] = 2 * 1024**3 / _fastest(lambda s=square: s @ s) / 1e9
    return speeds


def _fastest(run: Any) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def measure(checkout: Path, threads: int, *words: str) -> dict[str, Any]:
    """Return what `one` does in a fresh process of another checkout."""
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {
            "PYTHONPATH": str(checkout),
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "TORCHINDUCTOR_CACHE_DIR": empty,
            "NUMBA_CACHE_DIR": empty,
        }
        command = [sys.executable, str(Path(__file__).resolve()), "--one", *words]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{checkout}: {' '.join(words)}\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def rounded(value: Any) -> Any:
    """Return numbers to four digits, in whatever holds them."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}")


def main() -> None:
    """Measure what is not in the file yet, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one", nargs=4, metavar=("TRACKER", "DATA", "SEQUENCE", "FRAMES"))
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", help="its sequences, with commas between")
    parser.add_argument("--old", type=Path, help="folder of an earlier checkout")
    parser.add_argument("--trackers", nargs="+", default=[*TRACKERS, *PEERS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, default="build/speed.json")
    given = parser.parse_args()
    if given.one:
        text, data, name, frames = given.one
        print(json.dumps(rounded(one(text, data, name, int(frames)))))
        return
    from trackerlib.weights.inference import best_mode  # not above: a first box imports it, too

    names = given.split.split(",") if given.split else SEQUENCES
    if given.data == "embedded" and not given.split:
        names = EMBEDDED
    checkouts = {NEW: ROOT} | ({OLD: given.old.resolve()} if given.old else {})
    runs = json.loads(given.json.read_text())["runs"] if given.json.exists() else []
    done, mode = {tuple(run[k] for k in KEY) for run in runs}, best_mode()
    for text, name, which, turn in turns(given.rounds, given.trackers, names, list(checkouts)):
        if (key := (mode, text, name, which, turn)) not in done:
            frames = str((TRACKERS | PEERS).get(text, 40))
            took = measure(checkouts[which], given.threads, text, given.data, name, frames)
            runs.append(dict(zip(KEY, key, strict=True)) | took)
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps({"about": ABOUT, "runs": runs}, indent=1) + "\n")
    show([run for run in runs if run["mode"] == mode])


def turns(
    rounds: int, trackers: list[str], sequences: Iterable[str], checkouts: list[str]
) -> Iterator[tuple[str, str, str, int]]:
    """Yield tracker, sequence, checkout and round of every run; who is first, changes."""
    for turn in range(rounds):
        for text in trackers:
            of = [NEW] if text in PEERS else checkouts[:: 1 if turn % 2 else -1]
            yield from ((text, name, which, turn) for name in sequences for which in of)


def show(runs: list[dict[str, Any]]) -> None:
    """Print the medians over rounds, and how many times as fast as before."""
    titles = "tracker", "sequence", "fps", "times", "median ms", "cold s", "warm s", "MB"
    print(f"{titles[0]:24}{titles[1]:14}", "".join(f"{title:>12}" for title in titles[2:]))
    for text, name in dict.fromkeys((run["tracker"], run["sequence"]) for run in runs):
        took = {of: typical(runs, text, name, of) for of in (OLD, NEW)}
        old, new = took[OLD], took[NEW]
        times = f"{old['mean'] / new['mean']:.2f}" if old else "-"
        cells = [f"{1e3 / new['mean']:.1f}", times, f"{new['median']:.0f}"]
        cells += [f"{new['cold']:.2f}", f"{new['warm']:.2f}", f"{new['memory']:.0f}"]
        print(f"{text:24}{name:14}", "".join(f"{cell:>12}" for cell in cells))


def typical(runs: list[dict[str, Any]], text: str, name: str, of: str) -> dict[str, float]:
    """Return the medians over rounds of what was measured of a tracker; {} if nothing was."""
    mine = [r for r in runs if (r["tracker"], r["sequence"], r["of"]) == (text, name, of)]
    measures = ("cold", "warm", "median", "mean", "memory")
    return {m: median(run[m] for run in mine) for m in measures} if mine else {}


if __name__ == "__main__":
    main()
