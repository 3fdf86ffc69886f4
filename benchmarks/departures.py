"""What a departure from a paper costs or buys: accuracy and time with it and without it.

    python -m benchmarks.departures --data FOLDER --store STORE --seeds 0 1 2 \
        --split Couple,Crossing,Football1,Skiing,Bird2 --json data/departures.json

A unit that is in the store is not computed again. Times are means over frames without the first
two, in which the network is trained and compiled; compare them within one run of one thread.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.detection import row
from benchmarks.msdat import keep
from trackerlib.data import open_dataset
from trackerlib.eval import runner
from trackerlib.eval.report import Report, collect
from trackerlib.eval.store import Store
from trackerlib.trackers import parse

ABOUT = "benchmarks/departures.py, on five targets of OTB; milliseconds per frame, one thread"
PUBLISHED_SCORES = "score=probability,update_score=0.5,regression_score=0.5"
ROWS = (
    "fdn",
    "fdn:loss_threshold=0",
    "fdn:threshold_after_step=true",
    "fdn:geometry=released",
    "dlst",
    f"dlst:{PUBLISHED_SCORES}",
    "dlst:trusted_frames=3",
    "deeptrack",
    "deeptrack:equal_chance=patch",
    "deeptrack:squared=false",
    "deeptrack:descent=iterative",
    "deeptrack:descent=iterative,first_descent=sgd",
)
WARM = 2  # frames that are not timed


def milliseconds(report: Report, label: str, seeds: list[int]) -> list[float]:
    """Return for every seed the mean time of a frame, over all sequences' frames."""
    times: dict[int, list[float]] = {seed: [] for seed in seeds}
    for result in report.results:
        if result.unit.label == label:
            times[result.unit.seed] += list(result.track.seconds[WARM:])
    return [round(1e3 * float(np.mean(times[seed])), 1) for seed in seeds]


def main() -> None:
    """Track what the store lacks, seed by seed, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="data set in OTB's folder format")
    parser.add_argument("--split", default="all", help="of the data set, or names of sequences")
    parser.add_argument("--rows", nargs="+", default=ROWS, metavar="TRACKER")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--store", type=Path, default="build/departures", help="folder of results")
    parser.add_argument("--json", type=Path, help="write the rows there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data, store = open_dataset(given.data, given.split), Store(given.store)
    for seed in given.seeds:
        for text in given.rows:
            runner.run(runner.plan([parse(text)], data, seeds=[seed]), store)
    for text in given.rows:
        jobs = runner.plan([parse(text)], data, seeds=given.seeds)
        report = collect(jobs, data, store)
        if len(report.missing):
            raise SystemExit(report.missing.to_string(index=False))
        made = row(report, text, text) | {"milliseconds": milliseconds(report, text, given.seeds)}
        print(text, made["auc"]["seeds"], made["precision20"]["seeds"], made["milliseconds"])
        keep(given.json, ABOUT, measured=[made])


if __name__ == "__main__":
    main()
