"""Sequences and data sets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trackerlib.data import formats, manifest, otb, temple_color, uav123
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import Videos
from trackerlib.paths import expanded

__all__ = ["Dataset", "open_dataset"]

Reader = Callable[[], tuple[list[Sequence], list[str]]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences to evaluate on, and what is wrong with the folder they come from.

    problems  a line for everything that differs from the benchmark
    missing   sequences that were asked for and could not be opened: name -> reason
    """

    name: str
    sequences: tuple[Sequence, ...]
    problems: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


def open_dataset(
    root: str | Path = "embedded", split: str = "all", format: str | None = None
) -> Dataset:
    """Open a folder of sequences; `embedded` is the benchmark that the library renders.

    split   `otb2013`, `otb50`, `otb100`, `all` (whatever is there), or names of
            sequences, separated by commas
    format  a name of `formats.FORMATS`; otherwise the layout says which it is

    Where none of the following is there, the other formats of that table are tried in turn.

        configSeqs.m                                     UAV123, of the whole folder
        <name>/<name>_gt.txt                             TempleColor, of the whole folder
        <name>/groundtruth_rect.txt, img/                OTB, and one's own
        <name>/groundtruth.txt, img/                     LaSOT, also <class>/<name>/
        <name>/groundtruth.txt, absence.label or such    GOT-10k, also <set>/<name>/
        <name>/groundtruth.txt, images or color/         VOT

    What differs from OTB's manifest becomes a line of `problems`, and so does every
    sequence asked for that cannot be opened; `missing` says which those are.
    Raises FileNotFoundError if the root is no folder or holds nothing that can be
    opened, ValueError if the split or the format is neither known nor made of known
    names, or if two sequences have one name.
    """
    if format is not None and format not in formats.FORMATS:
        raise ValueError(
            f"open_dataset: expected a format among {', '.join(formats.FORMATS)}, got {format!r}"
        )
    folder = _embedded() if root == "embedded" else expanded(root)
    sequences: list[Sequence] = []
    problems: list[str] = []
    missing: dict[str, str] = {}
    for name, read in _readers(folder, split, format).items():
        try:
            read_now, lines = read()
            sequences += read_now
            problems += lines
        except (ValueError, FileNotFoundError) as error:
            missing[name] = str(error)
            problems.append(f"{name}: left out: {error}")
    names = [sequence.name for sequence in sequences]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{folder}: expected one sequence of the name {twice[0]}; rename a video")
    if not sequences:
        found = "; ".join(problems[:3]) or _nothing(folder)
        raise FileNotFoundError(
            f"open_dataset: expected sequences (split {split!r}) in {folder}: {found}"
        )
    title = "embedded" if root == "embedded" else folder.resolve().name
    return Dataset(title, tuple(sequences), tuple(problems), missing)


def _readers(root: Path, split: str, format: str | None) -> dict[str, Reader]:
    """Return how to read each sequence: its name -> function without arguments."""
    names = _names(split)
    if format and root.is_dir() and (format != "otb" or split.upper() not in manifest.SPLITS):
        return _plain(formats.chosen(root, formats.FORMATS[format].videos(root), names))
    for name, kind in (("temple-color", temple_color), ("uav123", uav123)):
        if kind.names(root):
            return _plain(formats.chosen(root, formats.FORMATS[name].videos(root), names))
    others = formats.by_folder(root)
    benchmark = split.upper() in manifest.SPLITS
    is_other = not benchmark and not others and root.is_dir() and not otb.list_targets(root)
    if is_other and (videos := formats.by_layout(root)):
        return _plain(formats.chosen(root, videos, names))
    rest = names if names is None or benchmark else [n for n in names if n not in others]
    try:
        targets = [] if rest == [] else otb.list_targets(root, rest, benchmark)
    except ValueError as error:
        more = f"; of other formats there are {', '.join(others)}" if others else ""
        raise ValueError(f"{error}{more}") from error
    readers: dict[str, Reader] = {t.name: partial(_open, root, t) for t in targets}
    chosen = [] if benchmark else [name for name in others if names is None or name in names]
    if twice := [name for name in chosen if name in readers]:
        raise ValueError(f"{root}: expected one sequence of the name {twice[0]}; rename one")
    return readers | _plain({name: others[name] for name in chosen})


def _plain(videos: Videos) -> dict[str, Reader]:
    return {name: partial(_read, read) for name, read in videos.items()}


def _read(read: Callable[[], list[Sequence]]) -> tuple[list[Sequence], list[str]]:
    return read(), []


def _nothing(root: Path) -> str:
    """Say what is missing from a folder without sequences."""
    if any(root.glob("groundtruth*.txt")):
        return f"{root} is one sequence; give the folder that it is in, {root.resolve().parent}"
    return (
        "no folder with groundtruth_rect.txt and img/, nor with a groundtruth.txt of LaSOT, "
        f"GOT-10k or VOT, nor anything of {', '.join(list(formats.FORMATS)[5:])}"
    )


def _embedded() -> Path:
    from trackerlib.data import synthetic

    return synthetic.ensure()


def _names(split: str) -> list[str] | None:
    """Return the names of the sequences of a split; None stands for all there are."""
    if split == "all":
        return None
    if split.upper() in manifest.SPLITS:
        return [e.name for e in manifest.load().values() if split.upper() in e.splits]
    return [name.strip() for name in split.split(",")]


def _open(root: Path, target: otb.Target) -> tuple[list[Sequence], list[str]]:
    if target.folder is None:
        raise FileNotFoundError(manifest.absence(root / target.video))
    sequence = otb.read_target(target)
    lines = manifest.check_target(target.folder, target.entry) if target.entry else []
    return [sequence], lines
