"""Annotations that Label Studio exports as JSON, of its template for tracking in videos.

    <root>/export.json                list of tasks, each with data and annotations
    <root>/street.mp4                 the video of a task, by the name at the end of its address,
                                      with or without the 8 letters that Label Studio puts there

    {"type": "videorectangle", "id": "b1", "value": {"framesCount": 131, "labels": ["Car"],
     "sequence": [{"frame": 1, "enabled": true, "rotation": 0,
                   "x": 20.5, "y": 15.6, "width": 58.9, "height": 30.1}, ...]}}

Frames count from 1; x, y, width and height are per cent of the frame. Between key frames the box
moves evenly, and from one with `enabled` false on the target is absent until the next. A rotated
box, which turns about its top left corner, becomes the box around it. Of several annotations of
a task that were not cancelled, the first counts.
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from trackerlib.boxes import polygon_to_xywh
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import (
    MALFORMED,
    Target,
    Videos,
    between_keys,
    find_video,
    named,
    read_json,
    split_targets,
)
from trackerlib.data.video import read_unannotated

__all__ = ["read", "videos"]

KIND, KEYS = "videorectangle", "sequence"
PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of files that were uploaded
PARTS = ("x", "y", "width", "height")


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    found: Videos = {}
    for path in sorted(root.glob("*.json")):
        for task in _tasks(path):
            name = PurePosixPath(PREFIX.sub("", _file(task))).stem or path.stem
            found[name] = partial(read, path, task, name)
    return found


def read(path: Path, task: dict[str, Any], name: str) -> list[Sequence]:
    """Read one task of an export: a sequence for each of its targets.

    Raises FileNotFoundError without the video, ValueError for annotations that do not parse.
    """
    file = _file(task)
    video = named(
        read_unannotated(find_video(path.parent, [file, PREFIX.sub("", file), name])), name
    )
    try:
        targets = _targets(_results(task), video)
    except MALFORMED as error:
        raise ValueError(
            f"{path}: expected targets of Label Studio, got: {type(error).__name__}: {error}"
        ) from error
    return split_targets(video, targets, path)


def _targets(results: list[dict[str, Any]], video: Sequence) -> list[Target]:
    height, width = video.frames[0].shape[:2]
    every = [_keys(result["value"][KEYS], (width, height)) for result in results]
    found = [
        between_keys(label, keys, len(video))
        for label, keys in zip(_labels(results), every, strict=True)
    ]
    return [target for target in found if target]


def _keys(sequence: list[dict[str, Any]], size: tuple[int, int]) -> dict[int, np.ndarray | None]:
    """Return the box at every key frame, and None from where the target is gone."""
    keys: dict[int, np.ndarray | None] = {}
    for key in sorted(sequence, key=lambda key: key["frame"]):
        try:
            keys[int(key["frame"]) - 1] = _box(key, *size)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"expected a key frame with {PARTS}, got {key}") from error
        if not key.get("enabled", True):
            keys[int(key["frame"])] = None  # it is there in the key frame itself
    return keys


def _tasks(path: Path) -> list[dict[str, Any]]:
    """Return the tasks of an export that have boxes in videos; none of other JSON."""
    content = read_json(path)
    tasks = content if isinstance(content, list) else [content]
    return [task for task in tasks if isinstance(task, dict) and _results(task)]


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    annotations = task.get("annotations") or task.get("completions")
    annotations = annotations if isinstance(annotations, list) else []
    kept = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    found = kept[0].get("result") if kept else []
    found = found if isinstance(found, list) else []
    found = [one for one in found if isinstance(one, dict) and one.get("type") == KIND]
    return [one for one in found if isinstance(one.get("value"), dict) and one["value"].get(KEYS)]


def _file(task: dict[str, Any]) -> str:
    """Return the name of a task's video, as its address ends."""
    data = task.get("data")
    values = [task.get("file_upload"), *(data.values() if isinstance(data, dict) else ())]
    address = unquote(next((text for text in values if isinstance(text, str) and text), ""))
    return PurePosixPath(address.rpartition("?d=")[2].partition("?")[0]).name


def _labels(results: list[dict[str, Any]]) -> list[str]:
    plain = [re.sub(r"[^\w.-]+", "_", "+".join(r["value"].get("labels", []))) for r in results]
    counts = Counter(plain)
    numbered = enumerate(plain, start=1)
    return [one if one and counts[one] == 1 else f"{one}{number}" for number, one in numbered]


def _box(key: dict[str, Any], width: int, height: int) -> np.ndarray:
    x, y, w, h = (float(key[part]) for part in PARTS)
    box = np.array([x * width, y * height, w * width, h * height]) / 100
    angle = np.deg2rad(float(key.get("rotation") or 0))
    if not angle:
        return box
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * box[2:]
    return polygon_to_xywh((box[:2] + corners @ turn.T).ravel())
