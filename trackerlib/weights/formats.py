"""Weights as others store them, read into tensors with this library's names and layout.

A convolution is `conv1.weight` (outputs, inputs, height, width) and `conv1.bias`
(outputs,). MDNet's fully connected layers are `fc4.weight` (512, 4608) over channels,
rows, columns, `fc5.weight` (512, 512) and `fc6.weight` (2, 512). Names that a format does
not define are passed on, so that a file of another network shows.

No format can run code: pickles are read by torch's unpickler for weights, which knows
tensors and containers alone.
"""

import io
import pickle
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from torch import Tensor

from trackerlib.nets.vgg19 import CHANNELS as VGG19_LAYERS

FEATURES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)  # torchvision's layers
PACKED = 15  # kind of an element of MATLAB's file format 5
DAMAGE = (  # what the readers raise for bytes that they did not expect
    pickle.UnpicklingError,
    zlib.error,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read(path: Path, format: str) -> dict[str, Tensor]:
    """Return the tensors of a file by their names in this library, float32, on the CPU.

    Raises ValueError if the file is damaged, holds more than tensors (a pickle with
    code in it is not run), or numbers that are not finite.
    """
    tensors = FORMATS[format].read(path)
    for name, tensor in tensors.items():
        if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
            raise ValueError(f"read: expected numbers for {name} in {path}, got {tensor!r:.50}")
        if not tensor.float().isfinite().all():
            raise ValueError(f"read: expected finite numbers for {name} in {path}")
    return {name: tensor.detach().float() for name, tensor in tensors.items()}


def _safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors as they are named; Caffe's names have / where PyTorch's have a dot."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise _unreadable(path, "safetensors", error) from error
    return {name.replace("/", "."): tensor for name, tensor in tensors.items()}


def _matconvnet(path: Path) -> dict[str, Tensor]:
    """MatConvNet's `layers`, at the top or inside `net`: a cell of structs."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    packed = path.read_bytes()
    try:
        _check_elements(packed)
        content = loadmat(io.BytesIO(packed))
        content = content["net"][0, 0] if "net" in content else content
        layers = [cell[0, 0] for cell in content["layers"].ravel()]
        return {name: tensor for layer in layers for name, tensor in _parameters(layer)}
    except (*DAMAGE, OSError, MatReadError) as error:
        raise _unreadable(path, "a network of MatConvNet", error) from error


def _check_elements(content: bytes) -> None:
    """Unpack what is packed: zlib finds damage on which `loadmat` may end the process."""
    place, order = 128, "<II" if content[126:128] == b"IM" else ">II"
    while place < len(content):
        kind, size = struct.unpack(order, content[place : place + 8])
        place += 8 + size
        if kind == PACKED:
            zlib.decompress(content[place - size : place])


def _parameters(layer: np.void) -> Iterator[tuple[str, Tensor]]:
    """Filters (height, width, inputs, outputs) and biases, a row or a column."""
    fields = layer.dtype.names or ()
    if "filters" in fields:  # as MDNet has them
        filters, biases = layer["filters"], layer["biases"]
    elif "weights" in fields and layer["weights"].size:
        filters, biases = layer["weights"].ravel()
    else:
        return
    weight = torch.from_numpy(np.ascontiguousarray(filters.transpose(3, 2, 0, 1)))
    name = layer["name"].item()
    yield f"{name}.weight", weight.flatten(1) if name.startswith("fc") else weight
    yield f"{name}.bias", torch.from_numpy(biases.ravel())


def _mdnet(path: Path) -> dict[str, Tensor]:
    """What py-MDNet and RT-MDNet save: conv1.0.weight, ..., fc5.1.bias; fc6 per domain."""
    state = _unpickled(path)
    shared, branches = state.get("shared_layers"), state.get("branches", {})
    if not (_named(shared) and _named(branches)):
        raise _unreadable(path, "shared_layers of MDNet", f"it has {', '.join(state)}")
    layers = {**shared, **{f"fc6.{name}": tensor for name, tensor in branches.items()}}
    place = r"\.\d+(?=\.(weight|bias)$)"  # of the layer among its dropout and ReLU
    return {re.sub(place, "", name): tensor for name, tensor in layers.items()}


def _torchvision(path: Path) -> dict[str, Tensor]:
    """torchvision's VGG-19: features.0.weight, ...; its classifier is left out."""
    names = dict(zip(map(str, FEATURES), VGG19_LAYERS, strict=True))
    tensors = {}
    for name, tensor in _unpickled(path).items():
        part, number, kind = [*name.split("."), "", ""][:3]
        if part != "classifier":
            tensors[f"{names[number]}.{kind}" if number in names else name] = tensor
    return tensors


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {asked[1]}, which was not run" if asked else type(error).__name__
        raise _unreadable(path, "a pickle of tensors alone", reason) from error
    if not _named(state):
        raise _unreadable(path, "a pickle of named tensors", f"it is a {type(state).__name__}")
    return state


def _named(state: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(state, dict) and all(isinstance(name, str) for name in state)


def _unreadable(path: Path, expected: str, reason: object) -> ValueError:
    return ValueError(
        f"read: expected {expected} in {path}, which is damaged or another kind of file "
        f"({reason}); get it again from its authors"
    )


class Format(NamedTuple):
    """How a file is read, and what its tensors are for where the format says so."""

    read: Callable[[Path], dict[str, Tensor]]
    network: str | None
    config: dict


FORMATS = {
    "safetensors": Format(_safetensors, None, {}),
    "matconvnet": Format(_matconvnet, "vggm", {"norm": "matconvnet"}),
    "py-mdnet": Format(_mdnet, "vggm", {"norm": "py-mdnet"}),
    "rt-mdnet": Format(_mdnet, "vggm", {"norm": "rt-mdnet", "dense": True}),
    "torchvision-vgg19": Format(_torchvision, "vgg19", {"input": "torchvision"}),
}
