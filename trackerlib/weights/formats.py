"""Weights as others store them, read into tensors with this library's names and layout.

A convolution is `conv1.weight` (outputs, inputs, height, width) and `conv1.bias`
(outputs,). MDNet's fully connected layers are `fc4.weight` (512, 4608) over channels,
rows, columns, `fc5.weight` (512, 512) and `fc6.weight` (2, 512). Names that a format does
not define are passed on, so that a file of another network shows.

No format can run code, see `containers`. Checkpoints are read as training leaves them:
what wraps the names of tensors is taken off, and what is no tensor is left out. Both are told.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trackerlib.nets.vgg19 import CHANNELS as VGG19_LAYERS
from trackerlib.weights import containers, matconvnet

FEATURES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)  # torchvision's layers
NESTS = (  # under which training code keeps the tensors among other things, in this order
    *("state_dict", "model_state_dict", "model_state", "network_state_dict", "model", "net"),
    *("network", "module", "weights", "params", "backbone"),
)
# Parts of a name: of DataParallel and torch.compile, anywhere; others, where all names begin so.
WRAPPERS = ("module", "_orig_mod")
OWNERS = ("model", "net", "network", "backbone", "encoder")


class Contents(NamedTuple):
    """A file's tensors by their names here, what was done to get them, its mean colour if any."""

    tensors: dict[str, Tensor]
    notes: list[str]
    mean: Tensor | None = None


def read(path: Path, format: str) -> dict[str, Tensor]:
    """Return the tensors of a file by their names in this library, float32, on the CPU.

    Raises ValueError if the file is damaged, asks for code (which is not run), or holds
    numbers that are not finite.
    """
    return inspect(path, format).tensors


def inspect(path: Path, format: str) -> Contents:
    """Return the same with what was left out, taken off names or rounded. Raises as `read`."""
    tensors, notes, mean = FORMATS[format].read(path)
    for name, tensor in tensors.items():
        if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
            raise ValueError(f"read: expected numbers for {name} in {path}, got {tensor!r:.50}")
        if not tensor.float().isfinite().all():
            raise ValueError(f"read: expected finite numbers for {name} in {path}")
    if any(tensor.dtype == torch.float64 for tensor in tensors.values()):
        notes = [*notes, "float64 rounded to float32"]
    return Contents({k: v.detach().float() for k, v in tensors.items()}, notes, mean)


def _safetensors(path: Path) -> Contents:
    """Tensors as they are named; Caffe's names have / where PyTorch's have a dot."""
    kind = containers.kind_of(path)
    if kind and kind != containers.SAFETENSORS:
        cure = "; it may have format pytorch" if kind.startswith(containers.TORCH) else ""
        raise containers.unreadable(path, "safetensors", f"it is {kind}{cure}")
    return _pytorch(path)


def _pytorch(path: Path) -> Contents:
    """A state dict with this library's names, alone or in a checkpoint."""
    tensors, notes = unwrapped(containers.load(path))
    return Contents({name.replace("/", "."): t for name, t in tensors.items()}, notes)


def _matconvnet(path: Path) -> Contents:
    tensors, mean = matconvnet.read(path)
    return Contents(tensors, [], mean)


def _mdnet(path: Path) -> Contents:
    """What py-MDNet and RT-MDNet save: conv1.0.weight, ..., fc5.1.bias; fc6 per domain.

    They save `shared_layers`; their whole network has the same names after `layers`.
    """
    state, notes = _descended(containers.load(path))
    shared, branches = state.get("shared_layers", state), state.get("branches", {})
    if not (containers.is_named(shared) and containers.is_named(branches)):
        raise _no_mdnet(path, state)
    layers, more = unwrapped(shared)
    notes += more
    if shared is not state:
        layers |= {f"branches.{name}": tensor for name, tensor in unwrapped(branches)[0].items()}
        notes += _left_out(state.keys() - {"shared_layers", "branches"})
    elif not any(re.search(r"\bconv1\.\d+\.", name) for name in layers):
        raise _no_mdnet(path, state)
    tensors = {}
    for name, tensor in layers.items():
        name = re.sub(r"^branches\.", "fc6.", name.removeprefix("layers."))
        # The number is that of the layer among its dropout and ReLU.
        tensors[re.sub(r"\.\d+(?=\.(weight|bias)$)", "", name)] = tensor
    return Contents(tensors, notes)


def _no_mdnet(path: Path, state: dict[str, Any]) -> ValueError:
    reason = f"it has {_some(list(state))}"
    if any(name.startswith("conv1.") for name in state):
        reason += "; with such names it may have format pytorch"
    return containers.unreadable(path, "shared_layers of MDNet", reason)


def _torchvision(path: Path) -> Contents:
    """torchvision's VGG-19: features.0.weight, ...; its classifier is left out."""
    names = dict(zip(map(str, FEATURES), VGG19_LAYERS, strict=True))
    layers, notes = unwrapped(containers.load(path))
    if all(re.fullmatch(r"\d+\.(weight|bias)", name) for name in layers):  # of `features` alone
        layers = {f"features.{name}": tensor for name, tensor in layers.items()}
    tensors = {}
    for name, tensor in layers.items():
        part, number, kind = [*name.split("."), "", ""][:3]
        if part != "classifier":
            tensors[f"{names[number]}.{kind}" if number in names else name] = tensor
    return Contents(tensors, notes)


def unwrapped(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the tensors of a checkpoint by their plain names, and what was done to get them.

    state  {"epoch": 9, "state_dict": {"module.conv1.weight": ...}, ...} or the inner part
    """
    state, notes = _descended(state)
    kept = {name: _as_tensor(value) for name, value in state.items() if _is_weight(name, value)}
    backbone = {name: value for name, value in kept.items() if "backbone" in name.split(".")}
    kept = backbone or kept
    notes += _left_out(state.keys() - kept.keys())
    names, off = _plain_names(list(kept))
    if len(set(names)) < len(names):  # module.conv1 beside conv1: which of them?
        names, off = list(kept), []
    notes += [f"{', '.join(off)} taken off names"] if off else []
    return dict(zip(names, kept.values(), strict=True)), notes


def _descended(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What holds the tensors, and under which keys of a checkpoint it was."""
    notes: list[str] = []
    while nests := [key for key in NESTS if _is_nest(state.get(key))]:
        notes += [f"taken from {nests[0]}", *_left_out(state.keys() - {nests[0]})]
        state = state[nests[0]]
    return state, notes


def _is_nest(value: Any) -> bool:
    """Whether tensors are in a dict: `weights` may be those of a loss, `model` its arguments."""
    return containers.is_named(value) and any(
        _is_array(inner) or _is_nest(inner) for inner in value.values()
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray) and np.ndim(value) > 0


def _is_weight(name: str, value: Any) -> bool:
    """Whether it is a tensor or takes the place of one: not an epoch, a loss, an optimizer."""
    return _is_array(value) or name.endswith((".weight", ".bias"))


def _as_tensor(value: Any) -> Any:
    is_numbers = isinstance(value, np.ndarray) and value.dtype.kind in "fiu"
    return torch.from_numpy(value.copy()) if is_numbers else value


def _plain_names(names: list[str]) -> tuple[list[str], list[str]]:
    """Names without what wraps them: `module.model.conv1.bias` is `conv1.bias`."""
    parts = [name.split(".") for name in names]
    off = [wrapper for wrapper in WRAPPERS if any(wrapper in path[:-1] for path in parts)]
    parts = [[part for part in path if part not in WRAPPERS] for path in parts]
    while parts and all(len(path) > 2 and path[0] == parts[0][0] for path in parts):
        if parts[0][0] not in OWNERS:
            break
        off.append(parts[0][0])
        parts = [path[1:] for path in parts]
    return [".".join(path) for path in parts], off


def _left_out(names: Any) -> list[str]:
    return [f"left out {_some(sorted(names))}"] if names else []


def _some(names: list[str]) -> str:
    """Some names, of many."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


class Format(NamedTuple):
    """How a file is read, and what its tensors are for where the format says so.

    network  that files of this format hold where nothing is said; None: it has to be said
    config   fields of its Config
    others   other networks that files of this format may hold -> fields of their Config
    """

    read: Callable[[Path], Contents]
    network: str | None
    config: dict[str, Any]
    others: dict[str, dict[str, Any]] = {}  # noqa: RUF012, a NamedTuple's default


FORMATS = {
    "safetensors": Format(_safetensors, None, {}),
    "pytorch": Format(_pytorch, None, {}),
    "matconvnet": Format(
        _matconvnet, "vggm", {"norm": "matconvnet"}, {"vgg19": {"input": "matconvnet"}}
    ),
    "py-mdnet": Format(_mdnet, "vggm", {"norm": "py-mdnet"}),
    "rt-mdnet": Format(_mdnet, "vggm", {"norm": "rt-mdnet", "dense": True}),
    "torchvision-vgg19": Format(_torchvision, "vgg19", {"input": "torchvision"}),
}
