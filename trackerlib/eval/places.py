"""Places of results, stores and compact files: what they hold, and adding to them.

A store is a folder; a compact file, whose name ends in .npz, is what `archive` describes.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from trackerlib.data import Dataset
from trackerlib.eval.archive import (
    Archive,
    Facts,
    Outcome,
    Row,
    check_rows,
    facts_of,
    joined,
    measured,
    read_archive,
    unlike,
    write_archive,
)
from trackerlib.eval.contents import contents_of
from trackerlib.eval.protocols import segment_order
from trackerlib.eval.store import Failure, Store, Unit

__all__ = ["dataset_facts", "open_place", "over", "put", "read_whole"]


def read_whole(path: Path) -> Archive:
    """Return a compact file's content.

    Raises ValueError if any of it is damaged, and what `archive.read_archive` raises.
    """
    archive, damages = read_archive(path)
    _check_whole(damages)
    return archive


def open_place(
    path: Path, dataset: Dataset | None = None, origin: Callable[[Unit], dict] | None = None
) -> Archive:
    """Return what a place holds, all of it.

    dataset  of a store's results: those over its sequences come in their order, with what
             each frame is worth; others, or all without one, are boxes alone
    origin   gives `archive.Row.origin`

    Raises ValueError where something is damaged, or was computed on other frames than the
    data set's, and FileNotFoundError where there are no results.
    """
    if path.is_file():
        return read_whole(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a store or a compact file, found none")
    store = Store(path)
    _check_whole(list(store.damages()))
    outcomes: list[Outcome] = [*store.results(), *store.failures()]
    if not outcomes:
        raise FileNotFoundError(f"{path}: expected results, found none of this version")
    facts = dataset_facts(dataset) if dataset else {}
    here = [o for o in outcomes if (o.unit.dataset, o.unit.sequence) in facts]
    others = [o for o in outcomes if (o.unit.dataset, o.unit.sequence) not in facts]
    order = {key: position for position, key in enumerate(facts)}
    _check_frames(here, facts)

    def position(outcome: Outcome) -> tuple:
        unit = outcome.unit
        where = order[unit.dataset, unit.sequence]
        return unit.label, unit.seed, where, segment_order(unit.segment)

    rows = [
        measured(outcome, dataset, origin(outcome.unit) if origin else {})
        for outcome in sorted(here, key=position)
        if dataset
    ]
    return Archive(facts, (*rows, *map(Row, others)))


def put(archives: Iterable[Archive], target: Path) -> int:
    """Add archives to a place, which may be new -> the number of their rows.

    Raises ValueError, with the row, for what `archive.joined` refuses, also beside what the
    place holds already; nothing is written then.
    """
    merged = joined(archives)
    if target.suffix == ".npz":
        former = [read_whole(target)] if target.exists() else []
        write_archive(target, joined([*former, merged]))
        return len(merged.rows)
    store = Store(target)
    _check_whole(list(store.damages()))
    there = [Row(result) for result in store.results()]
    labels = {(row.unit.dataset, row.unit.label) for row in merged.rows}
    alike = [row for row in there if (row.unit.dataset, row.unit.label) in labels]
    check_rows([*alike, *merged.rows])
    whole = {row.unit.key for row in alike}
    with store.exclusive():
        for row in (row for row in merged.rows if row.unit.key not in whole):
            outcome = row.outcome
            if isinstance(outcome, Failure):
                store.write_failure(outcome.unit, outcome.traceback)
            else:
                store.write(outcome.unit, outcome.track, outcome.environment)
    return len(merged.rows)


def over(dataset: Dataset, archive: Archive) -> Archive:
    """Return an archive's rows on a data set's sequences, under its name.

    Raises ValueError, with the row, where frames or ground truth are others.
    """
    ours = {facts.name: facts for facts in dataset_facts(dataset).values()}
    rows = []
    for row in (row for row in archive.rows if row.unit.sequence in ours):
        unit = row.unit
        theirs = archive.sequences.get((unit.dataset, unit.sequence))
        difference = unlike(ours[unit.sequence], theirs) if theirs else "one without checksums"
        if difference:
            raise ValueError(
                f"{unit.where}: expected the sequence that is in the data, got {difference}"
            )
        moved = replace(row.outcome, unit=replace(unit, dataset=dataset.name))
        rows.append(replace(row, outcome=moved))
    return Archive({(dataset.name, name): facts for name, facts in ours.items()}, tuple(rows))


def dataset_facts(dataset: Dataset) -> dict[tuple[str, str], Facts]:
    """Return the facts of a data set's sequences, by its name and theirs."""
    found = (facts_of(dataset.name, one, contents_of(one)) for one in dataset.sequences)
    return {(facts.dataset, facts.name): facts for facts in found}


def _check_whole(damages: list[str]) -> None:
    if damages:
        more = f", and {len(damages) - 1} more" if len(damages) > 1 else ""
        raise ValueError(
            f"{damages[0]}{more}; `results verify` lists all; copy them again, or run them again"
        )


def _check_frames(outcomes: list[Outcome], facts: dict[tuple[str, str], Facts]) -> None:
    for unit in (outcome.unit for outcome in outcomes):
        if unit.contents != facts[unit.dataset, unit.sequence].contents:
            raise ValueError(
                f"{unit.where}: expected a result on the frames in the data, got one on others; "
                "run it again, or give the data that it was run on"
            )
