"""What a tracker's boxes are worth: IoU, centre error, and the curves over them.

Toolkits that read the same boxes disagree in the third digit, because they settle
details differently. Here every such detail is a field of `Conventions`; OTB's
choices are the defaults, and `GOT10K` and `PYTRACKING` hold those of two others.
All boxes are (T, 4) float64 x, y, w, h, 0-based.

1. Wu, Lim, Yang, Object tracking benchmark, PAMI 2015, and its MATLAB toolkit
   (calcSeqErrRobust.m, calcRectInt.m, genPerfMat.m).
2. Müller et al., TrackingNet, ECCV 2018, and its metrics.py: normalised precision. It has
   21 thresholds and the trapezoid rule; later toolkits have the 51 thresholds used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trackerlib import boxes

__all__ = [
    "GOT10K",
    "NORMALISED_THRESHOLDS",
    "OTB",
    "PRECISION_THRESHOLDS",
    "PYTRACKING",
    "Conventions",
    "Score",
    "centre_errors",
    "ious",
    "normalised_errors",
    "pool",
    "precision_curve",
    "repair",
    "score",
    "success_curve",
]

PRECISION_THRESHOLDS = np.arange(51)  # pixels
NORMALISED_THRESHOLDS = np.arange(51) / 100  # fractions of the target's size


@dataclass(frozen=True)
class Conventions:
    """What toolkits settle differently; the defaults are OTB's.

    strict       success is IoU > threshold; if False, >=
    thresholds   of the IoU; AUC is the mean over them
    first_frame  "truth": the ground truth is its prediction; "tracked": the tracker's
                 own first row is; "skip": it is left out
    centre       "pixel": x + (w - 1) / 2; "edge": x + w / 2; "floor": the pixel that
                 holds the centre. The first two differ by half a pixel on both boxes,
                 which no distance shows.
    valid        ground truth that can be scored: "positive": its four 1-based values
                 are > 0, so that a box reaching out of the image at the left or the
                 top is not; "sized": its width and height are; "all"
    invalid      the other frames: "otb": they count, as misses of success and as precision
                 hits, since the toolkit gives both measures -1; "skip": left out
    repair       a prediction that is not finite or has no area becomes the one before
    rounding     None, or "integer": predictions go to the nearest integers first

    Raises ValueError for a choice that is not among these.
    """

    strict: bool = True
    thresholds: tuple[float, ...] = tuple(step / 20 for step in range(21))
    first_frame: str = "truth"
    centre: str = "pixel"
    valid: str = "positive"
    invalid: str = "otb"
    repair: bool = True
    rounding: str | None = None

    def __post_init__(self) -> None:
        known = {
            "first_frame": ("truth", "tracked", "skip"),
            "centre": ("pixel", "edge", "floor"),
            "valid": ("positive", "sized", "all"),
            "invalid": ("otb", "skip"),
            "rounding": (None, "integer"),
        }
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"Conventions: expected {name} among {choices}, got {getattr(self, name)!r}"
                )


OTB = Conventions()

# got10k-toolkit, experiments/otb.py: every frame is scored as it stands.
GOT10K = Conventions(valid="all", repair=False)

# pytracking, analysis/extract_results.py, for OTB: only the ground truth's size matters, and
# a frame without one leaves the denominator. (In its normalised precision such a frame is
# still a hit. A prediction that is NaN or negative stops it.)
PYTRACKING = Conventions(valid="sized", invalid="skip")


@dataclass(frozen=True, eq=False)
class Score:
    """What one run on one sequence is worth; all but `frames` are means over its frames.

    success      (S,) rate of an IoU beyond each threshold
    precision    (51,) rate of centre error within 0, 1, ... 50 pixels
    auc          mean of `success`
    precision20  rate of centre error within 20 pixels
    success50    rate of an IoU beyond 0.5
    normalised   mean rate of centre error within 0, 0.01, ... 0.5 of the target's size
    frames       how many were scored
    """

    success: np.ndarray
    precision: np.ndarray
    auc: float
    precision20: float
    success50: float
    normalised: float
    frames: int


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


def success_curve(ious: np.ndarray, conventions: Conventions = OTB) -> np.ndarray:
    """Return the rate (S,) of IoUs (T,) beyond each of the conventions' thresholds."""
    beyond = np.greater if conventions.strict else np.greater_equal
    return beyond(ious[:, None], conventions.thresholds).mean(0)


def precision_curve(
    errors: np.ndarray, thresholds: np.ndarray = PRECISION_THRESHOLDS
) -> np.ndarray:
    """Return the rate (S,) of centre errors (T,) within each threshold, itself included."""
    return (errors[:, None] <= thresholds).mean(0)


def repair(predicted: np.ndarray) -> np.ndarray:
    """Replace rows (T, 4) that are not finite or have no area by the one before -> (T, 4).

    A first row stays as it is, good or bad. Source: calcSeqErrRobust.m.
    """
    good = np.isfinite(predicted).all(1) & (predicted[:, 2:] > 0).all(1)
    latest = np.maximum.accumulate(np.where(good, np.arange(len(good)), 0))
    return predicted[latest]


def score(predicted: np.ndarray, truth: np.ndarray, conventions: Conventions = OTB) -> Score:
    """Score a run's boxes (T, 4) against the ground truth (T, 4) of the same frames.

    Raises ValueError if the sizes differ, or if the conventions leave no frame.
    """
    predicted, truth = _paired("score", predicted, truth)
    predicted = _prepared(predicted, truth, conventions)
    valid = _valid(truth, conventions)
    counted = valid | (conventions.invalid == "otb")
    counted[:1] &= conventions.first_frame != "skip"
    if not counted.any():
        raise ValueError(
            f"score: expected a frame that can be scored, got {len(truth)} and {conventions}; "
            "give the sequence ground truth, or count invalid frames"
        )

    def kept(measure: np.ndarray) -> np.ndarray:
        return np.where(valid, measure, -1.0)[counted]

    iou = kept(ious(predicted, truth))
    error = kept(centre_errors(predicted, truth, conventions.centre))
    normalised = kept(normalised_errors(predicted, truth))
    success, precision = success_curve(iou, conventions), precision_curve(error)
    beyond_half = iou > 0.5 if conventions.strict else iou >= 0.5
    return Score(
        success=success,
        precision=precision,
        auc=float(success.mean()),
        precision20=float(precision[20]),
        success50=float(beyond_half.mean()),
        normalised=float(precision_curve(normalised, NORMALISED_THRESHOLDS).mean()),
        frames=len(iou),
    )


def pool(scores: Sequence[Score]) -> Score:
    """Return one score of all segments' frames, as OTB makes a sequence's TRE and SRE score.

    Source: genPerfMat.m, which divides all segments' hits by all their frames.
    Raises ValueError if there is no score.
    """
    if not scores:
        raise ValueError("pool: expected at least one score, got none")
    frames = [one.frames for one in scores]
    names = [field.name for field in fields(Score) if field.name != "frames"]
    means: dict[str, Any] = {
        name: np.average([getattr(one, name) for one in scores], axis=0, weights=frames)
        for name in names
    }
    return Score(**means, frames=sum(frames))


def _paired(where: str, predicted: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if truth.ndim != 2 or truth.shape[1] != 4 or predicted.shape != truth.shape:
        raise ValueError(
            f"{where}: expected predictions and ground truth of the same frames, (T, 4) and "
            f"(T, 4), got {predicted.shape} and {truth.shape}; cut the longer one"
        )
    return predicted, truth


def _prepared(predicted: np.ndarray, truth: np.ndarray, conventions: Conventions) -> np.ndarray:
    if conventions.repair:
        predicted = repair(predicted)
    if conventions.rounding == "integer":
        predicted = np.floor(predicted + 0.5)
    if conventions.first_frame == "truth":
        predicted = np.concatenate((truth[:1], predicted[1:]))
    return predicted


def _valid(truth: np.ndarray, conventions: Conventions) -> np.ndarray:
    if conventions.valid == "positive":
        return np.all(boxes.xywh_to_otb(truth) > 0, axis=1)
    if conventions.valid == "sized":
        return np.all(truth[:, 2:] > 0, axis=1)
    return np.ones(len(truth), dtype=bool)
