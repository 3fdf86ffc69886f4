"""Any tracker of the installed OpenCV, as a peer in the same table."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trackerlib.boxes import first_box, xywh_to_xyxy, xyxy_to_xywh
from trackerlib.checks import initialised

MIN_SIDE = 5  # pixels; smaller boxes keep some of OpenCV's samplers searching for ever
MODEL_FILES = ("backbone", "neckhead", "net", "model", "kernel_cls1", "kernel_r1")


@dataclass(frozen=True)
class Config:
    """Which tracker, with OpenCV's own settings; paths of model files where it needs them."""

    algorithm: str = "csrt"  # one of `available()`
    backbone: str = ""  # nano
    neckhead: str = ""  # nano
    net: str = ""  # vit
    model: str = ""  # dasiamrpn, as the next two
    kernel_cls1: str = ""
    kernel_r1: str = ""


def available() -> dict[str, Callable]:
    """Return name -> constructor of every tracker in the installed OpenCV.

    A name that is also in `cv2.legacy` means the current implementation.
    """
    found = {}
    for module in filter(None, (getattr(cv2, "legacy", None), cv2)):
        for name in dir(module):
            if match := re.fullmatch(r"Tracker(\w+)_create", name):
                found[match[1].lower()] = getattr(module, name)
    return found


class Tracker:
    """An OpenCV tracker; where it reports failure, the last box stands."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config = config or Config()
        self.seed = seed
        if self.config.algorithm not in available():
            raise ValueError(
                f"opencv.Tracker: OpenCV {cv2.__version__} has no {self.config.algorithm!r}, "
                f"expected one of {', '.join(sorted(available()))}"
            )

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target. OpenCV takes the box in whole pixels, clipped to the frame.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`), FileNotFoundError for a
        missing model file.
        """
        self.box = first_box(box, frame)
        edges = xywh_to_xyxy(self.box).round().reshape(2, 2).clip(0, frame.shape[1::-1])
        inside = first_box(xyxy_to_xywh(edges.ravel()), frame, MIN_SIDE).astype(int)
        self.tracker = _create(self.config)
        cv2.setRNGSeed(self.seed)
        self.tracker.init(_bgr(frame), inside.tolist())

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3) -> box (4,) float64.

        Raises RuntimeError before `init`.
        """
        initialised(self)
        found, box = self.tracker.update(_bgr(frame))
        if found and min(box[2:]) > 0:
            self.box = np.array(box, dtype=np.float64)
        return self.box.copy()


def _create(config: Config) -> cv2.Tracker:
    create = available()[config.algorithm]
    name = create.__name__.removesuffix("_create")
    settings = getattr(cv2, f"{name}_Params", object)()
    needed = [field for field in MODEL_FILES if hasattr(settings, field)]
    for field in needed:
        path = getattr(config, field)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"opencv.Tracker: {config.algorithm} needs model files, give "
                f"{', '.join(f'{n}=FILE' for n in needed)}; got {field}={path!r}"
            )
        setattr(settings, field, path)
    return create(settings) if needed else create()


def _bgr(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
