"""From a store to tables: what was scored, what is missing, what went wrong."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd

from trackerlib.data import Dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval import metrics
from trackerlib.eval.found import NOT_RUN, OUTDATED, find, missing_table, speed
from trackerlib.eval.metrics import OTB, Conventions, NothingToScoreError, Score, pool, score
from trackerlib.eval.protocols import STARTS
from trackerlib.eval.published import PaperScore, paper_scores, published_scores
from trackerlib.eval.runner import Job
from trackerlib.eval.statistics import by_attribute, seed_spread, summarise
from trackerlib.eval.store import Result, Store

__all__ = [
    "MEASURES",
    "NOT_RUN",
    "OUTDATED",
    "SCALES",
    "Report",
    "attributes",
    "collect",
    "curves",
    "on_targets",
    "papers",
    "rounded",
    "scales",
    "sequences",
    "speed",
    "table",
]

UNSCORED = "no frame after the first has ground truth that can be scored"

MEASURES = {
    "auc": "AUC",
    "precision20": "P(20 px)",
    "success50": "S(0.5)",
    "normalised20": "P(0.2), normalised",
    "normalised": "mean P, normalised",
}
# Roots of the area ratio, predicted to true, which have a table of their own: no rates, and
# best at 1.
SCALES = {"scale": "scale", "late_scale": "last quarter"}

# What becomes of frames whose ground truth is not valid, by `Conventions.invalid`.
COUNTED = {
    "otb": "misses of success and hits of precision, as in OTB's toolkit",
    "miss": "misses of success and precision, as in pytracking",
    "skip": "not scored",
}


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that one evaluation gave.

    scores       (tracker, sequence, seed) -> Score, the segments of TRE and SRE pooled;
                 only where every segment is finished, with every seed
    results      what was scored, with seconds and environments
    missing      a row per unit without a result, or without a frame that can be scored, and
                 per sequence that could not be opened: tracker, sequence, segment, seed, reason
    warnings     what the data set's check, its readers, the trackers' runs and the scoring
                 noticed
    dataset      the sequences that were asked for
    conventions  of the scores
    frames       (tracker, sequence, seed) -> how many frames were scored, of how many that
                 the run has; also of finished runs without a score
    """

    scores: dict[tuple[str, str, int], Score]
    results: tuple[Result, ...]
    missing: pd.DataFrame
    warnings: tuple[str, ...]
    dataset: Dataset
    conventions: Conventions = OTB
    frames: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def trackers(self) -> list[str]:
        """Return the trackers that finished a sequence, in the order of the jobs."""
        return list(dict.fromkeys(tracker for tracker, _, _ in self.frames))

    def of(self, tracker: str) -> dict[tuple[str, int], Score]:
        """Return one tracker's scores by sequence and seed."""
        return {(name, seed): s for (t, name, seed), s in self.scores.items() if t == tracker}

    def by_sequence(self, tracker: str, measure: str = "auc") -> dict[str, float]:
        """Return one tracker's measure by sequence, the mean over seeds."""
        values: dict[str, list[float]] = {}
        for (name, _), scored in self.of(tracker).items():
            values.setdefault(name, []).append(getattr(scored, measure))
        return {name: float(np.mean(value)) for name, value in values.items()}

    def by_seed(self, tracker: str, measure: str = "auc") -> pd.DataFrame:
        """Return one tracker's measure by seed (rows) and sequence (columns)."""
        found = {key: getattr(scored, measure) for key, scored in self.of(tracker).items()}
        return pd.Series(found).unstack(0)


def on_targets(report: Report, names: Collection[str]) -> Report:
    """Return what a report has of some of its sequences."""
    sequences = tuple(one for one in report.dataset.sequences if one.name in names)
    return replace(
        report,
        scores={key: score for key, score in report.scores.items() if key[1] in names},
        results=tuple(one for one in report.results if one.unit.sequence in names),
        missing=report.missing[report.missing["sequence"].isin(names)],
        frames={key: counts for key, counts in report.frames.items() if key[1] in names},
        dataset=replace(report.dataset, sequences=sequences),
    )


def collect(
    jobs: Iterable[Job], dataset: Dataset, store: Store, conventions: Conventions = OTB
) -> Report:
    """Score what the store holds for the jobs of `runner.plan`; the rest is `missing`, see `find`.

    Jobs of the protocol vot have scores of another kind: `vot_report.collect_resets`.
    """
    parts: dict[tuple[str, str, int], list[Score]] = defaultdict(list)
    lengths, jobs = Counter[tuple[str, str, int]](), list(jobs)
    found = find(jobs, dataset, store)
    for job, result in found.pairs:
        unit = job.unit
        truth = job.sequence.boxes[unit.start : unit.start + unit.frames]
        key = unit.label, unit.sequence, unit.seed
        lengths[key] += len(truth)
        try:
            parts[key].append(score(result.track.boxes, truth, conventions))
        except NothingToScoreError:
            found.missing.append((*key[:2], unit.segment, unit.seed, UNSCORED))
    finished = [key for key in lengths if key[:2] not in found.unfinished]
    scoring = _scoring(jobs, dataset, found.results, conventions)
    return Report(
        {key: pool(parts[key]) for key in finished if parts[key]},
        found.results,
        missing_table(found.missing),
        (*found.warnings, *scoring),
        dataset,
        conventions,
        {key: (sum(one.frames for one in parts[key]), lengths[key]) for key in finished},
    )


def _scoring(
    jobs: list[Job], dataset: Dataset, results: tuple[Result, ...], conventions: Conventions
) -> list[str]:
    """Return what the scores leave out, replace, or count in a way that one may not expect."""
    starts = {(job.unit.sequence, job.unit.segment) for job in jobs}
    late = Counter(name for name, segment in starts if segment.startswith("tre"))
    lines = [line for sequence in dataset.sequences for line in _truth(sequence, conventions)]
    lines += [
        f"{name}: {count} starts in time instead of {STARTS}; it has no more frames for them"
        for name, count in late.items()
        if count < STARTS
    ]
    repaired = "replaced by the one before" if conventions.repair else "misses"
    for result in results:
        if bad := int((~metrics.usable(result.track.boxes)).sum()):
            lines.append(
                f"{result.unit.label}: {result.unit.sequence}, {result.unit.segment}: {bad} of "
                f"{len(result.track.boxes)} boxes are not finite or have no area: {repaired}"
            )
    if conventions != OTB and published_scores(one.name for one in dataset.sequences):
        lines.append("published scores stay under OTB's conventions, unlike the others")
    return lines


def _truth(sequence: Sequence, conventions: Conventions) -> Iterable[str]:
    frames, known = len(sequence.boxes), metrics.valid(sequence.boxes, conventions)
    annotated = np.isfinite(sequence.boxes).all(1)
    if absent := int((~annotated).sum()):
        fate = COUNTED["skip"] if conventions.unannotated == "skip" else _counted(conventions)
        yield f"{sequence.name}: {absent} of {frames} frames have no ground truth: {fate}"
    if invalid := int((annotated & ~known).sum()):
        yield (
            f"{sequence.name}: {invalid} of {frames} frames have ground truth that the "
            f"conventions call invalid: {_counted(conventions)}"
        )


def _counted(conventions: Conventions) -> str:
    """Return what becomes of frames whose ground truth the conventions call invalid."""
    if conventions.valid == "pysot" and conventions.invalid == "otb":
        return (
            "misses of success where the width or height is not positive, hits of precision "
            "where the centre is not, as in pysot"
        )
    return COUNTED[conventions.invalid]


def rounded(found: pd.DataFrame) -> pd.DataFrame:
    """Return a table to show: three decimals, and nothing where there is no value."""
    return found.map(
        lambda value: value if isinstance(value, str) else "" if pd.isna(value) else f"{value:.3f}"
    )


def table(report: Report) -> pd.DataFrame:
    """Return a row per tracker, and per published one of OTB's sequences; best AUC first.

    A mean is over sequences, of each sequence's mean over seeds. The interval is a
    95 % bootstrap over sequences, the spread the standard deviation over seeds of the
    mean AUC. A tracker's means are over the sequences that it finished, whose number
    stands beside them; `missing` lists the others. Where not all of their frames were
    scored, `frames` says how many were.
    """
    rows = {tracker: _row(report, tracker) for tracker in report.trackers}
    rows |= _published(report)
    measures = list(MEASURES.values())[1:]
    columns = ["AUC", "95 % from", "to", *measures, "seed spread", "sequences", "frames"]
    found = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return found.sort_values("AUC", ascending=False).dropna(axis="columns", how="all")


def scales(report: Report) -> pd.DataFrame:
    """Return how large each tracker's boxes are beside the true ones, in the order of `table`.

    Per sequence it is the median of the root of the area ratio, predicted to true, over all
    its frames and over their last quarter (`Score.scale`, `late_scale`): 1 is the true size,
    and a last quarter below the whole says that boxes shrink. Columns come in two groups,
    SCALES, each with the mean over sequences of each one's mean over seeds, its 95 %
    bootstrap over sequences, and the spread over seeds, as `table` has them for AUC. A mean
    is NaN where one of its sequences has no frame with a true area.
    """
    order = _summaries(report, "auc").sort_values("mean", ascending=False, kind="stable").index
    groups = {title: _summaries(report, measure) for measure, title in SCALES.items()}
    found = pd.concat(groups, axis="columns").reindex(order)
    return found.dropna(axis="columns", how="all")


def _summaries(report: Report, measure: str) -> pd.DataFrame:
    """Return a measure's mean by tracker, with interval and spread; NaN without a score."""
    rows = {}
    for tracker in report.trackers:
        if found := report.by_sequence(tracker, measure):
            mean = summarise(found)
            spread = seed_spread(report.by_seed(tracker, measure).to_numpy())
            rows[tracker] = mean.mean, mean.low, mean.high, spread
    columns = ["mean", "95 % from", "to", "seed spread"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).reindex(report.trackers)


def _row(report: Report, tracker: str) -> dict[str, float | str | None]:
    pairs = [frames for key, frames in report.frames.items() if key[0] == tracker]
    scored, total = (sum(numbers) for numbers in zip(*pairs, strict=True))
    found = report.by_sequence(tracker)
    counts: dict[str, float | str | None] = {
        "sequences": f"{len(found)}/{_asked(report)}",
        "frames": f"{scored}/{total}" if scored < total else None,
    }
    if not found:
        return counts
    auc = summarise(found)
    others = {
        title: float(np.mean([*report.by_sequence(tracker, measure).values()]))
        for measure, title in MEASURES.items()
        if measure != "auc"
    }
    spread = {"seed spread": seed_spread(report.by_seed(tracker).to_numpy())}
    return {"AUC": auc.mean, "95 % from": auc.low, "to": auc.high} | others | spread | counts


def _asked(report: Report) -> int:
    return len(report.dataset.sequences) + len(report.dataset.missing)


def _published(report: Report) -> dict[str, dict]:
    names = [s.name for s in report.dataset.sequences if s.benchmark == "OTB"]
    return {
        f"{tracker} (published)": {
            "AUC": auc,
            MEASURES["precision20"]: precision,
            "sequences": f"{covered}/{_asked(report)}",
        }
        for tracker, (auc, precision, covered) in published_scores(names).items()
    }


def curves(report: Report, kind: str) -> dict[str, np.ndarray]:
    """Return each tracker's mean curve of a kind, over the sequences that it has scores for.

    kind  `success` (S,), `precision` (51,) or `normalised_precision` (51,)
    """
    found = {tracker: list(report.of(tracker).values()) for tracker in report.trackers}
    return {
        tracker: np.mean([getattr(one, kind) for one in scores], axis=0)
        for tracker, scores in found.items()
        if scores
    }


def papers(split: str) -> pd.DataFrame:
    """Return what the five papers print for an OTB split, best AUC first.

    The columns are the fields of `published.PaperScore`.
    """
    columns = [field.name for field in fields(PaperScore)]
    return pd.DataFrame(paper_scores(split), columns=columns).sort_values("auc", ascending=False)


def attributes(report: Report, measure: str = "auc") -> pd.DataFrame:
    """Return means by tracker and attribute; each column says how many sequences have it.

    measure  of MEASURES or SCALES

    NaN where a tracker did not finish one of them.
    """
    codes = {sequence.name: sequence.attributes for sequence in report.dataset.sequences}
    held = Counter(code for found in codes.values() for code in found)
    rows = {
        tracker: {
            f"{code} ({held[code]})": found.mean
            for code, found in by_attribute(report.by_sequence(tracker, measure), codes).items()
            if found.sequences == held[code]
        }
        for tracker in report.trackers
    }
    columns = [f"{code} ({held[code]})" for code in sorted(held)]
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)


def sequences(report: Report, measure: str = "auc") -> pd.DataFrame:
    """Return a measure by sequence and tracker; NaN where a tracker did not finish one.

    measure  of MEASURES or SCALES
    """
    columns = {tracker: report.by_sequence(tracker, measure) for tracker in report.trackers}
    return pd.DataFrame(columns, index=[sequence.name for sequence in report.dataset.sequences])
