"""Videos in the folder format of MOTChallenge; every target of theirs is a sequence.

    <root>/train/MOT17-02/img1/000001.jpg ...     or <root>/MOT17-02/img1/ ...
    <root>/train/MOT17-02/gt/gt.txt               frame, target, x, y, w, h, counts, class,
                                                  visible fraction: 1-based, in any order
    <root>/train/MOT17-02/seqinfo.ini             optional: imDir, the folder of images

A target's sequence goes from its first to its last row; a frame between them without a row lacks
the target. Targets of which no row counts (7th number 0) are left out: MOTChallenge marks thus
what is no target, such as parked cars. Videos of the same camera with another detector's results
(MOT17-02-DPM, -SDP) have the same ground truth: choose one with --split.

Milan et al.: MOT16: a benchmark for multi-object tracking. arXiv 1603.00831, 2016.
"""

import configparser
from functools import partial
from pathlib import Path

import numpy as np

from trackerlib.boxes import otb_to_xywh
from trackerlib.data.rows import parse_rows
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import Target, Videos, from_known, named, split_targets
from trackerlib.data.video import open_folder

__all__ = ["read", "videos"]

TRUTH = "gt/gt.txt"
COUNTS, VISIBLE = 6, 8  # columns
LARGEST = 2**53  # whole number that float64 tells from the next


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    paths = [root / TRUTH] if (root / TRUTH).is_file() else []
    paths = paths or sorted(root.glob(f"*/{TRUTH}")) or sorted(root.glob(f"*/*/{TRUTH}"))
    return {path.parents[1].name: partial(read, path) for path in paths}


def read(path: Path) -> list[Sequence]:
    """Read one video, from the path of its gt.txt: a sequence for each target of two frames.

    Raises FileNotFoundError without images, ValueError for rows that do not parse, or two of one
    target in one frame.
    """
    folder = path.parents[1]
    video = named(open_folder(folder / _images(folder / "seqinfo.ini")), folder.name)
    rows = parse_rows(path.read_text(encoding="utf-8-sig"), (6, 7, 8, 9, 10), path)
    if not ((abs(rows[:, :2]) < LARGEST) & (rows[:, :2] % 1 == 0)).all():  # NaN is neither
        raise ValueError(f"{path}: expected whole numbers of frame and target in every row")
    where = {int(number): index for index, number in enumerate(video.frame_numbers)}
    targets = []
    for label in np.unique(rows[:, 1]):
        of = rows[rows[:, 1] == label]
        if of.shape[1] > COUNTS and not of[:, COUNTS].any():
            continue
        target = _target(f"{label:g}", of, where, path)
        targets += [target] if len(target.boxes) > 1 else []
    return split_targets(video, targets, path)


def _images(path: Path) -> str:
    info = configparser.ConfigParser(interpolation=None)
    try:
        info.read(path, encoding="utf-8-sig")
    except configparser.Error as error:
        raise ValueError(f"{path}: expected a file of MOTChallenge's, got: {error}") from error
    return info.get("Sequence", "imDir", fallback="img1")


def _target(label: str, rows: np.ndarray, where: dict[int, int], path: Path) -> Target:
    numbers = rows[:, 0].astype(int).tolist()
    if twice := [number for number in set(numbers) if numbers.count(number) > 1]:
        raise ValueError(f"{path}: expected one row for target {label} in frame {twice[0]}")
    if lacking := sorted(set(numbers) - set(where)):
        raise ValueError(
            f"{path}: expected rows of frames that have an image, {min(where)} to {max(where)}, "
            f"got frame {lacking[0]} of target {label}"
        )
    places = [where[number] for number in numbers]
    known = dict(zip(places, otb_to_xywh(rows[:, 2:6]), strict=True))
    seen = rows[:, VISIBLE] if rows.shape[1] > VISIBLE else np.ones(len(rows))
    visible = dict(zip(places, seen.clip(0).tolist(), strict=True))
    return from_known(label, known, visible)
