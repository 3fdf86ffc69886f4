"""What is passed around between trackers, evaluation and training, by its methods alone."""

from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from trackerlib.nets.backbone import Tap


class TrackerLike(Protocol):
    """What evaluation knows of a tracker."""

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target: frame (H, W, 3) uint8 RGB, box (4,) x, y, w, h.

        Raises ValueError for a box that it cannot learn.
        """

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3) -> box (4,) float64.

        Raises RuntimeError before `init`.
        """
        ...


class SpecLike(Protocol):
    """A tracker and its settings, ready to be built on any machine."""

    @property
    def label(self) -> str:
        """Return the text that it was written as, its name in tables."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the whole configuration as plain values."""
        ...

    def build(self, device: str = "cpu", seed: int = 0) -> TrackerLike:
        """Return a fresh tracker."""
        ...

    def code(self) -> str:
        """Return a hash of the code that the tracker runs."""
        ...


class ConfigLike(Protocol):
    """A frozen dataclass: the settings of a tracker, each with its unit and source."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class BackboneLike(Protocol):
    """A network that turns images into feature maps, whichever way it runs.

    taps   layer -> geometry of its map
    dtype  of the numbers that it computes in
    """

    taps: dict[str, Tap]
    dtype: torch.dtype

    def __call__(self, images: Tensor, *layers: str) -> tuple[Tensor, ...]:
        """Return the maps of these layers for images (N, 3, H, W) RGB, 0 to 255."""
        ...


class BoxFeatures(Protocol):
    """What turns boxes of a frame into rows of features."""

    def set_frame(self, frame: np.ndarray, box: Tensor) -> None:
        """Go on to a frame (H, W, 3) uint8 RGB, with the target's latest box (4,)."""

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return the features (K, ...) of boxes (K, 4) x, y, w, h float64 of that frame."""
        ...
