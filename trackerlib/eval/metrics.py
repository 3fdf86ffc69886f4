"""What a tracker's boxes are worth: IoU, centre error, and the curves over them.

Toolkits that read the same boxes disagree in the third digit, because they settle
details differently. Here every such detail is a field of `Conventions`; OTB's
choices are the defaults, and `CONVENTIONS` holds those of four others by name.
All boxes are (T, 4) x, y, w, h, 0-based, of any number type; arithmetic is float64.

1. Wu, Lim, Yang, Object tracking benchmark, PAMI 2015, and its MATLAB toolkit
   (calcSeqErrRobust.m, calcRectInt.m, genPerfMat.m).
2. Müller et al., TrackingNet, ECCV 2018, and its metrics.py: normalised precision. It has
   21 thresholds and the trapezoid rule; later toolkits have the 51 thresholds used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from trackerlib import boxes

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
    "NothingToScoreError",
    "Score",
    "centre_errors",
    "ious",
    "normalised_errors",
    "pool",
    "precision_curve",
    "repair",
    "score",
    "success_curve",
    "usable",
    "valid",
]

PRECISION_THRESHOLDS = np.arange(51)  # pixels
NORMALISED_THRESHOLDS = np.arange(51) / 100  # fractions of the target's size


@dataclass(frozen=True)
class Conventions:
    """What toolkits settle differently; the defaults are OTB's.

    strict       success is IoU > threshold; if False, >=
    thresholds   of the IoU, at which the success curve is taken
    area         AUC is "mean": the mean of the curve over its thresholds; "exact": the area
                 under the curve at all thresholds, which is the mean IoU
    first_frame  "truth": the ground truth is its prediction; "tracked": the tracker's
                 own first row is; "skip": it is left out
    centre       "pixel": x + (w - 1) / 2; "edge": x + w / 2; "floor": the pixel that
                 holds the centre. The first two differ by half a pixel on both boxes,
                 which no distance shows.
    valid        ground truth that can be scored: "positive": its four 1-based values
                 are > 0, so that a box reaching out of the image at the left or the
                 top is not; "sized": its width and height are; "pysot": these for success,
                 both coordinates of its centre, 1-based, for precision; "all"
    invalid      the other frames: "otb": they count, as misses of success and as precision
                 hits, since the toolkit gives both measures -1; "miss": misses of both, but
                 hits of normalised precision, as in pytracking; "skip": left out
    unannotated  frames whose ground truth is not finite: "skip": left out; "invalid": they
                 count like `invalid` ones, as the toolkits of OTB and UAV123 count them
    repair       a prediction that is not finite or has no area becomes the one before
    rounding     None; "integer": predictions go to the nearest integers first; "both": the
                 ground truth too, and halves to the even 1-based number

    Raises ValueError for a choice that is not among these.
    """

    strict: bool = True
    thresholds: tuple[float, ...] = field(default=tuple(k / 20 for k in range(21)), repr=False)
    area: str = "mean"
    first_frame: str = "truth"
    centre: str = "pixel"
    valid: str = "positive"
    invalid: str = "otb"
    unannotated: str = "skip"
    repair: bool = True
    rounding: str | None = None

    def __post_init__(self) -> None:
        known = {
            "area": ("mean", "exact"),
            "first_frame": ("truth", "tracked", "skip"),
            "centre": ("pixel", "edge", "floor"),
            "valid": ("positive", "sized", "pysot", "all"),
            "invalid": ("otb", "miss", "skip"),
            "unannotated": ("skip", "invalid"),
            "rounding": (None, "integer", "both"),
        }
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"Conventions: expected {name} among {choices}, got {getattr(self, name)!r}"
                )


# The MATLAB toolkit of OTB.
OTB = Conventions()

# got10k-toolkit, experiments/otb.py: every frame is scored as it stands. (Its experiment on
# GOT-10k itself is another: a mean IoU without the first frame.)
GOT10K = Conventions(valid="all", repair=False)

# pysot, toolkit/evaluation/ope_benchmark.py and toolkit/utils/statistics.py.
PYSOT = Conventions(first_frame="tracked", valid="pysot", repair=False)

# pytracking, analysis/extract_results.py, for OTB, since da789d1 of August 2022. A prediction
# that is NaN or negative stops it.
PYTRACKING = Conventions(invalid="miss")

# vot-toolkit, stack/otb100.yaml: the accuracy of one pass, a mean IoU of rectangles in whole
# pixels, here the AUC. The toolkit also cuts both at the image's border, which changes a mean
# over OTB by up to 0.002. The challenges' restarts, robustness and EAO are other protocols,
# and not here.
VOT = Conventions(
    thresholds=tuple(k / 99 for k in range(100)),
    area="exact",
    first_frame="skip",
    valid="all",
    repair=False,
    rounding="both",
)

CONVENTIONS = {
    "otb": OTB,
    "got10k": GOT10K,
    "pysot": PYSOT,
    "pytracking": PYTRACKING,
    "vot": VOT,
}

# The versions that were read for these, and whose code gave the scores that a test compares.
VERSIONS = {
    "otb": "MATLAB, 2015",
    "got10k": "0.1.3 (956e728), May 2021",
    "pysot": "d04028f, June 2025",
    "pytracking": "7eb9e74, August 2024",
    "vot": "0.8.0 (56f0053), May 2026",
}


@dataclass(frozen=True, eq=False)
class Score:
    """What one run on one sequence is worth; all but `frames` are means over its frames.

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
    predicted, truth = _paired("score", predicted, truth)
    predicted, truth = _prepared(predicted, truth, conventions)
    sized, centred = _valid(truth, conventions)
    counted = _counted(truth, conventions)

    def kept(measure: np.ndarray, known: np.ndarray, otherwise: float) -> np.ndarray:
        return np.where(known, measure, otherwise)[counted]

    error = centre_errors(predicted, truth, conventions.centre)
    iou = kept(ious(predicted, truth), sized, -1.0)
    error = kept(error, centred, np.inf if conventions.invalid == "miss" else -1.0)
    relative = kept(normalised_errors(predicted, truth), centred, -1.0)
    success, precision = success_curve(iou, conventions), precision_curve(error)
    normalised = precision_curve(relative, NORMALISED_THRESHOLDS)
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
    )


def pool(scores: Sequence[Score]) -> Score:
    """Return one score of all segments' frames, as OTB makes a sequence's TRE and SRE score.

    Source: genPerfMat.m, which divides all segments' hits by all their frames.
    Raises ValueError if there is no score.
    """
    if not scores:
        raise ValueError("pool: expected at least one score, got none")
    frames = [one.frames for one in scores]
    names = [one.name for one in fields(Score) if one.name != "frames"]
    means: dict[str, Any] = {
        name: np.average([getattr(one, name) for one in scores], axis=0, weights=frames)
        for name in names
    }
    return Score(**means, frames=sum(frames))


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
