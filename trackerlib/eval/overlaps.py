"""How much two regions overlap, in whole pixels as the VOT toolkit counts, or exactly.

A region is a row of 4 numbers, a rectangle x, y, w, h, or of 2n, the corners
x1, y1, ..., xn, yn of a polygon. Predictions are rectangles; the ground truth is either.

1. vot-toolkit 0.7.4 and 0.9.0, vot/region/raster.py: `raster_overlaps`, to the pixel.
2. Sutherland, Hodgman: Reentrant polygon clipping. Communications of the ACM 17, 1974.
"""

import numpy as np

from trackerlib.boxes import box_iou

__all__ = ["OVERLAPS", "exact_overlaps", "overlaps", "raster_overlaps"]

Bounds = tuple[int, int, int, int]  # left, top, right, bottom, the last pixels included


def overlaps(
    predicted: np.ndarray, truth: np.ndarray, size: tuple[int, int], convention: str = "vot"
) -> np.ndarray:
    """Return the overlap (T,) of predicted boxes and ground truth, one of OVERLAPS.

    predicted   (T, 4) x, y, w, h
    truth       (T, 4), or (T, 2n) corners
    size        width and height of the image, which the exact overlap does not use
    convention  "vot" or "exact"

    It is 0 where a row is not finite. Raises ValueError for another convention or other sizes.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if convention not in OVERLAPS:
        known = ", ".join(OVERLAPS)
        raise ValueError(f"overlaps: expected a convention among {known}, got {convention!r}")
    if predicted.ndim != 2 or truth.ndim != 2 or len(predicted) != len(truth):
        raise ValueError(
            "overlaps: expected predictions and ground truth of the same frames, (T, 4) and "
            f"(T, 4) or (T, 2n), got {predicted.shape} and {truth.shape}; cut the longer one"
        )
    known = np.isfinite(predicted).all(1) & np.isfinite(truth).all(1)
    found = np.zeros(len(predicted))
    found[known] = OVERLAPS[convention](predicted[known], truth[known], size)
    return found


def raster_overlaps(predicted: np.ndarray, truth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the overlap (T,) in whole pixels of the image, as the VOT toolkit paints regions.

    Coordinates are rounded first, halves to even; a rectangle then has w * h pixels, while a
    polygon has those on its right and lower edges too. So half a pixel may not matter, and a
    rectangle beside the same one as a polygon overlaps by less than 1: 20 x 20 by 400/441.
    Regions whose common bounds are one pixel wide or high overlap by 1, however far apart.

    All rows are finite. Source: [1].
    """
    pairs = zip(_whole(predicted), _whole(truth), strict=True)
    return np.array([_raster_overlap(*pair, size) for pair in pairs])


def exact_overlaps(
    predicted: np.ndarray, truth: np.ndarray, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Return the intersection over union (T,) of the regions' areas, beyond the image too.

    All rows are finite; `size` is not used. Source: [2].
    """
    if truth.shape[1] == 4:
        return box_iou(predicted, truth)
    return np.array([_exact_overlap(box, row) for box, row in zip(predicted, truth, strict=True)])


OVERLAPS = {"vot": raster_overlaps, "exact": exact_overlaps}


def _whole(regions: np.ndarray) -> np.ndarray:
    """Round as the toolkit does, which keeps regions in float32."""
    return np.round(regions.astype(np.float32)).astype(np.int64)


def _raster_overlap(first: np.ndarray, second: np.ndarray, size: tuple[int, int]) -> float:
    bounds = np.array([_bounds(first), _bounds(second)])
    left, top = bounds[:, :2].min(0).tolist()
    right, bottom = bounds[:, 2:].max(0).tolist()
    if left >= right or top >= bottom:
        return 1.0  # [1] calls both empty
    left, top = max(0, left), max(0, top)
    right, bottom = min(size[0] - 1, right), min(size[1] - 1, bottom)
    if left >= right or top >= bottom:
        return 0.0
    painted = [_painted(region, (left, top, right, bottom)) for region in (first, second)]
    union = np.count_nonzero(painted[0] | painted[1])
    return np.count_nonzero(painted[0] & painted[1]) / union if union else 0.0


def _bounds(region: np.ndarray) -> Bounds:
    if len(region) == 4:
        x, y, w, h = region.tolist()
        return x, y, x + w - 1, y + h - 1
    x, y = region[0::2], region[1::2]
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


def _painted(region: np.ndarray, bounds: Bounds) -> np.ndarray:
    """Return the pixels (H, W) bool of a region within bounds."""
    left, top, right, bottom = bounds
    columns, rows = np.arange(left, right + 1), np.arange(top, bottom + 1)[:, None]
    if len(region) == 4:
        x, y, w, h = region.tolist()
        return (x <= columns) & (columns < x + w) & (y <= rows) & (rows < y + h)
    return _filled(region.reshape(-1, 2) - (left, top), rows - top, columns - left)


def _filled(corners: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Fill a polygon (n, 2) line by line between where its edges cross -> (H, W) bool."""
    x, y = corners.T
    run, rise = np.roll(x, 1) - x, np.roll(y, 1) - y  # of the edges, (n,)
    crossed = (np.minimum(y, y + rise) <= rows) & (rows <= np.maximum(y, y + rise))  # (H, n)
    crossings = np.trunc(x + (rows - y) / np.where(rise, rise, 1) * np.where(rise, run, 0))
    crossings = np.sort(np.where(crossed, crossings, np.inf), axis=1)
    count, line = crossed.sum(1), np.arange(len(rows))
    painted = np.zeros((len(rows), len(columns)), dtype=bool)
    at = np.zeros(len(rows), dtype=np.int64)  # the crossing that each line has come to
    for _ in range(len(corners) - 1):
        is_pair = at < count - 1
        start, end = (crossings[line, np.minimum(at + k, len(corners) - 1)] for k in (0, 1))
        # Two edges meet in a corner: one crossing, unless nothing comes after it.
        is_twin = (start == end) & (at < count - 2)
        between = (start[:, None] <= columns) & (columns <= end[:, None])
        painted |= (is_pair & ~is_twin)[:, None] & between
        at += np.where(is_twin, 1, 2)
    return painted


def _exact_overlap(box: np.ndarray, row: np.ndarray) -> float:
    corners = row.reshape(-1, 2)
    shared = corners
    for axis in (0, 1):
        shared = _cut(shared, axis, box[axis], 1)
        shared = _cut(shared, axis, box[axis] + box[axis + 2], -1)
    common = _area(shared)
    union = _area(corners) + max(box[2], 0) * max(box[3], 0) - common
    return common / union if union > 0 and (box[2:] > 0).all() else 0.0


def _cut(corners: np.ndarray, axis: int, limit: float, side: int) -> np.ndarray:
    """Keep what a polygon (n, 2) has on one side of a line along the other axis -> (m, 2)."""
    depth = side * (corners[:, axis] - limit)  # of each corner inside
    kept = []
    for here, there in zip(range(len(corners)), np.roll(range(len(corners)), -1), strict=True):
        if depth[here] >= 0:
            kept.append(corners[here])
        if (depth[here] >= 0) != (depth[there] >= 0):
            share = depth[here] / (depth[here] - depth[there])
            kept.append(corners[here] + share * (corners[there] - corners[here]))
    return np.array(kept).reshape(-1, 2)


def _area(corners: np.ndarray) -> float:
    """Return the area of a polygon (n, 2); 0 without corners."""
    x, y = corners.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
