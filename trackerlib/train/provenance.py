"""What weights were trained on: data sets and their terms, and whether a test table saw it too.

It goes into the metadata of the files of weights, from which the registry's entries take it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from trackerlib.data import manifest, open_dataset
from trackerlib.data.sequence import ImageFiles, Sequence

__all__ = ["DataSet", "data_set", "metadata", "overlaps"]

RESEARCH = "research use; its images may not be passed on"
# Name of a data set -> its terms, and how the names of its sequences begin in a folder of several.
DATA_SETS = {
    "DAVIS-2016": (RESEARCH, "davis_"),
    "UAV123": (RESEARCH, "uav_"),
    "DTB70": (RESEARCH, "dtb_"),
    "UAVDT": (RESEARCH, "uavdt_"),
    "LaSOT": (RESEARCH, "lasot_"),
    "DeepLabCut": (RESEARCH, "dlc_"),
    "GOT-10k": ("CC BY-NC-SA 4.0", "GOT-10k_"),
}
TABLE = "configSeqs.m"  # of UAV123, some of whose names are OTB's by chance: car4, bird1
SIDE = 16  # pixels of what frames are compared by
SAMPLED = 8  # frames of a clip that are compared
MAX_DIFFERENCE = 3.0  # grey levels, root mean square: the same frame in another size, as JPEG
MIN_CONTRAST = 12.0  # grey levels: plain skies are alike in any two videos


class DataSet(NamedTuple):
    """A data set, its terms, and its sequences: trained on, and held out to choose weights by."""

    name: str
    terms: str
    clips: list[str]
    held_out: list[str]


def data_set(folder: Path, name: str) -> str:
    """Return the data set that a sequence of a folder is of; the folder's name if unknown."""
    for known, (_, prefix) in DATA_SETS.items():
        if name.startswith(prefix):
            return known
    return "UAV123" if (folder / TABLE).is_file() else folder.resolve().name


def data_sets(
    folder: Path, clips: Iterable[Sequence], trained: set[str], terms: str
) -> list[DataSet]:
    """Return the data sets of a folder's sequences.

    trained  names of those that are trained on; the others are held out
    terms    of data sets that are not known here
    """
    found: dict[str, DataSet] = {}
    for clip in clips:
        name = data_set(folder, clip.name)
        told = DATA_SETS[name][0] if name in DATA_SETS else terms
        one = found.setdefault(name, DataSet(name, told, [], []))
        (one.clips if clip.name in trained else one.held_out).append(clip.name)
    return list(found.values())


def overlaps(folder: Path, clips: list[Sequence], tests: Iterable[Path] = ()) -> dict[str, str]:
    """Return which sequences a test table has too: name -> how that is known.

    tests  folders of sequences to test on, of which every frame is compared with SAMPLED of each
           clip; of OTB the names suffice

    UAV123's names are not compared with OTB's. Raises what `open_dataset` does for a test folder.
    """
    found = {}
    for clip in clips:
        if clip.benchmark or (
            data_set(folder, clip.name) != "UAV123" and manifest.find(clip.name)
        ):
            found[clip.name] = "a target of OTB has this name"
        elif str(folder) == "embedded":
            found[clip.name] = "it is the embedded benchmark's"
    ours = {clip.name: fingerprints(clip, SAMPLED) for clip in clips} if tests else {}
    for test in tests:
        for other in open_dataset(test).sequences:
            there = fingerprints(other)
            alike = [name for name, frames in ours.items() if _any_alike(frames, there)]
            told = f"it shows frames of {other.name} in {test}"
            found |= {name: told for name in alike if name not in found}
    return found


def fingerprints(sequence: Sequence, most: int | None = None) -> np.ndarray:
    """Return frames (n, SIDE * SIDE) float32 grey, without those that show next to nothing.

    most  frames, evenly spread; None: all
    """
    count = len(sequence)
    picks = np.unique(np.linspace(0, count - 1, min(most or count, count)).round().astype(int))
    rows = [_thumbnail(sequence, int(index)) for index in picks]
    kept = [row for row in rows if row.std() > MIN_CONTRAST]
    return np.stack(kept) if kept else np.empty((0, SIDE * SIDE), np.float32)


def _thumbnail(sequence: Sequence, index: int) -> np.ndarray:
    """Return a frame (SIDE * SIDE,) float32; zeros if it cannot be read."""
    if isinstance(sequence.frames, ImageFiles):
        # A JPEG is decoded at half of its size, in half of the time.
        path = str(sequence.frames.paths[index])
        image = cv2.imread(path, cv2.IMREAD_REDUCED_GRAYSCALE_2)
        if image is None:
            return np.zeros(SIDE * SIDE, np.float32)
    else:
        image = cv2.cvtColor(sequence.frames[index], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32).ravel()


def _any_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a row of one (n, D) is a row of the other (m, D), up to MAX_DIFFERENCE."""
    if not (len(one) and len(other)):
        return False
    # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: one product in place of n * m differences.
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T  # (n, m)
    return bool(squares.min() < MAX_DIFFERENCE**2 * one.shape[1])


def metadata(sets: list[DataSet], overlapping: dict[str, str]) -> dict[str, Any]:
    """Return what a file of weights says of its training: fields of the registry's `Entry`.

    overlapping  of `overlaps`, where that was allowed
    """
    seen = [clip for one in sets if one.name == "UAV123" for clip in one.clips + one.held_out]
    return {
        "licence": "; ".join(f"{one.name}: {one.terms}" for one in sets),
        "trained_on": "; ".join(_line(one) for one in sets),
        "benchmark_seen": _seen(seen, overlapping),
        "data_sets": [one._asdict() for one in sets],
        "uav123_seen": seen,
        "overlaps": [f"{name}: {reason}" for name, reason in overlapping.items()],
    }


def _line(one: DataSet) -> str:
    if not (one.clips or one.held_out):
        return one.name
    chosen = f", chosen on {len(one.held_out)} more" if one.held_out else ""
    return f"{one.name} ({len(one.clips)} sequences{chosen})"


def _seen(uav123: list[str], overlapping: dict[str, str]) -> str:
    mark = f"OVERLAP ALLOWED: {', '.join(overlapping)}" if overlapping else "no OTB target"
    return f"{mark}; UAV123: {', '.join(uav123) or 'none'}"
