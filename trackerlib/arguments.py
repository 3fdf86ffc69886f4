"""What people type on the command line: options, boxes, files to write, settings."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from trackerlib.paths import expanded

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "box",
    "box_joined",
    "convert_options",
    "data_options",
    "different",
    "evaluation_options",
    "output",
    "place",
    "report_options",
    "setting",
    "source",
    "track_options",
    "weights_options",
]

FORMATS = (  # data.formats.FORMATS, without importing it
    *("otb", "dtb70", "lasot", "got10k", "vot", "uav123", "temple-color", "trackingnet", "nfs"),
    *("davis", "mot", "cvat", "label-studio", "via", "videos"),
)
BOXES = ("csv", "json", "mot", "otb")  # eval.box_files.FORMATS, without importing it


def box_joined(arguments: list[str]) -> list[str]:
    """Return a command line in which --box and its numbers are one argument.

    Otherwise "-5,40,30,30" is taken for an option, and "20 40 30 30" for four arguments.
    """
    joined, rest = list[str](), list(arguments)
    while rest:
        argument, numbers = rest.pop(0), list[str]()
        if argument == "--box":
            while rest and len(numbers) < 4 and (found := _numbers(rest[0])):
                numbers += found
                rest.pop(0)
        joined.append(f"--box={','.join(numbers)}" if numbers else argument)
    return joined


def _numbers(text: str) -> list[str]:
    """Return the numbers of a text with commas, semicolons or blanks between, or none."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip("()[] ")) if part]
    return parts if all(map(_is_number, parts)) else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def box(text: str) -> "np.ndarray":
    """Return a box (4,) from text; raise ArgumentTypeError for anything but four numbers."""
    import numpy as np

    numbers = _numbers(text)
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"expected four numbers x,y,w,h, got {text!r}")
    return np.array(numbers, dtype=np.float64)


def setting(text: str) -> tuple[str, str | int | bool]:
    """Return FIELD=VALUE as a field and a number, truth value or text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected FIELD=VALUE, got {text!r}")
    plain = {"true": True, "false": False}
    return name, int(value) if value.isdigit() else plain.get(value.lower(), value)


def output(text: str) -> Path:
    """Return a file to write; raise ArgumentTypeError unless it is in a folder that exists."""
    path = place(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, got {text}")
    return path


def place(text: str) -> Path:
    """Return a path with its ~ expanded; raise ArgumentTypeError for one of an unknown user."""
    try:
        return expanded(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def source(text: str) -> Path | str | int:
    """Return what to track in: a path, the number of a camera or the address of a stream.

    What is here under the name of a number is a path. Raises ArgumentTypeError as `place` does.
    """
    if "://" in text:
        return text
    return int(text) if text.isdigit() and not Path(text).exists() else place(text)


def different(*paths: Path | str | int | None) -> None:
    """Raise ValueError if one file would be written over another."""
    given = [path for path in paths if isinstance(path, Path)]
    if len({path.resolve() for path in given}) < len(given):
        raise ValueError(
            "track: expected different files for the source, --out and --boxes, "
            f"got {', '.join(map(str, given))}; give a new name to write to"
        )


def track_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command track takes."""
    add = parser.add_argument
    add(
        "source",
        type=source,
        metavar="VIDEO",
        help="a file, a folder of images, a camera's number (0) or a stream's address",
    )
    add(
        "--box",
        type=box,
        action="append",
        metavar="X,Y,W,H",
        help="in the first frame, 0-based; once for every target; else it is drawn in a browser",
    )
    add(
        "--tracker",
        help="such as kcf or kcf:kernel=linear; else the most accurate at 10 frames per second",
    )
    add("--out", type=output, metavar="VIDEO", help="to write: .mp4, .webm, .gif, .mkv, ...")
    add("--boxes", type=output, metavar="FILE", help="to write: .csv, .json, .mot.txt, .txt")
    add("--boxes-format", choices=BOXES, help="whatever the name ends in")
    add("--format", choices=FORMATS, help="VIDEO is a data set, which has the first box too")
    add("--split", default="all", metavar="NAME", help="the sequence of that data set")
    add("--preview", action="store_true", help="show the tracking on a page, as it goes")
    add("--start", type=int, metavar="FRAME", help="number of the first, to which --box belongs")
    add("--end", type=int, metavar="FRAME", help="number of the last")
    add("--stride", type=int, default=1, metavar="N", help="track every Nth frame")
    add("--seed", type=int, default=0)
    add("--device", default="auto", help="auto, cpu, cuda")


def evaluation_options(parser: argparse.ArgumentParser) -> None:
    """Add what is evaluated, and where its results are: for run and report."""
    data_options(parser)
    parser.add_argument(
        "--trackers",
        nargs="+",
        default=["identity kcf"],
        metavar="TRACKER",
        help="such as identity kcf:kernel=linear opencv:algorithm=csrt",
    )
    parser.add_argument("--protocol", default="ope", help="ope, tre, sre or vot")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one per repetition"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument(
        "--store", type=place, metavar="FOLDER", help="of results; else one in the library's cache"
    )


def report_options(parser: argparse.ArgumentParser) -> None:
    """Add how results are scored and compared."""
    parser.add_argument(
        "--conventions",
        metavar="NAME",
        help="whose scores: otb, got10k, pysot, pytracking or vot; of --protocol vot: vot, exact",
    )
    parser.add_argument("--against", metavar="TRACKER", help="print differences to it")
    parser.add_argument(
        "--eao-interval",
        metavar="LOW-HIGH",
        help="lengths over which VOT's EAO is averaged, or vot2016 and such; else estimated",
    )


def data_options(parser: argparse.ArgumentParser) -> None:
    """Add which sequences of which data set."""
    parser.add_argument("--data", default="embedded", help="a folder of sequences or videos")
    parser.add_argument(
        "--format", choices=FORMATS, help="of that folder; otherwise recognised by its layout"
    )
    parser.add_argument(
        "--split", default="all", help="otb2013, otb50, otb100, all or names: Couple,David"
    )


def convert_options(parser: argparse.ArgumentParser) -> None:
    """Add what is converted to OTB's format, and where to."""
    parser.add_argument("data", type=place, metavar="SOURCE", help="a folder of any known format")
    parser.add_argument("target", type=place, metavar="TARGET", help="a folder to write to")
    parser.add_argument("--format", choices=FORMATS, help="of the source; else by its layout")
    parser.add_argument("--split", default="all", help="names of sequences: street-1,street-2")
    parser.add_argument("--copy", action="store_true", help="copy images instead of linking them")


def weights_options(parser: argparse.ArgumentParser) -> None:
    """Add which file of weights is added, and what it is."""
    parser.add_argument("file", type=place, metavar="FILE")
    parser.add_argument("--name", help="of a file of your own, for loading")
    parser.add_argument(
        "--format", help="safetensors, pytorch, matconvnet, py-mdnet, rt-mdnet, ..."
    )
    parser.add_argument("--network", help="vggm, vgg19, ..., if the format does not say")
    parser.add_argument(
        "--config",
        nargs="+",
        type=setting,
        default=[],
        metavar="FIELD=VALUE",
        help="of the network: depth=conv3_4",
    )
