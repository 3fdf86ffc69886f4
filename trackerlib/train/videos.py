"""Videos to train on that the project makes: clips of the renderer's scenes, moving objects.

Some of them are held out, for validation: no scene and no object is in both sets, and no piece
of a photograph that is a moving object's background.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product

import numpy as np

from trackerlib.train import images
from trackerlib.train.images import LabelledFrame

HELD_OUT = ("Carton", "Ride")  # scenes
HELD_OUT_EVERY = 10  # of photographs and of foreground crops, the first of so many is held out
CLIPS = 3  # of every scene
CLIP_FRAMES = 24
OBJECTS = 100  # videos of moving objects to train on
HELD_OUT_OBJECTS = 10  # videos of moving objects to validate on

Video = Callable[[np.random.Generator], LabelledFrame]  # -> a random frame of it


def hold_out(items: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what is trained on and what is held out, such as items 0, 10 and 20 of 25."""
    training = [item for index, item in enumerate(items) if index % HELD_OUT_EVERY]
    return training, items[::HELD_OUT_EVERY]


def scene_clips(names: Iterable[str], count: int) -> list[Video]:
    """Return so many clips of every scene, without those that never show their target."""
    made = (
        images.clip(name, number, CLIP_FRAMES) for number, name in product(range(count), names)
    )
    return [partial(frame_of_clip, frames) for frames in made if frames]


def moving_objects(
    count: int, seed: int, photos: list[np.ndarray], crops: list[np.ndarray]
) -> list[Video]:
    """Return so many videos in which an object moves over a photograph.

    crops  (h, w, 4) each, of `images.foreground_crops`
    """
    rng = np.random.default_rng(seed)
    return [images.moving_object(rng, photos, crops) for _ in range(count)]


def frame_of_clip(frames: list[LabelledFrame], rng: np.random.Generator) -> LabelledFrame:
    """Return one of a clip's frames with its box."""
    return frames[rng.integers(len(frames))]
