"""Trackers of this library in other toolkits, and theirs in its tables.

got10k     `as_got10k` makes a tracker for its experiments, `Got10kSpec` takes one of its kind
           to `eval.runner`; written for got10k 0.1.3
TraX       `serve_trax` answers a client such as vot-toolkit; written for vot-trax 4.0.2

Neither package is imported before it is used. Boxes are x, y, w, h, 0-based, as elsewhere;
files of VOT and the TraX protocol have the same numbers.
"""

import ast
import hashlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trackerlib.boxes import otb_to_xywh, xywh_to_otb
from trackerlib.data.sequence import read_image

__all__ = ["Got10kSpec", "Got10kTracker", "as_got10k", "serve_trax"]


class Tracker(Protocol):
    """What is adapted."""

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Start from a frame (H, W, 3) uint8 RGB and a box (4,)."""

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Return the box (4,) in the next frame."""


class Spec(Protocol):
    """A tracker and its configuration, such as `trackers.parse` returns."""

    @property
    def label(self) -> str:
        """Return the tracker as it was asked for."""

    def build(self, device: str, seed: int) -> Tracker:
        """Return a fresh tracker."""


def as_got10k(spec: Spec, device: str = "cpu", seed: int = 0, first_pixel: int = 0) -> Any:
    """Return a got10k.trackers.Tracker that its experiments run.

    spec         of `trackers.parse`; its label names the results
    first_pixel  0, or 1 where the experiment passes on boxes that count from 1, and expects
                 such back: its OTB, TColor128 and UAV123

    Every sequence has a tracker of its own. Raises ImportError without got10k.
    """
    base: Any = importlib.import_module("got10k.trackers").Tracker

    class Adapted(base):
        def init(self, image: Any, box: np.ndarray) -> None:
            self.tracker = spec.build(device, seed)
            self.tracker.init(np.asarray(image), otb_to_xywh(box) if first_pixel else box)

        def update(self, image: Any) -> np.ndarray:
            box = self.tracker.update(np.asarray(image))
            return xywh_to_otb(box) if first_pixel else box

    return Adapted(name=spec.label.replace(":", "-"), is_deterministic=True)


class Got10kTracker:
    """A tracker of got10k's interface that takes frames as arrays."""

    def __init__(self, tracker: Any) -> None:
        self.tracker = tracker
        # got10k comes with Pillow, whose images its trackers expect.
        self.image_of: Callable = importlib.import_module("PIL.Image").fromarray

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Start from a frame (H, W, 3) uint8 RGB and a box (4,)."""
        self.tracker.init(self.image_of(frame), box)

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Return the box (4,) in the next frame."""
        return np.array(self.tracker.update(self.image_of(frame)), dtype=np.float64)


@dataclass(frozen=True)
class Got10kSpec:
    """A tracker of got10k's interface as `eval.runner.plan` takes it.

    label  names it in tables
    make   returns a fresh tracker; a function or class of a module, which workers can import
    """

    label: str
    make: Callable[[], Any]

    def settings(self) -> dict[str, Any]:
        """Return what tells this tracker from others."""
        return {"tracker": "got10k", "label": self.label, "made_by": self.make.__qualname__}

    def code(self) -> str:
        """Return a hash of the module that the tracker is made by, comments apart."""
        source = inspect.getsource(inspect.getmodule(self.make) or self.make)
        return hashlib.sha256(ast.unparse(ast.parse(source)).encode()).hexdigest()[:16]

    def build(self, device: str = "cpu", seed: int = 0) -> Got10kTracker:
        """Return a fresh tracker; it settles its device and its random numbers itself."""
        return Got10kTracker(self.make())


def serve_trax(spec: Spec, device: str = "cpu", seed: int = 0) -> None:
    """Track for a TraX client until it quits: vot-toolkit starts this and sends the frames.

    Regions are rectangles, so that the client converts polygons to the boxes around them;
    frames come as paths. Raises ImportError without vot-trax.
    """
    trax = importlib.import_module("trax")
    tracker = spec.build(device, seed)
    with trax.Server(
        [trax.Region.RECTANGLE], [trax.Image.PATH], tracker_name=spec.label
    ) as server:
        while (request := server.wait()).type in (
            trax.TraxStatus.INITIALIZE,
            trax.TraxStatus.FRAME,
        ):
            frame = read_image(Path(request.image["color"].path()))
            if request.type == trax.TraxStatus.INITIALIZE:
                box = np.array(request.objects[0][0].bounds(), dtype=np.float64)
                tracker.init(frame, box)
            else:
                box = tracker.update(frame)
            region = trax.Rectangle.create(*box.tolist())
            server.status([(region, {})])
