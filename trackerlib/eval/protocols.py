"""Where a tracker starts: one pass, 20 starts in time, 12 first boxes in space, or after failures.

1. Wu, Lim, Yang, Online object tracking: a benchmark, CVPR 2013: OPE, TRE, SRE.
2. Its MATLAB toolkit, whose arithmetic is followed to the pixel: splitSeqTRE.m,
   shiftInitBB.m. Scores of all of a sequence's segments go together: `metrics.pool`.
"""

from dataclasses import dataclass

import numpy as np

from trackerlib import boxes
from trackerlib.data.sequence import FrameError, Sequence

__all__ = ["Segment", "StartError", "segment_order", "segments"]

STARTS = 20  # segments of temporal robustness
FRAMES_LEFT = 20  # that its last segment must have
SHIFT = 0.1  # of the target's size

SIDES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
CORNERS = {"top-left": (-1, -1), "top-right": (1, -1),
           "bottom-left": (-1, 1), "bottom-right": (1, 1)}  # fmt: skip
SCALES = (0.8, 0.9, 1.1, 1.2)


class StartError(ValueError):
    """A sequence on which a protocol has nowhere to start; the message says why."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One run on a sequence: from frame `start` to the end, initialised with `box`.

    name   `ope`, `tre01` ... `tre20`, `sre-left` ... `sre-scale-1.2`, `vot`
    start  index into the sequence
    box    (4,) float64 x, y, w, h, 0-based
    """

    name: str
    start: int
    box: np.ndarray


def segments(sequence: Sequence, protocol: str = "ope") -> list[Segment]:
    """Return the runs that a protocol asks for on one sequence.

    ope  one pass from the first frame
    tre  20 starts spread evenly over the frames that allow one; the first of them and
         the last. A frame allows a start if it is outside `initial_omits`, has 20 frames
         or more from itself on, and its ground truth is positive in 1-based numbers.
         A sequence with fewer such frames gives as many segments as it has.
    sre  from the first frame with 12 boxes: 4 shifted by 10 % of the target's size,
         4 stretched by as much at one corner, 4 scaled by 0.8, 0.9, 1.1 and 1.2,
         rounded and clipped as the toolkit does. Decodes the first frame for its size.
    vot  from the first frame, and again after every failure: `resets.track_with_resets`

    OTB's toolkit begins OPE and SRE, too, at TRE's first start. That is the first frame
    except in Tiger1, where it is the sixth; here they begin at the first frame always.

    Raises ValueError for an unknown protocol, and StartError where no frame allows a
    start, or where SRE's cannot be decoded.
    """
    protocols = {"ope": _one_pass, "tre": _temporal, "sre": _spatial, "vot": _with_resets}
    if protocol not in protocols:
        known = ", ".join(protocols)
        raise ValueError(f"segments: expected a protocol among {known}, got {protocol!r}")
    return protocols[protocol](sequence)


def segment_order(name: str) -> tuple[int, str]:
    """Return what sorts segments by their names as `segments` has them."""
    spatial = [f"sre-{end}" for end in (*SIDES, *CORNERS, *(f"scale-{ratio}" for ratio in SCALES))]
    return spatial.index(name) if name in spatial else 0, name


def _one_pass(sequence: Sequence) -> list[Segment]:
    return [Segment("ope", 0, _first(sequence))]


def _with_resets(sequence: Sequence) -> list[Segment]:
    return [Segment("vot", 0, _first(sequence))]


def _first(sequence: Sequence, start: int = 0) -> np.ndarray:
    return np.array(sequence.boxes[start], dtype=np.float64)


def _temporal(sequence: Sequence) -> list[Segment]:
    allowed = _allowed_starts(sequence)
    count = len(allowed)
    if not count:
        raise StartError(
            f"segments: {sequence.name}: expected a frame with ground truth, outside "
            f"{sequence.initial_omits} and with {FRAMES_LEFT} frames from it on, got none of "
            f"{len(sequence)}; use protocol ope"
        )
    picks = [step * count // (STARTS - 1) for step in range(STARTS - 1)] + [count - 1]
    starts = allowed[list(dict.fromkeys(picks))]
    return [
        Segment(f"tre{number:02d}", int(start), _first(sequence, start))
        for number, start in enumerate(starts, 1)
    ]


def _allowed_starts(sequence: Sequence) -> np.ndarray:
    numbers = sequence.frame_numbers
    allowed = (boxes.xywh_to_otb(sequence.boxes) > 0).all(1)  # NaN is not
    allowed &= np.arange(len(sequence), 0, -1) >= FRAMES_LEFT
    for first, last in sequence.initial_omits:
        allowed &= (numbers < first) | (numbers > last)
    return np.flatnonzero(allowed)


def _spatial(sequence: Sequence) -> list[Segment]:
    try:
        height, width = sequence.frames[0].shape[:2]
    except FrameError as error:
        where = f"{sequence.name}, frame {sequence.frame_numbers[0]}"
        raise StartError(f"segments: {where}: {error}") from error
    otb = boxes.xywh_to_otb(_first(sequence))
    changed = {name: _shifted(otb, side) for name, side in SIDES.items()}
    changed |= {name: _stretched(otb, corner) for name, corner in CORNERS.items()}
    changed |= {f"scale-{ratio}": _scaled(otb, ratio) for ratio in SCALES}
    return [
        Segment(f"sre-{name}", 0, boxes.otb_to_xywh(_clipped(box, (width, height))))
        for name, box in changed.items()
    ]


def _shifted(otb: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
    xy, wh = otb[:2], otb[2:]
    return np.concatenate((xy + direction * np.ceil(SHIFT * wh), wh))


def _stretched(otb: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
    first, wh = otb[:2], otb[2:]
    last = first + wh - 1
    towards = np.array(direction)
    first = np.where(towards < 0, _rounded(first - SHIFT * wh), first)
    last = np.where(towards > 0, _rounded(last + SHIFT * wh), last)
    return np.concatenate((first, last - first + 1))


def _scaled(otb: np.ndarray, ratio: float) -> np.ndarray:
    xy, wh = otb[:2], otb[2:]
    return _rounded(np.concatenate((xy + wh / 2 - ratio * wh / 2, ratio * wh)))


def _clipped(otb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    xy = np.maximum(otb[:2], 1)
    return np.concatenate((xy, np.minimum(otb[2:], size - xy + 1)))


def _rounded(numbers: np.ndarray) -> np.ndarray:
    """Round halves away from zero, as MATLAB does."""
    return np.trunc(numbers + np.copysign(0.5, numbers))
