"""Files of boxes: CSV, JSON, MOT's and OTB's text.

    boxes.csv       frame,time,x,y,w,h,score,lost and one row per frame; with several targets
                    a column `target`, and a row per frame and target
    boxes.json      a list of records with the same names, null for what is not known
    boxes.mot.txt   MOTChallenge: frame,target,x,y,w,h,score,-1,-1,-1; frames, targets and pixels
                    count from 1; the score is 1 where there is none
    boxes.txt       x,y,w,h, a row per frame, as OTB's files but 0-based; of several targets one
                    file each, boxes.1.txt, boxes.2.txt

Boxes are x, y, w, h in pixels, 0-based but for MOT, with the fewest digits that read back as the
same float64. Frames are numbered as in the video, from 1. Times are seconds from the video's
start. A score is a probability, empty where the tracker has none; lost is 1 or 0, empty where the
tracker does not say.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterable
from collections.abc import Sequence as Ordered
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trackerlib.boxes import xywh_to_otb
from trackerlib.eval.store import rows_text
from trackerlib.paths import cache_dir, disk_cure, draft_of

__all__ = ["FORMATS", "BoxFile", "Row", "write_text"]

FORMATS = ("csv", "json", "mot", "otb")
ROW_BYTES = 10 * 24  # of a row, the longest that numbers of a few thousand pixels take
UNKNOWN_FRAMES = 1000  # for whose rows there should be room, where the number is not known


class Row(NamedTuple):
    """What is known of one target (its number, from 1) in one frame."""

    frame: int
    time: float
    target: int
    box: tuple[float, ...]
    score: float | None = None
    lost: bool | None = None


class BoxFile:
    """A file of boxes to write, or one per target.

    path     to write to
    targets  how many there are
    kind     one of FORMATS; else the end of the name chooses: .csv, .json, .mot.txt, .txt or
             none for OTB's text

    Raises ValueError for another ending without a kind, and for a device that several files of
    OTB's text would have to share.
    """

    def __init__(self, path: Path, targets: int = 1, kind: str | None = None) -> None:
        self.path, self.targets, self.kind = path, targets, kind or _kind(path)
        if self.kind not in FORMATS:
            raise ValueError(f"BoxFile: expected a format of {FORMATS}, got {kind!r}")
        if self.kind == "otb" and targets > 1 and not _is_file(path):
            raise ValueError(
                f"BoxFile: expected a format that holds {targets} targets for {path}; give "
                "--boxes-format csv, json or mot"
            )

    @property
    def paths(self) -> list[Path]:
        """Return the files that are written."""
        if self.kind != "otb" or self.targets == 1:
            return [self.path]
        path, numbers = self.path, range(1, self.targets + 1)
        return [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in numbers]

    def texts(self, rows: Iterable[Row]) -> list[str]:
        """Return the content of each of `paths`."""
        rows = list(rows)
        if self.kind == "csv":
            return [_csv(rows, self.targets > 1)]
        if self.kind == "json":
            return [_json(rows, self.targets > 1)]
        if self.kind == "mot":
            return [_mot(rows)]
        numbers = range(1, self.targets + 1)
        of_each = ([row.box for row in rows if row.target == number] for number in numbers)
        return [rows_text(np.array(boxes)) for boxes in of_each]

    def try_to_write(self, frames: int | None) -> None:
        """Raise OSError now rather than after hours, if a file of so many rows cannot be written.

        frames  how many there are; None where that is not known
        """
        rows = (UNKNOWN_FRAMES if frames is None else frames) * self.targets
        for path in self.paths:
            _try_to_write(path, rows * ROW_BYTES // len(self.paths))

    def write(self, rows: Iterable[Row]) -> tuple[list[Path], list[str]]:
        """Write the rows -> the files that are there now, and a line for each that could not be.

        Such a line says where the boxes are kept instead, or holds them where no other folder
        takes them either.
        """
        written, errors = list[Path](), list[str]()
        for path, text in zip(self.paths, self.texts(rows), strict=True):
            try:
                write_text(path, text)
                written.append(path)
            except OSError as error:
                kept, said = _kept_elsewhere(text, path.suffix or ".txt")
                written += kept
                errors.append(f"{error}; {said}")
        return written, errors


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all. Raises OSError with the cause and the cure."""
    try:
        with draft_of(path) as draft:
            draft.write_text(text)
    except OSError as error:
        raise _refused(path, error) from error


def _kind(path: Path) -> str:
    """Return the format that the end of a name chooses; a device or a pipe gets OTB's text."""
    name = path.name.lower()
    endings = {".csv": "csv", ".json": "json", ".mot.txt": "mot", ".txt": "otb"}
    for ending, kind in endings.items():
        if name.endswith(ending):
            return kind
    if not path.suffix or not _is_file(path):
        return "otb"
    raise ValueError(
        f"BoxFile: expected a file of boxes that ends in {', '.join(endings)}, got {path}; "
        f"rename it, or give --boxes-format {', '.join(FORMATS)}"
    )


def _is_file(path: Path) -> bool:
    return not path.exists() or path.is_file()


def _csv(rows: Ordered[Row], several: bool) -> str:
    header = "frame,time,x,y,w,h,score,lost" + (",target" if several else "")
    return "".join(f"{line}\n" for line in (header, *(_line(row, several) for row in rows)))


def _line(row: Row, several: bool) -> str:
    score = "" if row.score is None else _number(row.score, 6)
    lost = "" if row.lost is None else str(int(row.lost))
    cells = [str(row.frame), _number(row.time, 6), *map(_number, row.box), score, lost]
    return ",".join(cells + ([str(row.target)] if several else []))


def _json(rows: Ordered[Row], several: bool) -> str:
    lines = []
    for row in rows:
        record: dict[str, float | bool | None] = {"frame": row.frame, "time": round(row.time, 6)}
        for name, value in zip("xywh", row.box, strict=True):
            record[name] = value if math.isfinite(value) else None
        record |= {"score": row.score, "lost": row.lost}
        record |= {"target": row.target} if several else {}
        lines.append(json.dumps(record))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _mot(rows: Ordered[Row]) -> str:
    lines = []
    for row in rows:
        box = map(_number, xywh_to_otb(np.array(row.box)))
        score = "1" if row.score is None else _number(row.score, 6)
        cells = [str(row.frame), str(row.target), *box, score, "-1", "-1", "-1"]
        lines.append(",".join(cells) + "\n")
    return "".join(lines)


def _number(value: float, digits: int | None = None) -> str:
    """Return a number with the fewest digits that it takes; "" for one that is not finite."""
    if not math.isfinite(value):
        return ""
    return str(np.format_float_positional(value, digits, trim="-"))


def _kept_elsewhere(text: str, suffix: str) -> tuple[list[Path], str]:
    """Save boxes in the first folder that takes them -> the file, and a line that says where."""
    for folder in (Path(tempfile.gettempdir()), cache_dir()):
        with contextlib.suppress(OSError):
            path = _new_file(folder, text, suffix)
            return [path], f"the boxes are kept in {path}"
    return [], f"no other folder takes the boxes either, which are\n{text}"


def _new_file(folder: Path, text: str, suffix: str) -> Path:
    """Write a text whole into a new file of a folder. Raises OSError where it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(suffix, "boxes-", folder)
    try:
        with open(number, "w") as file:
            file.write(text)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _try_to_write(path: Path, size: int) -> None:
    if not _is_file(path):  # a device or a pipe
        return
    draft = path.with_name(f".{path.name}.draft-test")
    try:
        with draft.open("wb") as file:
            file.write(os.urandom(size))  # which no disk makes shorter
            file.flush()
            os.fsync(file.fileno())  # some disks say only now that they are full
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _refused(path: Path, error: OSError) -> OSError:
    cure = disk_cure(error)
    return OSError(f"cannot write {path}: {error.strerror or error}{'; ' if cure else ''}{cure}")
