"""Every tracker in every hostile situation: what comes, a box in every frame or an error in words.

    python -m benchmarks.hostile --json data/hostile.json --page book/reproduction/hostile.md
    python -m benchmarks.hostile --trackers kcf mdnet --situations "one-pixel target"

Trackers run with little per frame (`benchmarks.smoke.quick`), since the question is whether an
outcome is defined, not how good the boxes are. A cell of the table is "n boxes", each of them four
finite numbers with an area, or the error: its type and what it says. Anything else ends the run.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.smoke import quick
from trackerlib.paths import draft_of
from trackerlib.trackers import names

WIDTH, HEIGHT, SIDE = 160, 120, 24  # pixels, of frames and of the target
FEW, MANY = 4, 2000  # frames
FAST = "identity", "kcf"  # which follow MANY frames in seconds; the others get LONG
LONG = 40
HEAD = """# Hostile situations

What does a tracker make of a target that leaves, of a frame without content, or of a box of one
pixel? Every tracker of the library was put into the situations below, with little computation per
frame, since boxes are not scored here. What comes is defined in all of them: a box in every frame,
of four finite numbers and with an area, or an error that says what was expected. A
`ValueError` costs the sequence and nothing else: a run goes on with the next one.

`data/hostile.json` has every tracker's outcome, and `make trust` makes it again.

| situation | boxes | refused: words and trackers |
|---|---|---|"""
ABOUT = "benchmarks/hostile.py: boxes that came, or the error, of trackers with little per frame"


class Situation(NamedTuple):
    """A name, the first box x, y, w, h, and frames (H, W, 3) uint8 for a tracker's name."""

    name: str
    box: tuple[float, float, float, float]
    frames: Callable[[str], Iterator[np.ndarray]]


def texture(seed: int, width: int, height: int) -> np.ndarray:
    """Return a smooth random image (height, width, 3) uint8."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def moving(count: int, step: float = 3, width: int = WIDTH, height: int = HEIGHT) -> Iterator:
    """Yield frames in which a square moves to the right, from x = y = 40 on, and out at last."""
    scene, target = texture(0, width, height), texture(1, SIDE, SIDE)
    for number in range(count):
        frame, left = scene.copy(), round(40 + step * number)
        part = target[:, : max(0, width - left)]
        frame[40 : 40 + SIDE, left : left + part.shape[1]] = part
        yield frame


def _leaves(_: str) -> Iterator[np.ndarray]:
    return moving(FEW + 4, step=25)


def _blank(_: str) -> Iterator[np.ndarray]:
    yield from moving(1)
    yield from (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 0, 255, 128))


def _blank_from_the_start(_: str) -> Iterator[np.ndarray]:
    return iter([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * FEW)


def _resized(_: str) -> Iterator[np.ndarray]:
    yield from moving(2)
    yield from moving(2, width=WIDTH // 2, height=HEIGHT)


def _coloured(_: str) -> Iterator[np.ndarray]:
    for number, frame in enumerate(moving(FEW)):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        yield cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB) if number < 2 else frame


def _plain(_: str) -> Iterator[np.ndarray]:
    return moving(FEW)


def _large(_: str) -> Iterator[np.ndarray]:
    return moving(3, width=3840, height=2160)


def _equal(name: str) -> Iterator[np.ndarray]:
    frame = next(moving(1))
    return (frame for _ in range(MANY if name in FAST else LONG))


START = (40, 40, SIDE, SIDE)
SITUATIONS = [
    Situation("the target leaves", START, _leaves),
    Situation("blank frames", START, _blank),
    Situation("blank from the start", START, _blank_from_the_start),
    Situation("frames change size", START, _resized),
    Situation("grey to colour", START, _coloured),
    Situation("one-pixel target", (60, 50, 1, 1), _plain),
    Situation("target larger than the image", (-40, -30, 240, 180), _plain),
    Situation("target that fills the image", (0, 0, WIDTH, HEIGHT), _plain),
    Situation("4K frames", START, _large),
    Situation("equal frames", START, _equal),
]


def outcome(name: str, situation: Situation) -> str:
    """Return a cell of the table: "n boxes", or an error's type and words.

    Raises AssertionError for a box that is none, and whatever the tracker raises besides
    ValueError.
    """
    tracker = quick(name).build(device="cpu", seed=0)
    frames, count = situation.frames(name), 1
    try:
        tracker.init(next(frames), np.array(situation.box, dtype=np.float64))
        for frame in frames:
            box = np.asarray(tracker.update(frame))
            finite = box.shape == (4,) and np.isfinite(box).all() and (box[2:] > 0).all()
            assert finite, f"{name}, {situation.name}, frame {count + 1}: got {box}"
            count += 1
    except ValueError as error:
        return f"{type(error).__name__} in frame {count}: {error}"
    return f"{count} boxes"


def table(trackers: list[str], situations: list[Situation]) -> list[dict[str, Any]]:
    """Return a row for each tracker: {"tracker": its name, name of a situation: its outcome}."""
    rows = []
    for name in trackers:
        rows.append({"tracker": name} | {one.name: outcome(name, one) for one in situations})
        print(json.dumps(rows[-1], indent=1), flush=True)
    return rows


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page of the book: a line for each situation, from the rows of the table."""
    lines = [HEAD]
    for name in (one.name for one in SITUATIONS):
        counts = sorted({row[name] for row in rows if row[name].endswith(" boxes")}, key=len)
        words: dict[str, list[str]] = {}
        for row in rows:
            if row[name] not in counts:
                said = re.sub(r".*: (?=expected)|, got .*", "", row[name])
                words.setdefault(said, []).append(f"`{row['tracker']}`")
        of = {
            said: "all" if len(who) == len(rows) else ", ".join(who) for said, who in words.items()
        }
        refused = "; ".join(f"{said} ({who})" for said, who in of.items())
        lines.append(f"| {name} | {' or '.join(counts) or 'none'} | {refused or 'none'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trackers", nargs="+", default=names())
    parser.add_argument("--situations", nargs="+", default=[one.name for one in SITUATIONS])
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--page", type=Path, help="page of the book to write")
    arguments = parser.parse_args()
    chosen = [one for one in SITUATIONS if one.name in arguments.situations]
    rows = table(arguments.trackers, chosen)
    if arguments.json:
        with draft_of(arguments.json) as draft:
            draft.write_text(json.dumps({"about": ABOUT, "rows": rows}, indent=1) + "\n")
    if arguments.page:
        with draft_of(arguments.page) as draft:
            draft.write_text(page(rows))


if __name__ == "__main__":
    main()
