"""Whom a tracker follows where others look like its target.

Sequences of the embedded benchmark know where all of their actors are.
"""

from dataclasses import replace

import numpy as np

from trackerlib.boxes import box_iou
from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.data.synthetic.renderer import outline

LOOK_ALIKES = ("Coins", "Garden", "Shells", "Twins")  # sequences of the embedded benchmark
FOLLOWED = 0.3  # least overlap with whom is followed
LOST = -1


def actors(name: str, severity: float = 1.0) -> np.ndarray:
    """Boxes (A, T, 4) of a rendered sequence's actors, complete: the target's, then the others'.

    Raises ValueError for a sequence without others that look like its target.
    """
    if name not in LOOK_ALIKES:
        raise ValueError(
            f"actors: expected a sequence among {', '.join(LOOK_ALIKES)}, got {name!r}"
        )
    shot = SCENES[name](severity)
    alone = [replace(shot, target=a) for a in (shot.target, *shot.behind, *shot.front)]
    return np.array([[outline(one, t)[0] for t in range(shot.frames)] for one in alone])


def followed(boxes: np.ndarray, actors: np.ndarray) -> np.ndarray:
    """Tracked boxes (T, 4), boxes of all actors (A, T, 4) -> whom each overlaps most (T,).

    0 is the target; LOST is nobody, by FOLLOWED at least.
    """
    shared = np.array([box_iou(boxes, actor) for actor in actors])
    return np.where(shared.max(0) >= FOLLOWED, shared.argmax(0), LOST)


def switches(whom: np.ndarray) -> int:
    """How often another actor is followed than the last that was."""
    known = whom[whom != LOST]
    return int((known[1:] != known[:-1]).sum())
