"""Annotations that Label Studio exports as JSON or JSON-MIN, of its template for videos.

    <root>/export.json                list of tasks, each with data and annotations
    <root>/street.mp4                 the video of a task, by the name at the end of its address,
                                      with or without the 8 letters that Label Studio puts there

    {"type": "videorectangle", "id": "b1", "value": {"framesCount": 131, "labels": ["Car"],
     "sequence": [{"frame": 1, "enabled": true, "rotation": 0,
                   "x": 20.5, "y": 15.6, "width": 58.9, "height": 30.1}, ...]}}

JSON-MIN has what is in a `value` here under the name of the control: {"video": ..., "box": [...]}.

Frames count from 1; x, y, width and height are per cent of the frame. Label Studio counts by the
rate that its template names, 24 per second where it names none: where `framesCount` is not that
of the video, its frames are spread evenly over those of the video. Between key frames the box
moves evenly, and from one with `enabled` false on the target is absent until the next. A rotated
box, which turns about its top left corner, becomes the box around it. Of several annotations of
a task that were not cancelled, the first counts. Videos of one name in several tasks get the
task's id: street-7.
"""

import re
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import (
    MALFORMED,
    VIDEO_ENDINGS,
    Target,
    Videos,
    between_keys,
    find_video,
    named,
    read_json,
    split_targets,
    turned,
)
from trackerlib.data.video import read_unannotated

__all__ = ["read", "videos"]

KIND, KEYS = "videorectangle", "sequence"
PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of files that were uploaded
PARTS = ("x", "y", "width", "height")


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    tasks: dict[tuple[str, str], tuple[Path, dict[str, Any]]] = {}
    for path in sorted(root.glob("*.json")):
        for number, task in enumerate(_tasks(path), start=1):
            name = PurePosixPath(PREFIX.sub("", _file(task))).stem or path.stem
            known = (name, str(task.get("id", number)))
            if (other := tasks.setdefault(known, (path, task))[0]) != path:
                raise ValueError(
                    f"{root}: expected one export of task {known[1]}, {name}, got it in "
                    f"{other.name} and {path.name}; leave one of them out"
                )
    counts = Counter(name for name, _ in tasks)
    found: Videos = {}
    for (name, identity), (path, task) in tasks.items():
        label = name if counts[name] == 1 else f"{name}-{identity}"
        found[label] = partial(read, path, task, label)
    return found


def read(path: Path, task: dict[str, Any], name: str) -> list[Sequence]:
    """Read one task of an export: a sequence for each of its targets.

    Raises FileNotFoundError without the video, ValueError for annotations that do not parse.
    """
    file = _file(task)
    plain = PREFIX.sub("", file)
    names = [file, plain, PurePosixPath(plain).stem, name]
    video = named(read_unannotated(find_video(path.parent, names)), name)
    try:
        results = _results(task)
        targets = _targets(results, video)
        if counts := {_count(one, video) for one in results} - {len(video)}:
            note = f"{name}: labelled as {max(counts)} frames, spread over the {len(video)} there"
            video = replace(video, warnings=(*video.warnings, note))
    except MALFORMED as error:
        raise ValueError(
            f"{path}: expected targets of Label Studio, got: {type(error).__name__}: {error}"
        ) from error
    return split_targets(video, targets, path)


def _targets(results: list[dict[str, Any]], video: Sequence) -> list[Target]:
    height, width = video.frames[0].shape[:2]
    every = [
        _keys(result["value"][KEYS], (width, height), (_count(result, video), len(video)))
        for result in results
    ]
    found = [
        between_keys(label, keys, len(video))
        for label, keys in zip(_labels(results), every, strict=True)
    ]
    return [target for target in found if target]


def _count(result: dict[str, Any], video: Sequence) -> int:
    """Return the number of frames that Label Studio counted; the video's where it is one off."""
    told = int(result["value"].get("framesCount") or len(video))
    return told if abs(told - len(video)) > 1 else len(video)


def _keys(
    sequence: list[dict[str, Any]], size: tuple[int, int], counts: tuple[int, int]
) -> dict[int, np.ndarray | None]:
    """Return the box at every key frame, and None from where the target is gone.

    counts  frames as Label Studio counts them, and those of the video
    """
    keys: dict[int, np.ndarray | None] = {}
    for key in sorted(sequence, key=lambda key: key["frame"]):
        try:
            index = (int(key["frame"]) - 1) * counts[1] // counts[0]
            keys[index] = _box(key, *size)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"expected a key frame with {PARTS}, got {key}") from error
        if not key.get("enabled", True):
            keys[index + 1] = None  # it is there in the key frame itself
    return keys


def _tasks(path: Path) -> list[dict[str, Any]]:
    """Return the tasks of an export that have boxes in videos; none of other JSON."""
    content = read_json(path)
    tasks = content if isinstance(content, list) else [content]
    return [task for task in tasks if isinstance(task, dict) and _results(task)]


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    annotations = task.get("annotations") or task.get("completions")
    if isinstance(annotations, list):
        kept = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
        found = kept[0].get("result") if kept else []
        found = found if isinstance(found, list) else []
        found = [one for one in found if isinstance(one, dict) and one.get("type") == KIND]
    else:  # of JSON-MIN
        lists = (value for value in task.values() if isinstance(value, list))
        found = [{"value": value} for values in lists for value in values]
    return [one for one in found if isinstance(one.get("value"), dict) and one["value"].get(KEYS)]


def _file(task: dict[str, Any]) -> str:
    """Return the name of a task's video, as its address ends."""
    data = task.get("data", task)
    values = [*(data.values() if isinstance(data, dict) else ()), task.get("file_upload")]
    texts = (unquote(text) for text in values if isinstance(text, str))
    names = [PurePosixPath(text.rpartition("?d=")[2].partition("?")[0]).name for text in texts]
    # Beside the video's address, a task may have any text, and the name of a list of tasks.
    is_video = [name.lower().endswith(VIDEO_ENDINGS) for name in names]
    return names[is_video.index(True)] if any(is_video) else next(filter(None, names), "")


def _labels(results: list[dict[str, Any]]) -> list[str]:
    plain = [re.sub(r"[^\w.-]+", "_", "+".join(r["value"].get("labels", []))) for r in results]
    counts = Counter(plain)
    numbered = enumerate(plain, start=1)
    return [one if one and counts[one] == 1 else f"{one}{number}" for number, one in numbered]


def _box(key: dict[str, Any], width: int, height: int) -> np.ndarray:
    x, y, w, h = (float(key[part]) for part in PARTS)
    box = np.array([x * width, y * height, w * width, h * height]) / 100
    return turned(box, float(key.get("rotation") or 0), (0.0, 0.0))
