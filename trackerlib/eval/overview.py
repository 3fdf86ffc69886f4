"""All trackers of a report in one table, with scale and speed, and where they disagree."""

from collections.abc import Iterable

import pandas as pd

from trackerlib.eval.found import speed
from trackerlib.eval.published import published_by_sequence
from trackerlib.eval.report import Report, scales, sequences, table

__all__ = ["PUBLISHED", "disagreement", "overview"]

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
