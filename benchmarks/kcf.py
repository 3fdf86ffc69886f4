"""Speed of KCF on one thread with frames in memory.

    python -m benchmarks.kcf [SPEC ...]

Frames per second of whole runs, `init` left out: the median of five. Real
sequences from `shared/otb` beside the checkout where they are. Each row is
repeated with every frame set into an image of four times the area, to show
that the cost does not grow with the image. The fixed numpy task tells how
busy the machine was.
"""

import sys
import time
from pathlib import Path
from statistics import harmonic_mean, median

import cv2
import numpy as np
import torch

from trackerlib.data.otb import read_otb
from trackerlib.trackers import SpecLike, parse

OTB = Path(__file__).resolve().parents[3] / "shared" / "otb"
NAMES = ["DragonBaby", "MotorRolling", "Couple", "Crossing", "Football1"]
REPEATS = 5


def frames_per_second(spec: SpecLike, frames: list[np.ndarray], box: np.ndarray) -> float:
    """Return the speed of one run."""
    tracker = spec.build()
    tracker.init(frames[0], box)
    start = time.perf_counter()
    for frame in frames[1:]:
        tracker.update(frame)
    return (len(frames) - 1) / (time.perf_counter() - start)


def quadrupled(frames: list[np.ndarray], box: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the same pictures in the middle of images of twice the width and height."""
    height, width = frames[0].shape[:2]
    edges = (height // 2, height - height // 2, width // 2, width - width // 2)
    larger = [cv2.copyMakeBorder(f, *edges, cv2.BORDER_REPLICATE) for f in frames]
    return larger, box + np.array([width // 2, height // 2, 0, 0])


def reference() -> float:
    """Return the milliseconds of a fixed task: the spectra of 31 maps of 40 x 40, twenty times."""
    maps = np.ones((31, 40, 40))
    start = time.perf_counter()
    for _ in range(20):
        np.fft.rfft2(maps)
    return 1000 * (time.perf_counter() - start)


def main(texts: list[str]) -> None:
    """Print a row for each specification and sequence."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for spec in map(parse, texts or ["kcf"]):
        print(f"{spec.label:24}{'fps':>8}{'4x area':>10}{'numpy ms':>10}")
        rows = []
        for sequence in read_otb(OTB, NAMES):
            frames = [sequence.frames[index] for index in range(len(sequence))]
            cases = [(frames, sequence.boxes[0])]
            cases.append(quadrupled(*cases[0]))
            runs = [
                [*(frames_per_second(spec, *case) for case in cases), reference()]
                for _ in range(REPEATS)
            ]
            rows.append([median(column) for column in zip(*runs, strict=True)])
            fps, larger, milliseconds = rows[-1]
            print(f"{sequence.name:24}{fps:8.0f}{larger:10.0f}{milliseconds:10.1f}")
        means = [harmonic_mean(column) for column in zip(*rows, strict=True)]
        print(f"{'harmonic mean':24}{means[0]:8.0f}{means[1]:10.0f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
