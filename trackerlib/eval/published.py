"""What others published on OTB, to stand beside one's own scores.

data/published_otb.json has two parts: `results`, which this library's metrics gave on
the raw boxes that 17 trackers' authors (or the benchmark's) published, sequence by
sequence; and `papers`, the mean scores that this book's five papers print.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trackerlib.paths import shipped

__all__ = ["PaperScore", "paper_scores", "published_scores"]


@dataclass(frozen=True)
class PaperScore:
    """One tracker's mean score as a paper prints it; None where it prints none.

    paper        which of the five prints it
    tracker      as the paper calls it
    split        `otb2013`, `otb50` or `otb100`
    auc          area under the success curve
    precision20  rate of centre error within 20 pixels
    success50    rate of an IoU beyond 0.5
    fps          on the paper's own machine
    where        table or section
    """

    paper: str
    tracker: str
    split: str
    auc: float | None
    precision20: float | None
    success50: float | None
    fps: float | None
    where: str


def published_scores(names: Iterable[str]) -> dict[str, tuple[float, float, int]]:
    """Return published trackers' means over a choice of sequences, best AUC first.

    names    OTB's sequences, by their canonical names; others are passed over
    returns  tracker -> (AUC, precision at 20 px, how many of the sequences it has);
             a tracker that has none of them is left out
    """
    wanted, means = set(names), {}
    for tracker, results in _table()["results"].items():
        rows = [row for name, row in results.items() if name in wanted]
        if rows:
            auc, precision = np.mean(rows, axis=0)
            means[tracker] = (float(auc), float(precision), len(rows))
    return dict(sorted(means.items(), key=lambda item: -item[1][0]))


def paper_scores(split: str) -> list[PaperScore]:
    """Return what the five papers print for a split: `otb2013`, `otb50` (none does) or `otb100`.

    Raises ValueError for another split.
    """
    splits = ("otb2013", "otb50", "otb100")
    if split not in splits:
        raise ValueError(f"paper_scores: expected one of {', '.join(splits)}, got {split!r}")
    return [score for score in _papers() if score.split == split]


def _papers() -> list[PaperScore]:
    return [
        PaperScore(
            paper=group["paper"],
            tracker=tracker,
            split=group["split"],
            auc=auc,
            precision20=precision20,
            success50=success50,
            fps=fps,
            where=group["where"],
        )
        for group in _table()["papers"]
        for tracker, auc, precision20, success50, fps in group["rows"]
    ]


@lru_cache
def _table() -> dict:
    return json.loads(shipped("published_otb.json").read_text())
