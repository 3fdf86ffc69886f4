"""The command line: track, evaluate trackers, show the table, manage data and weights.

A command imports what it needs when it runs: help and argument errors come at once, without
waiting for torch.
"""

import argparse
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from trackerlib.arguments import (
    box_joined,
    convert_options,
    data_options,
    different,
    evaluation_options,
    place,
    report_options,
    track_options,
    weights_options,
)
from trackerlib.eval.interrupts import Interrupts
from trackerlib.paths import cache_dir
from trackerlib.results import results_commands, warn
from trackerlib.startup import load

if TYPE_CHECKING:
    from trackerlib.data import Dataset
    from trackerlib.eval.runner import Job
    from trackerlib.eval.store import Store


def main(argv: list[str] | None = None) -> int:
    """Run one command and return 0, 1 where units failed or data differ, 2 for an error.

    An interrupt gives what a shell expects: 128 and the signal's number, 130 for Ctrl-C.
    """
    arguments = _parser().parse_args(box_joined(sys.argv[1:] if argv is None else argv))
    try:
        with Interrupts(last=argv is None):  # where the program ends with this
            return arguments.command(arguments)
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        return _code(error)
    except Exception as error:
        line = _mendable(error)
        if not line:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 2


def _mendable(error: Exception) -> str:
    """Return what to say of an error that a user can mend; "" of one of the library's own.

    Nothing is imported for it that may be what is broken.
    """
    from trackerlib.doctor import broken_package

    if package := broken_package(error):
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        cure = "`python -m trackerlib doctor` says what is broken, and what to do"
        return f"{package} cannot be used here: {kind}{error}; {cure}"
    # Where its module was not imported, no error is a FrameError.
    frames = sys.modules.get("trackerlib.data.sequence")
    kinds = (ValueError, OSError, ImportError, *([frames.FrameError] if frames else []))
    return str(error) or type(error).__name__ if isinstance(error, kinds) else ""


def _code(interrupt: BaseException) -> int:
    return 128 + getattr(interrupt, "number", signal.SIGINT)


def track(arguments: Namespace) -> int:
    """Follow targets through a video; write their boxes and the annotated video."""
    different(arguments.source, arguments.out, arguments.boxes)
    load("torch")
    from trackerlib.tracking.command import follow

    followed = follow(arguments, warn)
    if isinstance(followed.stopped, KeyboardInterrupt):
        return _code(followed.stopped)
    if followed.stopped:
        raise followed.stopped
    return 2 if followed.errors else 0


def run(arguments: Namespace) -> int:
    """Evaluate trackers; what the store holds already is not computed again."""
    from trackerlib.eval import runner

    jobs, _ = _evaluation(arguments)
    store = _store(arguments)
    try:
        summary = runner.run(jobs, store, arguments.workers, arguments.scheduler)
    except KeyboardInterrupt:
        complete = sum(store.complete(job.unit) for job in jobs)
        print(
            f"{complete} of {len(jobs)} units are complete and kept in {store.root}; "
            "the same command goes on from there"
        )
        raise
    warn(summary.warnings)
    for job in jobs if summary.failed else ():
        if failure := store.failure(job.unit):
            print(f"failed: {failure.unit.stem}: {failure.reason}", file=sys.stderr)
    print(
        f"{summary.done} units computed, {summary.skipped} were complete, "
        f"{summary.failed} failed; store {store.root}"
    )
    return 1 if summary.failed else 0


def report(arguments: Namespace) -> int:
    """Print the table of what a store, or a compact file of results, holds."""
    from trackerlib.eval import printed
    from trackerlib.eval.imports import imported_jobs
    from trackerlib.eval.layouts import IMPORTED
    from trackerlib.results import report_file
    from trackerlib.trackers import parse

    protocol, against = arguments.protocol, arguments.against
    if arguments.store and arguments.store.is_file():
        return report_file(arguments.store, arguments.conventions, against)
    collect = printed.collector(protocol, arguments.conventions, arguments.eao_interval, against)
    settings = None
    if against and not against.endswith(IMPORTED):
        settings = parse(against).settings()
    jobs, dataset = _evaluation(arguments)
    store = _store(arguments)
    against = next((job.unit.label for job in jobs if job.unit.settings == settings), against)
    found = collect([*jobs, *imported_jobs(store, dataset, protocol)], dataset, store)
    warn(found.warnings, but=dataset.problems)
    if not found.results:
        former = printed.former(found)
        raise FileNotFoundError(
            f"report: expected results for {', '.join(arguments.trackers)} in "
            f"{store.root}, found none{former}; {printed.CURE}"
        )
    for line in printed.lines(found, against or ""):
        print(line)
    return 0


def trax(arguments: Namespace) -> int:
    """Serve a tracker over the TraX protocol: the command of a tracker in vot-toolkit."""
    from trackerlib.adapters import serve_trax
    from trackerlib.eval.runner import resolve_device
    from trackerlib.trackers import parse

    device = resolve_device(arguments.device)
    serve_trax(parse(arguments.tracker), device, arguments.seed)
    return 0


def list_data(arguments: Namespace) -> int:
    """Print the sequences of a data set: name, frames, attributes."""
    from trackerlib.data import open_dataset

    dataset = open_dataset(arguments.data, arguments.split, arguments.format)
    for sequence in dataset.sequences:
        print(f"{sequence.name:<20} {len(sequence):>5}  {' '.join(sequence.attributes)}")
    warn([*dataset.problems, *_noticed(dataset)])
    return 0


def check_data(arguments: Namespace) -> int:
    """Compare a data set with the benchmark's manifest; print what differs."""
    from trackerlib.data import open_dataset

    dataset = open_dataset(arguments.data, arguments.split, arguments.format)
    for problem in dataset.problems:
        print(problem)
    warn(_noticed(dataset), but=dataset.problems)
    print(f"{len(dataset.sequences)} sequences, {len(dataset.problems)} problems")
    return 1 if dataset.problems else 0


def render_data(arguments: Namespace) -> int:
    """Render the embedded benchmark, unless it is there; print its folder."""
    from trackerlib.data import synthetic

    print(synthetic.ensure())
    return 0


def convert_data(arguments: Namespace) -> int:
    """Write the sequences of a data set of any known format in OTB's."""
    from trackerlib.data import open_dataset
    from trackerlib.data.convert import write_otb

    dataset = open_dataset(arguments.data, arguments.split, arguments.format)
    warn([*dataset.problems, *_noticed(dataset)])
    for sequence in dataset.sequences:
        folder = write_otb(sequence, arguments.target, arguments.copy)
        print(f"{folder}  {len(sequence)} frames")
    return 1 if dataset.missing else 0


def fetch_data(arguments: Namespace) -> int:
    """Download OTB sequences from their host, verify them, print their folders."""
    from trackerlib.data.fetch import fetch

    for folder in fetch(arguments.data, arguments.names):
        print(folder)
    return 0


def list_weights(arguments: Namespace) -> int:
    """Print which weights there are, what they may be used for, and where they come from."""
    from trackerlib.weights.registry import locate, registry

    rows = [("name", "state", "bytes", "licence", "trained on", "benchmark seen", "origin")]
    for entry in registry().values():
        path = locate(entry)
        there = path.is_file()
        state = ("bundled" if entry.bundled else "present") if there else "absent"
        size = path.stat().st_size if there else entry.size
        row = (
            entry.name,
            state,
            f"{size:,}" if size else "not known",
            entry.licence,
            entry.trained_on,
            entry.benchmark_seen,
            entry.origin,
        )
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def fetch_weights(arguments: Namespace) -> int:
    """Download weights, verify them, print where they are."""
    from trackerlib import weights

    print(weights.fetch(arguments.name))
    return 0


def add_weights(arguments: Namespace) -> int:
    """Add a file of weights: one of the registry is known by its hash, one's own needs a name."""
    from trackerlib import weights
    from trackerlib.weights import registry

    entry = weights.add(
        arguments.file,
        arguments.name,
        arguments.format,
        arguments.network,
        dict(arguments.config),
    )
    print(f"{entry.name}: {registry.locate(entry)}")
    if "; " in entry.origin:  # what was taken off or left out
        print(f"{entry.name}: {entry.origin}")
    return 0


def verify_weights(arguments: Namespace) -> int:
    """Compare the weights that are there with their hashes; print what differs."""
    from trackerlib import weights
    from trackerlib.weights import registry

    problems = weights.verify()
    for problem in problems:
        print(problem)
    entries = registry.registry().values()
    there = sum(registry.locate(entry).is_file() for entry in entries)
    print(f"{there} files of weights, {len(problems)} problems")
    return 1 if problems else 0


def doctor(_: Namespace) -> int:
    """Print what is there, what is missing, how fast this machine is, and what to do."""
    from trackerlib.doctor import examine

    cures = 0
    for finding in examine():
        print(f"{finding.what}: {finding.found}", flush=True)
        if finding.cure:
            print(f"  -> {finding.cure}", flush=True)
            cures += 1
    amount = {0: "nothing", 1: "1 thing"}.get(cures, f"{cures} things")
    print(f"{amount} to do")
    return 1 if cures else 0


def _evaluation(arguments: Namespace) -> "tuple[list[Job], Dataset]":
    """Return what `run` and `report` are about: jobs, data set."""
    from trackerlib.data import open_dataset
    from trackerlib.eval.runner import distinct, plan
    from trackerlib.trackers import parse, specifications

    texts = specifications(arguments.trackers)
    dataset = open_dataset(arguments.data, arguments.split, arguments.format)
    specs, twice = distinct([parse(text) for text in texts])
    seeds = list(dict.fromkeys(arguments.seeds))
    if len(seeds) < len(arguments.seeds):
        twice.append("a seed that is given twice counts once")
    warn([*twice, *dataset.problems])
    return plan(specs, dataset, arguments.protocol, seeds, arguments.device), dataset


def _store(arguments: Namespace) -> "Store":
    from trackerlib.eval.store import Store

    return Store(arguments.store or cache_dir() / "store")


def _noticed(dataset: "Dataset") -> tuple[str, ...]:
    from trackerlib.eval.notices import noticed

    return noticed(dataset.sequences, ())


def _parser() -> ArgumentParser:
    summary = (__doc__ or "").partition("\n")[0]
    parser = ArgumentParser("python -m trackerlib", description=summary)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    track_options(_command(commands, "track", track))
    run_parser = _command(commands, "run", run)
    evaluation_options(run_parser)
    run_parser.add_argument("--workers", type=int, default=1, help="processes; 1 for speed")
    run_parser.add_argument("--scheduler", help="a running dask scheduler: tcp://host:port")
    report_parser = _command(commands, "report", report)
    evaluation_options(report_parser)
    report_options(report_parser)
    trax_parser = _command(commands, "trax", trax)
    trax_parser.add_argument("tracker", metavar="TRACKER", help="such as kcf")
    trax_parser.add_argument("--seed", type=int, default=0)
    trax_parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    _command(commands, "doctor", doctor)
    data = commands.add_parser("data", help="list, check, convert, render or fetch data sets")
    _data_commands(data.add_subparsers(required=True, metavar="COMMAND"))
    weights = commands.add_parser("weights", help="list, fetch, add or verify weights")
    _weights_commands(weights.add_subparsers(required=True, metavar="COMMAND"))
    results = commands.add_parser("results", help="export, import, merge or verify results")
    results_commands(results.add_subparsers(required=True, metavar="COMMAND"), _command)
    return parser


def _command(
    commands: "argparse._SubParsersAction[ArgumentParser]",
    name: str,
    function: Callable[[Namespace], int],
) -> ArgumentParser:
    parser = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
    parser.set_defaults(command=function)
    return parser


def _data_commands(commands: "argparse._SubParsersAction[ArgumentParser]") -> None:
    for name, function in (("list", list_data), ("check", check_data)):
        data_options(_command(commands, name, function))
    convert_options(_command(commands, "convert", convert_data))
    _command(commands, "render", render_data)
    fetch = _command(commands, "fetch", fetch_data)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="such as Couple or Jogging-1")
    fetch.add_argument("--data", type=place, required=True, metavar="FOLDER", help="where to put")


def _weights_commands(commands: "argparse._SubParsersAction[ArgumentParser]") -> None:
    _command(commands, "list", list_weights)
    _command(commands, "fetch", fetch_weights).add_argument("name", metavar="NAME")
    weights_options(_command(commands, "add", add_weights))
    _command(commands, "verify", verify_weights)


if __name__ == "__main__":
    sys.exit(main())
