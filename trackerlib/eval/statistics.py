"""From one score per sequence to a mean, and how far to trust it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

__all__ = [
    "Summary",
    "by_attribute",
    "confidence_interval",
    "paired_difference",
    "seed_spread",
    "summarise",
]

RESAMPLES = 9999


@dataclass(frozen=True)
class Summary:
    """A mean over sequences, its 95 % interval, and over how many sequences it is."""

    mean: float
    low: float
    high: float
    sequences: int


def confidence_interval(values: Iterable[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval, over sequences, of their mean: (low, high).

    It says how the mean would move with other sequences of the same kind, not how
    noisy the tracker is: `seed_spread` does. The same values give the same interval,
    in any order. One value has nothing to resample, and where one is missing (NaN) there
    is no mean: (NaN, NaN).
    Source: Efron and Tibshirani, An introduction to the bootstrap, chapter 13.
    """
    values = np.sort(np.fromiter(values, dtype=np.float64))
    if len(values) < 2 or np.isnan(values).any():
        return np.nan, np.nan
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def summarise(scores: Mapping[str, float]) -> Summary:
    """Return the mean of scores by sequence, with its interval.

    Raises ValueError if there is no score.
    """
    if not scores:
        raise ValueError("summarise: expected a score for at least one sequence, got none")
    values = list(scores.values())
    return Summary(float(np.mean(values)), *confidence_interval(values), len(values))


def paired_difference(first: Mapping[str, float], second: Mapping[str, float]) -> Summary:
    """Return the mean of first - second over the sequences that both have, with its interval.

    How hard a sequence is moves both scores alike and cancels, so the interval is narrower
    than those of the two means; where it does not hold 0, one tracker is better than the
    other on sequences of this kind. Give each sequence's mean over seeds: what the seeds
    still vary is then in the interval, divided by their number.

    first, second  sequence -> score

    Source: Efron and Tibshirani, An introduction to the bootstrap, chapters 8 and 13.
    Raises ValueError if no sequence has both.
    """
    both = [name for name in first if name in second]
    if not both:
        raise ValueError(
            "paired_difference: expected scores of the same sequences, got none in common of "
            f"{len(first)} and {len(second)}; run both trackers on one data set"
        )
    return summarise({name: first[name] - second[name] for name in both})


def by_attribute(
    scores: Mapping[str, float], attributes: Mapping[str, Iterable[str]]
) -> dict[str, Summary]:
    """Summarise the sequences of each attribute, in the attributes' alphabetical order.

    scores      sequence -> score
    attributes  sequence -> codes; a sequence without a score counts nowhere
    """
    groups: dict[str, dict[str, float]] = {}
    for name, score in scores.items():
        for code in attributes.get(name, ()):
            groups.setdefault(code, {})[name] = score
    return {code: summarise(groups[code]) for code in sorted(groups)}


def seed_spread(scores: np.ndarray) -> float:
    """Return the standard deviation over K seeds of the mean over N sequences, of scores (K, N).

    NaN for one seed, and where any score is missing (NaN): means over different
    sequences cannot be compared. Raises ValueError if it is not a table.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(
            f"seed_spread: expected (seeds, sequences), got {scores.shape}; one row per seed"
        )
    return float(scores.mean(1).std(ddof=1)) if len(scores) > 1 else np.nan
