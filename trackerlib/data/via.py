"""Annotations that the VGG Image Annotator exports, of frames (VIA 2) or of a video (VIA 3).

    <root>/street.json or street.csv     VIA 2: rectangles and polygons by the names of images
    <root>/street/ or images/            the images, or beside the file
    <root>/street.json or street.csv     VIA 3: rectangles by seconds of the video that it names

A target is told by the first of the attributes track, id, target, name and label that a region
has, in VIA 3 by all its attributes; regions without any are one target. A target's sequence goes
from its first to its last annotated frame; nothing is known of those between that are not
annotated, whose box is NaN. Boxes are 0-based; polygons, circles and ellipses become the box
around them.

Dutta, Zisserman: The VIA annotation software for images, audio and video. ACM MM 2019.
"""

import csv
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from trackerlib.boxes import polygon_to_xywh
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import (
    MALFORMED,
    Videos,
    around_ellipse,
    find_video,
    from_known,
    named,
    read_json,
    split_targets,
)
from trackerlib.data.video import read_unannotated

__all__ = ["read", "videos"]

IDENTITIES = ("track", "id", "target", "name", "label")
COLUMN = "region_shape_attributes"
TIMED = ("metadata_id", "file_list", "flags", "z", "xy", "av")  # columns of VIA 3's CSV
TIMED_HEADER = "# CSV_HEADER = metadata_id,file_list"
RECTANGLE = 2  # VIA 3's number of this shape


class Region(NamedTuple):
    """A box, where it is, and of which target."""

    file: str  # image, or video
    time: float | None  # seconds, in a video
    label: str
    box: np.ndarray


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    paths = [*sorted(root.glob("*.json")), *sorted(root.glob("*.csv"))]
    return {path.stem: partial(read, path) for path in paths if _entries(path) is not None}


def read(path: Path) -> list[Sequence]:
    """Read one export: a sequence for each of its targets.

    Raises FileNotFoundError without the video or images, ValueError for regions that are no
    rectangles or polygons, or two of one target in one frame.
    """
    try:
        regions = list(_regions(_entries(path)))
    except MALFORMED as error:
        raise ValueError(
            f"{path}: expected regions of VIA, got: {type(error).__name__}: {error}"
        ) from error
    if not regions:
        raise ValueError(f"{path}: expected a region with a box, found none")
    source = path.parent
    beside = (source / regions[0].file).is_file() and regions[0].time is None
    if not beside:
        source = find_video(path.parent, [path.stem, PurePosixPath(regions[0].file).name])
    video = named(read_unannotated(source), path.stem)
    known: dict[str, dict[int, np.ndarray]] = {}
    for region in regions:
        index = _index(region, video, path)
        if index in known.setdefault(region.label, {}):
            raise ValueError(
                f"{path}: expected one box of target {region.label!r} in {region.file}"
                f"{'' if region.time is None else f' at {region.time} s'}, got two; give each "
                "target an attribute `track` of its own"
            )
        known[region.label][index] = region.box
    targets = [
        from_known(label or str(number), boxes)
        for number, (label, boxes) in enumerate(known.items(), start=1)
    ]
    return split_targets(video, targets, path)


def _entries(path: Path) -> Any:
    """Return what an export of VIA holds; None of another file."""
    if path.suffix.lower() == ".csv":
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        try:
            if TIMED_HEADER in text:
                return _project(text.splitlines())
            rows = csv.DictReader(text.removeprefix("#").splitlines())  # of VIA 1: #filename
            return list(rows) if COLUMN in text[:4096] else None
        except (csv.Error, *MALFORMED):
            return None
    content = read_json(path)
    if not isinstance(content, dict):
        return None
    if {"project", "metadata", "view", "file"} <= content.keys():
        return content
    entries = content.get("_via_img_metadata", content)
    first = next(iter(entries.values()), None) if isinstance(entries, dict) else None
    is_ours = isinstance(first, dict) and {"filename", "regions"} <= first.keys()
    return {"images": entries} if is_ours else None


def _project(lines: list[str]) -> dict[str, Any]:
    """Return what VIA 3 exports as CSV as it saves it in a project."""
    told = [line.partition("ATTRIBUTE = ")[2] for line in lines if line.startswith("#")]
    rows = list(csv.DictReader((one for one in lines if one[:1] != "#"), TIMED))
    metadata = {
        str(number): {"vid": str(number)} | {key: json.loads(row[key]) for key in TIMED[3:]}
        for number, row in enumerate(rows)
    }
    return {
        "metadata": metadata,
        "attribute": json.loads(next(filter(None, told), "{}")),
        "view": {number: {"fid_list": [number]} for number in metadata},
        "file": {
            number: {"fname": json.loads(row["file_list"])[0]}
            for number, row in zip(metadata, rows, strict=True)
        },
    }


def _regions(entries: Any) -> Iterator[Region]:
    if isinstance(entries, list):
        for row in entries:
            shape, attributes = json.loads(row[COLUMN]), json.loads(row["region_attributes"])
            if shape:
                yield Region(row["filename"], None, _label(attributes), _box(shape))
    elif "images" in entries:
        for entry in entries["images"].values():
            regions = entry["regions"]
            for one in regions.values() if isinstance(regions, dict) else regions:
                box = _box(one["shape_attributes"])
                yield Region(entry["filename"], None, _label(one["region_attributes"]), box)
    else:
        yield from _timed(entries)


def _timed(project: dict[str, Any]) -> Iterator[Region]:
    """Yield the rectangles of a project of VIA 3; its spans of time without one are no targets."""
    for one in project["metadata"].values():
        if not one["xy"]:
            continue
        if one["xy"][0] != RECTANGLE:
            raise ValueError(f"a region of shape {one['xy'][0]} and not a rectangle")
        file = project["file"][str(project["view"][one["vid"]]["fid_list"][0])]["fname"]
        attributes = project.get("attribute", {})
        values = [
            attributes.get(key, {}).get("options", {}).get(str(value), str(value))
            for key, value in sorted(one.get("av", {}).items())
        ]
        time = float(one["z"][0]) if one["z"] else None
        if time is not None and not np.isfinite(time):
            raise ValueError(f"a region at {time} s")
        yield Region(file, time, _plain("+".join(values)), _finite(np.array(one["xy"][1:5])))


def _label(attributes: dict[str, Any]) -> str:
    found = (attributes[key] for key in IDENTITIES if attributes.get(key) not in (None, "", {}))
    value = next(found, "")
    # Of check boxes, those that are ticked.
    return _plain("+".join(value) if isinstance(value, dict) else str(value))


def _plain(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", text)


def _box(shape: dict[str, Any]) -> np.ndarray:
    if shape["name"] == "rect":
        return _finite(np.array([shape[key] for key in ("x", "y", "width", "height")]))
    if shape["name"] in ("polygon", "polyline"):
        corners = np.stack((shape["all_points_x"], shape["all_points_y"]), -1)
        return _finite(polygon_to_xywh(corners.astype(np.float64).ravel()))
    if shape["name"] in ("circle", "ellipse"):
        centre = np.array([shape["cx"], shape["cy"]], dtype=np.float64)
        radii = [shape.get("rx", shape.get("r")), shape.get("ry", shape.get("r"))]
        degrees = np.rad2deg(float(shape.get("theta", 0)))
        return _finite(around_ellipse(centre, np.array(radii, dtype=np.float64), degrees))
    raise ValueError(f"a region of shape {shape['name']}, around which there is no box")


def _finite(numbers: np.ndarray) -> np.ndarray:
    """Return a box (4,) float64. Raises ValueError for other numbers."""
    box = numbers.astype(np.float64)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise ValueError(f"a region with {numbers.tolist()} where four finite numbers should be")
    return box


def _index(region: Region, video: Sequence, path: Path) -> int:
    """Return the index of a region's frame in the video."""
    if region.time is not None and video.times is not None:
        return int(np.abs(video.times - region.time).argmin())
    names = [image.name for image in getattr(video.frames, "paths", ())]
    name = PurePosixPath(region.file).name
    if name not in names:
        raise ValueError(f"{path}: expected regions of images that are there, found no {name}")
    return names.index(name)
