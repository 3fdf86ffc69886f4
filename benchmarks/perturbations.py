"""What another processor could do otherwise: environments, and changes to a Python process.

`environment` of a perturbation is what a process is started in. Where variables alone do not
suffice, Python imports a `sitecustomize` that this module writes, which calls one of CHANGES
before anything else is imported; processes that it starts in turn, such as dask's workers, do too.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
ARITHMETICS: dict[str, dict[str, str]] = {
    "as it is": {},
    "PyTorch's plain kernels": {"ATEN_CPU_CAPABILITY": "default"},
    "MKL's common kernels": {"MKL_CBWR": "COMPATIBLE"},
    "oneDNN's AVX2 kernels": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "all three": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "two threads": {"OMP_NUM_THREADS": "2"},
    "another Fourier transform": {"TRACKERLIB_CHANGE": "round_transforms"},
}
PIXELS = {"other pixels": {"TRACKERLIB_CHANGE": "change_pixels"}}
PERTURBATIONS = ARITHMETICS | PIXELS

SITE = """import os
from benchmarks.perturbations import CHANGES
CHANGES[os.environ["TRACKERLIB_CHANGE"]]()
"""


def environment(name: str, folder: Path) -> dict[str, str]:
    """Return the variables of a perturbation, by its name in PERTURBATIONS.

    folder  an empty one, in which `sitecustomize.py` is written where it is needed
    """
    variables = dict(PERTURBATIONS[name])
    if "TRACKERLIB_CHANGE" in variables:
        (folder / "sitecustomize.py").write_text(SITE)
        variables["PYTHONPATH"] = os.pathsep.join(map(str, (folder, ROOT)))
    return variables


def change_pixels() -> None:
    """Make every image that OpenCV decodes from now on another by a grey level up or down.

    Which of the two is drawn for every pixel and channel, from a seed and the image's bytes.
    """
    import cv2

    decode = cv2.imdecode

    def changed(buffer: np.ndarray, *arguments: int) -> np.ndarray | None:
        image = decode(buffer, *arguments)
        if image is None:
            return None
        draw = np.random.default_rng([SEED, zlib.crc32(bytes(buffer))])
        steps = draw.choice(np.array([-1, 1], np.int16), size=image.shape)
        return np.clip(image + steps, 0, 255).astype(image.dtype)

    cv2.imdecode = changed  # type: ignore[assignment]


def round_transforms() -> None:
    """Make PyTorch's Fourier transforms of float32 compute in float64 and round at the end."""
    import torch

    wider = {torch.float32: torch.float64, torch.complex64: torch.complex128}
    narrower = {wide: narrow for narrow, wide in wider.items()}

    def rounding(transform: Callable) -> Callable:
        def rounded(input: torch.Tensor, *arguments, **named) -> torch.Tensor:
            if input.dtype not in wider:
                return transform(input, *arguments, **named)
            output = transform(input.to(wider[input.dtype]), *arguments, **named)
            return output.to(narrower[output.dtype])

        return rounded

    for name in ("fft", "ifft", "rfft", "irfft", "fft2", "ifft2", "rfft2", "irfft2"):
        setattr(torch.fft, name, rounding(getattr(torch.fft, name)))


CHANGES = {change.__name__: change for change in (change_pixels, round_transforms)}
