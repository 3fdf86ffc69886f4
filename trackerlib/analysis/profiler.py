"""Where a frame's time goes: the seconds of every stage of a tracker's updates.

map                    crop and convolutions of the frame, the scene or the search window
features               of boxes; MDNet's crops have no map, and are convolved here. Of MSDAT,
                       the reduction of channels; of DeepTrack, the patches that it learns from
scores                 of the candidates
fine-tuning            of the classifier
localization           of DLST, as the next
localization training
rest                   all else: such as drawing boxes, bounding box regression, or the filter

KCF, OpenCV's trackers and the one that never moves are not divided: all is in "rest".
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from trackerlib.checks import initialised
from trackerlib.trackers.protocols import TrackerLike

__all__ = ["PARTS", "Profiler", "now"]

PARTS = {  # attribute of a tracker -> its methods -> their stage
    "backbone": {"__call__": "map"},  # of HCF and MSDAT; elsewhere the features call theirs
    "reduction": {"__call__": "features"},
    "features": {"set_frame": "map", "cover": "map", "scene": "map", "__call__": "features"},
    "classifier": {"scores": "scores", "scan": "scores", "fine_tune": "fine-tuning"},
    "localizer": {
        "locate": "localization",
        "remember": "localization training",
        "fine_tune": "localization training",
    },
}


class Profiler:
    """A tracker that has its target, and the seconds of every stage from now on.

    tracker  any; its parts are replaced by ones that measure
    seconds  stage -> seconds so far, of the stages that came up

    Raises RuntimeError for a tracker before `init`, which makes some of the parts.
    """

    def __init__(self, tracker: TrackerLike):
        initialised(tracker)
        self.tracker = tracker
        self.seconds: dict[str, float] = defaultdict(float)
        for name, stages in PARTS.items():
            part = getattr(tracker, name, None)
            if part is not None:
                setattr(tracker, name, _Measured(part, stages, self.seconds))

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Update the tracker: frame (H, W, 3) uint8 RGB -> box (4,), as its own `update`."""
        before, start = sum(self.seconds.values()), now()
        box = self.tracker.update(frame)
        measured = sum(self.seconds.values()) - before
        self.seconds["rest"] += now() - start - measured
        return box


class _Measured:
    """A part of a tracker that does what it did, and adds up the seconds of its methods.

    Only what the tracker calls is measured: what a part calls of itself is in its stage.
    """

    def __init__(self, part: Any, stages: Mapping[str, str], seconds: dict[str, float]):
        # All other attributes are the part's, see `__setattr__`.
        vars(self).update(_part=part, _stages=stages, _seconds=seconds)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        return partial(self._measure, name, value) if name in self._stages else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._part, name, value)

    def __call__(self, *arguments: Any) -> Any:
        return self._measure("__call__", self._part, *arguments)

    def _measure(self, name: str, function: Callable, *arguments: Any, **named: Any) -> Any:
        start = now()
        try:
            return function(*arguments, **named)
        finally:
            self._seconds[self._stages[name]] += now() - start


def now() -> float:
    """Return the time in seconds, once the GPU has done what it was asked to."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
