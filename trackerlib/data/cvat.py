"""Annotations that CVAT exports as "CVAT for video 1.1": tracks in XML.

    <root>/street.xml, street.mp4                 or a folder street/ of images
    <root>/<task>/annotations.xml, images/ ...    or one video, or the one that the file names

    <track id="0" label="car">
      <box frame="0" outside="0" occluded="0" keyframe="1" xtl="10" ytl="5" xbr="30" ybr="25"/>

Frames count from 0, images in the order of their names; boxes are edges, 0-based. From a box with
outside="1" on the target is absent, until the next one. CVAT writes a box for every frame; between
those of an export that has key frames alone, the box moves evenly. Where it is occluded, its
visible fraction is not known (NaN). Polygons, polylines, points, ellipses and what is rotated
(clockwise about its centre) become the box around them.

A target is named by its label, if no other has it, else by label and id: street-car2.
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from trackerlib.boxes import polygon_to_xywh, xyxy_to_xywh
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import (
    Target,
    Videos,
    around_ellipse,
    between_keys,
    find_video,
    named,
    split_targets,
    turned,
)
from trackerlib.data.video import read_unannotated

__all__ = ["read", "videos"]

CORNERS = ("xtl", "ytl", "xbr", "ybr")
RADII = ("cx", "cy", "rx", "ry")
POINTED = ("polygon", "polyline", "points")
FILE = "annotations.xml"


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    paths = [*sorted(root.glob("*.xml")), *sorted(root.glob(f"*/{FILE}"))]
    ours = [path for path in paths if _is_ours(path)]
    return {_name(path): partial(read, path) for path in ours}


def read(path: Path) -> list[Sequence]:
    """Read one video's annotations: a sequence for each track.

    Raises FileNotFoundError without the video, ValueError for XML that is not CVAT's.
    """
    try:
        parser = ElementTree.XMLParser(target=_WithoutDoctype())  # noqa: S314, so without entities
        document = ElementTree.parse(path, parser).getroot()  # noqa: S314, by that parser
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: expected XML of CVAT, got: {error}") from error
    if len(tasks := document.findall(".//meta//tasks/task")) > 1:
        raise ValueError(
            f"{path}: expected one task, got the {len(tasks)} of a project; export each by itself"
        )
    source = document.findtext(".//meta//source") or ""
    name = _name(path)
    video = named(read_unannotated(find_video(path.parent, [name, Path(source).name])), name)
    tracks = document.findall("track")
    if not tracks:
        raise ValueError(
            f'{path}: expected tracks, found none; export the task as "CVAT for video 1.1"'
        )
    labels = _labels(tracks)
    try:
        found = [
            _target(track, label, len(video)) for track, label in zip(tracks, labels, strict=True)
        ]
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return split_targets(video, [target for target in found if target], path)


class _WithoutDoctype(ElementTree.TreeBuilder):
    """What XML holds, refused where it declares a document type, and so could have entities."""

    def doctype(self, name: str, _public: str | None, _system: str | None) -> None:
        raise ElementTree.ParseError(f"a document type, {name!r}, which CVAT never writes")


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    return b"<annotations" in start and (b"<version>" in start or b"<track" in start)


def _name(path: Path) -> str:
    return path.parent.resolve().name if path.name == FILE else path.stem


def _labels(tracks: list[ElementTree.Element]) -> list[str]:
    plain = [re.sub(r"[^\w.-]+", "_", track.get("label", "")) for track in tracks]
    counts = Counter(plain)
    return [
        label if label and counts[label] == 1 else f"{label}{track.get('id', number)}"
        for number, (track, label) in enumerate(zip(tracks, plain, strict=True))
    ]


def _target(track: ElementTree.Element, label: str, length: int) -> Target | None:
    keys: dict[int, np.ndarray | None] = {}
    occluded = set()
    for shape in track:
        index = int(shape.get("frame", -1))
        outside = shape.get("outside") == "1"
        keys[index] = None if outside else _box(shape)
        if shape.get("occluded") == "1":
            occluded.add(index)
    target = between_keys(label, keys, length)
    if target is None or target.visibility is None:
        return None
    covered = [index - target.first for index in occluded if keys[index] is not None]
    target.visibility[covered] = np.nan
    return target


def _box(shape: ElementTree.Element) -> np.ndarray:
    try:
        degrees = float(shape.get("rotation", 0))
        if shape.tag == "box":
            box = xyxy_to_xywh(np.array([float(shape.attrib[key]) for key in CORNERS]))
            return turned(box, degrees, (0.5, 0.5))
        if shape.tag == "ellipse":
            numbers = np.array([float(shape.attrib[key]) for key in RADII])
            return around_ellipse(numbers[:2], numbers[2:], degrees)
        if shape.tag in POINTED:
            points = re.split(r"[;,]", shape.attrib["points"])
            return polygon_to_xywh(np.array(points, dtype=np.float64))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"expected numbers for {shape.tag} in frame {shape.get('frame')}, got: {error}"
        ) from error
    raise ValueError(
        f"expected boxes or polygons, got {shape.tag} in frame {shape.get('frame')}; "
        "convert it in CVAT, or leave that track out"
    )
