"""The manifest of the papers' tables and figures: what each needs, and which trackers it has.

book/reproduction/results.yml is that manifest; its first lines describe the fields.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Item", "Row", "read_items", "specifications"]


@dataclass(frozen=True)
class Row:
    """One tracker of a table or figure.

    specs      this library's trackers, for `trackers.parse`, the default first
    boxes      its name in `published.published_scores`; "" where no boxes were published
    published  measures that the paper prints for it
    explained  specification -> why its results lie outside the item's band
    """

    specs: tuple[str, ...] = ()
    boxes: str = ""
    published: tuple[str, ...] = ()
    explained: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """A table, a figure, or a section with results of its own.

    paper      key of `published.PAPERS`;  item  such as `Table 1`
    shows      what is measured or drawn
    status     complete, partial, missing or illustration;  why  of the middle two
    needs      what data;  page  where the book has it, a file of book/ without its suffix
    datasets, protocols  of the paper
    band       measure -> how far a result may lie from what is expected; {} where there is none
    rows       by the tracker's name in data/published/
    """

    paper: str
    item: str
    shows: str
    status: str
    needs: str
    page: str
    why: str = ""
    datasets: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    band: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def specs(self) -> tuple[str, ...]:
        """Return the specifications of all rows, each once."""
        return tuple(dict.fromkeys(spec for row in self.rows.values() for spec in row.specs))


def read_items(path: str | Path) -> tuple[Item, ...]:
    """Return the manifest's entries, in its order.

    Raises FileNotFoundError where there is no such file, and TypeError for a field that the
    manifest does not have.
    """
    import yaml

    return tuple(_item(entry) for entry in yaml.safe_load(Path(path).read_text()))


def specifications(items: Iterable[Item], needs: Iterable[str]) -> tuple[str, ...]:
    """Return the specifications of the items with one of these needs, each once."""
    wanted = set(needs)
    return tuple(dict.fromkeys(s for one in items if one.needs in wanted for s in one.specs))


def _item(entry: dict) -> Item:
    default = entry.pop("published", ())
    rows = {
        tracker: Row(
            specs=tuple(row.pop("specs", ())),
            published=tuple(row.pop("published", default)),
            **row,
        )
        for tracker, row in entry.pop("rows", {}).items()
    }
    lists = {name: tuple(entry.pop(name, ())) for name in ("datasets", "protocols")}
    return Item(**(entry | lists), rows=rows)
