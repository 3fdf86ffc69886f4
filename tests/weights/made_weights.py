"""Weights of random numbers, in files as their authors' tools write them."""

import hashlib
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

VGGM = {"conv1": (96, 3, 7, 7), "conv2": (256, 96, 5, 5), "conv3": (512, 256, 3, 3)}
HEAD = {"fc4": (512, 4608), "fc5": (512, 512), "fc6": (2, 512)}


def tensors(shapes: dict[str, tuple], seed: int = 0, dtype=torch.float32) -> dict[str, Tensor]:
    """A weight of each shape, and its bias."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        made[f"{name}.weight"] = torch.randn(shape, generator=generator).to(dtype)
        made[f"{name}.bias"] = torch.randn(shape[0], generator=generator).to(dtype)
    return made


def entry(path: Path, **fields) -> dict:
    """What a registry says of a file; `fields` go first."""
    return {
        "name": "made",
        "file": path.name,
        "network": "vggm",
        "format": "safetensors",
        "config": {},
        "origin": "these tests",
        "licence": "MIT",
        "trained_on": "nothing",
        "benchmark_seen": "no",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **fields,
    }


def save_matconvnet(path: Path, parameters: dict[str, Tensor], era: str) -> None:
    """A network of MatConvNet: `old` has filters and biases, `new` a cell of both, in a `net`."""
    from scipy.io import savemat

    layers = []
    for name in dict.fromkeys(key.split(".")[0] for key in parameters):
        weight = parameters[f"{name}.weight"]
        if weight.ndim == 2:  # fully connected is a convolution as large as the map
            side = 3 if name == "fc4" else 1
            weight = weight.unflatten(1, (-1, side, side))
        filters = np.asfortranarray(weight.permute(2, 3, 1, 0).numpy())
        layer = {"name": name, "type": "conv", "stride": 1.0, "pad": 0.0}
        if era == "old":
            layer |= {"filters": filters, "biases": parameters[f"{name}.bias"].numpy()[None]}
        else:
            layer["weights"] = cell([filters, parameters[f"{name}.bias"].numpy()[:, None]])
        relu = {"name": f"relu{name[-1]}", "type": "relu"}
        layers += [layer, relu | ({"weights": cell([])} if era == "new" else {})]
    content = {"layers": cell(layers)}
    content = {"net": content} if era == "new" else content
    savemat(path, content, appendmat=False, do_compression=True)


def cell(items: list) -> np.ndarray:
    """A cell of MATLAB, one row."""
    row = np.empty((1, len(items)), dtype=object)
    row[0, :] = items
    return row


class Python2:
    """In the place of the module pickle: strings and tensors as in Python 2 and torch 0.3."""

    class Pickler(pickle._Pickler):
        dispatch = pickle._Pickler.dispatch.copy()

        def save_str(self, text):
            self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode())
            self.memoize(text)

        dispatch[str] = save_str

        def reducer_override(self, value):
            if not isinstance(value, Tensor):
                return NotImplemented
            storage = value._typed_storage()
            arguments = storage, value.storage_offset(), tuple(value.shape), value.stride()
            return torch._utils._rebuild_tensor, arguments

    @staticmethod
    def dump(value, file, protocol):
        Python2.Pickler(file, protocol).dump(value)


def save_torch(path: Path, value, era: str) -> None:
    """A file of torch.save: `zip`, `legacy` before torch 1.6, `python2` from a GPU, torch 0.3."""
    if era == "zip":
        torch.save(value, path)
    elif era == "legacy":
        torch.save(value, path, _use_new_zipfile_serialization=False)
    else:
        with mock.patch("torch.serialization.location_tag", return_value="cuda:0"):
            torch.save(value, path, Python2, 2, _use_new_zipfile_serialization=False)


def mdnet(parameters: dict[str, Tensor]) -> dict:
    """py-MDNet's layers by their places among ReLU and dropout."""
    places = {"fc5": 1}
    named = OrderedDict()
    for name, tensor in parameters.items():
        layer, kind = name.split(".")
        named[f"{layer}.{places.get(layer, 0)}.{kind}"] = tensor
    return {"shared_layers": named}


class Code:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
