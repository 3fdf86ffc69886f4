"""Networks of MatConvNet: a file of MATLAB with a cell of layers, in its old and its new layout.

[1] Vedaldi, Lenc: MatConvNet, convolutional neural networks for MATLAB. ACM MM 2015, and the
    documentation of `vl_simplenn` and `DagNN`.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trackerlib.weights.containers import DAMAGE, kind_of, unreadable

__all__ = ["read"]

EXPECTED = "a network of MatConvNet"
PACKED = 15  # kind of an element of MATLAB's file format 5


def read(path: Path) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return the weights of `layers`, at the top or inside `net`, and the mean colour.

    The mean colour (3,), RGB, is what the network's images are to be reduced by, None where
    the file does not say. Raises ValueError for a damaged file, another kind of file, and,
    by its name, a layer that is no convolution with biases.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    kind = kind_of(path) or ""
    if kind.endswith("7.3"):
        raise ValueError(
            f"read: expected {EXPECTED} in {path}, got {kind} (HDF5), which is not read; "
            "in MATLAB: net = load(FILE); save(FILE, '-struct', 'net', '-v7')"
        )
    if kind and kind != "a MATLAB file":
        raise unreadable(path, EXPECTED, f"it is {kind}")
    packed = path.read_bytes()
    try:
        _check_elements(packed)
        content = loadmat(io.BytesIO(packed))
        net = _network(content, path)
        layers = [cell[0, 0] for cell in net["layers"].ravel()]
        arrays = [_arrays(layer, number) for number, layer in enumerate(layers, 1)]
        pairs = [pair for found in filter(None, arrays) for pair in _convolution(*found, path)]
        return dict(pairs), _mean_colour(net)
    except (*DAMAGE, OSError, MatReadError) as error:
        if str(error).startswith("read: "):
            raise
        raise unreadable(path, EXPECTED, error) from error


def _check_elements(content: bytes) -> None:
    """Unpack what is packed: zlib finds damage on which `loadmat` may end the process."""
    place, order = 128, "<II" if content[126:128] == b"IM" else ">II"
    while place < len(content):
        kind, size = struct.unpack(order, content[place : place + 8])
        place += 8 + size
        if kind == PACKED:
            zlib.decompress(content[place - size : place])


def _network(content: dict[str, Any], path: Path) -> Any:
    """What has the layers: the file's variables, or the struct `net` among them."""
    net = content["net"][0, 0] if "net" in content else content
    fields = [name for name in _fields(net) if not name.startswith("__")]
    if "params" in fields:
        raise ValueError(
            f"read: expected {EXPECTED}'s vl_simplenn in {path}, got a DagNN, whose layers have "
            "names of their own; save its params as conv1.weight (outputs, inputs, height, "
            "width), conv1.bias and so on with safetensors or numpy.savez"
        )
    if "layers" not in fields:
        raise ValueError(
            f"read: expected {EXPECTED}, with `layers` or `net`, in {path}, got "
            f"{', '.join(fields) or 'nothing'}; in MATLAB: save(FILE, '-struct', 'net', '-v7')"
        )
    return net


def _fields(struct_: Any) -> list[str]:
    return list(struct_) if isinstance(struct_, dict) else list(struct_.dtype.names or ())


def _arrays(layer: np.void, number: int) -> tuple[str, list[np.ndarray]] | None:
    """The name of a layer, and its arrays; None if it has no weights."""
    fields = _fields(layer)
    if "filters" in fields:  # until 2014, and MDNet
        found = [layer[name] for name in ("filters", "biases") if name in fields]
    else:
        found = list(layer["weights"].ravel()) if "weights" in fields else []
    name = str(layer["name"].item()) if "name" in fields and layer["name"].size else ""
    has_weights = any(np.size(array) for array in found)
    return (name or f"number {number}", found) if has_weights else None


def _convolution(name: str, found: list[np.ndarray], path: Path) -> Iterator[tuple[str, Tensor]]:
    """Filters (height, width, inputs, outputs) and biases, a row or a column, as tensors."""
    sizes = [array.size for array in found]
    count = len(found) - (sizes[1:] == [0])
    if count != 2 or sizes[1] == sizes[0]:
        hints = {
            1: "a convolution without biases",
            2: "a gain and an offset",
            3: "batch normalisation: merge it into the convolution before it with "
            "cnn_imagenet_deploy of MatConvNet",
        }
        raise ValueError(
            f"read: expected filters and biases for layer {name} in {path}, got "
            f"{count} array{'s' * (count > 1)} ({hints.get(count, 'no convolution')}), which is "
            "not supported"
        )
    filters, biases = found
    if filters.dtype.kind != "f" or biases.dtype.kind != "f" or filters.ndim > 4:
        raise ValueError(
            f"read: expected filters and biases for layer {name} in {path}, got arrays of "
            f"{filters.dtype} and {biases.dtype}; of a network on a GPU, save "
            "vl_simplenn_move(net, 'cpu')"
        )
    # MATLAB drops last axes of length 1: of a single output, or a single input and output.
    filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))
    weight = torch.from_numpy(np.ascontiguousarray(filters.transpose(3, 2, 0, 1)))
    yield f"{name}.weight", weight.flatten(1) if name.startswith("fc") else weight
    yield f"{name}.bias", torch.from_numpy(np.ascontiguousarray(biases.ravel()))


def _mean_colour(net: Any) -> Tensor | None:
    """`averageImage`, a colour or an image: in `normalization`, since 2015 in `meta`."""
    for field in ("meta", "normalization", "averageImage"):
        if field in _fields(net):
            net = net[field][0, 0] if field != "averageImage" else net[field]
    if not isinstance(net, np.ndarray) or net.dtype.kind not in "fiu" or net.size % 3:
        return None
    colours = net if net.shape[-1] == 3 else net.reshape(-1, 3)  # (h, w, 3), or a row or column
    return torch.from_numpy(colours.reshape(-1, 3).mean(0)) if net.size else None
