"""All trackers in turn, for a long time: does memory grow, do files stay open, does speed fall?

    python -m benchmarks.soak --minutes 30

A round is every tracker once, over the same frames with little computation per frame
(`benchmarks.smoke.quick`), so that rounds can be compared. Time is the processor's, which other
programs on the machine change little; the first round warms up and counts for nothing. Ends with 1
where memory grows by MAX_GROWTH or more, a file stays open, or the last minute's rounds take
MAX_SLOWER longer than the first minute's, or as much less.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.hostile import START, moving
from benchmarks.smoke import quick
from trackerlib.trackers import names

FRAMES = 40  # of a tracker in a round
MAX_GROWTH = 1.0  # MB for 1,000 frames
MAX_SLOWER = 0.1


class Round(NamedTuple):
    """What there is after a round: frames so far, its seconds, MB of memory, open files."""

    frames: int
    seconds: float
    memory: float
    files: int


def play(text: str) -> None:
    """Have a new tracker follow a square."""
    tracker = quick(text).build(device="cpu", seed=0)
    first, *others = moving(FRAMES)
    tracker.init(first, np.array(START, dtype=np.float64))
    for frame in others:
        tracker.update(frame)


def soak(trackers: list[str], minutes: float) -> Iterable[Round]:
    """Yield the rounds of so many minutes, at least three of them."""
    here, end, count = psutil.Process(os.getpid()), time.process_time() + 60 * minutes, 0
    while count < 4 or time.process_time() < end:
        began = time.process_time()
        for text in trackers:
            play(text)
        seconds = time.process_time() - began
        gc.collect()
        count += 1
        if count > 1:
            frames = (count - 1) * len(trackers) * FRAMES
            yield Round(frames, seconds, here.memory_info().rss / 1e6, here.num_fds())


def growth(rounds: list[Round]) -> float:
    """Return the slope of memory in MB for 1,000 frames, by least squares."""
    frames, memory = (np.array([getattr(r, key) for r in rounds]) for key in ("frames", "memory"))
    return float(np.polyfit(frames / 1000, memory, 1)[0])


def slower(rounds: list[Round]) -> float:
    """Return by which share the last minute's rounds take longer than the first minute's."""
    passed = np.cumsum([r.seconds for r in rounds])
    seconds = np.array([r.seconds for r in rounds])
    first, last = seconds[passed - seconds < 60], seconds[passed > passed[-1] - 60]
    return float(last.mean() / first.mean() - 1)


def verdict(rounds: list[Round]) -> list[str]:
    """Return a line for each thing that is not as it should be."""
    wrong = []
    if growth(rounds) >= MAX_GROWTH:
        wrong.append(f"memory grows by {growth(rounds):.2f} MB for 1,000 frames")
    if rounds[-1].files > rounds[0].files:
        wrong.append(f"{rounds[-1].files - rounds[0].files} more files are open")
    if abs(slower(rounds)) > MAX_SLOWER:
        wrong.append(f"the last minute takes {100 * slower(rounds):+.0f} % of the first's time")
    return wrong


def main() -> int:
    """Soak as the command line asks, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--trackers", nargs="+", default=names())
    arguments = parser.parse_args()
    rounds = []
    for one in soak(arguments.trackers, arguments.minutes):
        rounds.append(one)
        print(*(f"{key} {value:.6g}" for key, value in one._asdict().items()), flush=True)
    print(f"memory grows by {growth(rounds):.2f} MB for 1,000 frames")
    print(f"the last minute's rounds take {100 * slower(rounds):+.1f} % of time")
    for line in verdict(rounds):
        print(line, file=sys.stderr)
    return 1 if verdict(rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
