"""What is there, what is missing, how fast this machine is, and what to do about it.

`python -m trackerlib doctor` and `make doctor` print it. Nothing heavy is imported before it
has been found, so that a broken installation is examined too.
"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from traceback import walk_tb
from types import ModuleType

from trackerlib.paths import cache_dir

__all__ = ["Finding", "broken_package", "examine"]

PACKAGES = {  # what asks for them -> distribution: the module that it brings
    "trackers and kernels": {"torch": "torch", "numpy": "numpy", "safetensors": "safetensors"},
    "evaluation": {
        "dask": "dask",
        "distributed": "distributed",
        "filelock": "filelock",
        "pandas": "pandas",
        "scipy": "scipy",
        "tqdm": "tqdm",
        "requests": "requests",
    },
    "annotated videos": {"av": "av"},
    "the embedded benchmark": {"scikit-image": "skimage", "scikit-learn": "sklearn"},
    "the book": {
        "matplotlib": "matplotlib",
        "ipywidgets": "ipywidgets",
        "jupyterlab": "jupyterlab",
        "papermill": "papermill",
        "jupyter-book": "jupyter_book",
    },
}
OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
FREE_BYTES = 2**30  # that the cache folder should have
UNKNOWN = "(version not known)"
SIDE = 1024  # of the matrices that are multiplied
COPIED = 2**28  # bytes


@dataclass(frozen=True)
class Finding:
    """One line of the examination; with a cure, something is to be done."""

    what: str
    found: str
    cure: str = ""


def examine() -> Iterator[Finding]:
    """Yield findings as they are made: machine, packages, OpenCV, weights, folders, speed.

    An examination that fails is a finding with the error and a cure; where several fail for
    one package, the first has the cure. Takes some seconds.
    """
    yield from _machine()
    yield from _packages()
    causes = dict.fromkeys(_lacking(), "the packages")  # package -> what named it first
    for what, part, cure in EXAMINATIONS:
        try:
            yield from part()
        except Exception as error:  # noqa: BLE001  (a broken installation breaks in any way)
            found, package = f"{type(error).__name__}: {error}", broken_package(error)
            first = causes.setdefault(package, what) if package else what
            if first == what:
                yield Finding(what, found, _cure(package, error, cure))
            else:
                yield Finding(what, f"not examined, since {package} cannot be used: see {first}")


def broken_package(error: Exception) -> str:
    """Return the package that an error says is missing, or broken; "" for any other error.

    Such an error is an ImportError, comes while a package of others is imported, or is about
    a name that it does not have.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _foreign(error.name)
    loading = [
        _foreign(frame.f_globals.get("__name__", ""))
        for frame, _ in walk_tb(error.__traceback__)
        if frame.f_code.co_name == "<module>"
    ]
    if any(loading):
        return [name for name in loading if name][-1]
    if isinstance(error, ImportError) and error.name:
        return _foreign(error.name)
    owner = error.obj if isinstance(error, AttributeError) else None
    return _foreign(owner.__name__) if isinstance(owner, ModuleType) else ""


def _foreign(module: str) -> str:
    """Return the package of a module, unless it is the library itself."""
    package = module.partition(".")[0]
    return "" if package in ("trackerlib", "__main__") else package


def _cure(package: str, error: Exception, otherwise: str) -> str:
    if package != "cv2" or ".so" not in str(error):
        return otherwise
    # A library of the system, which desktops have and servers do not.
    names = " ".join(name for name in OPENCV if _version(name) != UNKNOWN)
    first = f"pip uninstall -y {names} && " if names else ""
    return (
        f"{first}pip install opencv-contrib-python-headless, which needs no libraries of a "
        "desktop; or install these: apt install libgl1 libglib2.0-0"
    )


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    old = sys.version_info < (3, 11)
    yield Finding("Python", version, "install Python 3.11 or newer" if old else "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("machine", f"{platform.platform()}, {cores} cores")


def _packages() -> Iterator[Finding]:
    for purpose, wanted in PACKAGES.items():
        versions, lacking = [], []
        for name, module in wanted.items():
            if importlib.util.find_spec(module):
                versions.append(f"{name} {_version(name)}")
            else:
                lacking.append(name)
        cure = f"pip install {' '.join(lacking)}" if lacking else ""
        absent = f"; without {', '.join(lacking)}" if lacking else ""
        yield Finding(f"for {purpose}", (", ".join(versions) or "nothing") + absent, cure)


def _lacking() -> list[str]:
    """Return the modules of packages that are not installed."""
    modules = [module for wanted in PACKAGES.values() for module in wanted.values()]
    return [module for module in modules if not importlib.util.find_spec(module)]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN


def _opencv() -> Iterator[Finding]:
    import cv2

    from trackerlib.trackers import opencv

    found = f"{cv2.__version__}, trackers: {', '.join(sorted(opencv.available()))}"
    yield Finding("OpenCV", found, opencv.problem() or "")


def _torch() -> Iterator[Finding]:
    import torch

    from trackerlib.weights import inference

    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    triton = "Triton is there" if importlib.util.find_spec("triton") else "no Triton"
    mode = inference.best_mode("cuda" if torch.cuda.is_available() else "cpu")
    yield Finding("GPU", f"{cuda}; {triton}")
    yield Finding("backbones run as", mode)


def _weights() -> Iterator[Finding]:
    from trackerlib import weights
    from trackerlib.weights import registry

    there = sum(registry.locate(entry).is_file() for entry in registry.registry().values())
    yield Finding("weights", f"{there} files", "; ".join(weights.verify()))


def _folders() -> Iterator[Finding]:
    folder = cache_dir()
    above = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(above).free
    cure = ""
    if not os.access(above, os.W_OK):
        cure = "it cannot be written: set TRACKERLIB_CACHE to a folder that can"
    elif free < FREE_BYTES:
        cure = f"free {FREE_BYTES / 2**30:.0f} GiB, or set TRACKERLIB_CACHE to another disk"
    yield Finding("cache", f"{folder}, {free / 2**30:.1f} GiB free", cure)


def _speed() -> Iterator[Finding]:
    import numpy as np
    import torch

    from trackerlib import trackers

    source = torch.ones(COPIED, dtype=torch.uint8)
    target = torch.empty_like(source)
    gigabytes = COPIED / _seconds(lambda: target.copy_(source)) / 1e9
    rates = []
    kinds = [torch.float32]
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        kinds.append(torch.bfloat16)  # elsewhere it is emulated, a hundred times slower
    for kind in kinds:
        matrix = torch.ones(SIDE, SIDE, dtype=kind)
        rate = 2 * SIDE**3 / _seconds(partial(torch.mm, matrix, matrix)) / 1e9
        rates.append(f"{rate:.0f} GFLOP/s {str(kind).removeprefix('torch.')}")
    yield Finding(
        "speed",
        f"{torch.get_num_threads()} threads: {', '.join(rates)}, {gigabytes:.1f} GB/s copied",
    )
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    kcf = trackers.parse("kcf").build()
    kcf.init(frame, np.array([300.0, 150.0, 60.0, 60.0]))
    yield Finding("KCF", f"{1 / _seconds(lambda: kcf.update(frame)):.0f} frames per second")


def _seconds(work: Callable[[], object]) -> float:
    """Return the shortest of five runs after one to warm up."""
    work()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


REINSTALL = "install the project again: pip install -r requirements.txt"
EXAMINATIONS: tuple[tuple[str, Callable[[], Iterator[Finding]], str], ...] = (
    ("OpenCV", _opencv, REINSTALL),
    ("PyTorch", _torch, REINSTALL),
    ("weights", _weights, REINSTALL),
    ("cache", _folders, "set TRACKERLIB_CACHE to a folder that can be written"),
    ("speed", _speed, REINSTALL),
)
