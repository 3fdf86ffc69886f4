"""The papers' numbers, what their authors' boxes give, and what ours do, side by side.

A paper's number is a mean over a whole split of OTB, ours are over the targets that a report
has. They are compared on the same targets:

1. where the authors' boxes are published (`published.published_by_sequence`), with what these
   boxes give on the targets that ours are from;
2. elsewhere with the paper's number carried over to these targets (`carried`), as the published
   trackers' means over them follow from their means over the split.

A result is in its band where it lies no further from that than the item's `band` for its
measure, wider by `CARRIED` standard errors in the second case. It is not compared on fewer than
`TARGETS` targets, nor on the sequences of one attribute, nor where the paper states no more than
a bound. Speeds are not compared: each is of its own machine.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from trackerlib.data import manifest
from trackerlib.eval.found import speed
from trackerlib.eval.items import Item, Row
from trackerlib.eval.metrics import OTB, Score
from trackerlib.eval.published import (
    published_by_sequence,
    published_items,
    published_table,
)
from trackerlib.eval.report import Report
from trackerlib.eval.statistics import seed_spread, summarise

__all__ = [
    "CARRIED",
    "EXPLAINED",
    "ILLUSTRATION",
    "IN_BAND",
    "NOT_RUN",
    "OUTSIDE",
    "TARGETS",
    "UNCOMPARED",
    "by_attribute",
    "carried",
    "compare",
    "failures",
    "means",
    "measurable",
    "missing_rows",
    "not_run",
    "shown",
    "summary",
    "value_of",
]

TARGETS = 8  # the fewest on which a result is compared
CARRIED = 2  # standard errors of `carried`
PUBLISHED = {"auc": 0, "precision20": 1}  # measure -> column of `published_by_sequence`
SPEEDS = ("fps", "speedup")  # how measures begin that are of a machine
BOUNDS = "<>~"  # of `Number.relation`: the paper states no more than these
CURVES = ("auc", "precision20")  # of a figure: the numbers in its legends

ILLUSTRATION = "nothing is measured"
IN_BAND = "in band"
OUTSIDE = "outside"
EXPLAINED = "outside, explained"
UNCOMPARED = "not compared"
NOT_RUN = "not in the file"
THEIRS = ""  # a tracker that is not this library's: printed, or with published boxes

COLUMNS = [
    "tracker",
    "specification",
    "measure",
    "split",
    "subset",
    "paper",
    "authors' boxes",
    "expected",
    "margin",
    "ours",
    "95 % from",
    "to",
    "seed spread",
    "targets",
    "verdict",
    "why",
]


@dataclass(frozen=True)
class Number:
    """What an item states of a tracker: a number, or, with NaN, a curve that has one."""

    dataset: str
    measure: str
    subset: str
    relation: str
    value: float


def measurable(item: Item, protocol: str = "ope") -> bool:
    """Return whether an item has trackers of this library, measured on OTB by a protocol."""
    is_otb = {"otb2013", "otb100"} & set(item.datasets)
    return bool(is_otb and item.specs) and protocol in item.protocols


def compare(item: Item, report: Report) -> pd.DataFrame:
    """Return a line for each number of an item and each of our trackers that it is about.

    report   on OTB's targets, by one pass, under OTB's conventions
    returns  the paper's number; the authors' boxes on our targets; what is expected of ours
             there, and the margin; ours with its 95 % bootstrap over sequences, the spread over
             seeds (standard deviation), the number of targets; verdict, and why

    A number of a subset is over the sequences that have the attribute, or the one of that name.
    Where a paper prints none, as for most curves, there are AUC and precision.
    """
    fps = _fps(report)
    lines = []
    for tracker, row in item.rows.items():
        for number in _numbers(item, tracker, row):
            for spec in row.specs or ("",):
                names = _targets(number.subset, spec, report)
                line = _printed(tracker, spec, number) | _theirs(row, number, names)
                line["targets"] = len(names)
                line |= _ours(spec, number, names, report) | _speeds(spec, number.measure, fps)
                lines.append({"why": ""} | line | _compared(item, number, line, names, report))
    return pd.DataFrame(lines, columns=COLUMNS)


@lru_cache
def carried(value: float, split: str, names: tuple[str, ...], measure: str) -> tuple[float, float]:
    """Return what a mean over a split of OTB should be over some targets, and a standard error.

    value    `auc` or `precision20`, as `measure` says, over the split
    names    OTB's targets
    returns  the line that fits the published trackers' means over these targets to those over
             the split, at `value`, and the standard deviation of what is left (n - 2)

    (NaN, NaN) where there are no such means, and for NaN.
    """
    pairs = means(names, split, measure)
    if np.isnan(value) or not len(pairs):
        return np.nan, np.nan
    x, y = pairs.T
    slope, intercept = np.polyfit(x, y, 1)
    rest = y - (slope * x + intercept)
    return float(slope * value + intercept), float(np.sqrt(rest @ rest / (len(x) - 2)))


def means(names: tuple[str, ...], split: str, measure: str) -> np.ndarray:
    """Return the published trackers' means over a split of OTB and over some targets, (n, 2).

    Trackers that miss any of them are left out. There are none, (0, 2), of a measure that is
    neither `auc` nor `precision20`, and where fewer than TARGETS targets are OTB's.
    """
    full = [one.name for one in manifest.load().values() if split.upper() in one.splits]
    known = [name for name in names if name in manifest.load()]
    if measure not in PUBLISHED or len(known) < TARGETS or not full:
        return np.empty((0, 2))
    column = PUBLISHED[measure]
    scores = published_by_sequence([*full, *known]).values()
    whole = [one for one in scores if one.keys() >= {*full, *known}]
    return np.array([[np.mean([s[n][column] for n in p]) for p in (full, known)] for s in whole])


def shown(found: pd.DataFrame) -> pd.DataFrame:
    """Return lines of `compare` to read: those of trackers that were run, and others' boxes.

    What is over the sequences of an attribute is left to `by_attribute`.
    """
    lines = found[(found["verdict"] != NOT_RUN) & ~found["subset"].str.isupper()]
    blank = lines["specification"] == ""
    lines = lines[~blank | lines[["authors' boxes", "paper"]].notna().any(axis="columns")]
    written = {name: _written(lines, name) for name in COLUMNS}
    counts = lines["ours"].notna() | lines["authors' boxes"].notna()
    table = pd.DataFrame(
        {
            "tracker": lines["tracker"],
            "ours, as": lines["specification"],
            "measure": lines["measure"],
            "paper": written["paper"],
            "paper's set": (lines["split"] + " " + lines["subset"]).str.strip(),
            "authors' boxes": written["authors' boxes"],
            "expected": _paired(written["expected"], " \N{PLUS-MINUS SIGN} ", written["margin"]),
            "ours": written["ours"],
            "verdict": lines["verdict"],
            "95 % interval": _paired(written["95 % from"], " to ", written["to"]),
            "seed spread": written["seed spread"],
            "targets": written["targets"].where(counts, ""),
            "why": lines["why"],
        }
    )
    return table.loc[:, (table != "").any()]


def by_attribute(found: pd.DataFrame) -> pd.DataFrame:
    """Return what `compare` has of attributes: `paper | ours`, in a column for each of them.

    The number in a column's name is that of the targets that have the attribute. Trackers that
    were not run are left out.
    """
    lines = found[found["subset"].str.isupper() & (found["verdict"] != NOT_RUN)]
    lines = lines[lines["specification"] != ""]
    cells = _written(lines, "paper") + " | " + _written(lines, "ours")
    columns = lines["subset"] + " (" + lines["targets"].astype(str) + ")"
    rows = [lines["specification"], lines["measure"]]
    table = cells.groupby([*rows, columns], sort=False).first().unstack().fillna("")
    return table.rename_axis(index=["ours, as", "measure"], columns=None).reset_index()


def _paired(first: pd.Series, between: str, second: pd.Series) -> pd.Series:
    """Return two columns of text as one, nothing where either has nothing."""
    return (first + between + second).where((first != "") & (second != ""), "")


def _written(lines: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as text: rates with three decimals, others with fewer, nothing for NaN."""

    def text(value: object, measure: str) -> str:
        if isinstance(value, str | int):
            return str(value)
        digits = 1 if measure.startswith(SPEEDS) else 0 if measure.endswith("count") else 3
        return "" if pd.isna(value) else f"{value:.{digits}f}"

    pairs = zip(lines[column], lines["measure"], strict=True)
    return pd.Series([text(*pair) for pair in pairs], index=lines.index, dtype=object)


def failures(found: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of `compare` that lie outside their band without an explanation."""
    return found[found["verdict"] == OUTSIDE]


def not_run(found: pd.DataFrame) -> list[str]:
    """Return the specifications in `compare` that the report has no results of."""
    return list(found.loc[found["verdict"] == NOT_RUN, "specification"].unique())


def missing_rows(items: Iterable[Item], report: Report) -> pd.DataFrame:
    """Return the specifications of measurable items that a report has not, with their items."""
    wanted: dict[str, list[str]] = {}
    for item in items:
        for spec in item.specs if measurable(item) else ():
            if not report.by_sequence(spec):
                wanted.setdefault(spec, []).append(f"{item.paper}, {item.item}")
    rows = [(spec, "; ".join(names)) for spec, names in wanted.items()]
    return pd.DataFrame(rows, columns=["specification", "items"])


def summary(items: Iterable[Item], report: Report) -> pd.DataFrame:
    """Return a line for each item: how much of it the report has, and how many are in band."""
    lines = []
    for item in items:
        line: dict[str, object] = dict.fromkeys(["rows here", IN_BAND, EXPLAINED, OUTSIDE], "")
        line |= {"paper": item.paper, "item": item.item, "shows": item.shows}
        if measurable(item):
            verdicts = compare(item, report)["verdict"].value_counts()
            there = sum(bool(report.by_sequence(spec)) for spec in item.specs)
            line["rows here"] = f"{there} of {len(item.specs)}"
            line |= {name: verdicts.get(name, 0) for name in (IN_BAND, EXPLAINED, OUTSIDE)}
        line["state"] = _state(item)
        lines.append(line)
    columns = ["paper", "item", "shows", "rows here", IN_BAND, EXPLAINED, OUTSIDE, "state"]
    return pd.DataFrame(lines, columns=columns)


def _state(item: Item) -> str:
    if item.status == "illustration":
        return ILLUSTRATION
    if measurable(item):
        return item.why
    return item.why or "on its own page"


def _numbers(item: Item, tracker: str, row: Row) -> list[Number]:
    """Return what an item prints of a tracker, and of curves what their legends have."""
    printed = item.item in published_items(item.paper)
    numbers = []
    if row.published:
        table = published_table(item.paper, item.item)
        own = table[(table["tracker"] == tracker) & table["measure"].isin(row.published)]
        fields = ["dataset", "measure", "subset", "relation", "number"]
        numbers = [Number(*values) for values in own[fields].itertuples(index=False)]
    has_curve = item.item.startswith("Figure") or not printed
    if has_curve and (row.specs or row.boxes) and not {*CURVES} & {*row.published}:
        numbers += [Number("", measure, "", "=", np.nan) for measure in CURVES]
    return numbers


def _targets(subset: str, spec: str, report: Report) -> tuple[str, ...]:
    """Return the targets of a subset that a tracker finished; all of them of others' trackers."""
    codes = {sequence.name: sequence.attributes for sequence in report.dataset.sequences}
    finished = report.by_sequence(spec) if spec else codes
    return tuple(n for n in codes if n in finished and subset in ("", n, *codes[n]))


def _printed(tracker: str, spec: str, number: Number) -> dict[str, object]:
    bound = number.relation if number.relation in BOUNDS else ""
    paper = f"{bound} {number.value:g}" if bound else number.value
    return {
        "tracker": tracker,
        "specification": spec,
        "measure": number.measure,
        "split": number.dataset,
        "subset": number.subset,
        "paper": paper,
    }


def _theirs(row: Row, number: Number, names: tuple[str, ...]) -> dict[str, float]:
    """Return what published boxes give on targets; nothing where they miss one of them."""
    found = published_by_sequence(names).get(row.boxes, {})
    if number.measure not in PUBLISHED or not names or len(found) < len(names):
        return {}
    column = PUBLISHED[number.measure]
    return {"authors' boxes": float(np.mean([scores[column] for scores in found.values()]))}


def _ours(spec: str, number: Number, names: tuple[str, ...], report: Report) -> dict[str, object]:
    """Return a tracker's mean over targets; nothing where it has no such measure."""
    values: dict[str, dict[int, float]] = {}
    for (name, seed), score in report.of(spec).items():
        if name in names:
            values.setdefault(name, {})[seed] = value_of(score, number.measure)
    grid = pd.DataFrame(values).to_numpy()  # (seeds, sequences)
    if not grid.size or np.isnan(grid).all():
        return {}
    mean = summarise(dict(zip(values, np.nanmean(grid, axis=0), strict=True)))
    return {
        "ours": mean.mean,
        "95 % from": mean.low,
        "to": mean.high,
        "seed spread": seed_spread(grid),
    }


def value_of(score: Score, measure: str) -> float:
    """Return one of a score's measures, `success60` and the like too; NaN where it has it not."""
    if found := re.fullmatch(r"success(\d+)", measure):
        return float(score.success[OTB.thresholds.index(int(found[1]) / 100)])
    return float(getattr(score, measure)) if measure in PUBLISHED else np.nan


def _fps(report: Report) -> dict[str, float]:
    """Return each tracker's frames per second, on the machine on which it is fastest."""
    return speed(report)["fps"].groupby("tracker").max().to_dict()


def _speeds(spec: str, measure: str, fps: dict[str, float]) -> dict[str, object]:
    if spec not in fps:
        return {}
    if measure == "fps":
        return {"ours": fps[spec]}
    over = measure.removeprefix("speedup_over_")
    return {"ours": fps[spec] / fps[over]} if over != measure and over in fps else {}


def _compared(
    item: Item, number: Number, line: dict, names: tuple[str, ...], report: Report
) -> dict[str, object]:
    """Return what is expected of ours, its margin, the verdict, and what is to be said of it."""
    spec, row, band = line["specification"], item.rows[line["tracker"]], item.band
    if not spec or not report.by_sequence(spec):
        return {"verdict": NOT_RUN if spec else THEIRS}
    if not names:
        return {"verdict": UNCOMPARED, "why": f"without {number.subset}"}
    if number.measure not in band:
        is_speed = number.measure.startswith(SPEEDS)
        return {"verdict": UNCOMPARED, "why": "of another machine" if is_speed else "no band"}
    if number.subset or len(names) < TARGETS:
        return {"verdict": UNCOMPARED, "why": "too few targets"}
    expected, margin = line.get("authors' boxes", np.nan), band[number.measure]
    if np.isnan(expected) and number.relation not in BOUNDS:
        expected, error = carried(number.value, number.dataset, names, number.measure)
        margin += CARRIED * error
    if np.isnan(expected):
        return {"verdict": UNCOMPARED, "why": "nothing published to compare with"}
    why = row.explained.get(spec, "")
    inside = abs(line["ours"] - expected) <= margin
    verdict = IN_BAND if inside else EXPLAINED if why else OUTSIDE
    return {"expected": expected, "margin": margin, "verdict": verdict, "why": why}
