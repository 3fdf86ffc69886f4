"""What a tracker's boxes are worth: IoU, centre error, the curves over them, and scale.

Toolkits that read the same boxes disagree in the third digit, because they settle
details differently. Every such detail is a field of `conventions.Conventions`; OTB's
choices are the defaults, and `CONVENTIONS` holds those of four others by name.
All boxes are (T, 4) x, y, w, h, 0-based, of any number type; arithmetic is float64.

1. Wu, Lim, Yang, Object tracking benchmark, PAMI 2015, and its MATLAB toolkit
   (calcSeqErrRobust.m, calcRectInt.m, genPerfMat.m).
2. Müller et al., TrackingNet, ECCV 2018, and its metrics.py: normalised precision. It has
   21 thresholds and the trapezoid rule; later toolkits have the 51 thresholds used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from trackerlib import boxes
from trackerlib.eval.conventions import (
    CONVENTIONS,
    GOT10K,
    OTB,
    PYSOT,
    PYTRACKING,
    VERSIONS,
    VOT,
    Conventions,
)

__all__ = [
    "CONVENTIONS",
    "GOT10K",
    "NORMALISED_THRESHOLDS",
    "OTB",
    "PRECISION_THRESHOLDS",
    "PYSOT",
    "PYTRACKING",
    "VERSIONS",
    "VOT",
    "Conventions",
    "Measures",
    "NothingToScoreError",
    "Score",
    "centre_errors",
    "ious",
    "measure",
    "normalised_errors",
    "pool",
    "precision_curve",
    "repair",
    "scales",
    "score",
    "score_of",
    "success_curve",
    "usable",
    "valid",
]

PRECISION_THRESHOLDS = np.arange(51)  # pixels
NORMALISED_THRESHOLDS = np.arange(51) / 100  # fractions of the target's size


@dataclass(frozen=True, eq=False)
class Score:
    """What one run on one sequence is worth: means over its frames, and its scale.

    success               (S,) rate of an IoU beyond each threshold
    precision             (51,) rate of centre error within 0, 1, ... 50 pixels
    normalised_precision  (51,) rate of centre error within 0, 0.01, ... 0.5 of the target's size
    auc                   area under `success`, as `Conventions.area` has it
    precision20           rate of centre error within 20 pixels
    success50             rate of an IoU beyond 0.5
    normalised20          rate of centre error within 0.2 of the target's size, which pysot and
                          pytracking print as normalised precision
    normalised            mean of `normalised_precision`, as TrackingNet prints it
    frames                how many were scored
    scales                (V,) root of the area ratio, predicted to true, of the frames whose
                          ground truth is valid, as `scales` has it
    is_late               (V,) which of these frames are of their last quarter, rounded up
    """

    success: np.ndarray
    precision: np.ndarray
    normalised_precision: np.ndarray
    auc: float
    precision20: float
    success50: float
    normalised20: float
    normalised: float
    frames: int
    scales: np.ndarray
    is_late: np.ndarray

    @property
    def scale(self) -> float:
        """Return the median of `scales`; NaN where no ground truth has an area."""
        return _median(self.scales)

    @property
    def late_scale(self) -> float:
        """Return the median of `scales` over the last quarter; below `scale`, boxes shrink."""
        return _median(self.scales[self.is_late])


@dataclass(frozen=True, eq=False)
class Measures:
    """What each frame (T,) of a run is worth: all that its Score needs of boxes and ground truth.

    ious      -1: a miss; NaN: the frame is not counted, and its two errors are NaN as well
    errors    pixels between centres; -1: a hit, inf: a miss, whatever the threshold
    relative  the same in units of the target's size
    scales    root of the area ratio, predicted to true; NaN: left out
    """

    ious: np.ndarray
    errors: np.ndarray
    relative: np.ndarray
    scales: np.ndarray


class NothingToScoreError(ValueError):
    """A run without a frame that can be scored, its first apart; the message says so."""


def ious(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the intersection over union (T,) of (T, 4) and (T, 4); with NaN or inf it is 0.

    Raises ValueError if the sizes differ.
    """
    predicted, truth = _paired("ious", predicted, truth)
    with np.errstate(invalid="ignore"):
        return boxes.box_iou(predicted, truth)


def centre_errors(predicted: np.ndarray, truth: np.ndarray, centre: str = "pixel") -> np.ndarray:
    """Return the pixels between the centres (T,), as `Conventions.centre` has them.

    Raises ValueError if the sizes differ.
    """
    points = [boxes.centres(pair) for pair in _paired("centre_errors", predicted, truth)]
    if centre == "floor":
        points = [np.floor(point) for point in points]
    return np.linalg.norm(points[0] - points[1], axis=-1)


def normalised_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the centre errors (T,) in units of the true width and height.

    A ground truth without area gives inf or NaN, which no threshold holds.
    Source: TrackingNet's metrics.py. Raises ValueError if the sizes differ.
    """
    predicted, truth = _paired("normalised_errors", predicted, truth)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        offset = (boxes.centres(predicted) - boxes.centres(truth)) / truth[:, 2:]
        return np.linalg.norm(offset, axis=-1)


def scales(predicted: np.ndarray, truth: np.ndarray, conventions: Conventions = OTB) -> np.ndarray:
    """Return the root of the area ratio, predicted to true, in each frame (T,).

    1 is the true size, 0.5 half the true side. NaN, to be left out, where the ground truth
    is not valid by the conventions or has no area, and in a first frame that they skip. 0
    where the prediction is not finite or has no area, unless the conventions repair it. The
    conventions' first frame counts: where it is the ground truth, its scale is 1.

    Raises ValueError if the sizes differ.
    """
    predicted, truth = _prepared(*_paired("scales", predicted, truth), conventions)
    sized, _ = _valid(truth, conventions)
    known = sized & usable(truth)
    known[:1] &= conventions.first_frame != "skip"
    with np.errstate(all="ignore"):
        ratio = np.sqrt((predicted[:, 2:] / truth[:, 2:]).prod(1))
    return np.where(known, np.where(usable(predicted), ratio, 0), np.nan)


def success_curve(ious: np.ndarray, conventions: Conventions = OTB) -> np.ndarray:
    """Return the rate (S,) of IoUs (T,) beyond each of the conventions' thresholds."""
    beyond = np.greater if conventions.strict else np.greater_equal
    return beyond(np.asarray(ious)[:, None], conventions.thresholds).mean(0)


def precision_curve(
    errors: np.ndarray, thresholds: np.ndarray = PRECISION_THRESHOLDS
) -> np.ndarray:
    """Return the rate (S,) of centre errors (T,) within each threshold, itself included."""
    return (np.asarray(errors)[:, None] <= thresholds).mean(0)


def valid(truth: np.ndarray, conventions: Conventions = OTB) -> np.ndarray:
    """Return which frames (T,) have finite ground truth that success and precision accept."""
    truth = _rows("valid", truth)
    sized, centred = _valid(truth, conventions)
    return sized & centred & np.isfinite(truth).all(1)


def usable(predicted: np.ndarray) -> np.ndarray:
    """Return which rows (T,) of (T, 4) are finite and have an area."""
    predicted = _rows("usable", predicted)
    return np.isfinite(predicted).all(1) & (predicted[:, 2:] > 0).all(1)


def repair(predicted: np.ndarray) -> np.ndarray:
    """Replace rows (T, 4) that are not finite or have no area by the one before -> (T, 4).

    A first row stays as it is, good or bad. Source: calcSeqErrRobust.m.
    """
    predicted = _rows("repair", predicted)
    good = usable(predicted)
    latest = np.maximum.accumulate(np.where(good, np.arange(len(good)), 0))
    return predicted[latest]


def score(predicted: np.ndarray, truth: np.ndarray, conventions: Conventions = OTB) -> Score:
    """Score a run's boxes (T, 4) against the ground truth (T, 4) of the same frames.

    Frames whose ground truth is not finite are not annotated, and not scored.

    Raises ValueError if the sizes differ, and NothingToScoreError if the conventions leave no
    frame, or if of several frames the first alone, whose box the tracker was given, is valid.
    """
    return score_of(measure(predicted, truth, conventions), conventions)


def measure(predicted: np.ndarray, truth: np.ndarray, conventions: Conventions = OTB) -> Measures:
    """Measure each of a run's boxes (T, 4) against the ground truth (T, 4).

    Raises what `score` raises.
    """
    predicted, truth = _paired("score", predicted, truth)
    ratios = scales(predicted, truth, conventions)
    predicted, truth = _prepared(predicted, truth, conventions)
    sized, centred = _valid(truth, conventions)
    counted = _counted(truth, conventions)

    def kept(values: np.ndarray, known: np.ndarray, otherwise: float) -> np.ndarray:
        return np.where(counted, np.where(known, values, otherwise), np.nan)

    error = centre_errors(predicted, truth, conventions.centre)
    return Measures(
        ious=kept(ious(predicted, truth), sized, -1.0),
        errors=kept(error, centred, np.inf if conventions.invalid == "miss" else -1.0),
        relative=kept(normalised_errors(predicted, truth), centred, -1.0),
        scales=ratios,
    )


def score_of(measures: Measures, conventions: Conventions = OTB) -> Score:
    """Return the score of what `measure` gave under the same conventions.

    Raises NothingToScoreError if no frame is counted.
    """
    counted = ~np.isnan(measures.ious)
    if not counted.any():
        raise NothingToScoreError("score_of: expected a frame that is counted, got none")
    iou, ratios = measures.ious[counted], measures.scales[~np.isnan(measures.scales)]
    success, precision = success_curve(iou, conventions), precision_curve(measures.errors[counted])
    normalised = precision_curve(measures.relative[counted], NORMALISED_THRESHOLDS)
    beyond_half = iou > 0.5 if conventions.strict else iou >= 0.5
    return Score(
        success=success,
        precision=precision,
        normalised_precision=normalised,
        auc=float(success.mean() if conventions.area == "mean" else iou.clip(0).mean()),
        precision20=float(precision[20]),
        success50=float(beyond_half.mean()),
        normalised20=float(normalised[20]),
        normalised=float(normalised.mean()),
        frames=len(iou),
        scales=ratios,
        is_late=np.arange(len(ratios)) >= 3 * len(ratios) // 4,
    )


def pool(scores: Sequence[Score]) -> Score:
    """Return one score of all segments' frames, as OTB makes a sequence's TRE and SRE score.

    Medians of scale are over all segments' frames, those of the last quarter over every
    segment's own last quarter.
    Source: genPerfMat.m, which divides all segments' hits by all their frames.
    Raises ValueError if there is no score.
    """
    if not scores:
        raise ValueError("pool: expected at least one score, got none")
    frames = [one.frames for one in scores]
    by_frame: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in scores])
        for name in ("scales", "is_late")
    }
    means: dict[str, Any] = {
        one.name: np.average([getattr(score, one.name) for score in scores], 0, frames)
        for one in fields(Score)
        if one.name not in ("frames", *by_frame)
    }
    return Score(**(means | by_frame), frames=sum(frames))


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _doubles(given: ArrayLike) -> np.ndarray:
    """Return numbers in float64: NumPy has no bfloat16, and takes no tensor of a GPU."""
    if isinstance(given, torch.Tensor):
        return given.detach().to("cpu", torch.float64).numpy()
    return np.asarray(given, np.float64)


def _rows(where: str, predicted: ArrayLike) -> np.ndarray:
    predicted = _doubles(predicted)
    if predicted.ndim != 2 or predicted.shape[1] != 4:
        raise ValueError(f"{where}: expected a box per frame, (T, 4), got {predicted.shape}")
    return predicted


def _paired(where: str, predicted: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = _doubles(predicted), _doubles(truth)
    if truth.ndim != 2 or truth.shape[1] != 4 or predicted.shape != truth.shape:
        raise ValueError(
            f"{where}: expected predictions and ground truth of the same frames, (T, 4) and "
            f"(T, 4), got {predicted.shape} and {truth.shape}; cut the longer one"
        )
    return predicted, truth


def _prepared(
    predicted: np.ndarray, truth: np.ndarray, conventions: Conventions
) -> tuple[np.ndarray, np.ndarray]:
    if conventions.repair:
        predicted = repair(predicted)
    if conventions.rounding == "integer":
        predicted = np.floor(predicted + 0.5)
    if conventions.rounding == "both":
        predicted, truth = (np.round(boxes.xywh_to_otb(rows)) for rows in (predicted, truth))
        predicted, truth = boxes.otb_to_xywh(predicted), boxes.otb_to_xywh(truth)
    if conventions.first_frame == "truth":
        predicted = np.concatenate((truth[:1], predicted[1:]))
    return predicted, truth


def _valid(truth: np.ndarray, conventions: Conventions) -> tuple[np.ndarray, np.ndarray]:
    """Return which frames (T,) can be scored, for success and for precision."""
    if conventions.valid == "all":
        both = np.ones(len(truth), dtype=bool)
    elif conventions.valid == "positive":
        both = np.all(boxes.xywh_to_otb(truth) > 0, axis=1)
    else:
        both = np.all(truth[:, 2:] > 0, axis=1)
    if conventions.valid == "pysot":
        pixels = boxes.centres(truth) + 0.5  # 1-based: (x + 1) + (w - 1) / 2
        return both, np.all(pixels > 0, axis=1)
    return both, both


def _counted(truth: np.ndarray, conventions: Conventions) -> np.ndarray:
    """Return which frames (T,) are in the denominator."""
    known = valid(truth, conventions)
    counted = np.ones(len(truth), dtype=bool) if conventions.invalid != "skip" else known.copy()
    if conventions.unannotated == "skip":
        counted &= np.isfinite(truth).all(1)
    counted[:1] &= conventions.first_frame != "skip"
    if not counted.any() or (len(truth) > 1 and not (counted & known)[1:].any()):
        raise NothingToScoreError(
            "score: expected a frame that can be scored, and not the first alone, got "
            f"{len(truth)} and {conventions}; give the sequence ground truth, or count invalid "
            "frames"
        )
    return counted
