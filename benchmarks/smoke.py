"""Runs every row of book/reproduction/results.yml on a few frames, with few boxes.

    python -m benchmarks.smoke --file build/smoke/embedded.npz

It says whether all of them run, and nothing about results: each tracker is under its own label,
but not itself.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

from benchmarks.reproduce import MANIFEST, How, hindrance, results
from trackerlib.data import Dataset, open_dataset
from trackerlib.eval.archive import Archive, write_archive
from trackerlib.eval.items import Item, read_items
from trackerlib.eval.places import dataset_facts
from trackerlib.eval.runner import Job, plan, run
from trackerlib.eval.store import Store
from trackerlib.trackers import Spec, parse

CLIP = "Harbour"  # of the embedded benchmark
FRAMES = 3
TRE_FRAMES = 21  # a start in time needs 20 from it on
FEW = {  # fields that set how much a tracker does per frame -> a little of it
    "candidates": 24,
    "positives": 4,
    "negatives": 16,
    "mining_pool": 96,
    "first_positives": 40,
    "first_negatives": 160,
    "regression_boxes": 40,
    "first_iterations": 2,
    "iterations": 1,
}
FEW_PARTICLES = {  # of deeptrack
    "particles": 300,
    "negatives": 60,
    "negatives_kept": 180,
    "steps": 2,
    "first_negatives": 150,
    "first_steps": 4,
}
PROTOCOLS = {"ope": "ope", "tre": "tre", "sre": "sre", "reset": "vot"}  # the manifest's -> ours


def smoke(file: Path, items: Iterable[Item], how: How, root: Path) -> int:
    """Run every row of the manifest on a few frames -> 0, or 1 where one does not run.

    Rows that cannot be built here, mostly for weights that do not ship, are named; they count
    as failed where they are the default of a row of a `complete` item.
    """
    items = list(items)
    wanted = protocols(items)
    stops = {text: reason for text in wanted if (reason := hindrance(text))}
    jobs = [
        job
        for text, names in wanted.items()
        if text not in stops
        for name in sorted(names)
        for job in few_jobs(quick(text), name)
    ]
    store = Store(root)
    run(jobs, store, how.workers, how.scheduler)
    crashes = {job.unit.label: crash.reason for job in jobs if (crash := store.failure(job.unit))}
    passes = [job for job in jobs if job.unit.protocol == "ope"]
    dataset = clip(FRAMES)
    rows = results(passes, store, dataset)
    write_archive(file, Archive(dataset_facts(dataset), tuple(rows)))
    return 1 if reported(items, crashes, stops) else 0


def protocols(items: Iterable[Item]) -> dict[str, set[str]]:
    """Return the protocols of each specification: one pass, and those of items that begin so."""
    found: dict[str, set[str]] = {}
    for item in items:
        for spec in item.specs:
            found.setdefault(spec, {"ope"})
        for spec in item.specs[:1]:
            found[spec] |= {PROTOCOLS[name] for name in item.protocols if name in PROTOCOLS}
    return found


def clip(frames: int) -> Dataset:
    """Return the first frames of one sequence as a data set."""
    (whole,) = open_dataset("embedded", CLIP).sequences
    return Dataset("embedded", (whole.part(range(frames)),))


def few_jobs(spec: Spec, protocol: str) -> list[Job]:
    """Return one job of a protocol, with a start of its own where it has several."""
    dataset = clip(TRE_FRAMES if protocol == "tre" else FRAMES)
    return plan([spec], dataset, protocol, device="cpu")[-1:]


def quick(text: str) -> Spec:
    """Return a tracker under its own label that does little per frame."""
    spec = parse(text)
    assert isinstance(spec, Spec)
    few = FEW_PARTICLES if spec.module == "deeptrack" else FEW
    known = {field.name for field in fields(spec.config)}
    return replace(spec, config=replace(spec.config, **{k: few[k] for k in few if k in known}))


def reported(items: Iterable[Item], crashes: dict[str, str], stops: dict[str, str]) -> int:
    """Print a line for each item that has trackers -> how many items fail."""
    count = 0
    for item in (item for item in items if item.specs):
        defaults = {row.specs[0] for row in item.rows.values() if row.specs}
        needed = defaults if item.status == "complete" else set()
        wrong = [spec for spec in item.specs if spec in crashes or spec in needed & stops.keys()]
        idle = [spec for spec in item.specs if spec in stops and spec not in wrong]
        count += bool(wrong)
        done = len(item.specs) - len(wrong) - len(idle)
        state = "FAILS" if wrong else "runs"
        print(f"{state}: {item.paper}, {item.item}: {done} of {len(item.specs)} rows")
        for spec in wrong:
            print(f"    {spec}: {crashes.get(spec) or stops[spec]}")
    for spec, reason in stops.items():
        print(f"left out: {spec}: {reason}")
    return count


def main(argv: list[str] | None = None) -> int:
    """Read the command line and do what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--file", type=Path, required=True, help="compact, .npz")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("build/smoke/store"))
    given = parser.parse_args(argv)
    given.file.parent.mkdir(parents=True, exist_ok=True)
    how = How("cpu", given.workers)
    return smoke(given.file, read_items(MANIFEST), how, given.store)


if __name__ == "__main__":
    sys.exit(main())
