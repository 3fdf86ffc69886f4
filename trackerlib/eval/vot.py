"""What runs with resets are worth: accuracy, robustness, expected average overlap.

1. Kristan et al.: The Visual Object Tracking VOT2015 challenge results. ICCV Workshops 2015:
   section 2.2, accuracy, robustness and the expected average overlap (EAO).
2. vot-toolkit 0.7.4, vot/analysis/supervised.py, whose numbers these are.
3. Its MATLAB predecessor, analysis/analyze_average_expected_overlap.m: the interval of lengths.
4. Kristan, Leonardis, Skočaj: Multivariate online kernel density estimation with Gaussian
   kernels. Pattern Recognition 44, 2011: its bandwidth, which is Wand and Jones's plug-in one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trackerlib.eval.overlaps import overlaps

__all__ = [
    "BURN_IN",
    "INTERVALS",
    "ResetRun",
    "accuracy",
    "eao",
    "eao_curve",
    "eao_interval",
    "reliability",
    "reset_run",
]

BURN_IN = 10  # frames from each start on that do not count for accuracy, the start included
SENSITIVITY = 30  # frames, of `reliability`

# Lengths over which challenges average; those of 2013 and 2014 had no EAO.
INTERVALS = {
    "vot2015": (108, 371),
    "vot2016": (108, 371),
    "vot2017": (100, 356),
    "vot2018": (100, 356),
    "vot2019": (46, 291),
}


@dataclass(frozen=True, eq=False)
class ResetRun:
    """One run of one tracker on one sequence, with resets.

    overlaps  (T,) 0 at starts, failures and in the frames between these
    starts    frames in which the tracker was initialised
    failures  frames in which it failed; each comes after the start of the same place
    counted   (T,) which frames count for accuracy
    """

    overlaps: np.ndarray
    starts: tuple[int, ...]
    failures: tuple[int, ...]
    counted: np.ndarray


def reset_run(
    boxes: np.ndarray,
    truth: np.ndarray,
    size: tuple[int, int],
    convention: str = "vot",
    burn_in: int = BURN_IN,
) -> ResetRun:
    """Read a run from its boxes, as `resets.track_with_resets` gives them.

    boxes       (T, 4), NaN from each failure up to the next start
    truth       (T, 4), or (T, 8) corners; a frame of NaN does not count
    size        width and height of the image
    convention  of the overlap, see `overlaps.overlaps`
    burn_in     frames from a start on that do not count for accuracy

    Raises ValueError if the sizes differ, or for another convention.
    """
    there = np.asarray(np.isfinite(boxes).all(1))
    changes = np.diff(there.astype(int), prepend=0)
    starts, failures = np.flatnonzero(changes > 0), np.flatnonzero(changes < 0)
    overlap = overlaps(boxes, truth, size, convention)
    overlap[starts] = 0  # the tracker was given this box
    counted = there & np.isfinite(truth).all(1)
    for start in starts:
        counted[start : start + burn_in] = False
    return ResetRun(overlap, tuple(starts.tolist()), tuple(failures.tolist()), counted)


def accuracy(run: ResetRun) -> float:
    """Return the mean overlap of a run's frames that count; 0 if there is none, as in [2]."""
    return float(run.overlaps[run.counted].mean()) if run.counted.any() else 0.0


def reliability(failures: float, frames: float) -> float:
    """Return the chance to track SENSITIVITY frames without a failure, 0 to 1.

    failures  in a sequence
    frames    of it

    Source: [1], the horizontal axis of accuracy-robustness plots.
    """
    return math.exp(-SENSITIVITY * failures / frames)


def eao_curve(runs: Iterable[ResetRun]) -> np.ndarray:
    """Return the expected average overlap (L,) after 0, 1, ... frames of tracking.

    Every start of every run begins a fragment. One that ended in a failure goes on with an
    overlap of 0; one that came to the sequence's end counts up to there. A fragment's value
    after n frames is the mean overlap of these, without the start; the curve is the mean over
    fragments. The MATLAB toolkit numbers the same values from 1, has 1 at the start, and
    counts a fragment that failed too late to start again up to the sequence's end.

    Raises ValueError without a run. Source: [1], section 2.2, eq. 1 and 2; [2].
    """
    fragments = [fragment for run in runs for fragment in _fragments(run)]
    if not fragments:
        raise ValueError("eao_curve: expected at least one run, got none")
    length = max(len(overlap) for overlap, _ in fragments)
    total, count = np.zeros(length), np.zeros(length)
    for overlap, has_failed in fragments:
        padded = np.concatenate((overlap, np.zeros(length - len(overlap))))
        mean = np.concatenate(([0.0], padded[1:].cumsum() / np.arange(1, length)))
        end = length if has_failed else len(overlap)
        total[:end] += mean[:end]
        count[:end] += 1
    return total / count


def eao(curve: np.ndarray, interval: tuple[int, int]) -> float:
    """Return the mean of a curve (L,) over an interval of lengths, both ends included.

    NaN if the curve ends before it. Source: [1], section 2.2, eq. 3.
    """
    inside = curve[interval[0] : interval[1] + 1]
    return float(inside.mean()) if len(inside) else math.nan


def eao_interval(lengths: Sequence[int], share: float = 0.5) -> tuple[int, int]:
    """Return the lengths (low, high) of typical sequences, over which EAO is averaged.

    lengths  of all sequences, in frames
    share    of the density between low and high

    The interval grows from the peak of a kernel density estimate to the side of higher density.
    VOT2015's 60 sequences give the published 108 to 371.
    Raises ValueError without a length. Source: [1], section 2.2; [3]; [4].
    """
    given = np.asarray(lengths, np.float64)
    if not given.size or (given < 1).any():
        raise ValueError(f"eao_interval: expected lengths of sequences, got {lengths}")
    density = _density(given)
    low = high = int(density.argmax())
    last = len(density) - 1
    while density[low : high + 1].sum() < share:
        # The last length is reached only when nothing else is left, as in [3].
        can_sink, can_rise = low > 0, high + 1 < last
        if not can_sink and not can_rise:
            low, high = 0, last
            break
        sinks = can_sink and (not can_rise or density[low - 1] > density[high + 1])
        low, high = (low - 1, high) if sinks else (low, high + 1)
    return low + 1, high + 1


def _fragments(run: ResetRun) -> list[tuple[np.ndarray, bool]]:
    """Return the overlaps from each start to its failure or the end, and whether it failed."""
    ends = [*run.failures, len(run.overlaps)]
    return [
        (run.overlaps[start : ends[number]], number < len(run.failures))
        for number, start in enumerate(run.starts)
    ]


def _density(lengths: np.ndarray) -> np.ndarray:
    """Estimate the density (max,) of lengths (N,) 1, 2, ... max with Gaussian kernels."""
    grid = np.arange(1, int(lengths.max()) + 1)
    width = _bandwidth(lengths)
    density = np.exp(-((grid[:, None] - lengths) ** 2) / (2 * width**2)).sum(1)
    return density / density.sum()


def _bandwidth(values: np.ndarray) -> float:
    """Return the plug-in bandwidth of values (N,); 1 where all are equal."""
    count, deviation = len(values), values.std()
    if deviation == 0:
        return 1.0
    pilot = (4 / (3 * count)) ** 0.4  # variance, of a normal density with variance 1
    squares = ((values[:, None] - values) / deviation) ** 2 / pilot
    # The integral of the squared second derivative, by fourth derivatives of Gaussians.
    terms = np.exp(-squares / 2) * (squares**2 - 6 * squares + 3)
    roughness = terms.mean() / (np.sqrt(2 * np.pi * pilot) * pilot**2)
    return float(deviation * (count * np.sqrt(4 * np.pi) * roughness) ** -0.2)
