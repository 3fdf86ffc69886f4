"""Videos to learn a target from: films of the renderer's scenes, moving things, sequences.

Some of them are held out: they measure, and never teach.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from trackerlib.data import open_dataset
from trackerlib.data.sequence import Sequence
from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.train import images

HELD_OUT = ("Carton", "Ride")  # scenes
FILMS = 3  # of every scene
MOVING, APART = 100, 10  # videos made of photographs: to learn from, and held out
MIN_SIDE = 8.0  # least side of a box, pixels

Video = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]  # a random frame, its box


def sources(
    folders: list[Path], data: str | None, split: str, films: int = FILMS, things: int = MOVING
) -> tuple[list[Video], list[Video]]:
    """The videos that teach, and those that are held out.

    films   of every scene that teaches
    things  that move over photographs and teach
    """
    scenes = [name for name in sorted(SCENES) if name not in HELD_OUT]
    taught, apart = filmed(scenes, films), filmed(HELD_OUT, FILMS)
    photos, cutouts = images.photographs(folders), images.cutouts(folders)
    if cutouts:
        known = [thing for place, thing in enumerate(cutouts) if place % 10]
        taught += moving(things, 0, photos, known)
        apart += moving(APART, 1, photos, cutouts[::10])
    if data:
        taught += [partial(of_sequence, found) for found in open_dataset(data, split).sequences]
    return taught, apart


def filmed(names: Iterable[str], films: int) -> list[Video]:
    """Films of scenes that show their target."""
    made = (images.film(name, number, 24) for number, name in product(range(films), names))
    return [partial(anywhere, frames) for frames in made if frames]


def moving(count: int, seed: int, photos: list, things: list) -> list[Video]:
    """Videos in which one of the things moves over a photograph."""
    rng = np.random.default_rng(seed)
    return [images.moving(rng, photos, things) for _ in range(count)]


def anywhere(frames: list, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One of a film's frames with its box."""
    return frames[rng.integers(len(frames))]


def of_sequence(sequence: Sequence, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One of a sequence's frames with its box, which has an area."""
    known = np.flatnonzero((sequence.boxes[:, 2:] >= MIN_SIDE).all(1))
    index = int(rng.choice(known))
    return sequence.frames[index], sequence.boxes[index]
