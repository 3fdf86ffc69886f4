"""Accuracy and speed of every tracker over the same targets: what the default is chosen from.

    python -m benchmarks.choice --data FOLDER [--store STORE] --json data/trackers.json

What other files of data/ have is taken from there; what none has is tracked now. Accuracy is over
the targets that all of them have; speed is the mean of the runs of data/speed.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection import MEASURES, row
from trackerlib.data import open_dataset
from trackerlib.eval import runner
from trackerlib.eval.report import collect
from trackerlib.eval.store import Store
from trackerlib.paths import shipped
from trackerlib.trackers import Measured, parse

ABOUT = "benchmarks/choice.py, over {} targets of OTB, up to three seeds; fps of data/speed.json"
MEASURED = {  # tracker -> file of data/, list and rows, of which the first with enough targets
    "rtmdnet": ("rtmdnet.json", "accuracy", "RT-MDNet, 14 targets"),
    "fdn": ("multidomain.json", "accuracy", "FDN, 8 targets"),
    "mdnet": ("multidomain.json", "accuracy", "MDNet, 8 targets"),
    "dlst": ("dlst.json", "accuracy", "DLST, 8 targets"),
    "deeptrack": ("deeptrack.json", "accuracy", "DeepTrack, 8 targets of otb"),
    "msdat": ("msdat.json", "accuracy", "vggm: MSDAT"),
    "hcf": ("msdat.json", "accuracy", "vggm: HCF"),
    "kcf": ("msdat.json", "accuracy", "vggm: KCF"),
}
TRACKED = ("opencv:algorithm=csrt",)  # quick ones, which no file has


def stored(name: str) -> dict[str, Any]:
    """Return the row of a tracker in a file of data/."""
    file, part, wanted = MEASURED[name]
    rows = json.loads(shipped(file).read_text())[part]
    return next(one for one in rows if one["row"] == wanted)


def speeds() -> dict[str, float]:
    """Return tracker -> frames per second, over runs of the present code in data/speed.json."""
    runs = json.loads(shipped("speed.json").read_text())["runs"]
    times: dict[str, list[float]] = {}
    for one in runs:
        if one["of"] == "new":
            times.setdefault(one["tracker"], []).append(one["mean"])
    return {name: 1e3 / float(np.mean(values)) for name, values in times.items()}


def tracked(data: str, split: str, store: Store) -> dict[str, dict[str, Any]]:
    """Return the rows of TRACKED over these targets; compute what is not yet in the store."""
    dataset = open_dataset(data, split)
    jobs = runner.plan([parse(name) for name in TRACKED], dataset)
    runner.run(jobs, store)
    report = collect(jobs, dataset, store)
    if len(report.missing):
        raise SystemExit(report.missing.to_string(index=False))
    return {name: row(report, name, name) for name in TRACKED}


def main() -> None:
    """Write the table, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="data set in OTB's folder format")
    parser.add_argument("--store", type=Path, default="build/choice", help="folder of results")
    parser.add_argument("--json", type=Path, required=True, help="write the table there")
    arguments = parser.parse_args()
    found = {name: stored(name) for name in MEASURED}
    common = set.intersection(*(set(one["auc"]["sequences"]) for one in found.values()))
    found |= tracked(arguments.data, ",".join(sorted(common)), Store(arguments.store))
    fps = speeds()
    rows = []
    for name, one in found.items():
        auc, precision = (
            round(float(np.mean([one[measure]["sequences"][n] for n in sorted(common)])), 3)
            for measure in MEASURES
        )
        rows.append(Measured(name, auc, precision, round(fps[name], 2)))
    rows.sort(key=lambda one: -one.auc)
    about = ABOUT.format(len(common))
    file = {"about": about, "rows": [one._asdict() for one in rows]}
    arguments.json.write_text(json.dumps(file, indent=1) + "\n")
    print(arguments.json.read_text())


if __name__ == "__main__":
    main()
