"""Pretrained weights: fetched or added by hand, verified, and loaded into their networks.

A file is verified before it takes its place, and again before it is loaded. It is
written beside its place and renamed, so that what was there stays until what comes
has been verified.
"""

import dataclasses
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import torch
from torch import Tensor, nn

from trackerlib.data.fetch import LIMIT, download
from trackerlib.nets import adaptation, googlenet, head, squeezenet, vgg19, vggm
from trackerlib.nets.backbone import Backbone
from trackerlib.paths import draft_of, expanded, hash_file
from trackerlib.weights import formats
from trackerlib.weights.registry import Entry, locate, record, registry, stated

__all__ = [
    "NETWORKS",
    "Network",
    "add",
    "backbone_channels",
    "fetch",
    "load",
    "load_head",
    "read",
    "read_head",
    "verify",
]

COMMAND = "python -m trackerlib weights"


class Network(NamedTuple):
    """A backbone or what is added to one, its configuration, the layers of the whole network."""

    module: type[nn.Module]
    config: type
    layers: set[str]


NETWORKS = {
    "vggm": Network(vggm.VGGM, vggm.Config, {*vggm.CHANNELS, "fc4", "fc5", "fc6", "fc7", "fc8"}),
    "vgg19": Network(vgg19.VGG19, vgg19.Config, {*vgg19.CHANNELS, "fc6", "fc7", "fc8"}),
    "squeezenet": Network(
        squeezenet.SqueezeNet, squeezenet.Config, {*squeezenet.CHANNELS, "conv10"}
    ),
    "googlenet": Network(googlenet.GoogLeNet, googlenet.Config, {*googlenet.CHANNELS, "loss3"}),
    "adaptation": Network(adaptation.Adaptation, adaptation.Config, set()),
    "head": Network(head.SharedLayers, head.Config, {"fc6"}),
}
CHANNELS = {  # of every layer's map, by network
    "vggm": vggm.CHANNELS,
    "vgg19": vgg19.CHANNELS,
    "squeezenet": squeezenet.CHANNELS,
    "googlenet": googlenet.CHANNELS,
}


def load(name: str, **config: Any) -> nn.Module:
    """Return a backbone, or adaptation layers: float32 on the CPU, in eval mode, no gradients.

    name    of an entry of the registry
    config  fields of the network's Config in place of those that the entry gives:
            load("vggm", dense=True), load("vgg19", depth="conv4_4")

    Layers beyond the backbone's depth are left out. Raises ValueError for an unknown name
    or field, a file that fails its hash, and a file of another network;
    FileNotFoundError, with how to get it, if the file is not there.
    """
    entry = _entry(name)
    network = _built(entry, config)
    _fill(network, read(name), entry)
    return network.eval().requires_grad_(False)


def load_head(name: str, config: head.Config, generator: torch.Generator) -> head.Head:
    """Return MDNet's head with a new fc6, and fc4 and fc5 of a file, or all new if "random".

    name       of an entry that holds fc4 and fc5: a head's, or a whole MDNet's
    generator  of what is new

    Raises what `read_head` does.
    """
    new = head.Head(config, generator)
    new.load_state_dict(new.state_dict() | read_head(name, config))
    return new


def read_head(name: str, config: head.Config) -> dict[str, Tensor]:
    """Return fc4 and fc5 of a file, by the names of their weights; nothing if "random".

    Raises what `read` does, and ValueError for a file with other layers, or without.
    """
    if name == "random":
        return {}
    found = read(name)
    with torch.device("meta"):  # shapes alone
        wanted = head.SharedLayers(config).state_dict()
    wrong = [
        f"{key} {tuple(found[key].shape) if key in found else 'missing'} for {tuple(value.shape)}"
        for key, value in wanted.items()
        if key not in found or found[key].shape != value.shape
    ]
    if wrong:
        raise ValueError(
            f"read_head: {name} does not hold a head with {config}: {'; '.join(wrong)}. "
            "Take one that was trained on such features, or head=random"
        )
    return {key: found[key] for key in wanted}


def read(name: str) -> dict[str, Tensor]:
    """Return all tensors of a file, those beyond a backbone too, such as fc4 to fc6 of MDNet.

    Raises what `load` does for a name, and for a file.
    """
    entry = _entry(name)
    path = locate(entry)
    if not path.is_file():
        raise FileNotFoundError(f"load: {path} is not there; {_cure(entry)}")
    problem = entry.problem(path)
    if problem:
        raise ValueError(f"load: {path} is not {name}: {problem}; {_cure(entry)}")
    return formats.read(path, _of(formats.FORMATS, entry.format, "format"))


def fetch(name: str) -> Path:
    """Download the weights of that name, unless they are there whole; return their place.

    Raises ConnectionError, with what to do by hand, if they cannot be downloaded
    (an interrupted download is resumed by the next call); FileNotFoundError if they
    have no address; ValueError if what came is not what it should be, and is gone
    again; OSError if the disk is full.
    """
    entry = _entry(name)
    path = locate(entry)
    if path.is_file() and not entry.problem(path):
        return path
    if not entry.url:
        raise FileNotFoundError(f"fetch: {name} has no address to download from; {_cure(entry)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    arrived = path.with_name(path.name + ".new")  # one name for all, so that any call resumes
    download(entry.url, arrived, entry.size or LIMIT, _by_hand(entry))
    problem = entry.problem(arrived)
    if problem:
        arrived.unlink()
        raise ValueError(
            f"fetch: {entry.url} is not {name}: {problem}; it was removed. Fetch again, "
            f"or {_by_hand(entry)}"
        )
    arrived.replace(path)
    return path


def add(
    path: str | Path,
    name: str | None = None,
    format: str | None = None,
    network: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Entry:
    """Copy a file into the folder of weights, and return its entry.

    path     a file of the registry, known by its hash; then nothing else is said
    name     of a file of one's own, for `load`
    format   of `formats.FORMATS`
    network  of NETWORKS, where the format does not say
    config   fields of the network's Config in place of those that the format gives

    One's own file is loaded once before it is copied; its hash is recorded. Its origin says what
    was left out of a checkpoint, or taken off its names. Raises
    ValueError for a file that is neither known nor named, a name that is taken, and
    what `load` refuses; OSError if the disk is full.
    """
    path = expanded(path)
    if name is None and format is None:
        if network or config:
            raise ValueError("add: expected a name and a format with network and config")
        entry = _recognised(path)
        _place(path, entry)
        return entry
    entry = _described(path, name, format, network, config or {})
    built, contents = _built(entry, {}), formats.inspect(path, entry.format)
    _fill(built, contents.tensors, entry)
    notes = [*contents.notes, *_other_mean(built, contents.mean)]
    entry = dataclasses.replace(entry, origin="; ".join([entry.origin, *notes]))
    _place(path, entry)
    record(entry)
    return entry


def backbone_channels(name: str) -> dict[str, int]:
    """Return the channels of every layer's map of a backbone in the registry.

    Raises ValueError for another name.
    """
    entry = registry().get(name)
    if not entry or entry.network not in CHANNELS:
        raise ValueError(f"weights: expected a backbone of the registry, got {name!r}")
    return CHANNELS[entry.network]


def verify() -> list[str]:
    """Return what is wrong with the files that are there, one line each."""
    problems = []
    for entry in registry().values():
        path = locate(entry)
        if path.is_file():
            problem = entry.problem(path)
        else:
            problem = "it ships with the project, and is not there" if entry.bundled else None
        if problem:
            problems.append(f"{entry.name}: {path}: {problem}; {_cure(entry)}")
    return problems


def _entry(name: str) -> Entry:
    entries = registry()
    if name not in entries:
        raise ValueError(f"weights: expected one of {', '.join(entries)}, got {name!r}")
    return entries[name]


def _cure(entry: Entry) -> str:
    if entry.bundled:
        return "install the project again"
    if entry.url:
        return f"get it with `{COMMAND} fetch {entry.name}`"
    return _by_hand(entry)


def _by_hand(entry: Entry) -> str:
    return (
        f"get {entry.file} elsewhere ({entry.origin}) and add it with `{COMMAND} add FILE`, "
        f"which verifies it and copies it to {locate(entry)}"
    )


def _of(table: Iterable[str], key: str | None, what: str) -> str:
    if key is None or key not in table:
        raise ValueError(f"weights: expected a {what} among {', '.join(table)}, got {key!r}")
    return key


def _recognised(path: Path) -> Entry:
    for entry in registry().values():
        if not entry.problem(path):
            return entry
    raise ValueError(
        f"add: no entry of the registry has the hash of {path} (sha256 {hash_file(path)}): "
        "it is cut short, altered, or one's own; give one's own file a name and a format"
    )


def _described(
    path: Path,
    name: str | None,
    format: str | None,
    network: str | None,
    config: Mapping[str, Any],
) -> Entry:
    """The entry of a user's own file."""
    if not name or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError(f"add: expected a name of a-z, 0-9, '.', '_' and '-', got {name!r}")
    format = _of(formats.FORMATS, format, "format")
    implied = formats.FORMATS[format]  # what files of this format hold, where it says so
    networks = [implied.network, *implied.others] if implied.network else list(NETWORKS)
    network = _of(networks, network or implied.network, "network")
    entry = Entry(
        name=name,
        file=f"{name}.{format}",
        network=network,
        format=format,
        config={**implied.others.get(network, implied.config), **config},
        origin=f"added by hand from {path.name}",
        licence="not known",
        trained_on="not known",
        benchmark_seen="not known",
        sha256=hash_file(path),
        size=path.stat().st_size,
    )
    entry = dataclasses.replace(entry, **stated(path))  # what its metadata say
    for known in registry().values():
        if name == known.name or entry.file == known.file:
            raise ValueError(f"add: {name!r} is taken; choose another name")
        if not known.problem(path):
            raise ValueError(
                f"add: {path} is known as {known.name}, {known.format} with {known.config}; "
                "add it without a name"
            )
    return entry


def _place(path: Path, entry: Entry) -> None:
    """Copy a file to where that of the entry belongs, unless it is there."""
    final = locate(entry)
    if final.is_file() and not entry.problem(final):
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(final) as draft:
        shutil.copyfile(path, draft)
        problem = entry.problem(draft)
        if problem:
            raise ValueError(f"add: {path} changed while it was copied: {problem}")


def _built(entry: Entry, config: Mapping[str, Any]) -> nn.Module:
    network = NETWORKS[_of(NETWORKS, entry.network, "network")]
    config = {**entry.config, **config}
    kinds = get_type_hints(network.config)
    for name, value in config.items():
        kind = kinds[_of(kinds, name, "field")]
        if type(value) is not kind:
            raise ValueError(f"weights: expected {name} of type {kind.__name__}, got {value!r}")
    made = network.config(**config)
    with torch.random.fork_rng(devices=[]):  # weights that are replaced take no random numbers
        if isinstance(made, adaptation.Config):
            return network.module(made, backbone_channels(made.backbone))
        return network.module(made)


def _other_mean(network: nn.Module, mean: Tensor | None) -> list[str]:
    """A note if a file says that images are to be reduced by another colour than they are here."""
    if mean is None or not isinstance(network, Backbone):
        return []
    ours = network.mean.flatten().flip(0) if network.bgr else network.mean.flatten()
    if (ours - mean).abs().max() < 1:
        return []
    theirs, own = (", ".join(f"{value:.1f}" for value in colour) for colour in (mean, ours))
    return [f"its images are to be reduced by the colour {theirs}, and are by {own}"]


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], entry: Entry) -> None:
    wanted = network.state_dict()
    beyond = NETWORKS[entry.network].layers - {name.split(".")[0] for name in wanted}
    lacks = [name for name in wanted if name not in tensors]
    foreign = [name for name in tensors.keys() - wanted.keys() if name.split(".")[0] not in beyond]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if tensors[name].shape != wanted[name].shape
    ]
    found = {"it lacks": lacks, "it has also": foreign, "it has": shapes}
    if any(found.values()):
        differences = "; ".join(
            f"{what} {', '.join(sorted(names)[:4])}" for what, names in found.items() if names
        )
        raise ValueError(
            f"load: {entry.file} does not hold {entry.network} with {network.config}: "
            f"{differences}. It is {_another(tensors, entry.network)}"
        )
    network.load_state_dict({name: tensors[name] for name in wanted})


def _another(tensors: Mapping[str, Tensor], network: str) -> str:
    """What a file is, as far as its names show it, that does not hold the network."""
    if any(name.endswith("running_mean") for name in tensors):
        return f"a file of another network: one with batch normalisation, which {network} lacks"
    layers = {name.split(".")[0] for name in tensors}
    alike = [name for name, other in NETWORKS.items() if layers and layers <= other.layers]
    fitting = [name for name in alike if name != network]
    if fitting and network not in alike:
        return f"a file of another network: its layers are named as those of {fitting[0]}"
    return "a file of another network, or of less of this one"
