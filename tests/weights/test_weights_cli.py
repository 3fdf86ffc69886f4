"""python -m trackerlib weights: list, fetch, add, verify."""

import pytest
import torch
from safetensors.torch import save_file

from trackerlib.__main__ import main
from trackerlib.weights.registry import registry

SHIP = sum(entry.bundled for entry in registry().values())
OWN = ["--name", "mine", "--format", "safetensors", "--network", "squeezenet"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the commands put weights."""
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def own(tmp_path):
    """The first layer of a SqueezeNet."""
    path = tmp_path / "own.safetensors"
    save_file({"conv1.weight": torch.ones(64, 3, 3, 3), "conv1.bias": torch.ones(64)}, path)
    return path


def weights(*arguments):
    return main(["weights", *map(str, arguments)])


def add(path, *changes):
    return weights("add", path, *[*OWN, "--config", "depth=conv1", *changes])


def row(name, capsys):
    assert weights("list") == 0
    lines = capsys.readouterr().out.splitlines()
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return line.split()


def test_list_says_what_there_is_and_where_it_comes_from(own, capsys):
    line = row("googlenet", capsys)
    assert line[1:3] == ["absent", "28,005,288"]
    assert {"unrestricted", "ImageNet", "no", "BVLC"} <= set(line)
    assert "OTB-100," in row("mdnet-otb-vot15", capsys)
    assert row("mdnet-imagenet-vid", capsys)[1:4] == ["absent", "not", "known"]
    add(own)
    capsys.readouterr()
    size = f"{own.stat().st_size:,}"
    told = ["not", "known"] * 3 + ["added", "by", "hand", "from", own.name]
    assert row("mine", capsys)[1:] == ["present", size, *told]


def test_add_and_verify(own, folder, capsys):
    assert weights("verify") == 0
    assert capsys.readouterr().out.startswith(f"{SHIP} files of weights, 0 problems")
    assert add(own) == 0
    kept = folder / "mine.safetensors"
    assert capsys.readouterr().out == f"mine: {kept}\n"
    assert weights("verify") == 0
    kept.write_bytes(kept.read_bytes()[:-1])
    assert weights("verify") == 1
    printed = capsys.readouterr().out
    assert f"mine: {kept}: expected 7,3" in printed
    assert f"{SHIP + 1} files of weights, 1 prob" in printed


def test_add_a_registered_file(shared, folder, capsys):
    [path] = shared.glob("weights/*/squeezenet*.safetensors")
    assert weights("add", path) == 0
    assert weights("fetch", "squeezenet") == 0
    assert capsys.readouterr().out.splitlines()[1] == str(folder / path.name)
    assert row("squeezenet", capsys)[1] == "present"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--network", "vggm"], "expected depth of type int, got 'conv1'"),
        (["--config", "depth=fire2"], "it lacks fire2.expand1x1.bias"),
        (["--config", "depth=true"], "expected depth of type str, got True"),
        (["--config", "depth=conv9"], "expected depth to be one of conv1, fire2"),
        (["--config", "dense=1"], "a field among depth, got 'dense'"),
        (["--config", "depth=1"], "expected depth of type str, got 1"),
        (["--format", "rt-mdnet"], "a network among vggm, got 'squeezenet'"),
        (["--name", "squeezenet"], "'squeezenet' is taken"),
    ],
)
def test_add_says_what_is_wrong(own, folder, change, message, capsys):
    assert add(own, *change) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error
    assert not folder.exists()


def test_ill_formed_settings(own, capsys):
    with pytest.raises(SystemExit, match="2"):
        add(own, "--config", "depth")
    assert "expected FIELD=VALUE, got 'depth'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "nowhere"], "nowhere"),
        (["add", __file__], "no entry of the registry has the hash of"),
        (["fetch", "nobody"], "expected one of vggm, "),
        (["fetch", "googlenet"], "has no address to download from; get bvlc_googlenet_fp32"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    assert weights(*arguments) == 2
    assert message in capsys.readouterr().err


def test_fetch_prints_where(monkeypatch, tmp_path, capsys):
    from trackerlib import weights as library

    monkeypatch.setattr(library, "fetch", lambda name: tmp_path / name)
    assert weights("fetch", "vgg19") == 0
    assert capsys.readouterr().out == f"{tmp_path}/vgg19\n"
