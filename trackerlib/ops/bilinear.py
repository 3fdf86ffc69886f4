"""Values between map cells, averaged or compared: the PyTorch body of the RoIAligns.

A point reads four map cells: two rows times two columns. A bin's average is therefore
a weighted sum of rows of the map stored as (cells, channels), which is what
`embedding_bag` computes, and its gradient is the same sum with the roles of bins
and map cells exchanged.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from trackerlib.ops.kernels import for_cpu
from trackerlib.ops.rois import boxes_first

MAX_BYTES = 2**21  # of points held at once: more leave the cache, fewer take more calls


class Axis(NamedTuple):
    """The map cells around the points of one axis: T = 2 S of them for each of n bins."""

    cells: Tensor  # (n, T, K) int32, all inside the map
    weights: Tensor  # (n, T, K)


class Neighbours(NamedTuple):
    """Which map cells are weighed: T of them for each of K grids of h x w bins."""

    cells: Tensor  # (K, h, w, T) int32, rows of the map
    weights: Tensor  # (K, h, w, T)


def along(position: Tensor, inside: Tensor, step: Tensor | int, length: int) -> Axis:
    """Return the two map cells around every point of one axis, for the average of a bin's points.

    position  (n, S, K) map cells: S points in each of n bins of K boxes
    inside    (n, S, K) bool: which points count
    step      map cells from the first neighbour to the second, broadcast to position
    length    map cells of the axis
    """
    # Two points of one bin at 0.25 and 1.5 on an axis of 2 cells, one cell apart:
    # 0.25 lies between cells 0 and 1, with weights 0.75 and 0.25; 1.5 lies between cell 1
    # and cell 2, with 0.5 each, of which cell 2 is outside: it is read as cell 1 with weight 0.
    # cells [0, 1, 1, 1], weights [0.75, 0.25, 0.5, 0] / 2 points
    position = position.where(inside, 0)
    first = position.floor()
    share = (position - first) / step
    cells = torch.stack((first, (first + step).clamp(max=length)), 2).int()  # (n, S, 2, K)
    weights = torch.stack((1 - share, share), 2) / position.shape[1]
    weights = weights * (inside[:, :, None] & (cells < length))
    return Axis(cells.clamp(max=length - 1).flatten(1, 2), weights.flatten(1, 2))


def neighbours(rows: Axis, columns: Axis, images: Tensor, size: tuple[int, int]) -> Neighbours:
    """Return the map cells of every bin: all pairs of a row and a column.

    rows, columns  what `along` returns for either axis
    images         (K,) which map of the batch
    size           height and width of a map
    """
    # A 2 x 3 map and its rows of memory:   0 1 2    the second image's:  6 7 8
    #                                       3 4 5                         9 10 11
    # A point at y = 0.5 and x = 1.25 of the first image reads rows 0 and 1 (weights 0.5, 0.5)
    # and columns 1 and 2 (0.75, 0.25): cells [1, 2, 4, 5], weights [0.375, 0.125, 0.375, 0.125].
    height, width = size
    starts = (rows.cells + images.int() * height) * width  # (h, T, K): where the rows begin
    # Boxes come last until here, as the longest loop of all that is computed, and first from here.
    return Neighbours(
        boxes_first(starts[:, None, :, None] + columns.cells[None, :, None]).flatten(3),
        boxes_first(rows.weights[:, None, :, None] * columns.weights[None, :, None]).flatten(3),
    )


def weighted_sum(rows: Tensor, neighbours: Neighbours) -> Tensor:
    """Return the weighted sums of rows (cells, C) of a map: (K, h, w, C), dtype of rows.

    Rows of bfloat16 are summed in float32, which takes half of the time.
    """
    cells, weights = neighbours
    if rows.dtype == torch.bfloat16:
        # They need weights of their own type: a weight is split into the nearest bfloat16
        # and the rest, as 0.7 into 0.69921875 and 0.00078125.
        nearest = weights.bfloat16()
        weights = torch.cat((nearest, (weights - nearest).bfloat16()), -1)
        cells = torch.cat((cells, cells), -1)
    width = cells.shape[-1]
    bags = embedding_bag(
        cells.view(-1, width), rows, per_sample_weights=weights.view(-1, width), mode="sum"
    )
    return bags.view(*cells.shape[:3], rows.shape[1])


def scatter_add(grad: Tensor, neighbours: Neighbours, count: int) -> Tensor:
    """Return the gradient of `weighted_sum`: a weighted sum of bins for every map cell.

    grad     (K, h, w, C)
    count    map cells of the batch
    returns  (count, C)
    """
    # Two bins of two neighbours each, cells [[1, 2], [2, 0]] of 3: sorted, [0, 1, 2, 2] are
    # entries [3, 0, 1, 2], which belong to bins [1, 0, 0, 1]; the cells' bags start at [0, 1, 2].
    cells, entries = neighbours.cells.flatten().sort()
    starts = torch.searchsorted(cells, torch.arange(count, dtype=torch.int32, device=grad.device))
    return embedding_bag(
        entries // neighbours.cells.shape[-1],
        grad.reshape(-1, grad.shape[-1]),
        starts,
        per_sample_weights=neighbours.weights.flatten()[entries],
        mode="sum",
    )


def max_weighted_sum(
    rows: Tensor,
    neighbours: Neighbours,
    window: tuple[int, int],
    stride: tuple[int, int],
    winners: Tensor | None = None,
) -> Tensor:
    """Return the maximum of every window of neighbouring bins.

    rows            (cells, C)
    window, stride  bins along rows and columns
    winners         filled with the first bin that has the maximum, counted through h x w bins
    returns         (K, H, W, C), dtype of rows; H = (h - window[0]) // stride[0] + 1
    """
    K, h, w, _ = neighbours.cells.shape
    sides = [
        (bins - extent) // step + 1
        for bins, extent, step in zip((h, w), window, stride, strict=True)
    ]
    maxima = rows.new_empty(K, *sides, rows.shape[1])
    if kernels := for_cpu("bilinear", rows):
        kernels.max_weighted_sum(rows, *neighbours, window, stride, maxima, winners)
        return maxima
    kept = [] if winners is None else [winners]
    for (part, *first), few in _few_boxes(rows, neighbours, maxima, *kept):
        # Stored channels-last, where the pooling takes no longer than maxima of pairs.
        points = weighted_sum(rows, few).permute(0, 3, 1, 2)
        found = torch.ops.aten.max_pool2d_with_indices(points, list(window), list(stride))
        for target, pooled in zip((part, *first), found, strict=False):
            target.copy_(pooled.permute(0, 2, 3, 1))
    return maxima


def scatter_add_max(
    grad: Tensor,
    winners: Tensor,
    neighbours: Neighbours,
    count: int,
    window: tuple[int, int],
    stride: tuple[int, int],
) -> Tensor:
    """Return the gradient of `max_weighted_sum`, (count, C); the first of equals takes all.

    grad, winners  (K, H, W, C); the rest as in `scatter_add` and `max_weighted_sum`
    """
    if kernels := for_cpu("bilinear", grad):
        return kernels.scatter_add_max(grad, winners, *neighbours, count)
    pooling = list(window), list(stride), [0, 0], [1, 1], False  # no padding, no dilation
    of_points = grad.new_empty(*neighbours.cells.shape[:3], grad.shape[-1])
    few = max(1, MAX_BYTES // (of_points[:1].nbytes + 1))
    for points, share, winner in zip(
        *(t.split(few) for t in (of_points, grad, winners)), strict=True
    ):
        points, share, first = (t.permute(0, 3, 1, 2) for t in (points, share, winner))
        torch.ops.aten.max_pool2d_with_indices_backward(
            share, points, *pooling, first.long(), grad_input=points
        )
    return scatter_add(of_points, neighbours, count)


def winner_type(points: int) -> torch.dtype:
    """Return the type that numbers a box's points: one byte of each maximum, if that is enough."""
    return torch.uint8 if 0 < points <= 2**8 else torch.int32


def _few_boxes(
    rows: Tensor, neighbours: Neighbours, *tensors: Tensor
) -> Iterator[tuple[list[Tensor], Neighbours]]:
    """Yield parts of the tensors and neighbours with few enough boxes to stay in the cache."""
    h, w = neighbours.cells.shape[1:3]
    count = max(1, MAX_BYTES // (h * w * rows[0].nbytes))
    together = (*tensors, *neighbours)
    for *parts, cells, weights in zip(*(t.split(count) for t in together), strict=True):
        yield parts, Neighbours(cells, weights)
