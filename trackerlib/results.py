"""The command line's `results`: raw results out of a store and into it, in any toolkit's form.

A place of results is a store, a folder, or a compact file (.npz), see `eval.archive`.
"""

import argparse
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from trackerlib.arguments import data_options, place

if TYPE_CHECKING:
    from trackerlib.eval.archive import Archive
    from trackerlib.eval.store import Unit

__all__ = ["origin_of", "report_file", "results_commands", "warn"]

COMPACT = "compact"
LAYOUTS = ("otb", "otb-mat", "got10k", "pysot", "pytracking", "vot", COMPACT)


def export_results(arguments: Namespace) -> int:
    """Write results in the form of a toolkit, or as one compact file."""
    from trackerlib.eval.archive import check_rows, write_archive
    from trackerlib.eval.layouts import write_runs
    from trackerlib.eval.store import Result

    compact = arguments.layout == COMPACT
    _check_free(arguments.out, compact)
    archive = _chosen(_opened(arguments.place, arguments), arguments)
    check_rows(archive.rows)
    if compact:
        write_archive(arguments.out, archive)
        size = arguments.out.stat().st_size
        print(f"{len(archive.rows)} rows, {size:,} bytes: {arguments.out}")
        return 0
    results = [row.outcome for row in archive.rows if isinstance(row.outcome, Result)]
    count = write_runs(results, arguments.layout, arguments.out, arguments.base)
    print(f"{len(results)} results, {count} files in {arguments.layout}'s form: {arguments.out}")
    return 0


def import_results(arguments: Namespace) -> int:
    """Take raw results that were made elsewhere; print which files are refused, and why."""
    from trackerlib.data import open_dataset
    from trackerlib.eval.archive import Archive, measured
    from trackerlib.eval.imports import Alignment, import_runs
    from trackerlib.eval.layouts import read_runs
    from trackerlib.eval.places import dataset_facts, over, put, read_whole
    from trackerlib.eval.store import Failure

    dataset = open_dataset(arguments.data, arguments.split)
    if arguments.layout == COMPACT:
        archive = over(dataset, read_whole(arguments.folder))
        put([archive], arguments.target)
        print(f"{len(archive.rows)} rows: {arguments.target}")
        return 0
    alignment = Alignment(
        layout=arguments.layout,
        protocol=arguments.protocol,
        base=arguments.base,
        align=dict(arguments.align),
        lost=arguments.lost,
    )
    names = [one.name.lower() for one in dataset.sequences]
    runs = list(read_runs(arguments.folder, arguments.layout, names))
    outcomes, notes = import_runs(runs, dataset, alignment)
    warn(notes)
    if not outcomes:
        raise FileNotFoundError(
            f"{arguments.folder}: expected files laid out as {arguments.layout} has them, of "
            f"sequences such as {dataset.sequences[0].name}, found {len(runs)} files of others; "
            "give the folder that holds the trackers', see `trackerlib.eval.layouts`"
        )
    rows = tuple(measured(outcome, dataset, {}) for outcome in outcomes)
    put([Archive(dataset_facts(dataset), rows)], arguments.target)
    refused = [one for one in outcomes if isinstance(one, Failure)]
    for failure in refused:
        print(f"refused: {failure.reason}", file=sys.stderr)
    done = len(outcomes) - len(refused)
    print(f"{done} results imported, {len(refused)} files refused: {arguments.target}")
    return 1 if refused else 0


def merge_results(arguments: Namespace) -> int:
    """Join stores and compact files into the last one named; refuse what conflicts."""
    from trackerlib.eval.places import put

    *sources, target = arguments.places
    if not sources:
        raise ValueError("merge: expected places of results and then a new one, got one place")
    _check_free(target, target.suffix == ".npz")
    count = put([_opened(source, arguments) for source in sources], target)
    print(f"{count} rows: {target}")
    return 0


def verify_results(arguments: Namespace) -> int:
    """Recompute the checksums of results; print what is damaged."""
    from trackerlib.eval.archive import read_archive
    from trackerlib.eval.store import Store

    count, damages = 0, list[str]()
    for path in arguments.places:
        if path.is_dir():
            store = Store(path)
            count += len(list(store.results())) + len(list(store.failures()))
            damages += store.damages()
        else:
            archive, found = read_archive(path)
            count += len(archive.rows)
            damages += found
    for line in damages:
        print(line)
    print(f"{count} rows are whole, {len(damages)} are damaged")
    return 1 if damages else 0


def report_file(path: Path, conventions: str | None, against: str | None) -> int:
    """Print the tables of a compact file, one for each data set and protocol."""
    from trackerlib.eval.archived import collect_archive, parts
    from trackerlib.eval.conventions import CONVENTIONS
    from trackerlib.eval.places import read_whole
    from trackerlib.eval.printed import lines

    archive = read_whole(path)
    for dataset, protocol in parts(archive):
        print(f"{dataset}, protocol {protocol}")
        found = collect_archive(archive, dataset, protocol, CONVENTIONS[conventions or "otb"])
        warn(found.warnings)
        for line in lines(found, against or ""):
            print(line)
    return 0


def warn(lines: Iterable[str], but: Collection[str] = ()) -> None:
    """Print warnings, except those that were printed already."""
    if new := [line for line in lines if line not in but]:
        from trackerlib.eval.notices import condensed

        for line in condensed(new):
            print(f"warning: {line}", file=sys.stderr)


def results_commands(
    commands: "argparse._SubParsersAction[ArgumentParser]",
    command: Callable[..., ArgumentParser],
) -> None:
    """Add export, import, merge and verify.

    command  adds a parser for a name and a function
    """
    export = command(commands, "export", export_results)
    export.add_argument("place", type=place, metavar="STORE", help="or a compact file")
    export.add_argument("out", type=place, metavar="OUT", help="a new folder or .npz")
    export.add_argument("--to", dest="layout", choices=LAYOUTS, required=True)
    export.add_argument("--tracker", action="append", metavar="LABEL", help="repeatable; else all")
    taken = command(commands, "import", import_results)
    taken.add_argument("folder", type=place, metavar="FOLDER", help="or a compact file")
    taken.add_argument("target", type=place, metavar="STORE", help="or a compact file, .npz")
    taken.add_argument("--from", dest="layout", choices=LAYOUTS, required=True)
    taken.add_argument(
        "--align",
        action="append",
        type=_aligned,
        default=[],
        metavar="NAME=FIRST:LAST",
        help="frames that a sequence's shorter files have rows of: Tiger1=6:354; repeatable",
    )
    taken.add_argument("--lost", action="store_true", help="keep rows that are NaN or no box")
    for parser in (export, taken):
        data_options(parser)
        parser.add_argument("--protocol", default="ope", help="ope, tre or sre")
        parser.add_argument(
            "--base",
            type=int,
            choices=(0, 1),
            help="number of the first pixel in the files; else 0 in VOT's form and on GOT-10k, "
            "1 elsewhere: give 0 on LaSOT and on VOT's sequences",
        )
    merge = command(commands, "merge", merge_results)
    data_options(merge)
    for parser in (export, merge):
        parser.set_defaults(data=None)  # a store's ground truth: for compact files alone
    verify = command(commands, "verify", verify_results)
    for parser in (merge, verify):
        parser.add_argument("places", nargs="+", type=place, metavar="STORE_OR_FILE")


def _aligned(text: str) -> tuple[str, tuple[int, int]]:
    found = re.fullmatch(r"(.+)=(\d+):(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"expected NAME=FIRST:LAST, got {text!r}")
    return found[1], (int(found[2]), int(found[3]))


def _check_free(path: Path, is_file: bool) -> None:
    if path.exists() if is_file else path.is_file():
        raise ValueError(f"{path}: expected the name of something new; give another")
    if is_file and not path.parent.is_dir():
        raise ValueError(f"{path}: expected a file in a folder that exists")


def _opened(path: Path, arguments: Namespace) -> "Archive":
    """Return what a place holds; what frames are worth is known where data are given."""
    from trackerlib.data import open_dataset
    from trackerlib.eval.places import open_place

    is_store = arguments.data is not None and path.is_dir()
    dataset = open_dataset(arguments.data, arguments.split) if is_store else None
    return open_place(path, dataset, origin_of)


def _chosen(archive: "Archive", arguments: Namespace) -> "Archive":
    """Return the rows of the trackers and the protocol that were asked for."""
    from trackerlib.eval.archive import Archive

    known = dict.fromkeys(row.unit.label for row in archive.rows)
    if unknown := [label for label in arguments.tracker or () if label not in known]:
        raise ValueError(f"expected trackers among {', '.join(known)}, got {', '.join(unknown)}")
    wanted = arguments.tracker or known
    rows = [row for row in archive.rows if row.unit.label in wanted]
    rows = [row for row in rows if row.unit.protocol == arguments.protocol]
    if not rows:
        raise FileNotFoundError(
            f"{arguments.place}: expected results of protocol {arguments.protocol}, found none; "
            "give --data, --split and --protocol as in the run"
        )
    return Archive(archive.sequences, tuple(rows))


def origin_of(unit: "Unit") -> dict:
    """Return a tracker's preset, and its weights with their hashes where they are known.

    A unit's code is a hash of the weights' hashes as well: where it is the present one, these
    are the registry's.
    """
    if "imported" in unit.settings:
        return {}
    from trackerlib.trackers import WEIGHTS
    from trackerlib.weights.registry import registry

    preset = re.search(r"preset=(\w+)", unit.label)
    known, weights = registry(), {}
    names = {field: unit.settings.get(field) for field in WEIGHTS}
    for field, name in names.items():
        if entry := known.get(name or ""):
            current = _present_code(unit.label) == unit.code
            sha = (entry.sha256 or entry.git_blob) if current else None
            weights[field] = {"name": name, "hash": sha}
    return {"preset": preset[1] if preset else "default", "weights": weights}


@lru_cache
def _present_code(label: str) -> str:
    """Return the code that a unit of a tracker would have now; "" where there is none such."""
    from trackerlib.eval.runner import code_of
    from trackerlib.trackers import parse

    try:
        return code_of(parse(label))
    except ValueError:
        return ""
