"""Each paper's tables in its own order and measures, with ours and the authors' boxes beside it.

A table has the trackers in the order in which the paper prints them, and of each of them up to
three kinds of rows: `paper`, over the paper's own split; `authors' boxes`, where those are
published, over that split and over our targets; and this library's, by specification. Our
targets are those that all of our rows have. A row that the file has not, or on fewer than
`reproduction.TARGETS` targets, says so in the table, and takes no part in any mean.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from trackerlib.data import manifest
from trackerlib.data.sequence import Sequence
from trackerlib.eval.archived import collect_archive
from trackerlib.eval.items import Item, Row, read_items
from trackerlib.eval.places import read_whole
from trackerlib.eval.published import published_by_sequence, published_items, published_table
from trackerlib.eval.report import Report, curves, on_targets
from trackerlib.eval.reproduction import (
    BOUNDS,
    CURVES,
    ILLUSTRATION,
    NOT_RUN,
    PUBLISHED,
    TARGETS,
    compare,
    measurable,
    value_of,
)
from trackerlib.paths import shipped

__all__ = ["TITLES", "Page", "Table", "page_of", "side_by_side"]

TITLES = {  # paper -> measure -> the paper's word for it
    "MSDAT": {"precision20": "DP", "auc": "OS, AUC", "fps": "speed"},
    "FDN": {"precision20": "precision", "auc": "success rate, AUC", "fps": "speed"},
    "RT-MDNet": {"auc": "Succ", "precision20": "Prec", "fps": "speed"},
    "DLST": {"precision20": "DP", "success50": "OS", "auc": "AUC", "fps": "speed"},
    "DeepTrack": {"precision20": "TP", "success60": "TSR", "auc": "AUC", "fps": "speed"},
}
SPLITS = {"otb2013": "OTB-2013", "otb100": "OTB-100"}
PAPER, BOXES = "paper", "authors' boxes"
PRINTED_ALONE = "Nothing of it is computed from the file"
HEAD = ("tracker", "numbers of", "over")
Groups = Callable[[tuple[Sequence, ...]], dict[str, list[str]]]
BARE = {"fraction", "count", "rank", "score", "loss"}  # units that are not written
DIGITS = {"%": 1, "fraction": 3, "fps": 1, "times": 1}  # of ours, by the paper's unit


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Numbers as text, and what is to be said of them; notebooks show both.

    numbers  a row per tracker and source
    notes    sentences
    """

    numbers: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = "" if self.numbers.empty else self.numbers.to_string(index=False)
        return "\n".join(filter(None, [shown, *self.notes]))

    def _repr_html_(self) -> str:
        shown = "" if self.numbers.empty else self.numbers.to_html(index=False, border=0)
        # Every second piece between backticks is code.
        pieces = html.escape(" ".join(self.notes), quote=False).split("`")
        words = [f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(pieces)]
        return f"{shown}\n<p>{''.join(words)}</p>" if self.notes else shown


@dataclass(frozen=True, eq=False)
class Page:
    """One paper's tables and figures.

    items   in the paper's order, by their names
    report  on OTB's targets, by one pass
    """

    items: dict[str, Item]
    report: Report

    def contents(self) -> Table:
        """Return a row per item: what it shows, and how many of its rows the file has."""
        rows = []
        for name, item in self.items.items():
            there = sum(bool(self.report.by_sequence(spec)) for spec in item.specs)
            counts = f"{there} of {len(item.specs)}" if measurable(item) else PRINTED_ALONE.lower()
            of_file = ILLUSTRATION if item.status == "illustration" else counts
            rows.append({"item": name, "shows": item.shows, "rows in the file": of_file})
        return Table(pd.DataFrame(rows))

    def table(self, name: str) -> Table:
        """Return an item's table, see `side_by_side`."""
        return side_by_side(self.items[name], self.report)

    def by_target(self, name: str, *measures: str) -> Table:
        """Return measures of an item's rows target by target, and their means.

        measures  such as `auc` or `success60`
        """
        return _grouped(self.items[name], self.report, measures, _targets)

    def by_attribute(self, name: str, *measures: str) -> Table:
        """Return means of measures by attribute, with the number of targets that have it."""
        return _grouped(self.items[name], self.report, measures, _attributes)

    def curves(self, name: str, kind: str) -> dict[str, np.ndarray]:
        """Return the mean curves of an item's rows of ours, over the targets of its table.

        kind  of `report.curves`
        """
        used, part, _ = _on_shared(self.items[name], self.report)
        return {spec: curve for spec, curve in curves(part, kind).items() if spec in used}


def page_of(paper: str, items_of: str | Path, results: str | Path, dataset: str = "otb") -> Page:
    """Return a paper's page.

    paper     key of `published.PAPERS`
    items_of  the manifest, for `items.read_items`
    results   a compact file; "" is the one that ships
    dataset   whose rows of it

    Raises ValueError for a paper that the manifest has not, and what the readers raise.
    """
    items = {one.item: one for one in read_items(items_of) if one.paper == paper}
    if not items:
        raise ValueError(f"page_of: expected a paper of {items_of}, got {paper!r}")
    file = Path(results or shipped("results") / "otb.npz")
    return Page(items, collect_archive(read_whole(file), dataset))


def side_by_side(item: Item, report: Report) -> Table:
    """Return an item's numbers: the paper's, what the authors' boxes give, and ours.

    report  on OTB's targets, by one pass; items of other data sets and protocols have the
            paper's numbers alone, laid out as it prints them

    Numbers have the paper's unit; `over` says what they are means over, and of how many seeds.
    Columns of attributes say how many of our targets have each.
    """
    why = f"{item.why[:1].upper()}{item.why[1:]}." if item.why else ""
    if not measurable(item):
        alone = "Nothing is measured." if item.status == "illustration" else f"{PRINTED_ALONE}."
        return Table(_as_printed(item), tuple(filter(None, [alone, why])))
    used, part, left_out = _on_shared(item, report)
    cells = [
        *_printed(item),
        *_checked(item),
        *_computed(item, used, part),
        *_absent(item, left_out),
    ]
    notes = [why, *_notes(item, part, report)]
    return Table(_laid_out(item, cells, part), tuple(filter(None, notes)))


@dataclass(frozen=True)
class Cell:
    """A number as text; `subset` is an attribute or a sequence."""

    tracker: str
    source: str
    over: str
    measure: str
    subset: str = ""
    text: str = ""


def _on_shared(item: Item, report: Report) -> tuple[list[str], Report, dict[str, str]]:
    """Return the specifications that are shown, the report on their targets, and reasons.

    The reasons are those of the specifications that are not shown.
    """
    asked = [one.name for one in report.dataset.sequences]
    finished = {spec: report.by_sequence(spec) for spec in item.specs}
    left_out = {spec: NOT_RUN for spec in item.specs if not finished[spec]}
    left_out |= {
        spec: f"{len(names)} of {len(asked)} targets: too few"
        for spec, names in finished.items()
        if 0 < len(names) < min(TARGETS, len(asked))
    }
    used = [spec for spec in item.specs if spec not in left_out]
    shared = {name for name in asked if all(name in finished[spec] for spec in used)}
    return used, on_targets(report, shared), left_out


def _printed(item: Item) -> Iterator[Cell]:
    if item.item not in published_items(item.paper):
        return
    for row in published_table(item.paper, item.item).itertuples(index=False):
        bound = f"{row.relation} " if row.relation in BOUNDS else ""
        split = SPLITS.get(row.dataset, row.dataset)
        yield Cell(row.tracker, PAPER, split, row.measure, row.subset, f"{bound}{row.value}")


def _checked(item: Item) -> Iterator[Cell]:
    """Yield what the authors' boxes give over what the paper's own numbers are over."""
    for cell in _printed(item):
        row, split = item.rows.get(cell.tracker, Row()), cell.over.replace("-", "")
        names = [cell.subset] if cell.subset else []
        if not names:
            names = [one.name for one in manifest.load().values() if split in one.splits]
        found = published_by_sequence(names).get(row.boxes, {})
        if names and len(found) == len(names) and cell.measure in PUBLISHED:
            mean = float(np.mean([both[PUBLISHED[cell.measure]] for both in found.values()]))
            yield replace(cell, source=BOXES, text=_text(item, cell.measure, mean))


def _computed(item: Item, used: list[str], part: Report) -> Iterator[Cell]:
    """Yield what boxes give, the authors' and ours; trackers without ours have theirs too."""
    rows = {
        tracker: replace(row, specs=tuple(spec for spec in row.specs if spec in used))
        for tracker, row in item.rows.items()
    }
    count = len(part.dataset.sequences)
    for line in compare(replace(item, rows=rows), part).to_dict("records"):
        spec, measure = line["specification"], line["measure"]
        seeds = len({seed for _, seed in part.of(spec)})
        over = f"{count} targets" + (f", {seeds} seeds" if seeds > 1 else "")
        sources = (BOXES, f"{count} targets", BOXES), (spec, over, "ours")
        for source, of, column in sources:
            if not pd.isna(value := line[column]):
                text = _text(item, measure, value)
                yield Cell(line["tracker"], source, of, measure, line["subset"], text)


def _absent(item: Item, left_out: dict[str, str]) -> Iterator[Cell]:
    for tracker, row in item.rows.items():
        for spec, measure in product(row.specs, row.published or CURVES):
            if spec in left_out:
                yield Cell(tracker, spec, left_out[spec], measure)


def _laid_out(item: Item, cells: list[Cell], part: Report) -> pd.DataFrame:
    """Return cells as a table: measures in columns, or attributes where the paper has these."""
    has_attributes = any(cell.subset.isupper() for cell in cells)
    measures = list(dict.fromkeys(cell.measure for cell in cells))
    printed = [cell.tracker for cell in cells if cell.source == PAPER]
    trackers = list(dict.fromkeys([*printed, *item.rows]))
    sources = [PAPER, BOXES, *item.specs]
    cells = sorted(cells, key=lambda c: (trackers.index(c.tracker), sources.index(c.source)))
    if has_attributes:
        cells = sorted(cells, key=lambda c: measures.index(c.measure))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for cell in cells:
        title, column = _title(item, cell.measure), cell.subset or "all"
        if cell.subset.isupper():
            held = sum(cell.subset in one.attributes for one in part.dataset.sequences)
            column = f"{cell.subset} ({held})"
        if not has_attributes:
            column = f"{title} {cell.subset}".strip()
        key = (*([title] if has_attributes else []), cell.tracker, cell.source, cell.over)
        rows.setdefault(key, {}).setdefault(column, cell.text)
    head = (*(["measure"] if has_attributes else []), *HEAD)
    lines = [dict(zip(head, key, strict=True)) | values for key, values in rows.items()]
    table = pd.DataFrame(lines).fillna("")
    return table.loc[:, (table != "").any()]


def _absences(left_out: dict[str, str]) -> Iterator[str]:
    if left_out:
        yield f"Left out: {'; '.join(f'`{spec}`, {why}' for spec, why in left_out.items())}."


def _notes(item: Item, part: Report, report: Report) -> Iterator[str]:
    count, asked = len(part.dataset.sequences), len(report.dataset.sequences)
    if count < asked:
        names = ", ".join(one.name for one in part.dataset.sequences)
        yield f"Ours are over the {count} targets that all rows of ours have: {names}."
    known = {one.name for one in report.dataset.sequences}
    subsets = {cell.subset for cell in _printed(item) if cell.subset and not cell.subset.isupper()}
    if others := sorted(subsets - known):
        yield f"Not among the targets of the file: {', '.join(others)}."
    if more := [name.upper() for name in item.protocols if name != "ope"]:
        yield f"The paper has {' and '.join(more)} too; these results are of one pass."


def _grouped(item: Item, report: Report, measures: Iterable[str], by: Groups) -> Table:
    """Return means over groups of an item's targets, a row for each group."""
    used, part, left_out = _on_shared(item, report)
    names = [one.name for one in part.dataset.sequences]
    groups = by(part.dataset.sequences)
    columns: dict[str, list[str]] = {}
    for measure in measures:
        for label, values in _by_target(item, used, part, measure).items():
            if all(name in values for name in names):
                means = [float(np.mean([values[n] for n in held])) for held in groups.values()]
                title = f"{label}: {_title(item, measure)}"
                columns[title] = [_text(item, measure, mean) for mean in means]
    notes = (*_notes(item, part, report), *_absences(left_out))
    return Table(
        pd.DataFrame({"over": [*groups], **columns}) if columns else pd.DataFrame(), notes
    )


def _by_target(
    item: Item, used: Iterable[str], part: Report, measure: str
) -> dict[str, dict[str, float]]:
    """Return a measure by row and target, means over seeds: ours, then the authors' boxes."""
    found: dict[str, dict[str, float]] = {}
    for spec in used:
        values: dict[str, list[float]] = {}
        for (name, _), score in part.of(spec).items():
            values.setdefault(name, []).append(value_of(score, measure))
        found[spec] = {name: float(np.mean(every)) for name, every in values.items()}
    scores = published_by_sequence(one.name for one in part.dataset.sequences)
    if measure in PUBLISHED:
        column = PUBLISHED[measure]
        for tracker, row in item.rows.items():
            known = scores.get(row.boxes, {})
            found[f"{tracker}, {BOXES}"] = {name: both[column] for name, both in known.items()}
    return found


def _targets(sequences: tuple[Sequence, ...]) -> dict[str, list[str]]:
    names = [one.name for one in sequences]
    return {name: [name] for name in names} | {"mean": names}


def _attributes(sequences: tuple[Sequence, ...]) -> dict[str, list[str]]:
    codes = sorted({code for one in sequences for code in one.attributes})
    held = {code: [one.name for one in sequences if code in one.attributes] for code in codes}
    return {f"{code} ({len(names)})": names for code, names in held.items()}


def _as_printed(item: Item) -> pd.DataFrame:
    """Return the paper's numbers in its own rows and columns."""
    if item.item not in published_items(item.paper):
        return pd.DataFrame()
    found = published_table(item.paper, item.item)
    bound = found["relation"].where(found["relation"].isin([*BOUNDS]), "")
    unit = found["unit"].where(~found["unit"].isin(BARE), "")
    found["text"] = (bound + " " + found["value"] + " " + unit).str.strip()
    columns = list(dict.fromkeys(found["column"]))
    rows = found.groupby(["row", "column"], sort=False)["text"].agg(" / ".join)
    table = [
        {"paper's row": row} | {column: rows.get((row, column), "") for column in columns}
        for row in dict.fromkeys(found["row"])
    ]
    return pd.DataFrame(table)


def _unit(item: Item, measure: str) -> str:
    """Return the unit in which an item prints a measure, or else the paper elsewhere."""
    found = published_table(item.paper)
    found = found[found["measure"] == measure]
    here = found[found["item"] == item.item]
    units = (here if len(here) else found)["unit"]
    return "fraction" if units.empty else str(units.iloc[0])


def _title(item: Item, measure: str) -> str:
    words = re.sub(r"success(\d\d)", r"success at 0.\1", measure).replace("_", " ")
    title = TITLES[item.paper].get(measure, words)
    unit = _unit(item, measure)
    return title if unit in BARE else f"{title} ({unit})"


def _text(item: Item, measure: str, value: float) -> str:
    unit = _unit(item, measure)
    return f"{value * (100 if unit == '%' else 1):.{DIGITS.get(unit, 0)}f}"
