"""A backbone as fast as the machine at hand runs it, with the same features.

float32   as PyTorch computes it, maps stored channels-last
bfloat16  the same in numbers of 8 binary digits, for processors that multiply matrices
          of them (AMX, AVX512-BF16); features differ by at most 2 % of their norm
int8      convolutions in integers of 8 bits, but for the one that sees the image: each in a
          quarter to a half of its time in float32, on processors without bfloat16; features
          of VGG-M and VGG-19 up to conv3 differ by at most 5 % of their norm, the deepest of
          SqueezeNet by up to 18 %
compiled  the faster type of the first two through torch.compile, for long videos: the time of
          VGG-M's crops falls by a fifth, after seconds of compilation for each size of image
"""

import os
import shutil
import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from trackerlib import weights
from trackerlib.nets import vggm
from trackerlib.nets.backbone import Backbone
from trackerlib.nets.int8 import to_int8
from trackerlib.weights.registry import registry

__all__ = ["MAX_IMAGES", "MODES", "Inference", "best_mode", "load", "number_type"]

MODES = ("float32", "compiled", "bfloat16", "int8")
COMPILERS = ("c++", "g++", "clang++", "cl")
MAX_IMAGES = 32  # at a time on a CPU; what a larger batch needs does not fit its caches


def best_mode(device: str | torch.device = "cpu") -> str:
    """Return the mode of MODES that "auto" stands for on a device.

    That is $TRACKERLIB_MODE where it is set. Otherwise it is bfloat16 on processors that
    multiply matrices of it, in two thirds of the time or less; int8 on other processors of
    x86 with AVX2; and float32 elsewhere.

    Raises ValueError for a $TRACKERLIB_MODE that is no mode.
    """
    wished = os.environ.get("TRACKERLIB_MODE")
    if wished:
        if wished not in MODES:
            raise ValueError(
                f"best_mode: expected TRACKERLIB_MODE among {', '.join(MODES)}, got {wished!r}; "
                "unset it for the fastest mode"
            )
        return wished
    if _multiplies_bfloat16(device):
        return "bfloat16"
    return "int8" if _has_one_of(device, "_is_avx2_supported") else "float32"


def _multiplies_bfloat16(device: str | torch.device) -> bool:
    """Whether a CPU does it in hardware."""
    return _has_one_of(device, "_is_amx_tile_supported", "_is_avx512_bf16_supported")


def _has_one_of(device: str | torch.device, *names: str) -> bool:
    """Whether it is a CPU that has it, as PyTorch says; an older one may not know to ask."""
    is_cpu = torch.device(device).type == "cpu"
    return is_cpu and any(getattr(torch.cpu, name, bool)() for name in names)


def number_type(mode: str, device: str | torch.device = "cpu") -> torch.dtype:
    """Return the type of the numbers that a mode, or "auto", computes in.

    Raises ValueError for an unknown mode.
    """
    if mode not in (*MODES, "auto"):
        raise ValueError(f"inference: expected mode auto, {', '.join(MODES)}, got {mode!r}")
    mode = best_mode(device) if mode == "auto" else mode
    is_narrow = mode == "bfloat16" or (mode == "compiled" and _multiplies_bfloat16(device))
    return torch.bfloat16 if is_narrow else torch.float32


class Inference:
    """Calls a backbone on a device, without gradients.

    backbone  moved and, for bfloat16, converted: it is not to be used otherwise afterwards
    device    where its images will be
    mode      of MODES, or "auto" for `best_mode`

    In mode compiled, a size of image that is new is compiled when it first comes, in seconds;
    where a CPU's machine has no compiler, nothing is, and a warning says so.
    Raises ValueError for an unknown mode, and for int8 on another device than a CPU.
    """

    def __init__(self, backbone: Backbone, device: str | torch.device = "cpu", mode: str = "auto"):
        self.dtype = number_type(mode, device)
        self.mode = best_mode(device) if mode == "auto" else mode
        if self.mode == "int8" and torch.device(device).type != "cpu":
            raise ValueError(f"inference: mode int8 is of CPUs, got device {device}; leave it out")
        self.backbone = backbone.eval().requires_grad_(False)
        self.taps = backbone.taps
        # Of `memory_format`, PyTorch's type hints know nothing.
        self.backbone.to(device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.mode == "int8":
            to_int8(self.backbone)
        self.max_images = MAX_IMAGES if torch.device(device).type == "cpu" else None
        is_compiled = self.mode == "compiled" and _can_compile(device)
        self.run = torch.compile(self.backbone) if is_compiled else self.backbone

    @torch.inference_mode()
    def __call__(self, images: Tensor, *layers: str) -> tuple[Tensor, ...]:
        """Return a float32 map per layer, as the backbone's: images (N, 3, H, W) RGB, 0 to 255."""
        images = images.contiguous(memory_format=torch.channels_last)
        parts = images.split(self.max_images or len(images))
        maps_of_parts = [self.run(part, *layers) for part in parts]
        return tuple(torch.cat(maps).float() for maps in zip(*maps_of_parts, strict=True))


def _can_compile(device: str | torch.device) -> bool:
    """Whether a compiler is there, which only CPUs need; warn if not."""
    if torch.device(device).type != "cpu" or any(map(shutil.which, COMPILERS)):
        return True
    warnings.warn(
        f"inference: mode compiled needs a C++ compiler ({', '.join(COMPILERS)}), and none was "
        "found: networks run as they are, slower; install one, or leave the mode out",
        stacklevel=3,
    )
    return False


def load(
    name: str, device: str, mode: str = "auto", seed: int = 0, **form: int | bool
) -> Inference:
    """Return a backbone of the registry of weights, or "random": VGG-M before any training.

    seed  of the random one
    form  of VGG-M, fields of its Config: dense=True unless said otherwise

    Loaded once for all that ask for it. Raises what `weights.load` does,
    and ValueError for weights that are no backbone's.
    """
    form = {"dense": True} | form
    mode = best_mode(device) if mode == "auto" else mode  # what "auto" means may change
    return _load(name, device, mode, seed if name == "random" else 0, tuple(form.items()))


@lru_cache(maxsize=2)
def _load(
    name: str, device: str, mode: str, seed: int, form: tuple[tuple[str, int | bool], ...]
) -> Inference:
    if name == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config: dict[str, Any] = dict(form)
            return Inference(vggm.VGGM(vggm.Config(**config)), device, mode)
    entry = registry().get(name)
    backbone = weights.load(name, **dict(form) if entry and entry.network == "vggm" else {})
    if not isinstance(backbone, Backbone):
        raise ValueError(f"inference.load: expected the name of a backbone, got {name!r}")
    return Inference(backbone, device, mode)
