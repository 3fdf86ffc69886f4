"""Runs what a compact file of results lacks, or has from other code, weights or data.

    python -m benchmarks.reproduce --data FOLDER --file build/reproduce/otb.npz

Trackers are those of book/reproduction/results.yml, and those that the file has already, the fast
ones first; those that draw random numbers run with three seeds. What is computed is kept in a
store and then takes its place in the file; what the file has of the same settings, code, weights,
device and frames stays. A file that is not there yet begins as that of data/results/.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trackerlib.data import Dataset, open_dataset
from trackerlib.eval.archive import Archive, Row, joined, measured, write_archive
from trackerlib.eval.items import read_items
from trackerlib.eval.places import dataset_facts, read_whole
from trackerlib.eval.runner import Job, plan, run
from trackerlib.eval.store import Result, Store
from trackerlib.paths import draft_of, shipped
from trackerlib.results import origin_of
from trackerlib.trackers import SpecLike, parse, table

MANIFEST = Path(__file__).resolve().parents[1] / "book" / "reproduction" / "results.yml"
SEEDS = {0, 1, 2}  # of trackers that draw random numbers; these draw none:
STEADY = re.compile(r"(identity|kcf|hcf|msdat|opencv:algorithm=(csrt|kcf))\b(?!.*random)")


@dataclass(frozen=True)
class How:
    """Where units run."""

    device: str = "auto"
    workers: int = 1
    scheduler: str | None = None


def due(jobs: Iterable[Job], archive: Archive) -> list[Job]:
    """Return the jobs that an archive has no result of, or one of another version."""
    there = {row.unit.fingerprint for row in archive.rows if isinstance(row.outcome, Result)}
    return [job for job in jobs if job.unit.fingerprint not in there]


def renewed(archive: Archive, rows: Sequence[Row], facts: Archive) -> Archive:
    """Return an archive with new rows in it, without the rows that these replace.

    rows   results alone
    facts  has the sequences that they are on

    Rows of a tracker that were computed by another version of it go, on all sequences.
    Raises ValueError where the archive's sequences of the same names are others.
    """
    keys = {row.unit.key for row in rows}
    versions = {(row.unit.dataset, row.unit.label): _version(row) for row in rows}

    def stays(row: Row) -> bool:
        tracker = row.unit.dataset, row.unit.label
        return row.unit.key not in keys and versions.get(tracker, _version(row)) == _version(row)

    kept = Archive(archive.sequences, tuple(row for row in archive.rows if stays(row)))
    return joined([kept, Archive(facts.sequences, tuple(rows))])


def update(
    file: Path,
    dataset: Dataset,
    trackers: Sequence[str],
    seeds: Sequence[int],
    how: How,
    root: Path,
) -> int:
    """Compute what a file lacks, and put it there -> 0, or 1 where a unit crashed.

    trackers  specifications; empty: the manifest's and the file's
    seeds     of each; empty: those that the file has of it, and `default_seeds`
    root      of the store that keeps what is computed
    """
    archive = read_whole(file) if file.exists() else Archive({}, ())
    known: dict[str, set[int]] = {}
    for unit in (row.unit for row in archive.rows if row.unit.dataset == dataset.name):
        known.setdefault(unit.label, set()).add(unit.seed)
    listed = [spec for item in read_items(MANIFEST) for spec in item.specs]
    jobs = []
    for spec in runnable(trackers or [*listed, *known]):
        chosen = seeds or sorted(known.get(spec.label, set()) | default_seeds(spec.label))
        jobs += plan([spec], dataset, seeds=chosen, device=how.device)
    late = due(jobs, archive)
    print(f"{len(jobs) - len(late)} of {len(jobs)} units are in {file}, {len(late)} to run")
    if not late:
        return 0
    summary = run(late, Store(root), how.workers, how.scheduler)
    rows = results(late, Store(root), dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    facts = Archive(dataset_facts(dataset), ())
    write_archive(file, renewed(archive, rows, facts))
    print(f"{len(rows)} rows are new, {summary.failed} units crashed: {file}")
    return 1 if summary.failed else 0


def default_seeds(label: str) -> set[int]:
    """Return the seeds with which a tracker is run: one where it draws no random numbers."""
    return {0} if STEADY.match(label) else SEEDS


def results(jobs: Iterable[Job], store: Store, dataset: Dataset) -> list[Row]:
    """Return the rows of the jobs that a store has results of."""
    found = filter(None, (store.read(job.unit) for job in jobs))
    return [measured(result, dataset, origin_of(result.unit)) for result in found]


def runnable(texts: Iterable[str]) -> list[SpecLike]:
    """Return the specifications that can be built here, fast trackers first.

    It prints why the others cannot.
    """
    specs = []
    for text in dict.fromkeys(texts):
        if reason := hindrance(text):
            print(f"left out: {text}: {reason}", file=sys.stderr)
        else:
            specs.append(parse(text))
    return sorted(specs, key=_slowness)


def hindrance(text: str) -> str:
    """Return why a specification cannot be built here, such as weights that are not; or ""."""
    try:
        parse(text).build("cpu")
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return ""


def _slowness(spec: SpecLike) -> float:
    """Return minus the frames per second of a tracker's default, 0 where it was not timed."""
    fps = {one.tracker.partition(":")[0]: one.fps for one in table()}
    return -fps.get(spec.label.partition(":")[0], 0.0)


def _version(row: Row) -> tuple:
    unit = row.unit
    return sorted(unit.settings.items(), key=str), unit.code, unit.device


def main(argv: list[str] | None = None) -> int:
    """Read the command line and do what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--file", type=Path, required=True, help="compact, .npz")
    parser.add_argument("--data", default="embedded", help="or a folder of OTB sequences")
    parser.add_argument("--split", default="all")
    parser.add_argument("--trackers", nargs="+", default=[], help="else all, see above")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="else those above")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scheduler")
    parser.add_argument("--store", type=Path, default=Path("build/reproduce/store"))
    given = parser.parse_args(argv)
    how = How(given.device, given.workers, given.scheduler)
    # The file has one name for OTB, whatever the folder's is.
    name = "embedded" if given.data == "embedded" else "otb"
    start = shipped("results") / f"{name}.npz"
    if not given.file.exists() and start.exists():
        given.file.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(given.file) as draft:
            draft.write_bytes(start.read_bytes())
    dataset = replace(open_dataset(given.data, given.split), name=name)
    trackers = " ".join(given.trackers).split()
    return update(given.file, dataset, trackers, given.seeds, how, given.store)


if __name__ == "__main__":
    sys.exit(main())
