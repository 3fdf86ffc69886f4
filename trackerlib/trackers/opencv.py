"""Any tracker of the installed OpenCV, as a peer in the same table.

Four packages install OpenCV for Python, all of them into one folder `cv2`: what was installed
last replaces files of the others. `wheels` and `problem` say which it is.
"""

import ctypes
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from trackerlib.boxes import first_box, xywh_to_xyxy, xyxy_to_xywh
from trackerlib.checks import first_frame, next_frame
from trackerlib.trackers.lost import Watch, Watched

MIN_SIDE = 5  # pixels; smaller boxes keep some of OpenCV's samplers searching for ever
MODEL_FILES = ("backbone", "neckhead", "net", "model", "kernel_cls1", "kernel_r1")
C_LIBRARY = "ucrtbase" if sys.platform == "win32" else None  # None: that of the process
PACKAGES = {  # that install OpenCV -> whether it has the contributed trackers
    "opencv-python": False,
    "opencv-python-headless": False,
    "opencv-contrib-python": True,
    "opencv-contrib-python-headless": True,
}
CONTRIBUTED = {"boosting", "csrt", "kcf", "medianflow", "mosse", "tld"}  # beyond opencv-python's


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


class Wheel(NamedTuple):
    """An installed package of OpenCV, and whether the files in `cv2` are still its own."""

    name: str
    version: str
    whole: bool


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


def wheels() -> list[Wheel]:
    """Return the installed packages of OpenCV; more than one are more than it can be."""
    found: dict[str, Wheel] = {}  # a folder that is on the path twice has its packages twice
    for package in distributions():
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"] or "").lower()
        if name in PACKAGES:
            found.setdefault(name, Wheel(name, package.version, _is_whole(package)))
    return [found[name] for name in sorted(found)]


def problem() -> str | None:
    """Return what is wrong with how OpenCV is installed, with the cure; None if nothing is."""
    installed, lacking = wheels(), sorted(CONTRIBUTED - available().keys())
    if not (_are_mixed(installed) or lacking):
        return None
    names = [f"{w.name} {w.version}{'' if w.whole else ' (files replaced)'}" for w in installed]
    found = f"OpenCV {cv2.__version__} is loaded from {Path(cv2.__file__).parent}"
    found += f", where {' and '.join(names) or 'no package is known to have'} installed it"
    if lacking:
        found += f"; it lacks the trackers {', '.join(lacking)}"
    return f"{found}. {_cure(installed)}"


@lru_cache(maxsize=1)
def _mixture() -> list[str]:
    """`problem` if several packages share a folder: looked for once, as it reads their lists."""
    return [problem() or ""] if _are_mixed(wheels()) else []


def _are_mixed(installed: list[Wheel]) -> bool:
    return len(installed) > 1 or not all(wheel.whole for wheel in installed)


def _cure(installed: list[Wheel]) -> str:
    """Commands that leave one package, with contributed trackers; headless where one was."""
    headless = any(wheel.name.endswith("-headless") for wheel in installed)
    kept = f"opencv-contrib-python{'-headless' if headless else ''}"
    gone = " ".join(wheel.name for wheel in installed)
    first = f"pip uninstall -y {gone} && " if installed else ""
    return f"Keep one package alone: `{first}pip install {kept}`"


def _is_whole(package: Distribution) -> bool:
    """Whether the files of a package are there with their sizes."""
    for file in package.files or []:
        path = Path(str(file.locate()))
        if file.size is not None and (not path.is_file() or path.stat().st_size != file.size):
            return False
    return True


class Tracker(Watched):
    """An OpenCV tracker; where it reports failure, the last box stands.

    warnings  what was unusual about the latest frame

    Random numbers come from generators that OpenCV's trackers of one process share: boxes are
    repeatable where one tracker runs at a time.
    """

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        self.config = config or Config()
        self.seed = seed
        self.watch = Watch(f"opencv:{self.config.algorithm}")
        if self.config.algorithm not in available():
            cure = f". {problem()}" if problem() else ""
            raise ValueError(
                f"opencv.Tracker: OpenCV {cv2.__version__} has no {self.config.algorithm!r}, "
                f"expected one of {', '.join(sorted(available()))}{cure}"
            )

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target. OpenCV takes the box in whole pixels, clipped to the frame.

        frame  (H, W, 3) uint8 RGB
        box    (4,) x, y, w, h

        Raises ValueError for a bad box (see `first_box`), FileNotFoundError for a
        missing model file.
        """
        frame = first_frame(self, frame)
        start = first_box(box, frame)
        edges = xywh_to_xyxy(start).round().reshape(2, 2).clip(0, frame.shape[1::-1])
        inside = first_box(xyxy_to_xywh(edges.ravel()), frame, MIN_SIDE).astype(int)
        self.warnings, self._failed = [*_mixture()], False
        self.watch.begin()
        if (inside != start).any():
            self.warnings.append(f"OpenCV learns {_text(inside)} for {_text(start)}: whole pixels")
        self.tracker = _create(self.config)
        if not _seed(self.seed):
            self.warnings.append("C's random numbers have no seed here: mil, tld do not repeat")
        self.tracker.init(_bgr(frame), inside.tolist())
        self.box = start

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3) -> box (4,) float64.

        Raises RuntimeError before `init`.
        """
        frame = next_frame(self, frame)
        found, box = self.tracker.update(_bgr(frame))
        had_failed, self._failed = self._failed, not (found and min(box[2:]) > 0)
        begins = self._failed and not had_failed  # said once: it may last to the end
        self.warnings = ["OpenCV reports no target: until it does, the box stays"] * begins
        self.watch.see(found=float(not self._failed), **self._told())
        if not self._failed:
            self.box = np.array(box, dtype=np.float64)
        return self.box.copy()

    def _told(self) -> dict[str, float]:
        """Return the score of those trackers that have one."""
        tell = getattr(self.tracker, "getTrackingScore", None)
        score = float(tell()) if tell else -1.0  # what those without one say
        return {"score": score} if score >= 0 else {}

    @property
    def probability(self) -> float | None:
        """Return the calibrated score; where there is none, OpenCV's own, or 0 for a failure."""
        told = self.watch.evidence
        if self.watch.calibration or not told:
            return self.watch.probability
        return min(max(told["found"] * told.get("score", 1.0), 0.0), 1.0)

    @property
    def is_lost(self) -> bool:
        """Return whether OpenCV reported failure in the latest frame."""
        return self._failed


def _seed(seed: int) -> bool:
    """Seed OpenCV's random numbers, and C's, which MIL and TLD draw; return whether C's could be.

    Nothing else seeds C's: a second tracker in a process would go on where the first ended.
    """
    cv2.setRNGSeed(seed)
    try:
        ctypes.CDLL(C_LIBRARY).srand(ctypes.c_uint(seed))
    except (OSError, AttributeError):
        return False
    return True


def _create(config: Config) -> "cv2.Tracker":
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


def _text(box: np.ndarray) -> str:
    return ", ".join(f"{number:g}" for number in box)
