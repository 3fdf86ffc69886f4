"""What formats of several targets in one video share: from annotations to sequences.

A target begins where it is first marked. A frame in which it is absent has a box of NaN and
visibility 0; one that is not annotated has a box of NaN.
"""

import json
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Ordered
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trackerlib.boxes import polygon_to_xywh
from trackerlib.data.rows import truth_notes
from trackerlib.data.sequence import Sequence

__all__ = [
    "MALFORMED",
    "VIDEO_ENDINGS",
    "Target",
    "Videos",
    "around_ellipse",
    "between_keys",
    "find_video",
    "from_known",
    "named",
    "read_json",
    "split_targets",
    "turned",
]

Videos = dict[str, Callable[[], list[Sequence]]]  # name of a video -> what reads its targets
VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".gif")
MALFORMED = (  # what reading nested annotations raises where they are of another form
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class Target:
    """One target in part of a video.

    label       names it among others
    first       index of its first frame in the video
    boxes       (n, 4) x, y, w, h, 0-based, from there on
    visibility  (n,) visible fraction: 0 where it is absent, NaN where it is covered in part
    """

    label: str
    first: int
    boxes: np.ndarray
    visibility: np.ndarray | None = None


def split_targets(video: Sequence, targets: Ordered[Target], path: Path) -> list[Sequence]:
    """Return a sequence for each target of a video: `street-1`, or `street` for a single one.

    path  of the annotations, for messages

    Raises ValueError where there is no target, or where annotations go on after the video ends.
    """
    if not targets:
        raise ValueError(f"{path}: expected a target with a box, found none for {video.name}")
    found = []
    for target in targets:
        end = target.first + len(target.boxes)
        if end > len(video):
            raise ValueError(
                f"{path}: expected annotations of the {len(video)} frames of {video.name}, got "
                f"some of frame {end} (target {target.label})"
            )
        whole = target.first == 0 and end == len(video)
        part = video if whole else video.part(range(target.first, end))
        name = f"{video.name}-{target.label}" if len(targets) > 1 else video.name
        notes = truth_notes(path, target.boxes, part.frame_numbers)
        sequence = replace(
            part,
            name=name,
            boxes=target.boxes,
            visibility=target.visibility,
            warnings=(*video.warnings, *(f"{name}: {note}" for note in notes)),
        )
        found.append(sequence)
    return found


def read_json(path: Path) -> Any:
    """Return what a file of JSON holds; None where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):  # no JSON, or [[[[...
        return None


def between_keys(label: str, keys: Mapping[int, np.ndarray | None], length: int) -> Target | None:
    """Return a target whose box moves evenly from one key frame to the next.

    keys    index of a frame -> box (4,), or None from where on the target is absent
    length  of the video; the last key holds until its end

    None where no key has a box. Raises ValueError for a box in no frame of the video, or one that
    is not finite.
    """
    boxed = {index: box for index, box in keys.items() if box is not None}
    if not boxed:
        return None
    first, last, end = min(boxed), max(boxed), length
    if first < 0 or last >= end:
        raise ValueError(
            f"expected annotations of the {length} frames of the video, got some of frame "
            f"{(first if first < 0 else last) + 1} (target {label})"
        )
    if odd := [index for index, box in boxed.items() if not np.isfinite(box).all()]:
        raise ValueError(f"expected finite boxes, got {boxed[odd[0]]} in frame {odd[0] + 1}")
    boxes, visibility = np.full((end - first, 4), np.nan), np.zeros(end - first)
    ordered = sorted((index, box) for index, box in keys.items() if first <= index < end)
    for (start, box), (stop, other) in pairwise([*ordered, (end, None)]):
        if box is None:
            continue
        share = np.arange(stop - start)[:, None] / (stop - start)
        other = box if other is None else other
        boxes[start - first : stop - first] = box + share * (other - box)
        visibility[start - first : stop - first] = 1
    return Target(label, first, boxes, visibility)


def from_known(
    label: str, known: Mapping[int, np.ndarray], visible: Mapping[int, float] | None = None
) -> Target:
    """Return a target from its first to its last annotated frame.

    known    index of a frame -> box (4,)
    visible  index -> visible fraction, where the format says that other frames lack the target;
             None where nothing is known of those
    """
    first, last = min(known), max(known)
    boxes = np.full((last + 1 - first, 4), np.nan)
    for index, box in known.items():
        boxes[index - first] = box
    if visible is None:
        return Target(label, first, boxes)
    visibility = [visible.get(index, 0.0) for index in range(first, last + 1)]
    return Target(label, first, boxes, np.array(visibility))


def find_video(folder: Path, names: Ordered[str]) -> Path:
    """Return the video or folder of images that annotations belong to.

    folder  beside or in which it is
    names   by which it may go, the likeliest first; else a folder `images` or the only video

    Raises FileNotFoundError where there is none, or several.
    """
    for name in filter(None, names):
        stems = [folder / name, *(folder / f"{name}{ending}" for ending in VIDEO_ENDINGS)]
        if there := next((path for path in stems if path.exists()), None):
            return there
    if (folder / "images").is_dir():
        inside = sorted(path for path in (folder / "images").iterdir() if path.is_dir())
        return inside[0] if len(inside) == 1 else folder / "images"
    videos = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in VIDEO_ENDINGS]
    if len(videos) == 1:
        return videos[0]
    found = f"{len(videos)} videos" if videos else "no video"
    raise FileNotFoundError(
        f"{folder}: expected a video or folder of images of the name "
        f"{' or '.join(filter(None, names))}, found {found}; put it there"
    )


def turned(box: np.ndarray, degrees: float, pivot: tuple[float, float]) -> np.ndarray:
    """Return the box around a box (4,) that is turned clockwise.

    pivot  about which it turns, as shares of its width and height: (0.5, 0.5) is the centre
    """
    if not degrees:
        return box
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - pivot) * box[2:]
    return polygon_to_xywh((box[:2] + box[2:] * pivot + corners @ turn.T).ravel())


def around_ellipse(centre: np.ndarray, radii: np.ndarray, degrees: float = 0) -> np.ndarray:
    """Return the box (4,) around an ellipse of two radii that is turned about its centre."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.sqrt((turn * radii) ** 2 @ np.ones(2))
    return np.concatenate((centre - half, 2 * half))


def named(video: Sequence, name: str) -> Sequence:
    """Return a video under another name, in its warnings too."""
    notes = tuple(line.replace(f"{video.name}: ", f"{name}: ", 1) for line in video.warnings)
    return replace(video, name=name, warnings=notes)
