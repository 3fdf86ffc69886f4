"""What a store holds for the jobs of an evaluation, and what it does not, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from trackerlib.data import Dataset
from trackerlib.eval.notices import noticed
from trackerlib.eval.runner import Job
from trackerlib.eval.store import Result, Store, Unit

__all__ = [
    "NOT_IMPORTED",
    "NOT_RUN",
    "OTHER_FRAMES",
    "OUTDATED",
    "Found",
    "HasResults",
    "find",
    "missing_table",
    "speed",
]

NOT_RUN = "not run yet"
OUTDATED = "computed by an earlier version, or from other data; run it again"
NOT_IMPORTED = "no file of it was imported"
OTHER_FRAMES = "imported for other frames or another first box; import it again"


class HasResults(Protocol):
    """A report whose runs can be timed."""

    @property
    def results(self) -> tuple[Result, ...]:
        """Return what was scored, with seconds and environments."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a store holds for jobs, each of which counts once.

    pairs       the finished ones, with their results
    missing     rows of `Report.missing` for the others, and for sequences that were not opened
    unfinished  (tracker, sequence) of the others
    warnings    what the data set's check, its readers and the runs noticed, and what is damaged
    """

    pairs: list[tuple[Job, Result]]
    missing: list[tuple[str, str, str, int | str, str]]
    unfinished: set[tuple[str, str]]
    warnings: list[str]

    @property
    def results(self) -> tuple[Result, ...]:
        """Return the results alone."""
        return tuple(result for _, result in self.pairs)


def find(jobs: Iterable[Job], dataset: Dataset, store: Store) -> Found:
    """Read what the store holds for the jobs of `runner.plan`.

    A result of other settings, code or data than the job's does not count, and is named as such.
    """
    missing = [("all", name, "all", "all", reason) for name, reason in dataset.missing.items()]
    found, damages = Found([], list(missing), set(), []), list[str]()
    for job in {job.unit.fingerprint: job for job in jobs}.values():
        unit, result = job.unit, store.read(job.unit)
        if result:
            found.pairs.append((job, result))
            continue
        found.missing.append(
            (unit.label, unit.sequence, unit.segment, unit.seed, _why(store, unit))
        )
        found.unfinished.add((unit.label, unit.sequence))
        damages += filter(None, [store.damaged(unit)])
    noted = noticed(dataset.sequences, found.results)
    found.warnings.extend((*dataset.problems, *noted, *damages))
    return found


def missing_table(missing: Iterable[tuple[str, str, str, int | str, str]]) -> pd.DataFrame:
    """Return rows of `Found.missing` as a table with their columns' names."""
    return pd.DataFrame(
        list(missing), columns=["tracker", "sequence", "segment", "seed", "reason"]
    )


def speed(report: HasResults) -> pd.DataFrame:
    """Return frames per second by tracker and machine, the harmonic mean over units.

    Only runs with one worker count, since several disturb each other.
    """
    rows = [
        (r.unit.label, r.environment["device_name"], r.environment["threads"], 1 / r.track.fps)
        for r in report.results
        if r.environment["workers"] == 1
    ]
    found = pd.DataFrame(rows, columns=["tracker", "device", "threads", "fps"])
    return 1 / found.groupby(["tracker", "device", "threads"], sort=False).mean()


def _why(store: Store, unit: Unit) -> str:
    if damage := store.damaged(unit):
        return f"{damage}; run it again"
    if failure := store.failure(unit):
        return failure.reason
    outdated, absent = OUTDATED, NOT_RUN
    if "imported" in unit.settings:
        outdated, absent = OTHER_FRAMES, NOT_IMPORTED
    return outdated if store.outdated(unit) else absent
