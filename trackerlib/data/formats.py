"""Formats of data sets by name: how each is recognised, where its truth is, what it says besides.

`open_dataset` recognises the format by the layout of the folder, or is told by its name
(`--format`). The module of a format describes its files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trackerlib.data import (
    cvat,
    davis,
    label_studio,
    mot,
    nfs,
    otb,
    temple_color,
    trackingnet,
    uav123,
    via,
    video_folder,
)
from trackerlib.data.got10k import is_got10k, read_got10k
from trackerlib.data.lasot import read_lasot
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import Videos
from trackerlib.data.vot import read_vot

__all__ = ["FORMATS", "Format", "by_folder", "by_layout", "chosen", "reader_of"]


@dataclass(frozen=True)
class Format:
    """A format of data sets.

    layout  what in the folder tells it
    truth   where boxes are, and from which pixel they count
    flags   what it says of absence and visibility
    videos  folder -> its videos by name, each with what reads the sequences of its targets
    """

    layout: str
    truth: str
    flags: str
    videos: Callable[[Path], Videos]


def reader_of(folder: Path) -> Callable[[Path], Sequence]:
    """Return what reads a folder with a groundtruth.txt: of LaSOT, GOT-10k or VOT."""
    if (folder / "img").is_dir():
        return read_lasot
    return read_got10k if is_got10k(folder) else read_vot


def by_folder(
    root: Path, read: Callable[[Path], Sequence] | None = None, truth: str = "groundtruth.txt"
) -> Videos:
    """Return the folders of one target each, in a folder or in those of its classes or sets.

    read  of all of them; else each one's own, see `reader_of`

    Raises ValueError where two have one name.
    """
    paths = sorted(root.glob(f"*/{truth}")) or sorted(root.glob(f"*/*/{truth}"))
    folders = [path.parent for path in paths]
    if truth == "groundtruth.txt":
        folders = [one for one in folders if not any(one.glob("groundtruth_rect*.txt"))]
    found: dict[str, Path] = {}
    for folder in folders:
        if (other := found.setdefault(folder.name, folder)) != folder:
            raise ValueError(
                f"{root}: expected one sequence of the name {folder.name}, got it from "
                f"{other.parent.name}/ and {folder.parent.name}/; open one of these"
            )
    return {name: partial(_alone, read or reader_of(path), path) for name, path in found.items()}


def by_layout(root: Path) -> Videos:
    """Return the videos of the first of the formats without a module's folder that is there."""
    names = ("trackingnet", "nfs", "davis", "mot", "cvat", "label-studio", "via", "videos")
    for name in names if root.is_dir() else ():
        if videos := FORMATS[name].videos(root):
            return videos
    return {}


def chosen(root: Path, videos: Videos, names: list[str] | None) -> Videos:
    """Return the videos, or targets of videos (`street-2`), of the given names.

    Raises ValueError for a name that can be neither.
    """
    if names is None:
        return videos
    found: Videos = {}
    for name in names:
        parts = [video for video in videos if name.startswith(f"{video}-")]
        if name in videos:
            found[name] = videos[name]
        elif parts:
            found[name] = partial(_target, videos[max(parts, key=len)], name)
        else:
            raise ValueError(
                f"expected names of sequences in {root} ({', '.join(videos)}), got {name}"
            )
    return found


def _target(read: Callable[[], list[Sequence]], name: str) -> list[Sequence]:
    sequences = read()
    if found := [sequence for sequence in sequences if sequence.name == name]:
        return found
    there = ", ".join(sequence.name for sequence in sequences)
    raise ValueError(f"expected one of the targets {there}, got {name}")


def _alone(read: Callable[..., Sequence], *arguments: object) -> list[Sequence]:
    return [read(*arguments)]


def _of_otb(root: Path) -> Videos:
    return {t.name: partial(_alone, otb.read_target, t) for t in otb.list_targets(root)}


def _listed(root: Path, kind: object) -> Videos:
    names, read = kind.names, kind.read  # type: ignore[attr-defined]
    return {name: partial(_alone, read, root, name) for name in names(root)}


FORMATS = {
    "otb": Format(
        "<name>/groundtruth_rect.txt, or <name>/img/",
        "groundtruth_rect.txt, .1.txt, .2.txt; 1-based",
        "NaN; visibility.txt",
        _of_otb,
    ),
    "dtb70": Format(
        "as OTB's; only by its name, so that no video is taken for OTB's",
        "<name>/groundtruth_rect.txt, 1-based",
        "NaN",
        partial(by_folder, read=otb.read_sequence, truth="groundtruth_rect.txt"),
    ),
    "lasot": Format(
        "<name>/groundtruth.txt with img/, also <class>/<name>/",
        "groundtruth.txt, 0-based",
        "full_occlusion.txt, out_of_view.txt",
        partial(by_folder, read=read_lasot),
    ),
    "got10k": Format(
        "<name>/groundtruth.txt with absence.label or such, also <set>/<name>/",
        "groundtruth.txt, 0-based",
        "absence.label, cover.label",
        partial(by_folder, read=read_got10k),
    ),
    "vot": Format(
        "<name>/groundtruth.txt with images or color/",
        "groundtruth.txt, rectangles or polygons, 0-based",
        "NaN",
        partial(by_folder, read=read_vot),
    ),
    "uav123": Format(
        "configSeqs.m", "anno/<set>/<name>.txt, 1-based", "NaN", partial(_listed, kind=uav123)
    ),
    "temple-color": Format(
        "<name>/<name>_gt.txt",
        "<name>/<name>_gt.txt, 1-based",
        "NaN",
        partial(_listed, kind=temple_color),
    ),
    "trackingnet": Format(
        "anno/ and frames/, also <chunk>/anno/",
        "anno/<name>.txt, 0-based",
        "NaN",
        trackingnet.videos,
    ),
    "nfs": Format(
        "<name>/240/<name>.txt or <name>/30/<name>.txt",
        "that file: edges, 0-based",
        "lost, occluded",
        nfs.videos,
    ),
    "davis": Format(
        "JPEGImages/ and Annotations/",
        "a mask of indices per frame, each a target",
        "absent where a mask lacks the index",
        davis.videos,
    ),
    "mot": Format(
        "<name>/gt/gt.txt, also <set>/<name>/gt/gt.txt",
        "gt.txt, each id a target, 1-based",
        "visibility; absent where a frame has no row",
        mot.videos,
    ),
    "cvat": Format(
        "<name>.xml or <name>/annotations.xml",
        "each track a target, edges, 0-based",
        "outside, occluded",
        cvat.videos,
    ),
    "label-studio": Format(
        "<any>.json with videorectangle",
        "key frames, per cent of the frame",
        "enabled",
        label_studio.videos,
    ),
    "via": Format(
        "<name>.json or <name>.csv of VIA",
        "regions, 0-based",
        "none: other frames are not annotated",
        via.videos,
    ),
    "videos": Format(
        "<name>.mp4 or <name>/ with <name>.txt or <name>.csv",
        "that file, 0-based",
        "NaN; columns visibility, absent, lost",
        video_folder.videos,
    ),
}
