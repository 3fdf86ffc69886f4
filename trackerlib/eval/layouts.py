"""How other toolkits lay out raw results on disk: a file of boxes per run.

    otb         <tracker>/<sequence>.txt                             x,y,w,h
    otb-mat     <sequence>_<tracker>.mat                             MATLAB, see below
    got10k      <tracker>/<sequence>.txt, times/<sequence>_time.txt  as its ExperimentOTB has them
                <tracker>/<sequence>/<sequence>_001.txt ...          on GOT-10k, with _time.txt,
                                                                     a column for each run
    pysot       <tracker>/<sequence>.txt                             on GOT-10k like got10k
    pytracking  <tracker>/<parameters>_000/<sequence>.txt            with tabs, and _time.txt
    vot         <tracker>/<experiment>/<sequence>/<sequence>_001.txt with _001_time.value; a 1
                                                                     stands for the first box

The numbers are those of the ground-truth files that a toolkit hands to trackers: in OTB's,
TempleColor's and UAV123's the first pixel is 1, in those of GOT-10k, LaSOT and VOT it is 0.
Where a layout has no place for a seed, a folder `<tracker>.seed1` is one. A .mat file of OTB's
toolkit holds the cell array `results`, a structure per segment: `res` (n, 4), `type`, `len`,
`startFrame`, `annoBegin`, `fps`.

Where that is settled: got10k's experiments/otb.py and got10k.py (0.1.3), pysot's tools/test.py,
pytracking's evaluation/running.py and tracker.py, vot-toolkit's experiment/multirun.py and
region/io.py. OTB's toolkit counts a segment's first frame, `startFrame`, from `annoBegin`.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from trackerlib.boxes import xywh_to_otb
from trackerlib.data.rows import parse_rows, read_rows
from trackerlib.eval.store import Result, rows_text
from trackerlib.paths import draft_folder

__all__ = ["FORMATS", "IMPORTED", "RawRun", "default_base", "read_runs", "write_runs"]

IMPORTED = " (imported)"  # ends the labels of trackers whose boxes were made elsewhere
MAT = "{sequence}_{tracker}.mat"
MAX_RUNS = 100  # columns of a file of times


@dataclass(frozen=True)
class Layout:
    """Where a toolkit's files are, below the folder of its results.

    boxes, seconds  paths; seconds "" where the toolkit keeps none
    separator       between numbers, in what is written
    runs_from       number of the first seed's run
    first           what stands for the first box
    """

    boxes: str
    seconds: str = ""
    separator: str = ","
    runs_from: int = 1
    first: str = ""


PLAIN = "{tracker}{seed}/{sequence}.txt"
NESTED = Layout(
    "{tracker}/{sequence}/{sequence}_{run}.txt", "{tracker}/{sequence}/{sequence}_time.txt"
)
VOT = "{tracker}/baseline/{sequence}/{sequence}_{run}"
FORMATS: dict[str, tuple[Layout, ...]] = {  # the last one is for the sequences of GOT-10k
    "otb": (Layout(PLAIN),),
    "otb-mat": (Layout(MAT),),
    "got10k": (Layout(PLAIN, "{tracker}{seed}/times/{sequence}_time.txt"), NESTED),
    "pysot": (Layout(PLAIN), NESTED),
    "pytracking": (
        Layout(
            "{tracker}/default_{run}/{sequence}.txt",
            "{tracker}/default_{run}/{sequence}_time.txt",
            separator="\t",
            runs_from=0,
        ),
    ),
    "vot": (Layout(f"{VOT}.txt", f"{VOT}_time.value", first="1"),),
}
DAMAGE = (  # what SciPy raises for a file that it did not expect
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
NAMES = {  # what stands in the place of a name when files are looked for
    "{tracker}": r"(?P<tracker>[^/]+?)",
    "{seed}": r"(\.seed(?P<seed>\d+))?",
    "/default_{run}": r"/(?P<parameters>[^/]+?)(_(?P<run>\d{3}))?",
    "{run}": r"(?P<run>\d+)",
    "/baseline/": "/[^/]+/",
}


@dataclass(frozen=True, eq=False)
class RawRun:
    """One run as a toolkit's files have it.

    sequence, tracker  as the toolkit spells them
    segment            index among those of the protocol
    boxes              (n, 4) as they stand; None where they cannot be read: see `problem`
    seconds            (n,) NaN where the toolkit keeps none
    has_first          whether the first row is the tracker's own, rather than a sign for it
    start              index of the first row's frame in the sequence, where the file says so
    """

    path: Path
    tracker: str
    sequence: str
    seed: int = 0
    segment: int = 0
    boxes: np.ndarray | None = None
    seconds: np.ndarray = field(default_factory=lambda: np.empty(0))
    has_first: bool = True
    start: int | None = None
    problem: str = ""


def default_base(layout: str, sequence: str) -> int:
    """Return the number of the first pixel in a format's files: 0 for VOT and GOT-10k, else 1."""
    return 0 if layout == "vot" or _is_got10k(sequence) else 1


def read_runs(folder: Path, layout: str, sequences: Iterable[str] = ()) -> Iterator[RawRun]:
    """Yield every run below a folder, in the order of paths, those that cannot be read as well.

    layout     of FORMATS
    sequences  names, in lower case, with which files may begin (otb-mat)
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = sorted(sequences, key=len, reverse=True)
    for path in paths:
        relative = path.relative_to(folder).as_posix()
        if layout == "otb-mat":
            yield from _mat_runs(path, names) if path.suffix == ".mat" else ()
        elif found := _matched(relative, layout):
            yield _text_run(folder, path, *found)


def write_runs(results: Iterable[Result], layout: str, folder: Path, base: int | None) -> int:
    """Write results as a toolkit has them, a new folder whole or not at all -> files of boxes.

    base  number of the first pixel; None: `default_base`

    Raises ValueError for a folder that holds something, for two trackers of one name, and for a
    protocol of several segments in a layout of one.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: expected a new or empty folder; give another")
    files: dict[Path, list[Result]] = {}
    for result in results:
        files.setdefault(Path(_path(result, layout, "boxes")), []).append(result)
    for path, several in files.items():
        labels = {one.unit.label for one in several}
        if len(labels) > 1 or (len(several) > 1 and layout != "otb-mat"):
            raise ValueError(
                f"{folder / path}: expected one result for this file, got {len(several)}: "
                f"{'; '.join(one.unit.where for one in several[:2])}; export fewer trackers, or "
                "one protocol, or --to compact"
            )
    # An empty folder may be the one that the user is in, which nothing can replace.
    with nullcontext(folder) if folder.exists() else draft_folder(folder) as draft:
        for path, several in files.items():
            place = draft / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if layout == "otb-mat":
                _write_mat(place, several, base)
            else:
                _write_text(place, several[0], layout, base)
        if layout != "otb-mat":
            _write_seconds([one for several in files.values() for one in several], layout, draft)
    return len(files)


def _is_got10k(sequence: str) -> bool:
    return sequence.lower().startswith("got-10k_")


def _layout(result: Result, layout: str) -> Layout:
    return FORMATS[layout][-1 if _is_got10k(result.unit.sequence) else 0]


def _path(result: Result, layout: str, kind: str) -> str:
    unit, found = result.unit, _layout(result, layout)
    label = unit.label.removesuffix(IMPORTED)
    return getattr(found, kind).format(
        tracker=re.sub(r"[^\w.=-]+", "-", label),
        sequence=unit.sequence,
        seed=f".seed{unit.seed}" if unit.seed else "",
        run=f"{unit.seed + found.runs_from:03d}",
    )


def _numbers(result: Result, base: int | None, layout: str) -> np.ndarray:
    number = default_base(layout, result.unit.sequence) if base is None else base
    return xywh_to_otb(result.track.boxes) if number else result.track.boxes


def _write_text(path: Path, result: Result, layout: str, base: int | None) -> None:
    found = _layout(result, layout)
    lines = rows_text(_numbers(result, base, layout)).replace(",", found.separator).splitlines()
    if found.first:
        lines[0] = found.first
    path.write_text("".join(f"{line}\n" for line in lines))


def _write_seconds(results: list[Result], layout: str, folder: Path) -> None:
    """Write seconds, of several runs side by side where they have one file."""
    columns: dict[Path, list[np.ndarray]] = {}
    for result in sorted(results, key=lambda one: one.unit.seed):
        name = _path(result, layout, "seconds")
        if name and np.isfinite(result.track.seconds).all():
            columns.setdefault(folder / name, []).append(result.track.seconds)
    for path, several in columns.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows_text(np.stack(several, 1)))


def _matched(relative: str, layout: str) -> tuple[Layout, dict[str, str]] | None:
    if relative.endswith(("_time.txt", "_object_presence_scores.txt")):
        return None
    for found in FORMATS[layout]:
        pattern = found.boxes.replace(".txt", r"\.txt")
        for name, expression in NAMES.items():
            pattern = pattern.replace(name, expression)
        pattern = pattern.replace("{sequence}", "(?P<sequence>[^/]+)", 1)
        pattern = pattern.replace("{sequence}", "(?P=sequence)")
        if match := re.fullmatch(pattern, relative):
            return found, match.groupdict()
    return None


def _text_run(folder: Path, path: Path, layout: Layout, names: dict[str, str]) -> RawRun:
    number = names.get("seed") or names.get("run")
    seed = int(number) - (layout.runs_from if names.get("run") else 0) if number else 0
    parameters = names.get("parameters") or "default"
    tracker = names["tracker"] + ("" if parameters == "default" else f"-{parameters}")
    run = RawRun(path, tracker, names["sequence"], seed)
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        first, _, rest = text.partition("\n")
        if layout.first and first.strip() == layout.first:
            text, run = f"nan,nan,nan,nan\n{rest}", replace(run, has_first=False)
        boxes = parse_rows(text, (4,), path)
        return replace(run, boxes=boxes, seconds=_seconds(path, layout, seed, len(boxes)))
    except ValueError as error:
        codes = "; the codes 0, 1 and 2 are of VOT's restarts, which are not read"
        return replace(run, problem=f"{error}{codes if layout.first else ''}")


def _seconds(path: Path, layout: Layout, seed: int, rows: int) -> np.ndarray:
    """Return the seconds of a run from the file beside its boxes; NaN where there is none."""
    stem = re.sub(r"_\d+$", "", path.stem) if layout is NESTED else path.stem
    below = "times/" if "/times/" in layout.seconds else ""
    other = path.parent / f"{below}{stem}_time{Path(layout.seconds).suffix}"
    if not layout.seconds or not other.is_file():
        return np.full(rows, np.nan)
    columns = read_rows(other, tuple(range(1, MAX_RUNS)))
    column = seed if layout is NESTED else 0
    if len(columns) != rows or column >= columns.shape[1]:
        raise ValueError(
            f"{other}: expected {rows} rows, one for each box, and a column for run {column + 1}, "
            f"got {columns.shape[0]} rows of {columns.shape[1]}; remove the file to go without"
        )
    return columns[:, column]


def _mat_runs(path: Path, names: list[str]) -> Iterator[RawRun]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    stem = path.stem
    known = next((name for name in names if stem.lower().startswith(f"{name}_")), "")
    sequence, _, tracker = stem.partition("_") if not known else _cut(stem, len(known))
    tracker, _, seed = tracker.partition(".seed")
    run = RawRun(path, tracker, sequence, int(seed) if seed.isdecimal() else 0)
    try:
        cells = np.atleast_1d(loadmat(path, simplify_cells=True)["results"])
    except (*DAMAGE, MatReadError) as error:
        cure = "save the cell array `results` with MATLAB's -v7"
        yield replace(run, problem=f"{path}: expected a file of OTB's toolkit: {error!r}; {cure}")
        return
    for index, cell in enumerate(cells):
        yield _cell_run(replace(run, segment=index), cell)


def _cut(stem: str, length: int) -> tuple[str, str, str]:
    return stem[:length], "_", stem[length + 1 :]


def _cell_run(run: RawRun, cell: Any) -> RawRun:
    where = f"{run.path}, results{{{run.segment + 1}}}"
    kind = cell.get("type", "rect") if isinstance(cell, dict) else type(cell).__name__
    try:
        boxes = np.asarray(cell["res"], dtype=np.float64) if kind == "rect" else np.empty(0)
        stated = isinstance(cell, dict) and {"startFrame", "annoBegin"} <= cell.keys()
        start = int(cell["startFrame"]) - int(cell["annoBegin"]) if stated else None
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        return replace(run, problem=f"{where}: expected a run of OTB's toolkit: {error!r}")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        got = f"type {kind}" if kind != "rect" else f"res {boxes.shape}"
        return replace(run, problem=f"{where}: expected type rect and res (n, 4), got {got}")
    return replace(run, boxes=boxes, seconds=np.full(len(boxes), np.nan), start=start)


def _write_mat(path: Path, results: list[Result], base: int | None) -> None:
    from scipy.io import savemat

    cells = np.empty((1, len(results)), dtype=object)
    for index, one in enumerate(results):
        fps = one.track.fps
        cells[0, index] = {
            "res": _numbers(one, base, "otb-mat"),
            "type": "rect",
            "len": float(one.unit.frames),
            "startFrame": float(one.unit.start + 1),
            "annoBegin": 1.0,
            "fps": fps,
        }
    savemat(path, {"results": cells}, do_compression=True)
