"""Sequences in the folder format of the OTB benchmark.

    <root>/<Video>/img/0001.jpg ...
    <root>/<Video>/groundtruth_rect.txt      one row x, y, w, h per frame, 1-based
    <root>/<Video>/groundtruth_rect.2.txt    in videos of two targets
    <root>/<Video>/attrs.txt                 optional: OCC, FM
    <root>/<Video>/visibility.txt            optional: one number per frame

The benchmark's own 100 targets take their frame range and attributes from the
manifest, any other folder from what it holds. Row i belongs to image start + i.

Wu, Lim, Yang. Object Tracking Benchmark. TPAMI 2015.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackerlib.boxes import otb_to_xywh
from trackerlib.data.manifest import Entry, find, ground_truth_file, locate
from trackerlib.data.rows import check_length, read_rows, runs
from trackerlib.data.sequence import ImageFiles, Sequence, fill_gaps, image_files

__all__ = ["Target", "list_targets", "read_otb", "read_sequence"]


@dataclass(frozen=True)
class Target:
    """A target to read; its `folder` may be missing, and only the benchmark's have an `entry`."""

    name: str
    folder: Path | None
    entry: Entry | None

    @property
    def video(self) -> str:
        """Return the name of the folder that it is in, or should be."""
        return self.entry.folder if self.entry else self.name


def read_otb(root: str | Path, names: list[str] | None = None) -> list[Sequence]:
    """Read the sequences of a folder, all or by name.

    Names may be spelt as in other toolkits (`Jogging.1`, `faceocc1`).
    Raises FileNotFoundError for what is missing, ValueError for a broken ground truth.
    """
    targets = list_targets(root, names)
    absent = [target.name for target in targets if target.folder is None]
    if absent:
        raise FileNotFoundError(f"read_otb: {root} has no folder for {', '.join(absent)}")
    return [read_sequence(t.folder, t.entry) for t in targets if t.folder]


def list_targets(root: str | Path, names: list[str] | None = None) -> list[Target]:
    """List the targets in a folder, or those of the given names, with or without a folder.

    Raises FileNotFoundError if the root is not a folder; ValueError for a name
    that is neither in the benchmark nor in the root.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: expected a folder of OTB sequences")
    folders = {path.name: path for path in sorted(root.iterdir()) if _is_sequence(path)}
    targets: dict[str, Target] = {}
    for name in folders if names is None else names:
        if entries := find(name):
            targets |= {
                entry.name: Target(entry.name, locate(root, entry), entry) for entry in entries
            }
        elif name in folders:
            targets[name] = Target(name, folders[name], None)
        else:
            raise ValueError(
                f"expected names of OTB-100 targets or of sequences in {root} "
                f"({', '.join(folders) or 'there is none'}), got {name!r}"
            )
    return list(targets.values())


def _is_sequence(folder: Path) -> bool:
    return (folder / "img").is_dir() or any(folder.glob("groundtruth_rect*.txt"))


def read_sequence(folder: str | Path, entry: Entry | None = None) -> Sequence:
    """Read one target: a folder, and what the manifest knows of it.

    Missing images are no error here: they come as FrameError when they are read.
    Nor are boxes with a number that is NaN, zero or negative: they are a warning.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse
    or has not one row per frame.
    """
    folder = Path(folder)
    files = _listed(folder, entry) if entry else fill_gaps(image_files(folder / "img"))
    numbers = np.array(list(files))
    path = ground_truth_file(folder, entry.target if entry else None)
    rows = read_rows(path)
    check_length(path, rows, numbers)
    name = entry.name if entry else folder.name
    unusable = numbers[~(rows > 0).all(1)]
    notes = [f"{path.name}: no positive box in frames {runs(unusable)}"] if len(unusable) else []
    notes += _unused_images(folder / "img", entry) if entry else []
    return Sequence(
        name=name,
        frames=ImageFiles(tuple(files.values())),
        boxes=otb_to_xywh(rows),
        frame_numbers=numbers,
        visibility=_visibility(folder / "visibility.txt", numbers),
        attributes=entry.attributes if entry else _attributes(folder / "attrs.txt"),
        initial_omits=entry.initial_omits if entry else (),
        warnings=tuple(f"{name}: {note}" for note in notes),
    )


def _listed(folder: Path, entry: Entry) -> dict[int, Path]:
    return {number: folder / "img" / entry.image(number) for number in entry.numbers}


def _visibility(path: Path, numbers: np.ndarray) -> np.ndarray | None:
    if not path.is_file():
        return None
    rows = read_rows(path, widths=(1,))
    check_length(path, rows, numbers)
    return rows[:, 0]


def _attributes(path: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", path.read_text())) if path.is_file() else ()


def _unused_images(folder: Path, entry: Entry) -> list[str]:
    count = len(list(folder.glob("[!.]*.jpg")))
    if count <= entry.frames:
        return []
    first, last = entry.numbers[0], entry.numbers[-1]
    return [f"{folder}: {count} images, of which the benchmark uses {first} to {last}"]
