"""What features are worth for tracking, measured without a tracker.

A linear classifier is trained on the target and its surroundings in the first frame,
and scores candidate boxes in later ones: all over the frame, and most of all where
it resembles the target. Nothing is updated and nothing is tracked, so that one
frame's mistake does not reach the next and only the features decide.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from trackerlib.boxes import box_iou, centres, first_box
from trackerlib.data.crops import crop
from trackerlib.data.sequence import Sequence

__all__ = [
    "Result",
    "View",
    "average_precision",
    "candidates",
    "look_alikes",
    "measure",
    "probe",
    "probe_levels",
    "ridge",
    "views",
]

TARGET_SIDE = 64  # sqrt(w * h) of the first target once the frames are scaled, pixels
MAX_ENLARGEMENT = 2  # times: more only blurs
MAX_SIDE = 800  # of a scaled frame, pixels

POSITIVE_IOU = 0.7  # from which a candidate of the first frame is a positive
SUCCESS_IOU = 0.5  # from which a later one is: OTB's success
NEGATIVE_IOU = 0.3  # up to which any is a negative; between the two it is neither
REGULARISATION = 1e-2  # of the mean squared norm of the centred features

DEVIATIONS = (0.1, 0.3)  # of the candidates around the truth, in its width and height
AROUND = 16  # of them for each deviation: few, so that a frame holds little else than background
FIRST_AROUND = 64  # the same in the first frame
SCALES = (0.7, 1.0, 1.4)  # of the truth, for candidates all over the frame
MAX_COLUMNS = 12  # of them along each axis; fewer where half a target apart is enough
MAX_PEAKS = 32  # candidates most similar to the first target, for each scale
BEST = 5  # candidates whose IoU counts, as in MDNet's estimate

Features = Callable[[np.ndarray, np.ndarray], torch.Tensor]
Levels = Callable[[np.ndarray, np.ndarray], Mapping[str, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class View:
    """What all features see of a frame; lengths in pixels of the scaled frame.

    index  of the frame in its sequence
    frame  (H, W, 3) uint8 RGB, scaled as the first target wants it
    boxes  (K, 4) candidates x, y, w, h, in random order
    ious   (K,) with the truth
    """

    index: int
    frame: np.ndarray
    boxes: np.ndarray
    ious: np.ndarray


@dataclass(frozen=True, eq=False)
class Result:
    """What features are worth on one sequence.

    frames  (n,) indices of the scored frames
    ap      (n,) average precision of the target among the background
    iou     (n,) mean IoU of the BEST candidates with the truth
    """

    frames: np.ndarray
    ap: np.ndarray
    iou: np.ndarray


def probe(features: Features, sequence: Sequence, every: int = 1) -> Result:
    """Train a classifier of the target on the first frame, and apply it to the later ones.

    features  called with a frame (H, W, 3) uint8 RGB and boxes (K, 4) in it
              -> (K, D) float, one row per box
    every     frames from one that is scored to the next

    Raises ValueError for features that are not finite or of another shape, a
    sequence without a later frame whose target is known, and an unusable first
    box; FrameError for a frame that cannot be read.
    """
    return probe_levels(lambda *view: {"": features(*view)}, sequence, every)[""]


def probe_levels(features: Levels, sequence: Sequence, every: int = 1) -> dict[str, Result]:
    """Do as `probe` for features that come together, such as all layers of a backbone.

    features  as there, but -> name -> (K, D)
    returns   name -> Result

    Raises what `probe` does.
    """
    seen = views(sequence, every)
    first = next(seen)
    labels = np.where(first.ious >= POSITIVE_IOU, 1.0, -1.0)
    rows_used = (first.ious >= POSITIVE_IOU) | (first.ious <= NEGATIVE_IOU)
    classifiers = {
        name: ridge(rows[rows_used], torch.from_numpy(labels[rows_used]))
        for name, rows in _checked(features, first)
    }
    measured: dict[str, list[tuple[int, float, float]]] = {name: [] for name in classifiers}
    for view in seen:
        for name, rows in _checked(features, view):
            scores = (rows @ classifiers[name]).numpy()
            measured[name].append((view.index, *measure(scores, view.ious)))
    if not all(measured.values()):
        raise ValueError(
            f"probe: expected a frame of {sequence.name} with a known target after the first, "
            f"got none among {len(sequence)} frames, every {every}"
        )
    return {name: _result(rows) for name, rows in measured.items()}


def _result(rows: list[tuple[int, float, float]]) -> Result:
    frames, ap, iou = map(np.array, zip(*rows, strict=True))
    return Result(frames, ap, iou)


def _checked(features: Levels, view: View) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and rows (K, D) float64 of the features of a view."""
    for name, rows in features(view.frame, view.boxes).items():
        if rows.ndim != 2 or len(rows) != len(view.boxes) or not rows.isfinite().all():
            raise ValueError(
                f"probe: expected finite features ({len(view.boxes)}, D), one row per box, "
                f"got {tuple(rows.shape)} {rows.dtype} in frame {view.index}; "
                "flatten the bins of a region with features.flatten(1)"
            )
        yield name, rows.detach().cpu().double()


def ridge(
    rows: torch.Tensor, labels: torch.Tensor, regularisation: float = REGULARISATION
) -> torch.Tensor:
    """Return the weights (D,) of the linear classifier, in its dual form.

    rows            (n, D) float64
    labels          (n,) float64
    regularisation  lambda, of the mean squared norm of the centred rows

    Rows are centred and divided by their root mean squared norm, so that one
    regularisation means the same for all features, whatever their scale and number.
    """
    rows = rows - rows.mean(0)
    rows /= rows.square().sum(1).mean().sqrt().clamp(min=1e-12)
    n = len(rows)  # some hundred, where D is some thousand: a system of n equations
    kernel = rows @ rows.T + regularisation * n * torch.eye(n, dtype=rows.dtype)
    return rows.T @ torch.linalg.solve(kernel, labels - labels.mean())


def measure(scores: np.ndarray, ious: np.ndarray) -> tuple[float, float]:
    """Return average precision, and mean IoU of the BEST, of scores and IoUs (K,)."""
    scored = (ious >= SUCCESS_IOU) | (ious <= NEGATIVE_IOU)
    best = np.argsort(-scores, kind="stable")[:BEST]
    ap = average_precision(scores[scored], ious[scored] >= SUCCESS_IOU)
    return ap, float(ious[best].mean())


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the mean, over positives, of the precision among all that score at least as high.

    scores    (K,)
    positive  (K,) bool, one at least

    Equal scores are in no order: constant ones give the share of positives.
    """
    # Scores 4, 3, 2, 1 of which 4 and 2 are positives: (1 / 1 + 2 / 3) / 2.
    order = np.argsort(-scores)
    hits = positive[order].cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)  # of the candidates with the same score
    precision = hits[last] / (np.flatnonzero(last) + 1)
    return float((np.diff(hits[last], prepend=0) * precision).sum() / hits[-1])


def views(sequence: Sequence, every: int = 1) -> Iterator[View]:
    """Yield the first frame with its candidates, then every so many-th whose target is known.

    The candidates depend on the sequence's name, the frame and its truth alone: all
    features see the same. They lie around the truth, on a jittered grid over the
    frame, and where normalised cross-correlation finds the first target again.
    Raises ValueError for a first box that no tracker could start from.
    """
    frame = sequence.frames[0]
    start = first_box(sequence.boxes[0], frame, where=f"{sequence.name}, first frame")
    scale = min(
        TARGET_SIDE / np.sqrt(start[2:].prod()), MAX_ENLARGEMENT, MAX_SIDE / max(frame.shape)
    )
    for index in range(0, len(sequence), every):
        frame, truth = _scaled(sequence.frames[index], sequence.boxes[index], scale)
        if index == 0:
            left, top, width, height = (round(v) for v in truth)
            template = crop(frame, left, top, max(width, 1), max(height, 1)).numpy()
        if not index or _known(truth, frame):
            random = np.random.default_rng((zlib.crc32(sequence.name.encode()), index))
            around = AROUND if index else FIRST_AROUND
            boxes = candidates(frame, truth, template, around, random)
            yield View(index, frame, boxes, box_iou(boxes, truth))


def _scaled(frame: np.ndarray, box: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    width, height = (max(1, round(side * scale)) for side in frame.shape[1::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    ratio = width / frame.shape[1], height / frame.shape[0]
    return cv2.resize(frame, (width, height), interpolation=how), box * np.tile(ratio, 2)


def _known(truth: np.ndarray, frame: np.ndarray) -> bool:
    """Whether the centre of the truth lies in the frame."""
    height, width = frame.shape[:2]
    inside = (centres(truth) >= 0) & (centres(truth) <= (width, height))
    return bool(inside.all() and (truth[2:] > 0).all())  # NaN is neither


def candidates(
    frame: np.ndarray,
    truth: np.ndarray,
    template: np.ndarray,
    around: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Return boxes (K, 4) around the truth, all over the frame, and most like the template.

    frame     (H, W, 3) uint8 RGB
    truth     (4,) x, y, w, h
    template  (h, w, 3) uint8 RGB, the target of the first frame
    around    boxes around the truth, for each of DEVIATIONS
    """
    sizes = [truth[2:] * scale for scale in SCALES]
    on_target = [_around(truth, deviation, around, random) for deviation in DEVIATIONS]
    everywhere = [_grid(frame, size, random) for size in sizes]
    similar = [look_alikes(frame, template, size, truth) for size in sizes]
    # Shuffled, so that the order of equal scores means nothing.
    return random.permutation(np.concatenate(on_target + everywhere + similar))


def _around(
    truth: np.ndarray, deviation: float, count: int, random: np.random.Generator
) -> np.ndarray:
    offsets = random.normal(scale=deviation, size=(count, 2)) * truth[2:]
    sizes = truth[2:] * np.exp(random.normal(scale=deviation / 2, size=(count, 1)))
    return np.hstack((centres(truth) + offsets - sizes / 2, sizes))


def _grid(frame: np.ndarray, size: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Boxes of one size, one in each cell of a grid over the frame."""
    room = np.maximum(frame.shape[1::-1] - size, 0)
    counts = np.minimum(np.ceil(2 * room / size) + 1, MAX_COLUMNS).astype(int)
    steps = room / counts
    cells = np.stack(np.meshgrid(*map(np.arange, counts)), -1).reshape(-1, 2)
    corners = (cells + random.uniform(size=cells.shape)) * steps
    return np.hstack((corners, np.broadcast_to(size, corners.shape)))


def look_alikes(
    frame: np.ndarray, template: np.ndarray, size: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Return the highest local maxima of the correlation with the template, off the truth.

    size     (2,) width and height that the template is stretched to
    returns  (n, 4) boxes of that size, the most similar first, MAX_PEAKS at most; none in too
             small a frame

    At half the resolution, where correlation is four times as fast.
    """
    grey, small = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame, template))
    grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    sides = [max(2, round(side / 2)) for side in size]
    if (np.array(sides) > grey.shape[::-1]).any():
        return np.empty((0, 4))
    small = cv2.resize(small, sides, interpolation=cv2.INTER_AREA)
    correlation = cv2.matchTemplate(grey, small, cv2.TM_CCOEFF_NORMED)
    # A local maximum is what dilation, by a neighbourhood of the target's size, leaves as it is.
    around = np.ones([side // 2 * 2 + 1 for side in sides[::-1]], np.uint8)
    rows, columns = np.nonzero(correlation == cv2.dilate(correlation, around))
    order = np.argsort(-correlation[rows, columns], kind="stable")
    corners = 2.0 * np.stack((columns, rows), 1)[order]
    boxes = np.hstack((corners, np.broadcast_to(size, corners.shape)))
    return boxes[box_iou(boxes, truth) <= NEGATIVE_IOU][:MAX_PEAKS]
