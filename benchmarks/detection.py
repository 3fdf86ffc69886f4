"""What a backbone is worth in a tracker: the second half of the measure of `backbones`.

    python -m benchmarks.detection --data FOLDER [--seeds 0 1 2] [--workers 2]

`trackers.detection` is the same loop for every backbone, so what differs is the features'.
A unit that is in the store is not computed again.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from trackerlib import trackers, weights
from trackerlib.data import Dataset, open_dataset
from trackerlib.eval import runner
from trackerlib.eval.report import Report, collect
from trackerlib.eval.statistics import Summary, summarise
from trackerlib.eval.store import Store

BACKBONES = "vggm.conv3", "squeezenet.fire5"
REFERENCE = "squeezenet.fire5"
MEASURES = "auc", "precision20"


def specification(backbone: str) -> trackers.SpecLike:
    """Return the tracker on the map of `name.layer`."""
    name, layer = backbone.split(".")
    return trackers.parse(f"detection:backbone={name},layer={layer}")


def available(backbone: str) -> bool:
    """Return whether its weights are there; if not, print why it is left out."""
    name = backbone.split(".")[0]
    try:
        if name != "random":
            weights.load(name)
    except (FileNotFoundError, ValueError) as error:
        print(f"{backbone} is left out: {error}")
        return False
    return True


def means(report: Report, label: str, measure: str) -> tuple[dict[str, float], list[float]]:
    """Return sequence -> mean over seeds, and for every seed the mean over sequences."""
    by_seed: dict[int, list[float]] = {}
    for (_, seed), score in report.of(label).items():
        by_seed.setdefault(seed, []).append(getattr(score, measure))
    return report.by_sequence(label, measure), [float(np.mean(v)) for v in by_seed.values()]


def row(report: Report, name: str, label: str) -> dict[str, Any]:
    """Return what the book's tables are made of: a tracker's measures by seed and sequence."""
    made: dict[str, Any] = {"row": name}
    for measure in MEASURES:
        sequences, seeds = means(report, label, measure)
        made[measure] = {
            "seeds": [round(value, 4) for value in seeds],
            "sequences": {name: round(value, 4) for name, value in sequences.items()},
        }
    return made


def rows(report: Report, backbones: list[str]) -> list[dict[str, Any]]:
    """Return a row for each backbone."""
    return [row(report, backbone, specification(backbone).label) for backbone in backbones]


def tracked(
    name: str,
    spec: trackers.SpecLike,
    dataset: Dataset,
    store: Store,
    seeds: Iterable[int],
    workers: int,
) -> dict[str, Any]:
    """Return and print the row of one tracker; compute what is not yet in the store."""
    jobs = runner.plan([spec], dataset, seeds=seeds)
    runner.run(jobs, store, workers)
    report = collect(jobs, dataset, store)
    if len(report.missing):
        raise SystemExit(report.missing.to_string(index=False))
    made = row(report, name, spec.label)
    aucs, precisions = (made[measure]["seeds"] for measure in MEASURES)
    deviation = f" +- {np.std(aucs, ddof=1):.3f}" if len(aucs) > 1 else ""
    print(f"{name:36}{np.mean(aucs):.3f}{deviation}, {np.mean(precisions):.3f}", flush=True)
    return made


def table(rows: list[dict[str, Any]]) -> None:
    """Print means with 95 % intervals, the deviation over seeds, and the paired differences."""
    base = next((row for row in rows if row["row"] == REFERENCE), None)
    columns = "mean", "deviation of seeds", f"less {REFERENCE}"
    print(f"{'backbone':20}{'measure':13}", "".join(f"{column:>26}" for column in columns))
    for row in rows:
        for measure in MEASURES:
            scores, seeds = row[measure]["sequences"], row[measure]["seeds"]
            deviation = f"{np.std(seeds, ddof=1):.3f} of {len(seeds)}" if len(seeds) > 1 else "-"
            others = base[measure]["sequences"] if base else {}
            paired = {n: scores[n] - others[n] for n in scores.keys() & others.keys()}
            cells = cell(summarise(scores)), deviation, cell(summarise(paired)) if paired else "-"
            print(f"{row['row']:20}{measure:13}", "".join(f"{text:>26}" for text in cells))


def cell(summary: Summary) -> str:
    """Return a mean with its interval."""
    return f"{summary.mean:.3f} [{summary.low:.3f}, {summary.high:.3f}]"


def main(words: list[str] | None = None) -> None:
    """Track what the store lacks, print the table and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", default="all", help="of the data set, or names of sequences")
    parser.add_argument("--backbones", nargs="+", default=BACKBONES, metavar="NAME.LAYER")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default="build/detection", help="folder of results")
    parser.add_argument("--json", type=Path, help="write the means of all sequences there")
    arguments = parser.parse_args(words)
    data = open_dataset(arguments.data, arguments.split)
    backbones = [backbone for backbone in arguments.backbones if available(backbone)]
    specs = [specification(backbone) for backbone in backbones]
    jobs = runner.plan(specs, data, seeds=arguments.seeds)
    store = Store(arguments.store)
    runner.run(jobs, store, arguments.workers)
    report = collect(jobs, data, store)
    if len(report.missing):
        raise SystemExit(report.missing.to_string(index=False))
    found = rows(report, backbones)
    table(found)
    if arguments.json:
        about = "make bench-backbones; trackerlib/trackers/detection.py is the tracker"
        arguments.json.write_text(json.dumps({"about": about, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
