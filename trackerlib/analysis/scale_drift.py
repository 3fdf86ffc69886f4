"""How the size of a tracker's boxes drifts along a sequence, beside that of the target."""

from collections import defaultdict

import numpy as np

from trackerlib.eval.metrics import OTB, Conventions, scales
from trackerlib.eval.report import Report

__all__ = ["PARTS", "drift", "drifts"]

PARTS = 10  # of a sequence's length


def drift(
    predicted: np.ndarray, truth: np.ndarray, conventions: Conventions = OTB, parts: int = PARTS
) -> np.ndarray:
    """Return the median scale in each tenth of a run (parts,), by `metrics.scales`.

    predicted, truth  (T, 4) x, y, w, h of the same frames

    A part without a frame that has a scale is NaN: frames without valid ground truth have
    none, and a run of fewer frames than parts has parts without frames.
    Raises ValueError if the sizes differ, and for less than one part.
    """
    if parts < 1:
        raise ValueError(f"drift: expected at least one part, got {parts}; take {PARTS}")
    found = scales(predicted, truth, conventions)
    part = np.arange(len(found)) * parts // max(len(found), 1)
    values = [found[(part == k) & ~np.isnan(found)] for k in range(parts)]
    return np.array([np.median(one) if len(one) else np.nan for one in values])


def drifts(report: Report, parts: int = PARTS) -> dict[str, np.ndarray]:
    """Return each tracker's drift (parts,): the median over the sequences that it finished.

    A sequence counts by the mean of its runs, over seeds and segments, in each part in
    which they all have a scale; a part in which no sequence counts is NaN.
    """
    truth = {sequence.name: sequence.boxes for sequence in report.dataset.sequences}
    runs: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for result in report.results:
        unit, boxes = result.unit, result.track.boxes
        if (unit.label, unit.sequence, unit.seed) in report.frames:
            true = truth[unit.sequence][unit.start :]
            runs[unit.label, unit.sequence].append(drift(boxes, true, report.conventions, parts))
    means: dict[str, list[np.ndarray]] = defaultdict(list)
    for (tracker, _), found in runs.items():
        means[tracker].append(np.mean(found, axis=0))
    return {tracker: _median(np.array(means[tracker])) for tracker in report.trackers}


def _median(curves: np.ndarray) -> np.ndarray:
    """Return the median of curves (N, P) over N in each part, of those that have one (P,)."""
    kept = [column[~np.isnan(column)] for column in curves.T]
    return np.array([np.median(one) if len(one) else np.nan for one in kept])
