"""Sequences and data sets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

from trackerlib.data import manifest, otb, temple_color, uav123
from trackerlib.data.sequence import Sequence

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
    """Open a folder of OTB, TempleColor or UAV123; `embedded` is what the library renders.

    split  `otb2013`, `otb50`, `otb100`, `all` (whatever is there), or names of
           sequences, separated by commas

    The folder's layout says which it is, see `otb`, `temple_color` and `uav123`. What
    differs from OTB's manifest becomes a line of `problems`, and so does every sequence
    asked for that cannot be opened; `missing` says which those are.
    Raises FileNotFoundError if the root is no folder or holds nothing that can be
    opened, ValueError if the split is neither known nor made of known names.
    """
    folder = _embedded() if root == "embedded" else Path(root)
    sequences: list[Sequence] = []
    problems: list[str] = []
    missing: dict[str, str] = {}
    for name, read in _readers(folder, _names(split)).items():
        try:
            sequence, lines = read()
            sequences.append(sequence)
            problems += lines
        except (ValueError, FileNotFoundError) as error:
            missing[name] = str(error)
            problems.append(f"{name}: left out: {error}")
    if not sequences:
        found = "; ".join(problems[:3]) or "no folder with groundtruth_rect.txt and img/"
        raise FileNotFoundError(
            f"open_dataset: expected sequences (split {split!r}) in {folder}: {found}"
        )
    name = "embedded" if root == "embedded" else folder.resolve().name
    return Dataset(name, tuple(sequences), tuple(problems), missing)


def _readers(root: Path, names: list[str] | None) -> dict[str, Reader]:
    """Return how to read each sequence: its name -> function without arguments."""
    for kind in (temple_color, uav123):
        if known := kind.names(root):
            unknown = [name for name in names or [] if name not in known]
            if unknown:
                raise ValueError(
                    f"expected names of sequences in {root} ({', '.join(known)}), "
                    f"got {', '.join(unknown)}"
                )
            return {name: partial(_read, kind, root, name) for name in names or known}
    return {t.name: partial(_open, root, t) for t in otb.list_targets(root, names)}


def _read(kind: ModuleType, root: Path, name: str) -> tuple[Sequence, list[str]]:
    return kind.read(root, name), []


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
        raise FileNotFoundError(f"no folder {root / target.video}")
    sequence = otb.read_sequence(target.folder, target.entry)
    return sequence, manifest.check_target(target.folder, target.entry) if target.entry else []
