"""From a store of runs with resets to VOT's table: accuracy, robustness, expected overlap."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trackerlib.data import Dataset
from trackerlib.eval import vot
from trackerlib.eval.found import find, missing_table
from trackerlib.eval.resets import regions
from trackerlib.eval.runner import Job
from trackerlib.eval.store import Result, Store
from trackerlib.eval.vot import ResetRun

__all__ = ["ResetReport", "collect_resets", "interval_of", "reset_curves", "reset_table"]


@dataclass(frozen=True, eq=False)
class ResetReport:
    """Everything that one evaluation with resets gave.

    runs      (tracker, sequence, seed) -> ResetRun, of sequences that are finished with every
              seed; a seed is a repetition
    results   what was scored, with seconds and environments
    missing   as `Report.missing`
    warnings  as `Report.warnings`
    dataset   the sequences that were asked for
    overlap   the convention of overlaps, see `overlaps.overlaps`
    interval  of lengths, over which EAO is the mean
    """

    runs: dict[tuple[str, str, int], ResetRun]
    results: tuple[Result, ...]
    missing: pd.DataFrame
    warnings: tuple[str, ...]
    dataset: Dataset
    overlap: str
    interval: tuple[int, int]

    @property
    def trackers(self) -> list[str]:
        """Return the trackers that finished a sequence, in the order of the jobs."""
        return list(dict.fromkeys(tracker for tracker, _, _ in self.runs))

    def of(self, tracker: str) -> dict[str, list[ResetRun]]:
        """Return one tracker's runs by sequence, all repetitions."""
        found: dict[str, list[ResetRun]] = defaultdict(list)
        for (name, sequence, _), run in self.runs.items():
            if name == tracker:
                found[sequence].append(run)
        return dict(found)


def collect_resets(
    jobs: Iterable[Job],
    dataset: Dataset,
    store: Store,
    overlap: str = "vot",
    interval: tuple[int, int] | None = None,
) -> ResetReport:
    """Measure what the store holds for jobs of the protocol vot; the rest is `missing`.

    overlap   "vot", in whole pixels as the toolkit has it, or "exact"; whether a tracker failed
              was decided when it ran, in whole pixels
    interval  lengths over which EAO is averaged, such as those of `vot.INTERVALS`; estimated
              from the lengths of the data set's sequences if None

    Decodes the first frame of every sequence for its size.
    """
    found = find(jobs, dataset, store)
    sizes: dict[str, tuple[int, int]] = {}
    runs = {}
    for job, result in found.pairs:
        unit, sequence = job.unit, job.sequence
        if (unit.label, unit.sequence) in found.unfinished:
            continue
        if unit.sequence not in sizes:
            height, width = sequence.frames[0].shape[:2]
            sizes[unit.sequence] = width, height
        runs[unit.label, unit.sequence, unit.seed] = vot.reset_run(
            result.track.boxes, regions(sequence), sizes[unit.sequence], overlap
        )
    return ResetReport(
        runs,
        found.results,
        missing_table(found.missing),
        tuple(found.warnings),
        dataset,
        overlap,
        interval or vot.eao_interval([len(one) for one in dataset.sequences]),
    )


def reset_table(report: ResetReport) -> pd.DataFrame:
    """Return a row per tracker, best EAO first.

    EAO          the mean of the expected average overlap over the report's interval
    A            the mean overlap of frames past the burn-in; over repetitions, then over
                 sequences, weighted by their frames
    R            failures per sequence, averaged alike: fewer are better
    reliability  the chance to track 30 frames without a failure
    sequences    how many of those asked for are finished

    Source: vot-toolkit 0.7.4, vot/analysis/supervised.py.
    """
    asked = len(report.dataset.sequences) + len(report.dataset.missing)
    rows = {}
    for tracker, curve in reset_curves(report).items():
        by_sequence = report.of(tracker)
        frames = [len(runs[0].overlaps) for runs in by_sequence.values()]
        accuracies = [
            np.mean([vot.accuracy(run) for run in runs]) for runs in by_sequence.values()
        ]
        failures = [np.mean([len(run.failures) for run in runs]) for runs in by_sequence.values()]
        robustness = float(np.average(failures, weights=frames))
        rows[tracker] = [
            vot.eao(curve, report.interval),
            float(np.average(accuracies, weights=frames)),
            robustness,
            vot.reliability(robustness, float(np.mean(frames))),
            str(max(map(len, by_sequence.values()))),
            f"{len(by_sequence)}/{asked}",
        ]
    columns = ["EAO", "A", "R", "reliability", "repetitions", "sequences"]
    found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return found.sort_values("EAO", ascending=False)


def reset_curves(report: ResetReport) -> dict[str, np.ndarray]:
    """Return each tracker's curve of expected average overlap (L,), see `vot.eao_curve`."""
    runs = {tracker: report.of(tracker).values() for tracker in report.trackers}
    return {
        tracker: vot.eao_curve(run for repetitions in several for run in repetitions)
        for tracker, several in runs.items()
    }


def interval_of(text: str) -> tuple[int, int]:
    """Return an interval of lengths from `108-371`, or from a challenge's name such as `vot2016`.

    Raises ValueError for anything else.
    """
    if text.lower() in vot.INTERVALS:
        return vot.INTERVALS[text.lower()]
    low, _, high = text.partition("-")
    if low.isdigit() and high.isdigit() and 0 < int(low) <= int(high):
        return int(low), int(high)
    known = ", ".join(vot.INTERVALS)
    raise ValueError(f"interval_of: expected LOW-HIGH or one of {known}, got {text!r}")
