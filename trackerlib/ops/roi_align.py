"""RoIAlign: boxes on a feature map pooled to a fixed grid without rounding their borders.

[1] He, Gkioxari, Dollár, Girshick: Mask R-CNN. ICCV 2017, section 3, "RoIAlign".
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.2: the maximum of the points instead of the average.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from trackerlib.ops import bilinear
from trackerlib.ops import rois as regions
from trackerlib.ops.registration import operator

REDUCE = ("mean", "max")
POINTS = ("midpoints", "interior")
MAX_POINTS = 2**22  # of one box, where the op chooses their number: 130 MB of neighbours


def roi_align(
    input: Tensor,
    boxes: regions.Boxes,
    output_size: regions.Sides,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    reduce: str = "mean",
    points: str = "midpoints",
) -> Tensor:
    """Pool every box to h x w bins by bilinear sampling, by default as torchvision's op does.

    input           (N, C, H, W) float; fastest if stored channels-last
    boxes           (K, 5): batch index, x1, y1, x2, y2 in image pixels, float or whole;
                    or a list of (L, 4) without index, one tensor per image
    output_size     bins: one number for both sides, or (h, w)
    spatial_scale   map cells per image pixel
    sampling_ratio  points per bin and side; 0 or less takes, of each box and axis, as many as
                    a bin has map cells, rounded up
    aligned         False: a box is at least one map cell wide and high, and a cell's value
                    stands at its upper left corner; True: no smallest size, and it stands at
                    the cell's centre (corners move by -0.5 cells)
    reduce          "mean" of a bin's points, or "max" [2]
    points          "midpoints" of equal parts of the bin [1]: a point more than one map cell
                    outside the map is 0, a nearer one takes the border's value.
                    "interior", at k / (points + 1) of the bin: bins are cut at the map's
                    border, and one with nothing left is 0. So the code of [2], whose boxes
                    are a map cell longer: see trackers.fdn.ReleasedFeatures.
    returns         (K, C, h, w), dtype of input, stored channels-last

    Sums are float32 (float64 for float64 maps). The gradient goes to the input; of equal
    maxima the first takes it. Maps are taken to be finite. A GPU with Triton runs a kernel
    where sampling_ratio is above 0, and the PyTorch body otherwise. The kernel does not read
    the boxes back to check their values, which would stall it: a bad box gives NaN there, and
    no gradient. It sums gradients in no fixed order, so that their last digits vary, unless
    torch.use_deterministic_algorithms asks for the PyTorch body.

    torch.fx notes the call down as one node. TorchScript compiles it to the operator, which a
    saved module finds again where trackerlib.ops is imported; there, whole boxes and tuples of
    tensors are refused. A quantised map gives bins on its own steps, without gradient; where
    its boxes are quantised too, it is of one image. The gradient has no gradient of its own.

    Source: [1], [2]; names and meaning of the arguments up to aligned: torchvision.ops.
    Raises ValueError for other shapes, types, devices or settings, for boxes that are not
    finite, end before they start (torchvision makes one cell of such) or name no image, and
    for one that has too many points.
    """
    if torch.jit.is_scripting():  # what follows is Python's; the op checks its arguments again
        rows, sides = regions.table(boxes), regions.sides(output_size)
        keep = input.requires_grad and torch.is_grad_enabled()
        return torch.ops.trackerlib.roi_align(
            input, rows, sides, spatial_scale, sampling_ratio, aligned, reduce, points, keep
        )[0]
    settings = spatial_scale, sampling_ratio, aligned, reduce, points
    if has_torch_function((input,)):  # torch.fx notes the call down
        return handle_torch_function(roi_align, (input,), input, boxes, output_size, *settings)
    if isinstance(input, Tensor) and input.is_quantized:
        return _quantised(input, boxes, output_size, *settings)
    boxes = regions.checked("roi_align", input, boxes, spatial_scale)
    bins = regions.pair("roi_align", output_size)
    _check_settings(sampling_ratio, aligned, reduce, points)
    keep = input.requires_grad and torch.is_grad_enabled()
    return torch.ops.trackerlib.roi_align(
        input, boxes, bins, float(spatial_scale), sampling_ratio, aligned, reduce, points, keep
    )[0]


def _quantised(input: Tensor, boxes: regions.Boxes, *settings: Any) -> Tensor:
    """Return `roi_align` of what the numbers stand for, on the steps of the input's."""
    if input.qscheme() != torch.per_tensor_affine:
        raise ValueError(
            "roi_align: expected a quantised input of one scale, got "
            f"{input.qscheme()}; convert it with input.dequantize()"
        )
    if isinstance(boxes, Tensor) and boxes.is_quantized:
        if len(input) > 1:  # steps of 2 have no image 1
            raise ValueError(
                f"roi_align: expected quantised boxes of one image, got {len(input)} images; "
                "an index may lie between two steps: pass boxes.dequantize()"
            )
        boxes = boxes.dequantize()
    pooled = roi_align(input.dequantize(), boxes, *settings)
    scale, zero_point = input.q_scale(), input.q_zero_point()
    return torch.quantize_per_tensor(pooled, scale, zero_point, input.dtype)


def _check_settings(sampling_ratio: int, aligned: bool, reduce: str, points: str) -> None:
    if isinstance(sampling_ratio, bool) or not isinstance(sampling_ratio, int):
        raise ValueError(
            "roi_align: expected sampling_ratio to be a whole number of points per bin and side, "
            f"got {sampling_ratio!r}; -1 takes as many as a bin has map cells"
        )
    if not isinstance(aligned, bool):
        raise ValueError(
            f"roi_align: expected aligned to be True or False, got {aligned!r}; "
            "reduce and points are passed by name"
        )
    for name, value, known in (("reduce", reduce, REDUCE), ("points", points, POINTS)):
        if value not in known:
            raise ValueError(
                f"roi_align: expected {name} to be one of {known}, got {value!r}; "
                "Mask R-CNN is mean of midpoints, FDN max of interior points"
            )


class Rule(NamedTuple):
    """Where the points of a box lie, and what becomes of those of a bin: the op's settings."""

    bins: Sequence[int]  # along rows and columns
    scale: float  # map cells per image pixel
    ratio: int  # points per bin and side, or the op chooses
    aligned: bool
    reduce: str  # one of REDUCE
    points: str  # one of POINTS

    def winners(self, input: Tensor, boxes: Tensor, keep: bool) -> Tensor:
        """Return room for the winners of maxima (K, h, w, C), or none (0, h, w, C)."""
        count = boxes.shape[0] if keep and self.reduce == "max" else 0
        dtype = bilinear.winner_type(
            self.bins[0] * self.bins[1] * self.ratio**2 * (self.ratio > 0)
        )
        return input.new_empty((count, *self.bins, input.shape[1]), dtype=dtype)


@operator("roi_align", has_gradient=True)
def _roi_align(
    input: Tensor,
    boxes: Tensor,
    output_size: Sequence[int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    reduce: str,
    points: str,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """Return the pooled bins and, to keep for the gradient of maxima, their winners (K, h, w, C).

    A winner is the number of a point of the box's grid, row by row.
    """
    rule = Rule(output_size, spatial_scale, sampling_ratio, aligned, reduce, points)
    return _forward(input, boxes, rule, keep)


@torch.library.register_fake("trackerlib::roi_align")
def _(input: Tensor, boxes: Tensor, *settings: Any) -> tuple[Tensor, Tensor]:
    *rest, keep = settings
    rule = Rule(*rest)
    return regions.empty_bins(input, boxes, rule.bins), rule.winners(input, boxes, keep)


@operator("roi_align_backward")
def _roi_align_backward(
    grad: Tensor,
    winners: Tensor,
    input: Tensor,
    boxes: Tensor,
    output_size: Sequence[int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    reduce: str,
    points: str,
) -> Tensor:
    rule = Rule(output_size, spatial_scale, sampling_ratio, aligned, reduce, points)
    return _backward(grad, winners, input, boxes, rule)


@torch.library.register_fake("trackerlib::roi_align_backward")
def _(grad: Tensor, winners: Tensor, input: Tensor, *settings: Any) -> Tensor:
    return regions.empty_map(input)


def _forward(input: Tensor, boxes: Tensor, rule: Rule, keep: bool) -> tuple[Tensor, Tensor]:
    """Return (K, C, h, w), and winners (K, h, w, C) if these are to be kept."""
    regions.check_values("roi_align", input, boxes, rule.scale)
    regions.pair("roi_align", rule.bins)
    _check_settings(rule.ratio, rule.aligned, rule.reduce, rule.points)
    winners = rule.winners(input, boxes, keep)
    kept = winners if len(winners) else None
    # Winners are found among sums of float32: their nearest bfloat16 may be equal.
    rows = regions.as_addends(input if kept is None else regions.widened(input))
    if rule.ratio > 0:
        pooled = _pool(rows, input, boxes, rule, (rule.ratio, rule.ratio), kept)
    else:
        # A box without extent has no points, and stays 0.
        pooled = rows.new_zeros(len(boxes), *rule.bins, rows.shape[1])
        for alike, samples in _by_samples(input, boxes, rule):
            first = None if kept is None else kept[alike]
            pooled[alike] = _pool(rows, input, boxes[alike], rule, samples, first)
            if first is not None:
                winners[alike] = first
    return pooled.permute(0, 3, 1, 2).to(input.dtype), winners


def _backward(grad: Tensor, winners: Tensor, input: Tensor, boxes: Tensor, rule: Rule) -> Tensor:
    """Return the gradient of the input, (N, C, H, W), for that of what `_forward` returns."""
    grad = grad.to(regions.accumulator(input.dtype))
    grad = grad.permute(0, 2, 3, 1).contiguous()  # (K, h, w, C)
    if rule.ratio > 0:
        total = _unpool(grad, winners, input, boxes, rule, (rule.ratio, rule.ratio))
    else:
        total = grad.new_zeros(input[:, 0].numel(), input.shape[1])
        for alike, samples in _by_samples(input, boxes, rule):
            first = winners[alike] if len(winners) else winners
            total += _unpool(grad[alike], first, input, boxes[alike], rule, samples)
    return regions.as_map(total, input)


def _pool(
    rows: Tensor,
    input: Tensor,
    boxes: Tensor,
    rule: Rule,
    samples: tuple[int, int],
    winners: Tensor | None,
) -> Tensor:
    """Return bins (K, h, w, C) of boxes that all have so many points per bin, rows x columns."""
    neighbours = _neighbours(input, boxes, rule, samples)
    if rule.reduce == "mean":
        return bilinear.weighted_sum(rows, neighbours)
    return bilinear.max_weighted_sum(rows, neighbours, samples, samples, winners)


def _unpool(
    grad: Tensor,
    winners: Tensor,
    input: Tensor,
    boxes: Tensor,
    rule: Rule,
    samples: tuple[int, int],
) -> Tensor:
    """Return the gradient of rows (N * H * W, C) for that of what `_pool` returns."""
    neighbours, count = _neighbours(input, boxes, rule, samples), input[:, 0].numel()
    if rule.reduce == "mean":
        return bilinear.scatter_add(grad, neighbours, count)
    return bilinear.scatter_add_max(grad, winners, neighbours, count, samples, samples)


def _by_samples(
    input: Tensor, boxes: Tensor, rule: Rule
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield which boxes have the same number of points per bin, and that number."""
    start, end = regions.corners(input, boxes, rule.scale)
    size = _size(start, end, rule)  # (2, K)
    # Bins of 1.4 x 2 map cells have 2 x 2 points, bins of 3.01 x 0.5 cells 4 x 1.
    samples = torch.stack([(s / b).ceil() for s, b in zip(size, rule.bins, strict=True)])
    points = samples.prod(0) * (rule.bins[0] * rule.bins[1])  # (K,)
    if (points > MAX_POINTS).any():
        first = int(points.argmax())
        raise ValueError(
            f"roi_align: expected boxes of at most {MAX_POINTS} points, one for each map cell, "
            f"got {boxes[first].tolist()} in row {first}; "
            "clip the boxes to the image, or choose a sampling_ratio"
        )
    for rows, columns in samples.unique(dim=1).t().long().tolist():
        alike = ((samples[0] == rows) & (samples[1] == columns)).nonzero()[:, 0]
        if rows and columns:
            few = max(1, MAX_POINTS // (rows * columns * rule.bins[0] * rule.bins[1]))
            yield from ((part, (rows, columns)) for part in alike.split(few))


def _neighbours(
    input: Tensor, boxes: Tensor, rule: Rule, samples: tuple[int, int]
) -> bilinear.Neighbours:
    """Return the map cells of every bin, or of every point where a bin's points are compared."""
    H, W = input.shape[2:]
    start, end = regions.corners(input, boxes, rule.scale)  # (2, K)
    rows, columns = (
        _along(start[axis], end[axis], rule.bins[axis], samples[axis], length, rule)
        for axis, length in enumerate((H, W))
    )
    return bilinear.neighbours(rows, columns, boxes[:, 0], (H, W))


def _along(
    start: Tensor, end: Tensor, bins: int, samples: int, length: int, rule: Rule
) -> bilinear.Axis:
    """Return the map cells around the points of one axis.

    start, end  (K,) map cells
    bins        of the axis
    samples     points per bin
    length      map cells of the axis
    """
    # From 1 to 5 in 2 bins of 2 points: the edges are 1, 3, 5; midpoints stand at 1.5, 2.5 and
    # 3.5, 4.5; interior points at 1 2/3, 2 1/3 and 3 2/3, 4 1/3. If the map ends at 4, the
    # midpoint 3.5 is read as 3, the last cell, and 4.5 counts 0; the second bin is cut to 3
    # to 4, and its interior points are 3 1/3 and 3 2/3, both read as 3.
    edges = torch.arange(bins + 1, device=start.device, dtype=start.dtype)[:, None] / bins
    edges = _shifted(start, rule) + _size(start, end, rule) * edges  # (bins + 1, K)
    part = torch.arange(samples, device=start.device, dtype=start.dtype)[:, None]
    if rule.points == "midpoints":
        part = (part + 0.5) / samples
    else:
        part = (part + 1) / (samples + 1)
        edges = edges.clamp(0, length)
    low, high = edges[:-1, None], edges[1:, None]  # (bins, 1, K)
    position = low + (high - low) * part  # (bins, samples, K)
    if rule.points == "midpoints":
        inside = (position >= -1) & (position <= length)
    else:
        inside = (high > low).expand_as(position)
    position = position.clamp(0, length - 1)
    if rule.reduce == "max":  # every point is a bin of its own, as their values are compared
        position, inside = position.flatten(0, 1)[:, None], inside.flatten(0, 1)[:, None]
    return bilinear.along(position, inside, 1, length)


def _shifted(edge: Tensor, rule: Rule) -> Tensor:
    """Return an edge, in map cells, where a cell's value stands at a whole number."""
    return edge - 0.5 if rule.aligned else edge


def _size(start: Tensor, end: Tensor, rule: Rule) -> Tensor:
    """Return the extent of boxes in map cells, shape of start."""
    # torchvision subtracts after the shift, which decides how 2.0000001 is rounded up.
    size = _shifted(end, rule) - _shifted(start, rule)
    return size if rule.aligned else size.clamp(min=1)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    input, boxes, *ctx.settings, _ = inputs
    ctx.save_for_backward(output[1], input, boxes)


def _gradients(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    winners, input, boxes = ctx.saved_tensors
    of_input = torch.ops.trackerlib.roi_align_backward(grad, winners, input, boxes, *ctx.settings)
    return of_input, *[None] * (2 + len(ctx.settings))


torch.library.register_autograd("trackerlib::roi_align", _gradients, setup_context=_save)

if find_spec("triton"):  # imported with the first map on a GPU

    @torch.library.impl("trackerlib::roi_align", "cuda")
    def _(input: Tensor, boxes: Tensor, *settings: Any) -> tuple[Tensor, Tensor]:
        *rest, keep = settings
        rule = Rule(*rest)
        if rule.ratio <= 0:
            return _forward(input, boxes, rule, keep)
        from trackerlib.ops.kernels import roi_align as kernels

        winners = rule.winners(input, boxes, keep)
        return kernels.forward(input, boxes, rule.scale, _sampling(rule), winners), winners

    @torch.library.impl("trackerlib::roi_align_backward", "cuda")
    def _(grad: Tensor, winners: Tensor, input: Tensor, boxes: Tensor, *settings: Any) -> Tensor:
        rule = Rule(*settings)
        if rule.ratio <= 0 or torch.are_deterministic_algorithms_enabled():
            return _backward(grad, winners, input, boxes, rule)
        from trackerlib.ops.kernels import roi_align as kernels

        return kernels.backward(grad, winners, input, boxes, rule.scale, _sampling(rule))

    def _sampling(rule: Rule) -> Any:
        from trackerlib.ops.kernels import roi_align as kernels

        return kernels.Sampling(
            bins=(rule.bins[0], rule.bins[1]),
            samples=rule.ratio,
            window=rule.ratio,
            stride=rule.ratio,
            reduce=rule.reduce,
            rule=rule.points,
            aligned=rule.aligned,
        )
