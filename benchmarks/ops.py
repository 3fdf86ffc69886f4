"""Speed of the ops beside the floor that memory bandwidth sets.

    python -m benchmarks.ops [--device cuda] [--only TEXT]

Medians of at least 15 runs, in milliseconds. `MB` is what an op must move at
least: inputs read once, outputs written once. `copy` is the time of a plain copy
that moves as many bytes, measured between the same runs, and the next column how
many copies the op takes. `at most` is the project's own limit (CPU, one thread,
but two for crops). torchvision's op is measured in turn with ours where it can be
imported and has the op.

Before all, one block of 30 MB is taken and freed, as in any network's pass: until
then glibc hands the ops' results back to the system each time and takes them again
page by page, which can double the figures. Idle threads that spin spoil all of
this on a busy machine: set OMP_WAIT_POLICY=PASSIVE, as `make bench` does.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from trackerlib.ops import adaptive_roi_align, crop_and_resize, roi_align, roi_pool
from trackerlib.ops import correlation_filter as cf

try:
    from torchvision import ops as peer

    ABSENT = ""
except Exception as error:  # noqa: BLE001 - its compiled part may not load, for any reason
    peer, ABSENT = None, f"{type(error).__name__}: {error}".splitlines()[0]

RUNS = 15
STRIDE = 8  # image pixels per map cell
MEGABYTE = 1e6
BLOCK = 30 * 2**20  # bytes; the C library then keeps what is freed, up to this size


Call = Callable[[], Any]
Op = Callable[[Tensor], Tensor]  # of a map, its other arguments bound
Case = tuple[int, int, int, int]  # map H, W; boxes' width, height in map cells
Limits = tuple[float | None, float | None]  # ms: forward, both ways


@dataclass(frozen=True)
class Work:
    """One row: what is called, the bytes it must move, the limit, torchvision's counterpart."""

    name: str
    call: Call
    bytes: int
    at_most: float | None = None  # ms
    peer: Call | str = ""  # or why there is none
    threads: int = 1


def made(count: int, case: Case, device: str) -> tuple[Tensor, Tensor]:
    """Return a map (1, 512, H, W) and boxes (count, 5) of about that many cells, all inside."""
    height, width, box_width, box_height = case
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(1, 512, height, width, generator=generator)
    scale = 0.8 + 0.4 * torch.rand(2, count, generator=generator)
    sides = scale * torch.tensor([[box_width], [box_height]])
    room = torch.tensor([[width - 1], [height - 1]]) - sides
    corner = torch.rand(2, count, generator=generator) * room
    corners = torch.cat((corner, corner + sides)).T * STRIDE
    return maps.to(device), torch.cat((torch.zeros(count, 1), corners), 1).to(device)


def both_ways(op: Op, maps: Tensor) -> Call:
    """Return the op with its gradient, which comes stored as a fully connected layer leaves it."""
    leaf = maps.clone().requires_grad_()
    weights = torch.randn(op(leaf).shape, device=maps.device)
    return lambda: torch.autograd.grad(op(leaf), leaf, weights)


def pair(
    name: str, op: Op, maps: Tensor, limits: Limits = (None, None), other: Op | str = ""
) -> Iterator[Work]:
    """Yield two rows of a RoI op: forward, forward and backward."""
    moved = maps.nbytes + op(maps).nbytes
    theirs: Call | str = partial(other, maps) if callable(other) else other
    yield Work(f"{name}: forward", partial(op, maps), moved, limits[0], theirs)
    theirs = both_ways(other, maps) if callable(other) else other
    both = both_ways(op, maps)
    yield Work(f"{name}: forward + backward", both, 2 * moved, limits[1], theirs)


SMALL, LARGE = (30, 40, 7, 6), (64, 86, 13, 11)  # map H, W; RoIs' width, height in cells
AVERAGE: tuple[tuple[int, Case, int, Limits], ...] = (  # RoIs, map, bins per side, limits
    (256, SMALL, 3, (2.5, 9)),
    (1024, LARGE, 3, (16, 45)),
    (256, LARGE, 3, (None, None)),
    (256, LARGE, 7, (12, 70)),
)


def roi_works(device: str) -> Iterator[Work]:
    """Yield the average, what is compared with it, and RoIPool."""
    for count, case, bins, limits in AVERAGE:
        maps, boxes = made(count, case, device)
        name = f"roi_align mean, {count} RoIs, map {case[0]}x{case[1]}, {bins}x{bins}"
        same = settings(boxes, output_size=bins, sampling_ratio=2)
        other = partial(peer.roi_align, **same) if peer else "absent"
        yield from pair(name, partial(roi_align, **same), maps, limits, other)
    for case in (SMALL, LARGE):
        yield from maximum_works(case, device)
    maps, boxes = made(256, SMALL, device)
    same = settings(boxes, output_size=3)
    other = partial(peer.roi_pool, **same) if peer else "absent"
    name = "roi_pool, 256 RoIs, map 30x40, 3x3"
    yield from pair(name, partial(roi_pool, **same), maps, (8, 12), other)


def maximum_works(case: Case, device: str) -> Iterator[Work]:
    """Yield what torchvision has no op for: FDN's RoIAlign and RT-MDNet's."""
    maps, boxes = made(256, case, device)
    where = f"256 RoIs, map {case[0]}x{case[1]}"
    fdn = {"sampling_ratio": 2, "reduce": "max", "points": "interior"}
    for bins in (3, 7):
        op = partial(roi_align, **settings(boxes, output_size=bins, **fdn))
        yield from pair(f"roi_align max, {where}, {bins}x{bins}", op, maps)
    op = partial(adaptive_roi_align, **settings(boxes, grid=7))
    yield from pair(f"adaptive_roi_align, {where}, 7x7 to 3x3", op, maps)


def settings(boxes: Tensor, **others: Any) -> dict[str, Any]:
    """Return arguments of a RoI op beside its map."""
    return {"boxes": boxes, "spatial_scale": 1 / STRIDE, **others}


def crop_works(device: str) -> Iterator[Work]:
    """Yield MDNet's candidates: 256 crops from a 640 x 360 frame."""
    generator = torch.Generator().manual_seed(0)
    frame = torch.randint(256, (360, 640, 3), dtype=torch.uint8, generator=generator).to(device)
    for width, height in ((60, 80), (150, 200)):
        centre = torch.tensor([320.0, 180]) + 20 * torch.randn(256, 2, generator=generator)
        sides = torch.tensor([width, height]) * 1.05 ** torch.randn(256, 1, generator=generator)
        boxes = torch.cat((centre - sides / 2, sides), 1).to(device)
        for antialias in (False, True):
            crop = partial(crop_and_resize, frame, boxes, (107, 107), mean=128)
            call = partial(crop, antialias=antialias)
            name = f"crop_and_resize{' antialias' * antialias}, 256 of {width}x{height}, 2 threads"
            limit = None if antialias else 35
            yield Work(name, call, frame.nbytes + call().nbytes, limit, threads=2)


def filter_works(device: str) -> Iterator[Work]:
    """Yield one frame of a correlation filter: transform, train on it, respond to it."""
    size = 56, 56
    yf = cf.spectrum(cf.gaussian_label(size, 2.0)).to(device)
    for channels in (512, 64):
        features = torch.randn(channels, *size, device=device)

        def linear(features: Tensor = features) -> Tensor:
            xf = cf.spectrum(features)
            kf = cf.linear_correlation(xf, xf, size)
            return cf.respond(cf.train(kf, yf, 1e-4), kf, size)

        def gaussian(features: Tensor = features) -> Tensor:
            xf = cf.spectrum(features)
            kf = cf.gaussian_correlation(xf, xf, size, 0.5)
            return cf.respond(cf.train(kf, yf, 1e-4), kf, size)

        moved = features.nbytes + yf.nbytes + features[0].nbytes  # the response is a map
        yield Work(f"correlation filter, linear, {channels} channels 56x56", linear, moved)
        yield Work(f"correlation filter, gaussian, {channels} channels 56x56", gaussian, moved)


def measure(work: Work, device: str) -> list[float]:
    """Return medians in ms: ours, a copy that moves as many bytes, torchvision where it loads."""
    source = torch.ones(work.bytes // 8, device=device)
    target = torch.empty_like(source)
    calls = [work.call, lambda: target.copy_(source)]
    if callable(work.peer):
        calls.append(work.peer)
    timers = [Timer("call()", globals={"call": c}, num_threads=work.threads) for c in calls]
    for timer in timers:
        timer.timeit(3)
    runs = [[timer.timeit(1).median * 1e3 for timer in timers] for _ in range(RUNS)]
    return [median(column) for column in zip(*runs, strict=True)]


def machine(device: str) -> str:
    """Return the name of the processor or GPU."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ()
    )
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Print a table of all ops."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    arguments = parser.parse_args()
    torch.zeros(BLOCK // 4)  # freed at once
    device, only = arguments.device, arguments.only
    print(f"{machine(device)}, torch {torch.__version__}, float32, medians of {RUNS} runs")
    print(f"torchvision: {ABSENT or 'measured in turn'}")
    columns = "ours", "at most", "MB", "copy", "copies", "torchvision"
    print(f"{'ms':72}" + "".join(f"{column:>12}" for column in columns))
    for works in (roi_works, crop_works, filter_works):
        for work in works(device):
            if only in work.name:
                ours, copy, *other = measure(work, device)
                limit = "" if work.at_most is None else f"{work.at_most:g}"
                row = f"{work.name:72}{ours:12.2f}{limit:>12}{work.bytes / MEGABYTE:12.1f}"
                row += f"{copy:12.2f}{ours / copy:12.1f}"
                print(row + (f"{other[0]:12.2f}" if other else f"{work.peer:>12}"), flush=True)


if __name__ == "__main__":
    main()
