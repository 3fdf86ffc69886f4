"""Values between the cells of a map, averaged or compared: the PyTorch body of the RoIAligns.

A point takes from four cells: two rows times two columns. So a bin's average is a
weighted sum of rows of the map stored as (cells, channels), which is what
`embedding_bag` computes, and its gradient is the same sum with the roles of bins
and cells exchanged.
"""

from functools import reduce
from typing import NamedTuple

import torch
from torch.nn.functional import embedding_bag

from trackerlib.ops.rois import regions_first

CHUNK = 2**22  # bytes of points held at once, more leave the cache, fewer take more calls


class Taps(NamedTuple):
    """Which cells are weighed: T of them for each of K grids of n x n bins."""

    cells: torch.Tensor  # (K, n, n, T) int32, rows of the map
    weights: torch.Tensor  # (K, n, n, T)


def taps(position, inside, step, images, shape) -> Taps:
    """The cells around points that form grids, S x S points to a bin, averaged.

    position  (2, n, S, K) of the points' rows and columns, in cells
    inside    bool, broadcast to position: which points count
    step      cells from the upper neighbour to the lower one, broadcast to position
    images    (K,) which map of the batch
    shape     (H, W)
    returns   T = (2 * S) ** 2

    Regions come last until the end: they make the long loops.
    """
    length = torch.tensor(shape, device=position.device, dtype=torch.int32)[:, None, None, None]
    position = position.where(inside, 0)
    low = position.floor()
    share = (position - low) / step
    cells = torch.stack((low, (low + step).minimum(length)), 3).int()  # (2, n, S, 2, K)
    weights = torch.stack((1 - share, share), 3) / position.shape[2]
    weights = weights * (inside[..., None, :] & (cells < length[..., None]))
    rows, columns = cells.minimum(length[..., None] - 1).flatten(2, 3)  # (n, 2 * S, K)
    rows = (rows + images.int() * shape[0]) * shape[1]
    down, across = weights.flatten(2, 3)
    return Taps(
        regions_first(rows[:, None, :, None] + columns[None, :, None]).flatten(3),
        regions_first(down[:, None, :, None] * across[None, :, None]).flatten(3),
    )


def blend(rows: torch.Tensor, taps: Taps) -> torch.Tensor:
    """Weighted sums of rows (cells, C) -> (K, n, n, C).

    Rows of bfloat16 are summed in float32, and take half of the time. They want weights
    of their own type: a weight comes as two of them, its nearest and what that leaves.
    """
    cells, weights = taps
    if rows.dtype == torch.bfloat16:
        near = weights.bfloat16()
        weights = torch.cat((near, (weights - near).bfloat16()), -1)
        cells = torch.cat((cells, cells), -1)
    width = cells.shape[-1]
    bags = embedding_bag(
        cells.view(-1, width), rows, per_sample_weights=weights.view(-1, width), mode="sum"
    )
    return bags.view(*cells.shape[:3], rows.shape[1])


def spread(grad: torch.Tensor, taps: Taps, count: int) -> torch.Tensor:
    """Gradient of `blend`: (K, n, n, C) -> (count, C), a weighted sum of bins for every cell."""
    cells, entries = taps.cells.flatten().sort()
    starts = torch.searchsorted(cells, torch.arange(count, dtype=torch.int32, device=grad.device))
    return embedding_bag(
        entries // taps.cells.shape[-1],
        grad.reshape(-1, grad.shape[-1]),
        starts,
        per_sample_weights=taps.weights.flatten()[entries],
        mode="sum",
    )


def max_weighted_sum(rows: torch.Tensor, taps: Taps, window: int, stride: int) -> torch.Tensor:
    """The largest of every window x window neighbouring bins -> (K, m, m, C)."""
    K, n, _, _ = taps.cells.shape
    side = (n - window) // stride + 1
    largest = rows.new_empty(K, side, side, rows.shape[1])
    for (part,), some in _few(rows, taps, largest):
        columns = reduce(torch.maximum, blend(rows, some).unfold(1, window, stride).unbind(-1))
        part.copy_(reduce(torch.maximum, columns.unfold(2, window, stride).unbind(-1)))
    return largest


def scatter_add_max(
    grad: torch.Tensor, rows: torch.Tensor, taps: Taps, window: int, stride: int
) -> torch.Tensor:
    """Gradient of `max_weighted_sum`: (K, m, m, C) -> like rows; the first of equals takes all."""
    geometry = [window] * 2, [stride] * 2, [0, 0], [1, 1], False
    won = rows.new_empty(*taps.cells.shape[:3], rows.shape[1])
    for (part, share), some in _few(rows, taps, won, grad):
        points = blend(rows, some).permute(0, 3, 1, 2)
        _, winners = torch.ops.aten.max_pool2d_with_indices(points, *geometry)
        taken = torch.ops.aten.max_pool2d_with_indices_backward(
            share.permute(0, 3, 1, 2), points, *geometry, winners
        )
        part.copy_(taken.permute(0, 2, 3, 1))
    return spread(won, taps, len(rows))


def _few(rows, taps, *tensors):
    """Parts of the tensors and taps with few enough regions to stay in the cache."""
    count = max(1, CHUNK // (taps.cells.shape[1] ** 2 * rows[0].nbytes))
    for *parts, cells, weights in zip(*(t.split(count) for t in (*tensors, *taps)), strict=True):
        yield parts, Taps(cells, weights)
