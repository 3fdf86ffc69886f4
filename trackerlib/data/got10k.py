"""Sequences in the folder format of GOT-10k.

    <root>/val/GOT-10k_Val_000001/00000001.jpg ...    or <root>/GOT-10k_Val_000001/ ...
    <root>/val/GOT-10k_Val_000001/groundtruth.txt     one row x, y, w, h per frame, in the
                                                      test set of the first frame alone
    <root>/val/GOT-10k_Val_000001/absence.label       optional: 0 or 1 per frame
    <root>/val/GOT-10k_Val_000001/cover.label         optional: visible eighths, 0 to 8

Boxes are taken as they stand, 0-based: so do got10k-toolkit (datasets/got10k.py), pytracking
(evaluation/got10kdataset.py) and vot-toolkit. Visibility is cover / 8, and 0 where the target
is absent, as in pytracking's ltr/dataset/got10k.py. meta_info.ini is not read.

Huang, Zhao, Huang: GOT-10k: a large high-diversity benchmark for generic object tracking in
the wild. TPAMI 2021.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from trackerlib.data.numbering import fill_gaps, image_files, order_notes
from trackerlib.data.rows import check_length, match_rows, read_rows, truth_notes
from trackerlib.data.sequence import Sequence, open_images
from trackerlib.paths import expanded

__all__ = ["is_got10k", "read_got10k", "read_rows_of"]

LABELS = ("meta_info.ini", "absence.label", "cover.label")
FULL = 8  # of `cover`: the whole target is visible


def is_got10k(folder: Path) -> bool:
    """Return whether a sequence is of this format: by its name, or by its files of labels."""
    named = folder.name.lower().startswith("got-10k_")
    return named or any((folder / label).is_file() for label in LABELS)


def read_got10k(folder: str | Path) -> Sequence:
    """Read one sequence, as `read_rows_of` does, with the visibility that its labels give."""
    folder = expanded(folder)
    sequence = read_rows_of(folder, folder / "groundtruth.txt", folder.name)
    return replace(sequence, visibility=_visibility(folder, sequence.frame_numbers))


def read_rows_of(images: Path, path: Path, name: str) -> Sequence:
    """Read images and a file of rows x, y, w, h, of which one alone is the first frame's.

    The other boxes are then NaN. Missing images are no error here: they come as FrameError when
    they are read. Nor are frames without a positive box: they are a warning.
    Raises FileNotFoundError, or ValueError for a ground truth that does not parse or has
    neither one row, nor one per frame, nor one per image.
    """
    there, boxes = image_files(images), read_rows(path)
    files, notes = fill_gaps(there), list[str]()
    if len(boxes) == 1 < len(files):
        boxes = np.concatenate((boxes, np.full((len(files) - 1, 4), np.nan)))
    else:
        files, notes = match_rows(path, boxes, there, files)
    frames, changed = open_images(list(files.values()))
    numbers = np.array(list(files))
    notes += truth_notes(path, boxes, numbers) + order_notes(images, files) + changed
    warnings = tuple(f"{name}: {note}" for note in notes)
    return Sequence(name, frames, boxes, numbers, warnings=warnings)


def _visibility(folder: Path, numbers: np.ndarray) -> np.ndarray | None:
    """Return the visible fraction of the target (T,), None where no file has it."""
    cover = _labels(folder / "cover.label", numbers)
    absent = _labels(folder / "absence.label", numbers)
    if cover is None and absent is None:
        return None
    visible = np.ones(len(numbers)) if cover is None else cover / FULL
    return visible if absent is None else np.where(absent > 0, 0.0, visible)


def _labels(path: Path, numbers: np.ndarray) -> np.ndarray | None:
    if not path.is_file():
        return None
    rows = read_rows(path, widths=(1,))
    check_length(path, rows, numbers)
    return rows[:, 0]
