"""All trackers of a report in one table, with scale and speed, and where they disagree."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from trackerlib.eval.archive import Archive
from trackerlib.eval.found import speed
from trackerlib.eval.published import published_by_sequence
from trackerlib.eval.report import Report, on_targets, scales, sequences, table
from trackerlib.eval.reproduction import TARGETS
from trackerlib.eval.store import Result

__all__ = ["PUBLISHED", "disagreement", "finished", "on_shared", "overview", "tracks"]

PUBLISHED = "(published)"  # behind the name of a tracker whose boxes others published


def overview(report: Report) -> pd.DataFrame:
    """Return `report.table` with scale, seeds, speed and its machine; best AUC first.

    Frames per second are those of the machine on which the tracker is fastest, from runs with
    one worker. Rows that end in `(published)` have what others' boxes give on the same targets:
    AUC and precision alone.
    """
    found = table(report)
    runs = [(r.unit.label, r.unit.seed) for r in report.results]
    seeds = pd.DataFrame(runs, columns=["tracker", "seed"]).groupby("tracker")["seed"].nunique()
    found["scale"] = scales(report)["scale"]["mean"] if report.scores else None
    found["seeds"] = seeds
    speeds = speed(report).reset_index().sort_values("fps", ascending=False)
    fastest = speeds.drop_duplicates("tracker").set_index("tracker")
    found["fps"], found["machine"] = fastest["fps"], fastest["device"]
    return found


def finished(report: Report) -> list[str]:
    """Return the trackers that finished every target of a report."""
    count = len(report.dataset.sequences)
    return [one for one in report.trackers if len(report.by_sequence(one)) == count]


def on_shared(report: Report) -> Report:
    """Return what a report has of the targets that all trackers share.

    Trackers that finished fewer than `reproduction.TARGETS` take no part in that.
    """
    known = [report.by_sequence(one).keys() for one in report.trackers]
    names = {one.name for one in report.dataset.sequences}
    return on_targets(report, names.intersection(*(k for k in known if len(k) >= TARGETS)))


def tracks(
    archive: Archive, dataset: str, target: str, trackers: Iterable[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each tracker's boxes (n, 4) on a target and their IoU (n,), of its first seed.

    Trackers that were not run on it by one pass are left out.
    """
    found = {}
    for row in sorted(archive.rows, key=lambda row: -row.unit.seed):
        unit, outcome, measures = row.unit, row.outcome, row.measures
        is_asked = (unit.dataset, unit.sequence, unit.protocol) == (dataset, target, "ope")
        if is_asked and isinstance(outcome, Result) and measures is not None:
            found[unit.label] = outcome.track.boxes, measures.ious
    return {name: found[name] for name in trackers if name in found}


def disagreement(report: Report, trackers: Iterable[str], beside: str = "") -> pd.DataFrame:
    """Return AUC by sequence and tracker, first where the trackers disagree most.

    trackers  of the report
    beside    published trackers to stand beside them, with blanks between

    The last column is the standard deviation over the report's trackers.
    """
    found = sequences(report)[[*trackers]]
    spread = found.std(axis="columns")
    scores = published_by_sequence(found.index)
    for tracker in beside.split():
        column = {name: auc for name, (auc, _) in scores.get(tracker, {}).items()}
        found[f"{tracker} {PUBLISHED}"] = pd.Series(column, dtype=float)
    found["spread"] = spread
    return found.sort_values("spread", ascending=False, kind="stable")
