"""Weights as training leaves them: wrapped names, checkpoints, files of other kinds."""

import argparse
import collections
import datetime
import gzip
import pathlib
import pickle
import types

import made_weights as made
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from trackerlib import weights
from trackerlib.weights import containers
from trackerlib.weights.formats import inspect, read, unwrapped

PLAIN = made.tensors({"conv1": (4, 3, 7, 7), "conv2": (6, 4, 5, 5)})
VGG = {"features.0.weight": PLAIN["conv1.weight"], "features.2.bias": PLAIN["conv1.bias"]}
MDNET = made.mdnet(PLAIN)["shared_layers"]


def prefixed(state, *prefixes):
    return {"".join(prefixes) + name: tensor for name, tensor in state.items()}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)


WRAPPED = {  # what people save -> what is said of it
    "plain": (lambda s: s, []),
    "DataParallel": (lambda s: prefixed(s, "module."), ["module taken off names"]),
    "compiled": (lambda s: prefixed(s, "_orig_mod."), ["_orig_mod taken off names"]),
    "both": (
        lambda s: prefixed(s, "module.", "_orig_mod."),
        ["module, _orig_mod taken off names"],
    ),
    "a model's": (lambda s: prefixed(s, "model."), ["model taken off names"]),
    "a compiled model's": (
        lambda s: prefixed(s, "module.net._orig_mod."),
        ["module, _orig_mod, net taken off names"],
    ),
    "state_dict": (
        lambda s: {"epoch": 3, "state_dict": s, "optimizer": {"state": {0: torch.ones(2)}}},
        ["taken from state_dict", "left out epoch, optimizer"],
    ),
    "nested twice": (
        lambda s: {"model": {"state_dict": prefixed(s, "module."), "arch": "vgg"}},
        ["taken from model", "taken from state_dict", "left out arch", "module taken off names"],
    ),
    "Lightning": (
        lambda s: {"state_dict": prefixed(s, "net."), "hyper_parameters": {"lr": 0.1}},
        ["taken from state_dict", "left out hyper_parameters", "net taken off names"],
    ),
    "counters beside": (
        lambda s: s | {"epoch": 3, "loss": 0.5, "best": torch.tensor(0.9)},
        ["left out best, epoch, loss"],
    ),
    "settings of the same name": (
        lambda s: {"model": {"depth": 3}, "net": s},
        ["taken from net", "left out model"],
    ),
    "a detector's backbone": (
        lambda s: prefixed(s, "backbone.") | {"head.weight": torch.ones(2, 2)},
        ["left out head.weight", "backbone taken off names"],
    ),
    "arrays of NumPy": (lambda s: {k: v.numpy() for k, v in s.items()}, []),
}


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("era", ["zip", "legacy"])
def test_what_wraps_the_names_is_taken_off_and_told(tmp_path, kind, era):
    wrap, told = WRAPPED[kind]
    for format, state, expected in (
        ("pytorch", PLAIN, PLAIN),
        ("py-mdnet", MDNET, PLAIN),
        (
            "torchvision-vgg19",
            VGG,
            {"conv1_1.weight": PLAIN["conv1.weight"], "conv1_2.bias": PLAIN["conv1.bias"]},
        ),
    ):
        made.save_torch(tmp_path / "a.pth", wrap(dict(state)), era)
        contents = inspect(tmp_path / "a.pth", format)
        same(contents.tensors, expected)
        assert contents.notes == told


@pytest.mark.parametrize(
    "state",
    [
        {"shared_layers": prefixed(MDNET, "module.")},
        {"model": {"shared_layers": MDNET}, "lr": 1.0},
        prefixed(MDNET, "layers."),
        {"state_dict": prefixed(MDNET, "module.layers.")},
    ],
    ids=["DataParallel", "nested", "whole network", "whole network in parallel"],
)
def test_mdnets_layers_wherever_they_are(tmp_path, state):
    branches = {"branches.3.1.bias": torch.ones(2)}
    is_whole = "shared_layers" not in str(list(state) + list(state.get("model", {})))
    if "state_dict" in state:
        state = {"state_dict": state["state_dict"] | prefixed(branches, "module.")}
    elif is_whole:
        state = state | branches
    made.save_torch(tmp_path / "a", state, "zip")
    fc6 = {"fc6.3.bias": torch.ones(2)} if is_whole else {}
    same(read(tmp_path / "a", "py-mdnet"), PLAIN | fc6)


def test_the_features_of_torchvisions_vgg_alone(tmp_path):
    made.save_torch(tmp_path / "a", {"module.0.bias": torch.ones(1)}, "zip")
    assert set(read(tmp_path / "a", "torchvision-vgg19")) == {"conv1_1.bias"}


def test_safetensors_in_parallel(tmp_path):
    save_file(prefixed(PLAIN, "module."), tmp_path / "a")
    contents = inspect(tmp_path / "a", "safetensors")
    same(contents.tensors, PLAIN)
    assert contents.notes == ["module taken off names"]


def test_names_that_would_meet_stay(tmp_path):
    state = {"module.conv1.bias": torch.ones(1), "conv1.bias": torch.zeros(1)}
    assert unwrapped(state) == (state, [])


BESIDE = {
    "number": np.float64(0.91),
    "numbers": [np.float32(1), np.int64(3), np.bool_(True), np.float16(2)],
    "array": np.arange(3.0),
    "text": np.str_("loss"),
    "Namespace": argparse.Namespace(lr=0.1, gpu=None),
    "SimpleNamespace": types.SimpleNamespace(lr=0.1),
    "defaultdict": collections.defaultdict(list, {"loss": [0.1]}),
    "Counter": collections.Counter({5: 1}),
    "date": datetime.datetime(2020, 1, 2),
    "path": pathlib.Path("runs/1"),
    "Windows": pathlib.PureWindowsPath("C:/runs"),
}


@pytest.mark.parametrize("era", ["zip", "legacy"])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_checkpoints_hold_beside_tensors_is_left_out(tmp_path, kind, era):
    state = {"shared_layers": MDNET, "beside": BESIDE[kind]}
    made.save_torch(tmp_path / "a.pth", state, era)
    contents = inspect(tmp_path / "a.pth", "py-mdnet")
    same(contents.tensors, PLAIN)
    assert contents.notes == ["left out beside"]


@pytest.mark.parametrize(
    ("here", "there"),
    [(b"numpy._core", b"numpy.core"), (b"pathlib", b"pathlib._local"), (b"Posix", b"Windows")],
    ids=["NumPy 1", "Python 3.13", "Windows"],
)
def test_names_of_other_versions(tmp_path, here, there):
    beside = [np.float64(0.5), np.arange(2), pathlib.PurePosixPath("runs")]
    made.save_torch(tmp_path / "a", {"shared_layers": MDNET, "beside": beside}, "legacy")
    content = (tmp_path / "a").read_bytes().replace(b"PurePosixPath", b"PosixPath")
    assert here in content
    (tmp_path / "a").write_bytes(content.replace(here, there))
    same(read(tmp_path / "a", "py-mdnet"), PLAIN)


@pytest.mark.parametrize("beside", [np.float64(1), argparse.Namespace(a=1)])
def test_code_beside_what_is_harmless_is_not_run(tmp_path, beside):
    inner = argparse.Namespace(callback=made.Code(tmp_path / "proof"))
    state = {"shared_layers": MDNET, "beside": [beside, inner]}
    made.save_torch(tmp_path / "a.pth", state, "zip")
    with pytest.raises(ValueError, match=r"tensors alone in .*mkdir, which was not run; where"):
        read(tmp_path / "a.pth", "py-mdnet")
    assert not (tmp_path / "proof").exists()


def test_what_pickles_may_ask_for_makes_values_alone(tmp_path):
    """Types that hold values, and functions that make them."""
    functions = "scalar", "_reconstruct", "_plain_dict"
    for allowed in containers.HARMLESS:
        kind = allowed[0] if isinstance(allowed, tuple) else allowed
        assert isinstance(kind, type) or kind.__name__ in functions
    state = {"shared_layers": MDNET, "beside": list}
    made.save_torch(tmp_path / "a", state, "legacy")
    content = (tmp_path / "a").read_bytes()
    assert b"\nlist\n" in content
    (tmp_path / "a").write_bytes(content.replace(b"\nlist\n", b"\neval\n"))
    with pytest.raises(ValueError, match=r"eval, which was not run"):
        read(tmp_path / "a", "py-mdnet")


def test_a_whole_network_is_refused_with_what_to_save(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"asks for torch.nn.modules.linear.Linear, which was no"):
        read(tmp_path / "a.pt", "pytorch")
    with pytest.raises(ValueError, match=r"torch.save\(network.state_dict\(\), FILE\)"):
        read(tmp_path / "a.pt", "pytorch")


def test_any_container_of_named_tensors_is_pytorchs(tmp_path):
    """Whatever the file is called."""
    save_file(PLAIN, tmp_path / "a.pth")
    np.savez(tmp_path / "b.npz", **{name: tensor.numpy() for name, tensor in PLAIN.items()})
    for era in ("zip", "legacy", "python2"):
        made.save_torch(tmp_path / f"{era}.safetensors", PLAIN, era)
    for path in tmp_path.iterdir():
        same(read(path, "pytorch"), PLAIN)


@pytest.mark.parametrize("format", ["pytorch", "py-mdnet", "safetensors", "matconvnet"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty: copy it again"),
        (b"<!DOCTYPE html><html>Quota exceeded", "a web page, not the file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (gzip.compress(b"weights"), "a gzip archive: unpack it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5, such as Keras writes"),
    ],
    ids=["empty", "web page", "Git LFS", "gzip", "HDF5"],
)
def test_files_of_other_kinds_say_what_they_are(tmp_path, format, content, told):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=f"read: expected .* in .*a, .*{told}"):
        read(tmp_path / "a", format)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_script_of_torch_says_how_to_take_its_weights(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"TorchScript: save torch.jit.load\(FILE\).state_dict"):
        read(tmp_path / "a.pt", "pytorch")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_of_another_tool_says_what_to_save(tmp_path):
    content = pickle.dumps({name: tensor.numpy() for name, tensor in PLAIN.items()}, 5)
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"that torch.save did not write, save arrays: numpy\.savez"
    ):
        read(tmp_path / "a.pkl", "pytorch")


def test_plain_names_are_no_mdnets_but_pytorchs(tmp_path):
    made.save_torch(tmp_path / "a", PLAIN, "zip")
    with pytest.raises(ValueError, match=r"shared_layers of .* it may have format pytorch\)"):
        read(tmp_path / "a", "py-mdnet")


def test_a_file_of_torch_called_safetensors_is_told_its_format(tmp_path):
    made.save_torch(tmp_path / "a.safetensors", PLAIN, "zip")
    with pytest.raises(ValueError, match=r"a file of torch.save; it may have format pytorch"):
        read(tmp_path / "a.safetensors", "safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(tmp_path, dtype):
    made.save_torch(tmp_path / "a", {k: v.to(dtype) for k, v in PLAIN.items()}, "zip")
    contents = inspect(tmp_path / "a", "pytorch")
    same(contents.tensors, {k: v.to(dtype).float() for k, v in PLAIN.items()})
    assert contents.notes == ["float64 rounded to float32"] * (dtype == torch.float64)


def test_what_was_done_to_a_file_is_kept_with_it(tmp_path, table, folder, capsys):
    from trackerlib.__main__ import main

    table()
    shared = prefixed(made.mdnet(made.tensors(made.VGGM))["shared_layers"], "module.")
    made.save_torch(tmp_path / "m.pth", {"shared_layers": shared, "best": np.float64(1)}, "zip")
    arguments = ["add", str(tmp_path / "m.pth"), "--name", "mine", "--format", "py-mdnet"]
    assert main(["weights", *arguments]) == 0
    told = "added by hand from m.pth; module taken off names; left out best"
    assert capsys.readouterr().out.splitlines()[1] == f"mine: {told}"
    assert weights.registry.registry()["mine"].origin == told
    weights.load("mine")


def test_batch_normalisation_is_named(tmp_path, table, folder):
    table()
    state = VGG | {"features.1.running_mean": torch.ones(64), "features.1.weight": torch.ones(64)}
    made.save_torch(tmp_path / "a", state, "zip")
    with pytest.raises(ValueError, match=r"another network: one with batch normalisation, which"):
        weights.add(tmp_path / "a", "mine", "torchvision-vgg19")


def test_the_network_that_a_file_may_be_of_is_named(tmp_path, table, folder):
    table()
    made.save_torch(tmp_path / "a", made.tensors({"conv1_1": (64, 3, 3, 3)}), "zip")
    with pytest.raises(ValueError, match=r"it has also conv1_1.bias, .* named as those of vgg19"):
        weights.add(tmp_path / "a", "mine", "pytorch", "vggm")


@pytest.mark.parametrize("kind", ["npz", "torch"])
def test_an_archive_that_declares_too_much_is_refused(tmp_path, monkeypatch, kind):
    path, zeros = tmp_path / f"a.{kind}", np.zeros(1000, np.float32)
    if kind == "npz":
        np.savez_compressed(path, zeros=zeros)
    else:
        torch.save({"zeros": torch.from_numpy(zeros)}, path)
    assert list(containers.load(path)) == ["zeros"]
    monkeypatch.setattr(containers, "MAX_UNPACKED", 4000)
    with pytest.raises(ValueError, match=r"at most 4,000 bytes of tensors in .*a\."):
        containers.load(path)
