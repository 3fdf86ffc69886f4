"""What the command `report` prints, line by line."""

from collections.abc import Callable, Iterator
from functools import partial

from trackerlib.data import Dataset
from trackerlib.eval.comparisons import differences
from trackerlib.eval.found import NOT_RUN, OUTDATED, speed
from trackerlib.eval.metrics import CONVENTIONS
from trackerlib.eval.overlaps import OVERLAPS
from trackerlib.eval.report import Report, collect, rounded, scales, table
from trackerlib.eval.runner import Job
from trackerlib.eval.store import Store
from trackerlib.eval.vot_report import ResetReport, collect_resets, interval_of, reset_table

__all__ = ["CURE", "collector", "former", "lines"]

Collector = Callable[[list[Job], Dataset, Store], Report | ResetReport]

CURE = "compute them with the command run and the same options"
UNFINISHED = "no tracker has finished a sequence with all its segments and seeds: see missing"


def collector(
    protocol: str, conventions: str | None, interval: str | None, against: str | None
) -> Collector:
    """Return what makes a report of jobs, a data set and a store.

    conventions  of CONVENTIONS, "otb" if None; of OVERLAPS, "vot" if None, for protocol vot
    interval     of lengths for EAO, see `interval_of`: for protocol vot alone
    against      a tracker to print differences to: for other protocols

    Raises ValueError for options that are not known or do not go together.
    """
    known = OVERLAPS if protocol == "vot" else CONVENTIONS
    name = conventions or next(iter(known))
    if name not in known:
        raise ValueError(f"report: expected conventions {', '.join(known)}, got {name!r}")
    if protocol != "vot" and interval:
        raise ValueError("report: expected --eao-interval with --protocol vot alone; leave it out")
    if protocol == "vot" and against:
        raise ValueError("report: expected no --against with --protocol vot; leave it out")
    if protocol != "vot":
        return partial(collect, conventions=CONVENTIONS[name])
    lengths = interval_of(interval) if interval else None
    return partial(collect_resets, overlap=name, interval=lengths)


def former(report: Report | ResetReport) -> str:
    """Return how many results do not count, in brackets after a blank, or ""."""
    outdated = (report.missing["reason"] == OUTDATED).sum()
    return f" ({outdated} of earlier versions or other data do not count)" if outdated else ""


def lines(report: Report | ResetReport, baseline: str = "") -> Iterator[str]:
    """Yield the tables of a report; those of differences to the tracker `baseline` if given."""
    if isinstance(report, ResetReport):
        yield from _reset_scores(report)
    else:
        yield from _scores(report, baseline)
    speeds = speed(report)
    yield "\nspeed, from runs with one worker alone:"
    yield "none of these had one" if speeds.empty else speeds.round(1).to_string()
    if len(report.missing):
        can_be_run = report.missing["reason"].isin([NOT_RUN, OUTDATED]).any()
        yield f"\nmissing{f'; {CURE}' if can_be_run else ''}:"
        yield report.missing.to_string(index=False)


def _scores(report: Report, baseline: str) -> Iterator[str]:
    yield "conventions: " + next(n for n, c in CONVENTIONS.items() if c == report.conventions)
    if not report.trackers:
        yield UNFINISHED
    if len(found := table(report)):
        yield rounded(found).to_string()
    if report.scores:
        yield "\nscale, the root of the area ratio, predicted to true:"
        yield rounded(scales(report)).to_string()
    if baseline:
        yield f"\nAUC above that of {baseline}, over the sequences that both finished:"
        yield rounded(differences(report, baseline)).to_string()


def _reset_scores(report: ResetReport) -> Iterator[str]:
    low, high = report.interval
    yield f"conventions: {report.overlap}; EAO is the mean over lengths {low} to {high}"
    yield rounded(reset_table(report)).to_string() if report.runs else UNFINISHED
