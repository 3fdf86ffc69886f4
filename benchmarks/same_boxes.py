"""Boxes of every tracker on the first frames of two sequences, to compare two commits bit by bit.

    python -m benchmarks.same_boxes --write FILE     at one commit
    python -m benchmarks.same_boxes --against FILE   at the other, on the same machine

It calls `trackers.parse`, `init` and `update` alone.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from trackerlib import trackers
from trackerlib.data import open_dataset
from trackerlib.data.sequence import Sequence

TRACKERS = ("kcf", "hcf", "msdat", "mdnet", "fdn", "rtmdnet", "dlst", "deeptrack", "detection")
FRAMES = 12


def boxes(text: str, sequence: Sequence) -> np.ndarray:
    """Return the boxes (FRAMES, 4) of a tracker on a sequence's first frames, seed 0."""
    tracker = trackers.parse(text).build(device="cpu", seed=0)
    tracker.init(sequence.frames[0], sequence.boxes[0])
    tracked = [tracker.update(sequence.frames[index]) for index in range(1, FRAMES)]
    return np.array([sequence.boxes[0], *tracked])


def main() -> None:
    """Track, then write the boxes or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", default="Ride,Twins", help="two sequences")
    parser.add_argument("--write", type=Path, metavar="FILE", help="npz file to make")
    parser.add_argument("--against", type=Path, metavar="FILE", help="npz file to compare with")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    dataset = open_dataset(arguments.data, arguments.split)
    found = {
        f"{text}/{sequence.name}": boxes(text, sequence)
        for text in TRACKERS
        for sequence in dataset.sequences
    }
    if arguments.write:
        np.savez(arguments.write, **found)  # type: ignore[arg-type]  # names, not allow_pickle
    if arguments.against:
        known = np.load(arguments.against)
        differ = [name for name in found if not np.array_equal(found[name], known[name])]
        print(f"{len(found) - len(differ)} of {len(found)} runs are equal to the bit")
        sys.exit("differ: " + ", ".join(differ) if differ else 0)


if __name__ == "__main__":
    main()
