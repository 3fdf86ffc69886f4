"""Tables from a compact file: the report that the store would give, without frames or store."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product

import numpy as np

from trackerlib.data import Dataset
from trackerlib.data.sequence import ImageFiles, Sequence
from trackerlib.eval.archive import Archive, Facts, Row, check_rows
from trackerlib.eval.conventions import OTB, Conventions
from trackerlib.eval.found import missing_table
from trackerlib.eval.metrics import NothingToScoreError, Score, pool, score_of
from trackerlib.eval.notices import noticed
from trackerlib.eval.report import UNSCORED, Report
from trackerlib.eval.store import Failure

__all__ = ["collect_archive", "parts"]

ABSENT = "no row of it in the file"


def parts(archive: Archive) -> list[tuple[str, str]]:
    """Return the data sets and protocols of an archive, each pair of which is a report."""
    return list(dict.fromkeys((r.unit.dataset, r.unit.protocol) for r in archive.rows))


def collect_archive(
    archive: Archive, dataset: str, protocol: str = "ope", conventions: Conventions = OTB
) -> Report:
    """Return the report of an archive's rows over one data set.

    A tracker is reported on every sequence of the data set and with every seed that it has;
    what the archive has no row of is `missing`, as in `report.collect`.
    Raises ValueError for rows that cannot stand in one table, see `archive.check_rows`, and for
    conventions other than OTB's, of which the archive has no measures.
    """
    if conventions != OTB:
        raise ValueError(
            "collect_archive: expected OTB's conventions, under which a compact file has what "
            "each frame is worth; for others give the store and --data"
        )
    rows = [r for r in archive.rows if (r.unit.dataset, r.unit.protocol) == (dataset, protocol)]
    check_rows(rows)
    facts = [one for one in archive.sequences.values() if one.dataset == dataset]
    scores: dict[tuple[str, str, int], list[Score]] = defaultdict(list)
    lengths: dict[tuple[str, str, int], int] = defaultdict(int)
    results, missing = [], list(_absent(rows, facts, protocol))
    for row in rows:
        unit, outcome = row.unit, row.outcome
        where, key = _where(row), (unit.label, unit.sequence, unit.seed)
        if isinstance(outcome, Failure):
            missing.append((*where, outcome.reason))
            continue
        results.append(outcome)
        lengths[key] += unit.frames
        assert row.measures is not None
        try:
            scores[key].append(score_of(row.measures))
        except NothingToScoreError:
            missing.append((*where, UNSCORED))
    unfinished = {one[:2] for one in missing if one[4] != UNSCORED}
    finished = [key for key in lengths if key[:2] not in unfinished]
    known = Dataset(dataset, tuple(map(_sequence, facts)))
    return Report(
        scores={key: pool(scores[key]) for key in finished if scores[key]},
        results=tuple(results),
        missing=missing_table(missing),
        warnings=noticed(known.sequences, results),
        dataset=known,
        frames={key: (sum(s.frames for s in scores[key]), lengths[key]) for key in finished},
    )


def _where(row: Row) -> tuple[str, str, str, int]:
    unit = row.unit
    return unit.label, unit.sequence, unit.segment, unit.seed


def _absent(
    rows: list[Row], facts: list[Facts], protocol: str
) -> Iterator[tuple[str, str, str, int, str]]:
    """Yield what trackers have no row of: a segment that another has, or a whole sequence."""
    there = {_where(row) for row in rows}
    segments: dict[str, list[str]] = {one.name: [] for one in facts}
    for row in rows:
        if row.unit.segment not in segments.setdefault(row.unit.sequence, []):
            segments[row.unit.sequence].append(row.unit.segment)
    pairs = [
        (name, segment) for name, known in segments.items() for segment in known or [protocol]
    ]
    runs = dict.fromkeys((row.unit.label, row.unit.seed) for row in rows)
    for (label, seed), pair in product(runs, pairs):
        if (where := (label, *pair, seed)) not in there:
            yield *where, ABSENT


def _sequence(facts: Facts) -> Sequence:
    """Return a sequence that has a name and attributes, and neither frames nor ground truth."""
    return Sequence(
        name=facts.name,
        frames=ImageFiles(()),
        boxes=np.full((facts.frames, 4), np.nan),
        frame_numbers=np.arange(1, facts.frames + 1),
        attributes=facts.attributes,
        benchmark=facts.benchmark,
    )
