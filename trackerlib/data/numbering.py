"""The images of a folder in the order of their names, and what is to be said of that order.

Names are compared as people read them: text by text, number by number, from the left.
So `frame2` is before `frame10`, and dates and times come in their own order, whatever
they are written with. Where one number alone differs from name to name, as in
`cam2_0001.png`, it is the frame number; otherwise frames are numbered from 1.
Digits after a point are a count, 1.9 before 1.10, or decimals, 0.25 before 0.5.
"""

import os
import re
from collections import Counter, defaultdict
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import cv2

__all__ = ["fill_gaps", "image_files", "image_suffixes", "order_notes"]

# Endings by the codec that decodes them; OpenCV goes by a file's first bytes.
CODECS = {
    ".jpg": ".jpg .jpeg .jpe .jfif .jif",
    ".png": ".png .apng",
    ".bmp": ".bmp .dib",
    ".tif": ".tif .tiff",
    ".webp": ".webp",
    ".jp2": ".jp2 .j2k .jpx .j2c .jpc",
    ".ppm": ".ppm .pgm .pbm .pnm .pam",
    ".pfm": ".pfm",
    ".ras": ".ras .sr",
    ".hdr": ".hdr .pic",
    ".gif": ".gif",
    ".avif": ".avif",
    ".exr": ".exr",
    ".jxl": ".jxl",
}
# Images, too, but no build of OpenCV for Python decodes them.
UNREADABLE = ".heic .heif .tga .psd .dng .cr2 .cr3 .nef .arw .orf .raw .svg .ico"
# A day and a time of day, 2024-01-31_23-59-59 or 20240131 235959: no count, and it has no gaps.
DAY = (
    r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
    r"|(19|20)\d\d[-_.](0?[1-9]|1[0-2])[-_.](0?[1-9]|[12]\d|3[01])"
)
TIME = r"([01]\d|2[0-3])[0-5]\d[0-5]\d|([01]?\d|2[0-3])[-_.:h][0-5]?\d[-_.:m][0-5]?\d"
MOMENT = re.compile(rf"(?<!\d)({DAY})\D{{1,4}}({TIME})(?!\d)")
FRACTION = re.compile(r"[.,]")  # between the digits before and after a decimal point
# What Python prints of numbers from 0 on; below 0.0001 it is 2.5e-05.
FLOAT = re.compile(r"\d+(\.\d+)?(e-\d\d)?")
SPARSE = 1.5  # numbers from the first to the last per number that is there, above which no count
SHOWN = 3  # files that a message names


@lru_cache
def image_suffixes() -> frozenset[str]:
    """Return the endings of the images that the installed OpenCV decodes: {".jpg", ...}."""
    built = [suffixes for codec, suffixes in CODECS.items() if _has(codec)]
    return frozenset(" ".join(built).split())


def _has(codec: str) -> bool:
    try:
        return cv2.haveImageWriter("x" + codec)
    except cv2.error:  # OpenCV 4.11 raises it of OpenEXR, which it has switched off
        return False


def image_files(folder: Path) -> dict[int, Path]:
    """Return the images of a folder by frame number, in the natural order of their names.

    The numbers are those of the names where these are a plain count, otherwise 1, 2, 3 ...

    Hidden files do not count: macOS leaves a `._0001.jpg` beside `0001.jpg`.
    Raises FileNotFoundError if there is no image, with what there is; ValueError if two
    names differ in nothing that gives an order, or if some have a number and others none.
    """
    names = sorted(name for name in _visible(folder) if _suffix(name) in image_suffixes())
    if not names:
        raise FileNotFoundError(
            f"{folder}: expected a folder of images, found none in it{_contents(folder)}"
        )
    parts = _parts([Path(name).stem for name in names])
    keys = dict(zip(names, _keys(parts), strict=True))
    _check_distinct(folder, keys, parts)
    ordered = sorted(names, key=keys.__getitem__)
    field = _counter(parts)
    numbers = range(1, len(names) + 1) if field is None else [keys[n][field] for n in ordered]
    return {number: folder / name for number, name in zip(numbers, ordered, strict=True)}


def fill_gaps(files: dict[int, Path]) -> dict[int, Path]:
    """Return every number from the first to the last; a missing image gets its would-be name.

    Reading that name is a FrameError, so that the frames after it keep their place.
    Where more than a third of the numbers are missing, they are no gaps but another
    way of counting (times, every fifth frame): the images are returned as they are.
    """
    numbers = range(min(files), max(files) + 1)
    if len(numbers) == len(files) or len(numbers) > SPARSE * len(files):
        return files
    parts = _parts([path.stem for path in files.values()])
    field = _counter(parts)
    if field is None:
        return files
    first = files[min(files)]
    digits = re.split(r"(\d+)", first.stem)

    def renamed(number: int) -> Path:
        name = [*digits[:field], f"{number:0{len(digits[field])}d}", *digits[field + 1 :]]
        return first.with_name("".join(name) + first.suffix)

    return {number: files.get(number) or renamed(number) for number in numbers}


def order_notes(folder: Path, files: dict[int, Path]) -> list[str]:
    """List what is to be said of the images of `image_files`: an order that is not 1, 2, 3 ...

    files  before or after `fill_gaps`

    Images that are left out because OpenCV does not decode them are named as well.
    """
    paths, numbers = list(files.values()), list(files)
    notes, parts = [], _parts([path.stem for path in paths])
    if len(paths) > 1 and _counter(parts) is None:
        notes.append(
            f"{folder}: {len(paths)} images in the order of their names, which are no plain "
            f"count: {', '.join(path.name for path in paths[: SHOWN - 1])} ... {paths[-1].name}"
            f"{_reading(parts)}"
        )
    elif len(numbers) <= numbers[-1] - numbers[0]:
        notes.append(
            f"{folder}: {len(numbers)} images numbered from {numbers[0]} to {numbers[-1]}, "
            "taken one after the other"
        )
    known = set(" ".join([*CODECS.values(), UNREADABLE]).split()) - image_suffixes()
    lost = [name for name in _visible(folder) if _suffix(name) in known]
    if lost:
        notes.append(
            f"{folder}: {len(lost)} images are left out, OpenCV {cv2.__version__} does not "
            f"decode them: {_some(sorted(lost))}"
        )
    return notes


def _visible(folder: Path) -> list[str]:
    """Return the names of a folder's files, without hidden ones and folders."""
    with os.scandir(folder) as entries:
        return [e.name for e in entries if not e.name.startswith(".") and not e.is_dir()]


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def _contents(folder: Path) -> str:
    """Return what a folder without images holds, for a message."""
    endings = Counter(_suffix(name) or "without an ending" for name in _visible(folder))
    folders = [p.name + "/" for p in sorted(folder.iterdir()) if p.is_dir()]
    held = [f"{count} {ending}" for ending, count in endings.most_common(SHOWN)]
    if not held + folders:
        return "; it is empty"
    undecoded = f" that OpenCV {cv2.__version__} decodes" if held else ""
    return f"{undecoded}, but {_some(held + folders)}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _parts(stems: list[str]) -> list[list[str]]:
    """Split names into text, digits, text, ..., text: the digits are at odd positions.

    Where some have a point and digits that others lack, `0.75` and `1`, these get them, empty.
    """
    stems = _written_out([stem.casefold() for stem in stems])
    parts = [re.split(r"(\d+)", stem) for stem in stems]
    kinds = sorted({tuple(part[::2]) for part in parts}, key=len)
    if len(kinds) != 2:
        return parts
    short, long = kinds
    at = [i for i in range(1, len(long)) if long[:i] + long[i + 1 :] == short]
    if not at or not FRACTION.fullmatch(long[at[0]]):
        return parts
    end = 2 * at[0]
    whole = len(long) * 2 - 1
    return [p if len(p) == whole else [*p[:end], long[at[0]], "", *p[end:]] for p in parts]


def _written_out(stems: list[str]) -> list[str]:
    """Return numbers that Python printed as 2.5e-05 as 0.000025."""
    exponents = [stem for stem in stems if "e-" in stem]
    if not exponents or not all(map(FLOAT.fullmatch, stems)):
        return stems
    if len(exponents) == len(stems) and "." not in "".join(stems):
        return stems  # 1e-05, 1e-06 may be anything
    return [f"{Decimal(stem):f}" for stem in stems]


def _check_distinct(folder: Path, keys: dict[str, list], parts: list[list[str]]) -> None:
    """Raise ValueError where the names' numbers cannot tell which image comes first.

    keys  of each name, to sort by
    """
    seen: dict[tuple, str] = {}
    beginnings = [part[0] for part in parts if len(part) > 1]  # of the names with a number
    for (name, key), part in zip(keys.items(), parts, strict=True):
        path, numbers = folder / name, tuple(key[1::2])
        # `frame.jpg` is Windows' first of `frame (2).jpg`, `frame (3).jpg`.
        if not numbers and not all(text.startswith(part[0]) for text in beginnings):
            raise ValueError(
                f"{path}: expected a frame number in the name of every image, or of none; "
                "move it elsewhere"
            )
        other = seen.setdefault(numbers or tuple(part), name)
        if other != name:
            raise ValueError(
                f"{path}: expected one image per frame number, got {other} too; "
                "give every video a folder of its own"
            )


def _keys(parts: list[list[str]]) -> list[list]:
    """Return what to sort names by: their texts and, at odd positions, their numbers."""
    widths = {field: max(len(part[field]) for part in parts) for field in _fractions(parts)}
    return [
        [
            (int(text.ljust(widths.get(i, 0), "0") or -1) if i % 2 else text)
            for i, text in enumerate(part)
        ]
        for part in parts
    ]


def _pointed(parts: list[list[str]]) -> list[int]:
    """Return which fields are digits after a point, in names that are alike in their texts."""
    if len({tuple(part[::2]) for part in parts}) > 1:
        return []
    return [f for f in range(3, len(parts[0]), 2) if FRACTION.fullmatch(parts[0][f - 1])]


def _fractions(parts: list[list[str]]) -> list[int]:
    """Return which fields are decimals, 2 before 15: `7.05`, `7.1`, `7.15`, `7.2`."""
    return [field for field in _pointed(parts) if _is_fraction(parts, field)]


def _is_fraction(parts: list[list[str]], field: int) -> bool:
    """Return whether digits after a point are decimals that lack the zeros at their end.

    A count that is written with zeros in front has them in its shortest numbers alone.
    One without comes to 10, or has few gaps. In dates and versions are several points.
    """
    column = [part[field] for part in parts if part[field]]
    shortest = min(map(len, column))
    if any(text[0] == "0" for text in column if len(text) > shortest):
        return True
    if any(text[-1] == "0" for text in column if len(text) > 1) or len({*map(len, column)}) == 1:
        return False
    around = parts[0][field - 3], parts[0][field + 1]
    return not any(map(FRACTION.fullmatch, around)) and not _is_dense(parts, field)


def _is_dense(parts: list[list[str]], field: int) -> bool:
    """Return whether a field counts, with few gaps, where all the others are equal."""
    alike = defaultdict(list)
    for part in parts:
        if part[field]:
            alike[(*part[:field], *part[field + 1 :])].append(int(part[field]))
    several = [numbers for numbers in alike.values() if len(numbers) > 1]
    spans = sum(max(numbers) - min(numbers) + 1 for numbers in several)
    return spans <= SPARSE * sum(map(len, several))


def _reading(parts: list[list[str]]) -> str:
    """Say how digits after a point are read, where the order would be another otherwise.

    parts  of the names, in their order
    """
    fractions = _fractions(parts)
    for field in _pointed(parts):
        for one, two in pairwise(parts):
            if one[:field] != two[:field] or not one[field] or not two[field]:
                continue
            counted, decimal = int(one[field]) < int(two[field]), one[field] < two[field]
            if counted != decimal:
                kind = "decimals" if field in fractions else "a count"
                pair = ["".join(part[field - 2 : field + 1]) for part in (one, two)]
                shown = " before ".join(pair)
                return f"; the digits after the point are taken as {kind}, {shown}"
    return ""


def _counter(parts: list[list[str]]) -> int | None:
    """Return the field of digits that counts: the one that differs from name to name.

    None if several differ, or none, or if they are dates. Of a single name, it is the last.
    """
    if len({tuple(part[::2]) for part in parts}) > 1 or any("" in p[1::2] for p in parts):
        return None
    if all(MOMENT.search("".join(part)) for part in parts):
        return None
    fields = range(1, len(parts[0]), 2)
    varying = [f for f in fields if len({int(part[f]) for part in parts}) > 1]
    if len(parts) == 1:
        varying = list(fields[-1:])
    return varying[0] if len(varying) == 1 and varying[0] not in _fractions(parts) else None
