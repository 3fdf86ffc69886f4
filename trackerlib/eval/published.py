"""What others published, to stand beside one's own scores.

data/published_otb.json has two parts: `results`, which this library's metrics gave on
the raw boxes that 17 trackers' authors (or the benchmark's) published, sequence by
sequence; and `papers`, the mean scores on OTB that this book's five papers print.

data/published/ has every number of the five papers' tables, and what their texts say of
figures, as they are printed: one CSV file a paper, one line a number, the columns COLUMNS.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from trackerlib.paths import shipped

__all__ = [
    "COLUMNS",
    "PAPERS",
    "PaperScore",
    "paper_scores",
    "published_by_sequence",
    "published_items",
    "published_number",
    "published_scores",
    "published_table",
]

PAPERS = {  # paper, by its tracker -> file of data/published/
    "MSDAT": "msdat.csv",
    "FDN": "fdn.csv",
    "RT-MDNet": "rtmdnet.csv",
    "DLST": "dlst.csv",
    "DeepTrack": "deeptrack.csv",
}
COLUMNS = {
    "paper": "key of PAPERS",
    "item": "`Table 1`, `Figure 6`; `section 3.4` for what belongs to no table or figure",
    "row": "as printed",
    "column": "as printed",
    "tracker": "whose number it is; one name where papers spell it differently",
    "measure": "of this library's scores, such as `auc`, or a name of its own",
    "subset": "attribute, sequence or part of the method; empty for all",
    "relation": "`=`, `~` (about), `<` or `>`",
    "value": "as printed, with all its digits",
    "unit": "key of UNITS",
    "dataset": "`otb2013`, `otb100`, `templecolor`, `uav123`, `vot2016`; `none`",
    "protocol": "`ope`, `reset` (VOT's restarts), `run` (parts of one run); `none`",
    "source": "where it is printed: the item, or the section that states it",
    "note": "machine, what is ambiguous, how it was read",
}
UNITS = {  # of a value -> factor to `number`
    "fraction": 1.0,
    "%": 0.01,
    "fps": 1.0,
    "times": 1.0,
    "px": 1.0,
    "count": 1.0,
    "rank": 1.0,
    "million": 1e6,
    "failures": 1.0,  # per sequence
    "score": 1.0,  # of a network
    "loss": 1.0,
}


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
    means = {}
    for tracker, results in published_by_sequence(names).items():
        auc, precision = np.mean([*results.values()], axis=0)
        means[tracker] = (float(auc), float(precision), len(results))
    return dict(sorted(means.items(), key=lambda item: -item[1][0]))


def published_by_sequence(names: Iterable[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return published trackers' scores sequence by sequence, over a choice of sequences.

    names    OTB's sequences, by their canonical names; others are passed over
    returns  tracker -> sequence -> (AUC, precision at 20 px); a tracker that has none of the
             sequences is left out
    """
    wanted = list(dict.fromkeys(names))
    known = {
        tracker: {name: (rows[name][0], rows[name][1]) for name in wanted if name in rows}
        for tracker, rows in _table()["results"].items()
    }
    return {tracker: rows for tracker, rows in known.items() if rows}


def paper_scores(split: str) -> list[PaperScore]:
    """Return what the five papers print for a split: `otb2013`, `otb50` (none does) or `otb100`.

    Raises ValueError for another split.
    """
    splits = ("otb2013", "otb50", "otb100")
    if split not in splits:
        raise ValueError(f"paper_scores: expected one of {', '.join(splits)}, got {split!r}")
    return [score for score in _papers() if score.split == split]


def published_table(paper: str, item: str | None = None) -> pd.DataFrame:
    """Return the numbers that a paper prints, one a row: all, or those of a table or figure.

    paper    key of PAPERS
    item     one of `published_items(paper)`
    returns  COLUMNS, all of them text; `number`, the value in this library's units
             (percentages as fractions); and `rounding`, half a unit of its last printed digit

    Raises ValueError for an unknown paper, or an item of which it prints no number.
    """
    items = published_items(paper)
    found = _published(PAPERS[paper])
    if item is None:
        return found.copy()
    if item not in items:
        raise ValueError(
            f"published_table: expected an item of {paper} with printed numbers, one of "
            f"{', '.join(items)}, got {item!r}"
        )
    return found[found["item"] == item].reset_index(drop=True)


def published_items(paper: str) -> list[str]:
    """Return the tables, figures and sections of a paper that data/published/ has numbers of.

    Raises ValueError for a paper that is not a key of PAPERS.
    """
    if paper not in PAPERS:
        raise ValueError(
            f"published_items: expected a paper among {', '.join(PAPERS)}, got {paper!r}"
        )
    return list(dict.fromkeys(_published(PAPERS[paper])["item"]))


def published_number(
    paper: str, item: str, tracker: str, measure: str, subset: str = ""
) -> tuple[float, float]:
    """Return one number of a table and its rounding, in this library's units.

    tracker, measure, subset  as in the columns of `published_table(paper, item)`

    Raises ValueError where the item has no such number, or several; the message lists them.
    """
    table = published_table(paper, item)
    wanted = {"tracker": tracker, "measure": measure, "subset": subset}
    found = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    if len(found) != 1:
        same = table[table["tracker"] == tracker] if found.empty else found
        listed = (same if len(same) else table)[[*wanted, "row", "column"]].drop_duplicates()
        raise ValueError(
            f"published_number: expected one number of {paper}'s {item} with {wanted}, "
            f"got {len(found)}; there are\n{listed.to_string(index=False)}"
        )
    return float(found["number"].iloc[0]), float(found["rounding"].iloc[0])


@lru_cache
def _published(file: str) -> pd.DataFrame:
    table = pd.read_csv(shipped("published") / file, dtype=str, keep_default_na=False)
    factors = table["unit"].map(UNITS)
    # `35.4` is known to 0.05 either way, `7` to 0.5.
    decimals = table["value"].str.partition(".")[2].str.len()
    table["number"] = table["value"].astype(float) * factors
    table["rounding"] = 0.5 * 10.0**-decimals * factors
    return table


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
