"""Where a frame's time goes: in the map, the boxes, their scores, in locating or in learning."""

import time
from collections import defaultdict
from collections.abc import Callable

import torch


class Timed:
    """MDNet or a descendant that has its target, and the seconds of every stage from now on.

    seconds  "map": crop and convolutions of the frame or the scene; "boxes": their features;
             "scores" of the candidates; "learning"; "rest" of the updates; and where the
             tracker has a localizer, "locating" and "learning to locate"

    MDNet's crops have no map: what convolves them is in "boxes". DeepTrack's map is the
    scene of cues, its "boxes" the patches that it learns from.
    """

    def __init__(self, tracker):
        self.tracker, self.seconds, self.busy = tracker, defaultdict(float), False
        tracker.features = _Features(tracker.features, self._measured)
        classifier = tracker.classifier
        classifier.scores = self._measured("scores", classifier.scores)
        classifier.learn = self._measured("learning", classifier.learn)
        if scan := getattr(classifier, "scan", None):
            classifier.scan = self._measured("scores", scan)
        if localizer := getattr(tracker, "localizer", None):
            localizer.locate = self._measured("locating", localizer.locate)
            for step in ("remember", "learn"):
                measured = self._measured("learning to locate", getattr(localizer, step))
                setattr(localizer, step, measured)

    def update(self, frame):
        """As the tracker's."""
        before, began = sum(self.seconds.values()), time.perf_counter()
        box = self.tracker.update(frame)
        known = sum(self.seconds.values()) - before
        self.seconds["rest"] += time.perf_counter() - began - known
        return box

    def _measured(self, stage: str, function: Callable) -> Callable:
        """The function, with its seconds in a stage, or in that which calls it."""

        def run(*arguments):
            if self.busy:
                return function(*arguments)
            self.busy, began = True, time.perf_counter()
            try:
                return function(*arguments)
            finally:
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                self.seconds[stage] += time.perf_counter() - began
                self.busy = False

        return run


class _Features:
    """What makes a map and pools boxes from it, both measured."""

    def __init__(self, features, measured):
        self.features = features
        self.look = measured("map", features.set_frame)
        self.pool = measured("boxes", features.__call__)
        if scene := getattr(features, "scene", None):
            self.scene = measured("map", scene)

    def __call__(self, boxes):
        return self.pool(boxes)

    def __getattr__(self, name):
        return getattr(self.features, name)
