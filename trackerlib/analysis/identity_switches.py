"""Whom a tracker follows where others resemble its target.

Sequences of the embedded benchmark know where all of their actors are.
"""

from dataclasses import replace

import numpy as np

from trackerlib.boxes import box_iou
from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.data.synthetic.renderer import outline

__all__ = ["LOOK_ALIKES", "LOST", "actors", "followed", "switches"]

LOOK_ALIKES = ("Coins", "Garden", "Shells", "Twins")  # sequences of the embedded benchmark
MIN_IOU = 0.3  # with the actor that is followed
LOST = -1  # whom: nobody


def actors(name: str, severity: float = 1.0) -> np.ndarray:
    """Return boxes (A, T, 4) of a rendered sequence's actors, the target's first.

    The boxes are of complete actors, whatever hides them.
    Raises ValueError for a sequence without others that look like its target.
    """
    if name not in LOOK_ALIKES:
        raise ValueError(
            f"actors: expected a sequence among {', '.join(LOOK_ALIKES)}, got {name!r}"
        )
    scene = SCENES[name](severity)
    # `outline` is of a scene's target: each actor takes its turn as one.
    each = [replace(scene, target=a) for a in (scene.target, *scene.behind, *scene.front)]
    return np.array([[outline(one, t)[0] for t in range(scene.frames)] for one in each])


def followed(boxes: np.ndarray, actors: np.ndarray) -> np.ndarray:
    """Return whom each of the tracked boxes has the highest IoU with (T,).

    boxes   (T, 4)
    actors  (A, T, 4) boxes of all actors

    0 is the target; LOST is nobody, by MIN_IOU at least.
    """
    ious = np.array([box_iou(boxes, actor) for actor in actors])  # (A, T)
    return np.where(ious.max(0) >= MIN_IOU, ious.argmax(0), LOST)


def switches(whom: np.ndarray) -> int:
    """Return how often another actor is followed than the last that was.

    whom  (T,), as `followed` returns it

    0, LOST, 0, 1, 0: two switches.
    """
    known = whom[whom != LOST]
    return int((known[1:] != known[:-1]).sum())
