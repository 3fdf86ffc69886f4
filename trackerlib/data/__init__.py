"""Sequences and data sets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trackerlib.data import manifest, otb, temple_color, uav123
from trackerlib.data.got10k import is_got10k, read_got10k
from trackerlib.data.lasot import read_lasot
from trackerlib.data.sequence import Sequence
from trackerlib.data.vot import read_vot
from trackerlib.paths import expanded

__all__ = ["Dataset", "open_dataset"]

Reader = Callable[[], tuple[Sequence, list[str]]]


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


def open_dataset(root: str | Path = "embedded", split: str = "all") -> Dataset:
    """Open a folder of sequences; `embedded` is the benchmark that the library renders.

    split  `otb2013`, `otb50`, `otb100`, `all` (whatever is there), or names of
           sequences, separated by commas

    The layout says which format a sequence has; the module of that name describes it.

        configSeqs.m                                     UAV123, of the whole folder
        <name>/<name>_gt.txt                             TempleColor, of the whole folder
        <name>/groundtruth_rect.txt, img/                OTB, and one's own
        <name>/groundtruth.txt, img/                     LaSOT, also <class>/<name>/
        <name>/groundtruth.txt, absence.label or such    GOT-10k, also <set>/<name>/
        <name>/groundtruth.txt, images or color/         VOT

    What differs from OTB's manifest becomes a line of `problems`, and so does every
    sequence asked for that cannot be opened; `missing` says which those are.
    Raises FileNotFoundError if the root is no folder or holds nothing that can be
    opened, ValueError if the split is neither known nor made of known names, or if
    two sequences have one name.
    """
    folder = _embedded() if root == "embedded" else expanded(root)
    sequences: list[Sequence] = []
    problems: list[str] = []
    missing: dict[str, str] = {}
    for name, read in _readers(folder, split).items():
        try:
            sequence, lines = read()
            sequences.append(sequence)
            problems += lines
        except (ValueError, FileNotFoundError) as error:
            missing[name] = str(error)
            problems.append(f"{name}: left out: {error}")
    if not sequences:
        found = "; ".join(problems[:3]) or _nothing(folder)
        raise FileNotFoundError(
            f"open_dataset: expected sequences (split {split!r}) in {folder}: {found}"
        )
    name = "embedded" if root == "embedded" else folder.resolve().name
    return Dataset(name, tuple(sequences), tuple(problems), missing)


def _readers(root: Path, split: str) -> dict[str, Reader]:
    """Return how to read each sequence: its name -> function without arguments."""
    names = _names(split)
    for kind in (temple_color, uav123):
        if known := kind.names(root):
            return _chosen(root, names, known, partial(kind.read, root))
    others = _others(root)
    benchmark = split.upper() in manifest.SPLITS
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
    return readers | {name: others[name] for name in chosen}


def _chosen(
    root: Path, names: list[str] | None, known: list[str], read: Callable[[str], Sequence]
) -> dict[str, Reader]:
    if unknown := [name for name in names or [] if name not in known]:
        raise ValueError(
            f"expected names of sequences in {root} ({', '.join(known)}), got {', '.join(unknown)}"
        )
    return {name: partial(_read, partial(read, name)) for name in names or known}


def _others(root: Path) -> dict[str, Reader]:
    """Return the readers of folders with a groundtruth.txt: of LaSOT, GOT-10k and VOT."""
    paths = sorted(root.glob("*/groundtruth.txt")) or sorted(root.glob("*/*/groundtruth.txt"))
    folders = [path.parent for path in paths if not any(path.parent.glob("groundtruth_rect*.txt"))]
    found: dict[str, Path] = {}
    for folder in folders:
        if (other := found.setdefault(folder.name, folder)) != folder:
            raise ValueError(
                f"{root}: expected one sequence of the name {folder.name}, got it from "
                f"{other.parent.name}/ and {folder.parent.name}/; open one of these"
            )
    return {name: partial(_read, partial(_reader(path), path)) for name, path in found.items()}


def _reader(folder: Path) -> Callable[[Path], Sequence]:
    if (folder / "img").is_dir():
        return read_lasot
    return read_got10k if is_got10k(folder) else read_vot


def _read(read: Callable[[], Sequence]) -> tuple[Sequence, list[str]]:
    return read(), []


def _nothing(root: Path) -> str:
    """Say what is missing from a folder without sequences."""
    if any(root.glob("groundtruth*.txt")):
        return f"{root} is one sequence; give the folder that it is in, {root.resolve().parent}"
    return (
        "no folder with groundtruth_rect.txt and img/, nor with a groundtruth.txt of LaSOT, "
        "GOT-10k or VOT"
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


def _open(root: Path, target: otb.Target) -> tuple[Sequence, list[str]]:
    if target.folder is None:
        raise FileNotFoundError(manifest.absence(root / target.video))
    sequence = otb.read_target(target)
    return sequence, manifest.check_target(target.folder, target.entry) if target.entry else []
