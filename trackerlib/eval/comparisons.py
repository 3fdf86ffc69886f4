"""By how much one tracker is better than another on the same sequences."""

import pandas as pd

from trackerlib.eval.report import Report
from trackerlib.eval.statistics import paired_difference, seed_spread

__all__ = ["differences"]


def differences(report: Report, baseline: str, measure: str = "auc") -> pd.DataFrame:
    """Return by how much each other tracker's measure is above the baseline's; best first.

    baseline  label of a tracker
    measure   of `report.MEASURES` or `report.SCALES`

    A mean is over the sequences that both finished, whose number stands beside it, of each
    sequence's difference of means over seeds. The interval is a 95 % bootstrap over these
    sequences, the spread the standard deviation over seeds of the mean difference.
    Raises ValueError if the baseline has no score.
    """
    reference = report.by_sequence(baseline, measure)
    if not reference:
        raise ValueError(
            f"differences: expected a baseline with scores, of {', '.join(report.trackers)}, "
            f"got {baseline!r}; run it first"
        )
    asked = len(report.dataset.sequences) + len(report.dataset.missing)
    rows: dict[str, dict[str, float | str]] = {}
    for tracker in report.trackers:
        found = report.by_sequence(tracker, measure)
        both = [name for name in found if name in reference]
        if tracker == baseline:
            continue
        rows[tracker] = {"sequences": f"{len(both)}/{asked}"}
        if both:
            mean = paired_difference(found, reference)
            grids = [report.by_seed(one, measure)[both] for one in (tracker, baseline)]
            spread = seed_spread((grids[0] - grids[1]).to_numpy())
            rows[tracker] |= {"difference": mean.mean, "95 % from": mean.low, "to": mean.high}
            rows[tracker] |= {"seed spread": spread}
    columns = ["difference", "95 % from", "to", "seed spread", "sequences"]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return table.sort_values("difference", ascending=False).dropna(axis="columns", how="all")
