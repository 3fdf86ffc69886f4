"""Videos in the folder format of Need for Speed (NfS), at 240 or 30 frames per second.

    <root>/<video>/240/<video>/00001.jpg ...
    <root>/<video>/240/<video>.txt      one row per frame: 0 xmin ymin xmax ymax frame lost
                                        occluded generated "label", as VATIC writes them

At 30 frames per second some files have a row for every frame of the 240: every eighth counts.
A frame that is `lost` lacks the target; in one that is `occluded` it is covered to an unknown
degree, visibility NaN. Where both rates are there, a video's name ends in -240 or -30.

Galoogahi et al.: Need for speed: a benchmark for higher frame rate object tracking. ICCV 2017.
"""

from functools import partial
from pathlib import Path

import numpy as np

from trackerlib.boxes import xyxy_to_xywh
from trackerlib.data.rows import parse_rows
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import Target, Videos, named, split_targets
from trackerlib.data.video import open_folder

__all__ = ["read", "videos"]

RATES = (240, 30)
STEP = RATES[0] // RATES[1]
LOST, OCCLUDED = 6, 7  # columns


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    found: Videos = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        paths = {rate: folder / str(rate) / f"{folder.name}.txt" for rate in RATES}
        there = {rate: path for rate, path in paths.items() if path.is_file()}
        for rate, path in there.items():
            name = f"{folder.name}-{rate}" if len(there) > 1 else folder.name
            found[name] = partial(read, path, name)
    return found


def read(path: Path, name: str) -> list[Sequence]:
    """Read one video, from the path of its annotations.

    Raises FileNotFoundError, or ValueError for rows that do not parse or are of another number.
    """
    video = named(open_folder(path.with_suffix("")), name)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    plain = "\n".join(line.partition('"')[0] for line in lines if line.strip())
    rows = parse_rows(plain, (9,), path)
    if abs(len(rows) - STEP * len(video)) < STEP:
        rows = rows[::STEP]
    if abs(len(rows) - len(video)) > 1:  # some have one more or less
        raise ValueError(
            f"{path}: expected {len(video)} rows, one for each image in {path.with_suffix('')}, "
            f"or {STEP} for each, got {len(rows)}"
        )
    rows = rows[: len(video)]
    lost, occluded = rows[:, LOST] > 0, rows[:, OCCLUDED] > 0
    boxes = np.where(lost[:, None], np.nan, xyxy_to_xywh(rows[:, 1:5]))
    visibility = np.where(lost, 0.0, np.where(occluded, np.nan, 1.0))
    return split_targets(video, [Target("1", 0, boxes, visibility)], path)
