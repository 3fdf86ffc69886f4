"""Whether every tracker gives the same boxes again with the same seed, and where it does not.

    python -m benchmarks.repeatable --json data/repeatable.json --page book/reproduction/hostile.md
    python -m benchmarks.repeatable --trackers kcf opencv:algorithm=mil

A tracker follows a square over a few frames, with little computation per frame
(`benchmarks.smoke.quick`), and once more under each of CONDITIONS. A cell of the table is "equal",
to the last bit, or the largest difference of two boxes in pixels. A unit of a run is alone in a
process of one CPU thread: the first two of CONDITIONS.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.hostile import START, moving
from benchmarks.smoke import quick
from trackerlib.paths import draft_of
from trackerlib.trackers import names

FRAMES = 5
MIL = "opencv:algorithm=mil"  # draws random numbers of C's library, which all of a process share
ABOUT = (
    "benchmarks/repeatable.py: boxes of the same seed under other conditions, equal or by how "
    "many pixels they differ"
)
HEADING = "\n## The same seed again\n"
SECTION = f"""{HEADING}
Does the same seed give the same boxes? Every tracker followed a square twice: once alone on one
CPU thread, and once under the condition at the head of a column. A run of the library is as in
the first two: each of its workers is a process with one CPU thread and one tracker at a time.
`data/repeatable.json` has the table, and `make trust` makes it again.

"""


def boxes(text: str, beside: bool = False) -> list[list[float]]:
    """Return the boxes (FRAMES - 1, 4) of a new tracker of that name.

    beside  whether another one of it, of another seed, takes every frame just before
    """
    trackers = [quick(text).build(device="cpu", seed=seed) for seed in ([2, 1] if beside else [1])]
    first, *others = moving(FRAMES)
    for tracker in trackers:
        tracker.init(first, np.array(START, dtype=np.float64))
    found = [[tracker.update(frame) for tracker in trackers][-1] for frame in others]
    return np.array(found, dtype=np.float64).tolist()


def in_another_process(text: str) -> list[list[float]]:
    """Return the boxes that a new process gives."""
    command = [sys.executable, "-m", "benchmarks.repeatable", "--boxes", text]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def beside_another(text: str) -> list[list[float]]:
    """Return the boxes of one of two trackers that take turns in one process."""
    return boxes(text, beside=True)


def on_two_threads(text: str) -> list[list[float]]:
    """Return the boxes where PyTorch and OpenCV compute on two CPU threads."""
    _set_threads(2)
    try:
        return boxes(text)
    finally:
        _set_threads(1)


CONDITIONS: dict[str, Callable[[str], list[list[float]]]] = {
    "in the same process": boxes,
    "in another process": in_another_process,
    "beside another tracker": beside_another,
    "on two CPU threads": on_two_threads,
}


def row(text: str) -> dict[str, str]:
    """Return a row of the table: {"tracker": its name, condition: "equal" or a difference}."""
    _set_threads(1)
    alone = boxes(text)
    return {"tracker": text} | {
        name: difference(alone, run(text)) for name, run in CONDITIONS.items()
    }


def difference(one: list[list[float]], other: list[list[float]]) -> str:
    """Return a cell of the table."""
    largest = np.abs(np.subtract(one, other)).max()
    return "equal" if one == other else f"{largest:.2g} pixels"


def section(rows: list[dict[str, str]]) -> str:
    """Return the part of the book's page on hostile situations that shows the table."""
    heads = ["tracker", *CONDITIONS]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join([f"`{r['tracker']}`", *list(r.values())[1:]]) + " |" for r in rows]
    return SECTION + "\n".join(lines) + "\n"


def _set_threads(count: int) -> None:
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def main() -> None:
    """Make the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trackers", nargs="+", default=[*names(), MIL])
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--page", type=Path, help="page of the book whose last section it writes")
    parser.add_argument("--boxes", metavar="TRACKER", help="print a tracker's boxes instead")
    arguments = parser.parse_args()
    if arguments.boxes:
        _set_threads(1)
        print(json.dumps(boxes(arguments.boxes)))
        return
    rows = []
    for text in arguments.trackers:
        rows.append(row(text))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.json:
        with draft_of(arguments.json) as draft:
            draft.write_text(json.dumps({"about": ABOUT, "rows": rows}, indent=1) + "\n")
    if arguments.page:
        before = arguments.page.read_text().partition(HEADING)[0]
        with draft_of(arguments.page) as draft:
            draft.write_text(before + section(rows))


if __name__ == "__main__":
    main()
