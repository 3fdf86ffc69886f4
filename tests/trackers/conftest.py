"""A frame whose pixels say where they are, a backbone that shows them, trackers that started."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from trackerlib.nets import vggm
from trackerlib.nets.backbone import Tap
from trackerlib.weights import inference

BOXES = torch.tensor([[100.0, 90, 60, 30], [140, 60, 30, 60]], dtype=torch.float64)


@pytest.fixture
def boxes() -> torch.Tensor:
    """Two boxes (2, 4) in the frame, one wide, one tall."""
    return BOXES.clone()


@pytest.fixture
def frame() -> np.ndarray:
    """A pixel's value is half of its x, half of its y, and 100."""
    y, x = np.mgrid[:240, :320]
    return np.stack((x / 2, y / 2, np.full_like(x, 100)), -1).astype(np.uint8)


class Identity:
    """A backbone whose map is the image at the centres of the map's positions."""

    dtype = torch.float32

    def __init__(self, geometry: Tap):
        self.taps = {"map": geometry}

    def __call__(self, images: torch.Tensor, *layers: str) -> tuple[torch.Tensor, ...]:
        geometry = self.taps["map"]
        first, step = int(geometry.centre), geometry.stride
        last = -first if first else None
        return tuple(images[:, :, first:last:step, first:last:step] for _ in layers)


@pytest.fixture
def identity() -> type[Identity]:
    return Identity


@pytest.fixture(scope="module")
def thin() -> Iterator[None]:
    """An eighth of VGG-M's channels: a fifth of the time, for what does not depend on weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vggm, "CHANNELS", {k: n // 8 for k, n in vggm.CHANNELS.items()})
        inference._load.cache_clear()
        yield
    inference._load.cache_clear()


@pytest.fixture(scope="session")
def started(moving) -> Callable:
    """(Tracker, config, seed, grey) -> a tracker that has the target of `moving(40, 32)`.

    One that starts alike is a copy: it tracks as a new one would.
    """
    frames, truth = moving(40, 32)
    known = {}

    def start(make: type, config, seed: int = 0, grey: bool = False):
        key = make, config, seed, grey
        if key not in known:
            tracker = known[key] = make(config, seed=seed)
            frame = frames[0][..., :1].repeat(3, 2) if grey else frames[0]
            tracker.init(frame, truth[0])
        backbone = getattr(known[key], "backbone", None)  # never changes, and is large
        return copy.deepcopy(known[key], {id(backbone): backbone})

    return start
