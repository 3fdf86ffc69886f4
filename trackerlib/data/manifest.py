"""What the OTB-100 benchmark is: its 100 targets, and whether a folder holds them.

The table is data/otb100.json, one line per target. It has no ground truth, but
checksums of it: one of the whole, and one of every BLOCK rows, so that a check
can name the rows that differ.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from trackerlib.data.numbering import image_suffixes
from trackerlib.data.rows import read_rows, runs
from trackerlib.data.sequence import FrameError, read_image
from trackerlib.paths import expanded, hash_bytes, shipped

__all__ = [
    "SPLITS",
    "Entry",
    "absence",
    "check",
    "check_target",
    "checksums",
    "find",
    "frame_files",
    "ground_truth_file",
    "is_benchmarks",
    "load",
    "locate",
    "spelling",
]

BLOCK = 20  # ground-truth rows per short checksum
TOLERANCE = 2  # pixels between first boxes, of copies that are rounded or count from 0
SPLITS = ("OTB2013", "OTB50", "OTB100")


@dataclass(frozen=True)
class Entry:
    """One target of the benchmark.

    name           canonical: `Jogging-1`
    folder         of its video: `Jogging`
    target         number of its ground-truth file in a video of two targets
    start, frames  number of the first frame, and how many frames count
    digits         of the image names
    image_size     (width, height) where it is known
    attributes     codes of the benchmark's Python release
    initial_omits  (first, last) frame numbers that temporal robustness leaves out
    eval_start     first frame that some toolkits score, where they skip some
    splits         the splits it belongs to, of SPLITS
    first_box      1-based x, y, w, h, as in the file
    sha256, blocks `checksums` of its ground truth
    """

    name: str
    folder: str
    target: int | None
    start: int
    frames: int
    digits: int
    image_size: tuple[int, int] | None
    attributes: tuple[str, ...]
    initial_omits: tuple[tuple[int, int], ...]
    eval_start: int | None
    splits: tuple[str, ...]
    first_box: tuple[float, ...]
    sha256: str
    blocks: tuple[str, ...]

    @property
    def numbers(self) -> range:
        """Return the numbers of the frames that count."""
        return range(self.start, self.start + self.frames)

    def image(self, number: int) -> str:
        """Return the name of a frame's image file."""
        return f"{number:0{self.digits}d}.jpg"


@lru_cache
def load() -> Mapping[str, Entry]:
    """Return the 100 targets by canonical name, in alphabetical order."""
    table = json.loads(shipped("otb100.json").read_text())
    entries = (Entry(**{key: _frozen(v) for key, v in row.items()}) for row in table["targets"])
    return MappingProxyType({entry.name: entry for entry in entries})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def find(name: str) -> list[Entry]:
    """Return the targets that a name stands for, as other toolkits spell it.

    `Jogging.1`, `Jogging_1` and `jogging-1` are Jogging-1; the name of a video,
    `Jogging`, stands for all its targets. An unknown name gives an empty list.
    """
    key = spelling(name)
    return [e for e in load().values() if key in (spelling(e.name), spelling(e.folder))]


def spelling(name: str) -> str:
    """Return a name without what toolkits disagree on: capitals, and `.` or `_` for `-`."""
    return name.lower().replace(".", "-").replace("_", "-")


def locate(root: Path, entry: Entry) -> Path | None:
    """Return the folder of a target: its video's, or one under its own name in any spelling.

    None if there is neither. A folder that has the name, and the ground truth of something
    else, is somebody's own: it does not count.
    """
    names = [spelling(entry.folder), spelling(entry.name)]
    found = [path for path in root.iterdir() if path.is_dir() and spelling(path.name) in names]
    found.sort(key=lambda path: (names.index(spelling(path.name)), path.name))
    return next((path for path in found if is_benchmarks(path, entry)), None)


def absence(folder: Path) -> str:
    """Say why a folder is not the target that it should be: it is not there, or one's own."""
    if folder.is_dir():
        return f"{folder} has the name alone, its ground truth is not the benchmark's"
    return f"no folder {folder}"


def is_benchmarks(folder: Path, entry: Entry) -> bool:
    """Return whether a folder of a target's name holds that target, whole or damaged.

    Its ground truth says so: BLOCK rows of it are the benchmark's, or the first box is.
    Their number alone says nothing. Where it cannot be read, the spelling decides.
    """
    try:
        rows = read_rows(ground_truth_file(folder, entry.target))
    except (ValueError, FileNotFoundError):
        return folder.name in (entry.folder, entry.name)
    first = np.abs(rows[0] - entry.first_box).max()
    blocks = zip(checksums(rows)[1], entry.blocks, strict=False)  # one may be shorter
    return bool(first <= TOLERANCE) or any(ours == theirs for ours, theirs in blocks)


def frame_files(folder: Path, entry: Entry) -> dict[int, Path]:
    """Return the image of every frame that counts, whether it is there or not.

    Where the benchmark's `0001.jpg` is missing and `0001.png` is there, or an image of any
    other ending that OpenCV decodes, that is the frame.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    others = {
        int(path.stem): path
        for path in map(Path, sorted(names, reverse=True))
        if path.stem.isdecimal() and path.suffix.lower() in image_suffixes()
    }

    def of(number: int) -> Path:
        named = entry.image(number)
        return folder / (named if named in names else others.get(number, named))

    return {number: of(number) for number in entry.numbers}


def ground_truth_file(folder: Path, target: int | None = None) -> Path:
    """Return groundtruth_rect.txt, or groundtruth_rect.<target>.txt in a video of two targets."""
    numbered = folder / f"groundtruth_rect.{target}.txt"
    return numbered if target and numbered.is_file() else folder / "groundtruth_rect.txt"


def checksums(rows: np.ndarray) -> tuple[str, tuple[str, ...]]:
    """Return checksums of a ground truth (T, 4) that do not depend on separators and line ends.

    returns  sha256 of all rows, crc32 of every BLOCK of them, as hexadecimal text
    """
    lines = [",".join(f"{number:.10g}" for number in row) + "\n" for row in rows]
    blocks = ["".join(lines[i : i + BLOCK]).encode() for i in range(0, len(lines), BLOCK)]
    return hash_bytes(b"".join(blocks)), tuple(f"{zlib.crc32(block):08x}" for block in blocks)


def check(root: str | Path, entries: Iterable[Entry] | None = None) -> list[str]:
    """List what differs between a folder of OTB sequences and the benchmark, a line each.

    entries  targets that should be there; all 100 unless given
    """
    root, problems = expanded(root), []
    for entry in load().values() if entries is None else entries:
        folder = locate(root, entry)
        absent = [f"{entry.name}: {absence(root / entry.folder)}"]
        problems += check_target(folder, entry) if folder else absent
    return problems


def check_target(folder: Path, entry: Entry) -> list[str]:
    """List what differs between one target's folder and the benchmark, a line each.

    Images beyond the frames that count are no difference: the benchmark's own
    archives hold some (David's first 299, Football1's last 7).
    """
    lines = _check_images(folder / "img", entry) + _check_rows(folder, entry)
    return [f"{entry.name}: {line}" for line in lines]


def _check_images(folder: Path, entry: Entry) -> list[str]:
    files = frame_files(folder, entry)
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    absent = [number for number, path in files.items() if path.name not in present]
    other = [path.name for number, path in files.items() if path.name != entry.image(number)]
    lines = []
    if absent:
        names = runs(absent, entry.image)
        lines.append(f"{folder}: {len(absent)} of {entry.frames} images missing: {names}")
    if other:
        lines.append(
            f"{folder}: {len(other)} of {entry.frames} images are not the benchmark's .jpg but "
            f"{other[0]} to {other[-1]}"
        )
    if entry.image_size and entry.start not in absent:
        lines += _check_size(files[entry.start], entry.image_size)
    return lines


def _check_size(path: Path, expected: tuple[int, int]) -> list[str]:
    try:
        height, width, _ = read_image(path).shape
    except FrameError as error:
        return [str(error)]
    if (width, height) == expected:
        return []
    return [f"{path}: expected {expected[0]}x{expected[1]} pixels, got {width}x{height}"]


def _check_rows(folder: Path, entry: Entry) -> list[str]:
    path = ground_truth_file(folder, entry.target)
    try:
        rows = read_rows(path)
    except (ValueError, FileNotFoundError) as error:
        return [str(error)]
    if len(rows) != entry.frames:
        return [f"{path}: expected {entry.frames} rows, got {len(rows)}"]
    sha256, blocks = checksums(rows)
    if sha256 == entry.sha256:
        return []
    wrong = [
        i for i, pair in enumerate(zip(blocks, entry.blocks, strict=True)) if len({*pair}) > 1
    ]
    spans = [f"{i * BLOCK + 1} to {min((i + 1) * BLOCK, entry.frames)}" for i in wrong]
    return [f"{path}: not the benchmark's ground truth in rows {', '.join(spans)}"]
