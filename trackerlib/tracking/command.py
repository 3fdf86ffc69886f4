"""The command `python -m trackerlib track`."""

import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from trackerlib.data import open_dataset
from trackerlib.data.annotated_video import AnnotatedVideo
from trackerlib.data.live import Live
from trackerlib.data.sequence import UNTIMED_FPS, Sequence
from trackerlib.data.video import (
    FINE_CLOCK,
    chosen_frames,
    clock_of,
    frames_per_second,
    open_video,
)
from trackerlib.eval.box_files import BoxFile
from trackerlib.eval.runner import resolve_device
from trackerlib.eval.video import Followed, Result, follow_video
from trackerlib.trackers import SpecLike, parse
from trackerlib.tracking import checked_boxes, track
from trackerlib.tracking.choice import choose, first_frame
from trackerlib.tracking.drawing import draw_boxes
from trackerlib.tracking.loopback import open_browser
from trackerlib.tracking.preview import Preview

__all__ = ["follow"]


def follow(arguments: Namespace, warn: Callable[..., None]) -> Followed:
    """Track the targets of a command's arguments; print warnings, errors and what was done.

    arguments  of `trackerlib.arguments.track_options`
    warn       prints warnings, except those of its second argument

    Raises what `follow_video` raises, and ValueError for arguments that cannot be used.
    """
    boxes = checked_boxes(np.stack(arguments.box)) if arguments.box else None
    spec = parse(arguments.tracker) if arguments.tracker else None
    _box_file(arguments, 1)  # whose name cannot be used: said before anything is drawn
    source, known = _opened(arguments)
    boxes = known if boxes is None else boxes
    if isinstance(source, Live):
        source.held()  # a camera that is there, and gives no frame
    if boxes is None:
        another = source.another if isinstance(source, Live) else None
        boxes = draw_boxes(first_frame(source), another, _say)
    file = _box_file(arguments, len(boxes))
    if spec is None:
        spec = _chosen(source, boxes, arguments)
    results = track(source, boxes, spec.label, arguments.device, arguments.seed)
    early = list(source.warnings)
    video = None
    if arguments.out:
        video, note = _annotated(arguments, source)
        early += filter(None, [note])
    warn(early)
    total = len(source) if isinstance(source, Sequence) else None
    if arguments.preview:
        results = _previewed(results, len(boxes))
    with closing(_with_bar(results, total, len(boxes), spec.label)) as shown:
        followed = follow_video(shown, source, file, video, len(boxes), _tell)
    warn(followed.track.warnings, early)
    print(followed.summary(spec.label, source.name))
    return followed


def _opened(arguments: Namespace) -> tuple[Sequence | Live, np.ndarray | None]:
    """Return what to track in, and the first box (1, 4), where a data set knows it."""
    part = arguments.start, arguments.end, arguments.stride
    if not arguments.format:
        return open_video(arguments.source, *part), None
    found = open_dataset(str(arguments.source), arguments.split, arguments.format).sequences
    if len(found) > 1:
        names = ", ".join(sequence.name for sequence in found[:8])
        raise ValueError(
            f"track: expected one sequence, got {len(found)} of {arguments.source}: {names}"
            f"{' ...' if len(found) > 8 else ''}; choose one with --split NAME"
        )
    sequence = found[0]
    if sequence.times is None:
        sequence = replace(sequence, times=np.arange(len(sequence)) / UNTIMED_FPS)
    sequence = chosen_frames(sequence, *part)
    first = sequence.boxes[:1]
    return sequence, first if np.isfinite(first).all() else None


def _box_file(arguments: Namespace, targets: int) -> BoxFile | None:
    if not arguments.boxes:
        return None
    return BoxFile(arguments.boxes, targets, arguments.boxes_format)


def _chosen(source: Sequence | Live, boxes: np.ndarray, arguments: Namespace) -> SpecLike:
    """Choose the tracker by its speed here, and print the table."""
    choice = choose(source, boxes, resolve_device(arguments.device), arguments.seed)
    print(choice.text(), flush=True)
    return parse(choice.tracker)


def _previewed(results: Iterator[Result], targets: int) -> Generator[Result, None, None]:
    """Pass on results, and show each frame on a page."""
    preview = Preview()
    _say(f"preview: {preview.address}")
    open_browser(preview.address)
    frame = list[Result]()
    try:
        for result in results:
            frame.append(result)
            if len(frame) == targets and result.image is not None:
                preview.show(result.image, frame)
            frame = frame if len(frame) < targets else []
            yield result
    finally:
        preview.close()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tell(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)


def _annotated(arguments: Namespace, source: Sequence | Live) -> tuple[AnnotatedVideo, str]:
    """Return the video to write, and a warning about the source's rate, or ""."""
    if isinstance(source, Live):
        return AnnotatedVideo(arguments.out, source.fps / arguments.stride, FINE_CLOCK), ""
    fps, note = frames_per_second(arguments.source)
    times = source.times
    assert times is not None  # _opened finds some always
    clock = clock_of(times, fps)
    length = times[-1] - times[0]
    mean = (len(times) - 1) / length if length > 0 else fps
    steady = fps / arguments.stride
    return AnnotatedVideo(arguments.out, steady if clock != FINE_CLOCK else mean, clock), note


def _with_bar(
    results: Iterator[Result], total: int | None, targets: int, label: str
) -> Generator[Result, None, None]:
    """Pass on results, and show on a terminal how many frames are done, how fast, how long yet.

    tqdm, which draws the bar, is imported when the first frame is done.
    """
    bar, is_shown = None, sys.stderr.isatty() and find_spec("tqdm") is not None
    try:
        for result in results:
            yield result
            if is_shown and result.target == targets:
                bar = _bar(total, label) if bar is None else bar
                bar.update()
    finally:
        if bar is not None:
            bar.close()


def _bar(total: int | None, label: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=label, unit=" frames", leave=False, dynamic_ncols=True)
