"""The command line: track, evaluate trackers, show the table, manage data and weights.

A command imports what it needs when it runs: help and argument errors come at once, without
waiting for torch.
"""

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trackerlib.paths import cache_dir

if TYPE_CHECKING:
    import numpy as np

    from trackerlib.data import Dataset
    from trackerlib.eval.runner import Job


def main(argv: list[str] | None = None) -> int:
    """Run one command and return 0, 1 where units failed or data differ, 2 for an error."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except _expected() as error:  # evaluated, and its import made, when an error comes
        print(f"error: {error}", file=sys.stderr)
        return 2


def _expected() -> tuple[type[Exception], ...]:
    """Return the kinds of error that a user can mend."""
    from trackerlib.data.sequence import FrameError

    return ValueError, OSError, FrameError, ImportError


def track(arguments: Namespace) -> int:
    """Follow one target through a video; write its boxes and the annotated video."""
    import numpy as np

    from trackerlib.data.annotated_video import AnnotatedVideo, frames_per_second
    from trackerlib.data.video import read_video
    from trackerlib.eval.protocols import Segment
    from trackerlib.eval.runner import follow, resolve_device
    from trackerlib.trackers import parse

    _different(arguments.source, arguments.out, arguments.boxes)
    spec = parse(arguments.tracker)
    tracker = spec.build(resolve_device(arguments.device), arguments.seed)
    sequence = read_video(arguments.source, arguments.box)
    boxes, seconds, warnings = [], [], list(sequence.warnings)
    video = None
    if arguments.out:
        video = AnnotatedVideo(arguments.out, frames_per_second(arguments.source))
    for step in follow(tracker, sequence, Segment("ope", 0, arguments.box)):
        boxes.append(step.box)
        seconds.append(step.seconds)
        warnings += filter(None, [step.warning])
        if video:
            video.write(step.frame, step.box)
    if arguments.boxes:
        _save(arguments.boxes, boxes)
    if video:
        video.close()
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    fps = np.count_nonzero(seconds) / sum(seconds)
    written = " and ".join(str(path) for path in (arguments.out, arguments.boxes) if path)
    print(
        f"{spec.label}: {len(boxes)} frames of {sequence.name} at {fps:.0f} frames per second"
        + (f"; wrote {written}" if written else "")
    )
    return 0


def run(arguments: Namespace) -> int:
    """Evaluate trackers; what the store holds already is not computed again."""
    from trackerlib.eval import runner
    from trackerlib.eval.store import Store

    jobs, _ = _evaluation(arguments)
    store = Store(arguments.store)
    summary = runner.run(jobs, store, arguments.workers, arguments.scheduler)
    for failure in store.failures() if summary.failed else ():
        reason = failure.traceback.strip().splitlines()[-1]
        print(f"failed: {failure.unit.stem}: {reason}", file=sys.stderr)
    print(
        f"{summary.done} units computed, {summary.skipped} were complete, "
        f"{summary.failed} failed; store {store.root}"
    )
    return 1 if summary.failed else 0


def report(arguments: Namespace) -> int:
    """Print the table of what a store holds for trackers and a data set."""
    from trackerlib.eval.report import OUTDATED, collect, rounded, speed, table
    from trackerlib.eval.store import Store

    jobs, dataset = _evaluation(arguments)
    found = collect(jobs, dataset, Store(arguments.store))
    cure = "compute them with the command run and the same options"
    if not found.scores:
        outdated = (found.missing["reason"] == OUTDATED).sum()
        former = f" ({outdated} of earlier versions or other data do not count)"
        raise FileNotFoundError(
            f"report: expected results for {', '.join(arguments.trackers)} in "
            f"{arguments.store}, found none{former if outdated else ''}; {cure}"
        )
    print(rounded(table(found)).to_string())
    speeds = speed(found)
    print("\nspeed, from runs with one worker alone:")
    print("none of these had one" if speeds.empty else speeds.round(1).to_string())
    if len(found.missing):
        print(f"\nmissing; {cure}:\n{found.missing.to_string(index=False)}")
    return 0


def list_data(arguments: Namespace) -> int:
    """Print the sequences of a data set: name, frames, attributes."""
    from trackerlib.data import open_dataset

    dataset = open_dataset(arguments.data, arguments.split)
    for sequence in dataset.sequences:
        print(f"{sequence.name:<20} {len(sequence):>5}  {' '.join(sequence.attributes)}")
    _warn(dataset.problems)
    return 0


def check_data(arguments: Namespace) -> int:
    """Compare a data set with the benchmark's manifest; print what differs."""
    from trackerlib.data import open_dataset

    dataset = open_dataset(arguments.data, arguments.split)
    for problem in dataset.problems:
        print(problem)
    print(f"{len(dataset.sequences)} sequences, {len(dataset.problems)} problems")
    return 1 if dataset.problems else 0


def render_data(arguments: Namespace) -> int:
    """Render the embedded benchmark, unless it is there; print its folder."""
    from trackerlib.data import synthetic

    print(synthetic.ensure())
    return 0


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


def _different(*paths: Path | None) -> None:
    """Raise ValueError if one file would be written over another."""
    given = [path for path in paths if path]
    if len({path.resolve() for path in given}) < len(given):
        raise ValueError(
            "track: expected different files for the source, --out and --boxes, "
            f"got {', '.join(map(str, given))}; give a new name to write to"
        )


def _save(path: Path, boxes: "list[np.ndarray]") -> None:
    import numpy as np

    try:
        np.savetxt(path, boxes, "%.10g", ",")
    except OSError as error:
        raise OSError(f"track: cannot write {path}: {error.strerror}") from error


def _evaluation(arguments: Namespace) -> "tuple[list[Job], Dataset]":
    """Return what `run` and `report` are about: jobs, data set."""
    from trackerlib.data import open_dataset
    from trackerlib.eval.runner import plan
    from trackerlib.trackers import parse

    texts = [text for argument in arguments.trackers for text in argument.split()]
    dataset = open_dataset(arguments.data, arguments.split)
    _warn(dataset.problems)
    specs = [parse(text) for text in texts]
    return plan(specs, dataset, arguments.protocol, arguments.seeds, arguments.device), dataset


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def _box(text: str) -> "np.ndarray":
    import numpy as np

    try:
        box = np.array(text.split(","), dtype=np.float64)
    except ValueError:
        box = np.empty(0)
    if box.shape != (4,):
        raise argparse.ArgumentTypeError(f"expected four numbers x,y,w,h, got {text!r}")
    return box


def _setting(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected FIELD=VALUE, got {text!r}")
    plain = {"true": True, "false": False}
    return name, int(value) if value.isdigit() else plain.get(value.lower(), value)


def _output(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, got {text}")
    return path


def _parser() -> ArgumentParser:
    summary = (__doc__ or "").partition("\n")[0]
    parser = ArgumentParser("python -m trackerlib", description=summary)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _track_options(_command(commands, "track", track))
    run_parser = _command(commands, "run", run)
    _evaluation_options(run_parser)
    run_parser.add_argument("--workers", type=int, default=1, help="processes; 1 for speed")
    run_parser.add_argument("--scheduler", help="a running dask scheduler: tcp://host:port")
    _evaluation_options(_command(commands, "report", report))
    data = commands.add_parser("data", help="list, check, render or fetch data sets")
    _data_commands(data.add_subparsers(required=True, metavar="COMMAND"))
    weights = commands.add_parser("weights", help="list, fetch, add or verify weights")
    _weights_commands(weights.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def _command(
    commands: "argparse._SubParsersAction[ArgumentParser]",
    name: str,
    function: Callable[[Namespace], int],
) -> ArgumentParser:
    parser = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
    parser.set_defaults(command=function)
    return parser


def _track_options(parser: ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_FOLDER")
    parser.add_argument(
        "--box", type=_box, required=True, metavar="X,Y,W,H", help="in the first frame, 0-based"
    )
    parser.add_argument("--tracker", default="kcf", help="such as kcf or kcf:kernel=linear")
    parser.add_argument("--out", type=_output, metavar="VIDEO", help="annotated video to write")
    parser.add_argument("--boxes", type=_output, metavar="TXT", help="0-based x,y,w,h per frame")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")


def _evaluation_options(parser: ArgumentParser) -> None:
    _data_options(parser)
    parser.add_argument(
        "--trackers",
        nargs="+",
        default=["identity kcf"],
        metavar="TRACKER",
        help="such as identity kcf:kernel=linear opencv:algorithm=csrt",
    )
    parser.add_argument("--protocol", default="ope", help="ope, tre or sre")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--store", type=Path, default=cache_dir() / "store", metavar="FOLDER")


def _data_options(parser: ArgumentParser) -> None:
    parser.add_argument("--data", default="embedded", help="a folder of OTB sequences")
    parser.add_argument(
        "--split", default="all", help="otb2013, otb50, otb100, all or names: Couple,David"
    )


def _data_commands(commands: "argparse._SubParsersAction[ArgumentParser]") -> None:
    for name, function in (("list", list_data), ("check", check_data)):
        _data_options(_command(commands, name, function))
    _command(commands, "render", render_data)
    fetch = _command(commands, "fetch", fetch_data)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="such as Couple or Jogging-1")
    fetch.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where to put")


def _weights_commands(commands: "argparse._SubParsersAction[ArgumentParser]") -> None:
    _command(commands, "list", list_weights)
    _command(commands, "fetch", fetch_weights).add_argument("name", metavar="NAME")
    add = _command(commands, "add", add_weights)
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--name", help="of a file of your own, for loading")
    add.add_argument("--format", help="safetensors, matconvnet, py-mdnet, rt-mdnet, ...")
    add.add_argument("--network", help="vggm, vgg19, ..., if the format does not say")
    add.add_argument(
        "--config",
        nargs="+",
        type=_setting,
        default=[],
        metavar="FIELD=VALUE",
        help="of the network: depth=conv3_4",
    )
    _command(commands, "verify", verify_weights)


if __name__ == "__main__":
    sys.exit(main())
