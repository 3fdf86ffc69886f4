"""trackerlib/weights/store.py: what loads, what does not, downloads, files added by hand."""

import errno
import hashlib
import json
import re
import shutil
import time
from collections import namedtuple
from pathlib import Path

import made_weights as made
import pytest
import torch
from faults import FAULTS, disturbed
from safetensors.torch import save_file

from trackerlib import weights
from trackerlib.nets.vggm import VGGM, Config
from trackerlib.weights import formats, registry

FIRST = {"conv1": (64, 3, 3, 3)}  # of SqueezeNet, with depth conv1
SQUEEZED = {"network": "squeezenet", "config": {"depth": "conv1"}}


def save(path, seed=0, shapes=FIRST, dtype=torch.float32):
    path.parent.mkdir(exist_ok=True)
    save_file(made.tensors(shapes, seed, dtype), path)
    return path


@pytest.fixture
def good(tmp_path):
    """A small file of weights, elsewhere than where it belongs."""
    return save(tmp_path / "elsewhere" / "a.safetensors")


@pytest.fixture
def served(good, host, table):
    """The same on a host, known to the registry."""
    host.files["a.safetensors"] = good.read_bytes()
    table(made.entry(good, url=f"{host.address}/a.safetensors", **SQUEEZED))
    return host


def altered(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


# What loads


@pytest.mark.parametrize("format", ["safetensors", "matconvnet", "py-mdnet", "rt-mdnet"])
def test_every_format_fills_vggm(tmp_path, table, format):
    tensors = made.tensors(made.VGGM | {"fc5": (512, 512)})
    path = tmp_path / "weights" / "a"
    path.parent.mkdir()
    if format == "safetensors":
        save_file(tensors, path)
    elif format == "matconvnet":
        made.save_matconvnet(path, tensors, "new")
    else:
        made.save_torch(path, made.mdnet(tensors), "legacy")
    config = {} if format == "safetensors" else formats.FORMATS[format].config
    table(made.entry(path, format=format, config=config))
    backbone = weights.load("made")
    assert backbone.config == Config(**config)
    for name, tensor in backbone.state_dict().items():
        torch.testing.assert_close(tensor, tensors[name], rtol=0, atol=0)
    torch.testing.assert_close(weights.read("made")["fc5.bias"], tensors["fc5.bias"])


def test_a_loaded_backbone_is_for_use_as_it_is(folder, table):
    path = save(folder / "a", dtype=torch.float16)
    table(made.entry(path, **SQUEEZED))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    backbone = weights.load("made")
    assert not backbone.training
    for parameter in backbone.parameters():
        assert parameter.dtype == torch.float32 and not parameter.requires_grad
    torch.testing.assert_close(torch.rand(2), expected, msg="loading takes random numbers")


def test_config_replaces_what_the_entry_says(folder, table):
    path = save(folder / "a", shapes=made.VGGM | {"conv4": (512, 512, 3, 3)})
    table(made.entry(path, config={"norm": "rt-mdnet"}))
    assert weights.load("made", dense=True).config == Config(dense=True, norm="rt-mdnet")
    assert weights.load("made", norm="matconvnet").config == Config()
    with pytest.raises(ValueError, match=r"vggm with .*depth=5.* lacks conv5.bias, conv5.weight"):
        weights.load("made", depth=5)


@pytest.mark.parametrize(
    ("name", "side", "layer", "shape"),
    [
        ("squeezenet", 107, "fire5", (1, 256, 13, 13)),
        ("googlenet", 107, "inception_3b", (1, 480, 13, 13)),
        ("vgg19-conv3", 64, "conv3_4", (1, 256, 16, 16)),
    ],
)
def test_real_files(shared, folder, name, side, layer, shape):
    entry = registry.registry()[name]
    [path] = shared.glob(f"weights/*/{entry.file}")
    assert weights.add(path) == entry
    images = 255 * torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    [found] = weights.load(name, depth=layer)(images, layer)
    assert found.shape == shape and found.isfinite().all() and found.std() > 0
    assert weights.verify() == []


def test_what_ships_is_loaded_from_the_project(tmp_path, table):
    (tmp_path / "data").mkdir(exist_ok=True)
    path = save(tmp_path / "data" / "weights" / "a")
    table(made.entry(path, bundled=True, **SQUEEZED))
    weights.load("made")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="a is not there; install the project again"):
        weights.load("made")
    assert "it ships with the project, and is not there" in weights.verify()[0]


def test_vggm_loads_fast(folder, table):
    table(made.entry(save(folder / "a", shapes=made.VGGM, dtype=torch.float16)))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        weights.load("made")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


# What does not


def test_unknown_names(table, folder):
    table(made.entry(save(folder / "a"), **SQUEEZED))
    with pytest.raises(ValueError, match="expected one of made, got 'mead'"):
        weights.load("mead")
    with pytest.raises(ValueError, match="a field among depth, got 'dense'"):
        weights.load("made", dense=True)
    table(made.entry(folder / "a", network="lenet"))
    with pytest.raises(ValueError, match=r"a network among vggm, .*got 'lenet'"):
        weights.load("made")
    table(made.entry(folder / "a", format="onnx", **SQUEEZED))
    with pytest.raises(ValueError, match=r"a format among safetensors, .*got 'onnx'"):
        weights.load("made")


@pytest.mark.parametrize("hash_", ["sha256", "git_blob", "prefix"])
@pytest.mark.parametrize("damage", [altered, lambda content: content[:-1]], ids=["altered", "cut"])
def test_a_file_that_is_not_what_it_was(folder, table, hash_, damage):
    path = save(folder / "a")
    content = path.read_bytes()
    entry = made.entry(path, **SQUEEZED)
    if hash_ == "prefix":
        entry["sha256"] = entry["sha256"][:8]
    elif hash_ == "git_blob":
        blob = b"blob %d\0" % len(content) + content
        entry |= {"sha256": None, "git_blob": hashlib.sha1(blob).hexdigest()}
    table(entry)
    weights.load("made")
    path.write_bytes(damage(content))
    kind = "git_blob" if hash_ == "git_blob" else "sha256"
    with pytest.raises(ValueError, match=f"a is not made: expected {kind} .*weights add FILE"):
        weights.load("made")
    assert [line.startswith(f"made: {path}: expected {kind}") for line in weights.verify()] == [
        True
    ]


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({"conv1": (64, 3, 7, 7)}, "it has conv1.weight (64, 3, 7, 7) for (64, 3, 3, 3)"),
        (
            {"conv1_1": (64, 3, 3, 3)},
            "it lacks conv1.bias, conv1.weight; it has also conv1_1.bias",
        ),
        (FIRST | {"conv1.norm": (64,)}, "it has also conv1.norm.bias, conv1.norm.weight"),
        (FIRST | {"conv2": (1,)}, "it has also conv2.bias, conv2.weight"),
    ],
)
def test_a_file_of_another_network(folder, table, shapes, told):
    table(made.entry(save(folder / "a", shapes=shapes), **SQUEEZED))
    with pytest.raises(ValueError, match=f"{re.escape(told)}.*a file of another network"):
        weights.load("made")


# Downloads


def test_fetch_puts_a_verified_file_in_place_once(served, folder, good):
    assert weights.fetch("made") == folder / "a.safetensors"
    weights.load("made")
    assert weights.fetch("made") == folder / "a.safetensors"
    assert served.ranges == [None]
    assert [path.name for path in folder.iterdir()] == ["a.safetensors"]


def test_an_interrupted_download_is_resumed(served, folder, good, monkeypatch):
    monkeypatch.setattr("trackerlib.data.fetch.BLOCK_BYTES", 256)
    served.breaks = 1000
    with pytest.raises(ConnectionError, match=r"Run again to resume, or get a.safetensors else"):
        weights.fetch("made")
    with pytest.raises(FileNotFoundError, match=r"get it with .*weights fetch made"):
        weights.load("made")
    served.breaks = None
    weights.fetch("made")
    assert served.ranges == [None, "bytes=768-"]
    assert (folder / "a.safetensors").read_bytes() == good.read_bytes()


@pytest.mark.parametrize(
    "damage", [altered, lambda content: content[:500]], ids=["altered", "cut"]
)
def test_a_download_that_is_not_the_file_is_removed(served, folder, damage):
    content = served.files["a.safetensors"]
    served.files["a.safetensors"] = damage(content)
    with pytest.raises(ValueError, match=r"a.safetensors is not made: expected sha256 .*removed"):
        weights.fetch("made")
    assert list(folder.iterdir()) == []
    (folder / "a.safetensors").write_bytes(b"an earlier file")
    with pytest.raises(ValueError, match="removed"):
        weights.fetch("made")
    assert [path.read_bytes() for path in folder.iterdir()] == [b"an earlier file"]
    served.files["a.safetensors"] = content
    weights.fetch("made")
    weights.load("made")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_fills_up_in_mid_download(served, folder):
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"an earlier file")
    (folder / "a.safetensors.new.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"a.safetensors.new.part") as raised:
        weights.fetch("made")
    assert raised.value.errno == errno.ENOSPC
    assert (folder / "a.safetensors").read_bytes() == b"an earlier file"


def test_a_disk_that_is_full_already(served, folder, good, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(free=10))
    with pytest.raises(OSError, match="bytes are needed, 10 are free"):
        weights.fetch("made")
    assert list(folder.iterdir()) == []


def test_no_network(good, table, folder):
    table(made.entry(good, url="http://127.0.0.1:9/a.safetensors", **SQUEEZED))  # nobody listens
    with pytest.raises(
        ConnectionError, match=r"these tests\) and add it .*weights add FILE`.*a.saf"
    ):
        weights.fetch("made")
    weights.add(good)
    weights.load("made")


def test_weights_without_an_address(good, table, folder):
    table(made.entry(good, **SQUEEZED))
    with pytest.raises(FileNotFoundError, match=r"made has no address .*weights add FILE"):
        weights.fetch("made")


# Files added by hand


def test_add_knows_a_file_by_its_hash(served, folder, good):
    renamed = good.rename(good.with_name("download(1)"))
    assert weights.add(renamed).name == "made"
    assert (folder / "a.safetensors").read_bytes() == renamed.read_bytes()
    weights.add(renamed)
    (folder / "a.safetensors").write_bytes(b"damaged since")
    weights.add(renamed)
    weights.load("made")
    assert [path.name for path in folder.iterdir()] == ["a.safetensors"] and renamed.exists()


def test_add_refuses_what_it_does_not_know(served, folder, good):
    weights.add(good)
    good.write_bytes(altered(good.read_bytes()))
    with pytest.raises(ValueError, match=r"has the hash of .*a.safetensors .*cut short, altered"):
        weights.add(good)
    weights.load("made")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        weights.add("nowhere")


def test_add_a_file_of_ones_own(tmp_path, table, folder):
    table()
    path = tmp_path / "rt-mdnet.pth"
    tensors = made.tensors(made.VGGM | {"fc4": (8, 4608)})
    made.save_torch(path, made.mdnet(tensors), "python2")
    entry = weights.add(path, "rt", "rt-mdnet")
    assert entry.origin == "added by hand from rt-mdnet.pth" and entry.size == path.stat().st_size
    backbone = weights.load("rt")
    assert isinstance(backbone, VGGM) and backbone.config == Config(dense=True, norm="rt-mdnet")
    torch.testing.assert_close(backbone.conv3.weight.data, tensors["conv3.weight"])
    assert weights.read("rt")["fc4.weight"].shape == (8, 4608)
    assert weights.verify() == []
    kept = folder / entry.file
    kept.write_bytes(altered(kept.read_bytes()))
    assert weights.verify()[0].startswith("rt: ")
    assert json.loads((folder / "weights.json").read_text())["weights"][0]["name"] == "rt"


def test_own_files_are_kept_side_by_side(tmp_path, table, folder):
    table()
    for seed, name in enumerate(("first", "second")):
        path = save(tmp_path / "mine", seed)
        weights.add(path, name, "safetensors", "squeezenet", {"depth": "conv1"})
    assert list(registry.registry()) == ["first", "second"]
    first, second = (weights.load(name).conv1.bias for name in ("first", "second"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("made", "safetensors", "squeezenet"), "'made' is taken"),
        (("a", "safetensors", "squeezenet"), "'a' is taken"),
        (("../mine", "safetensors", "squeezenet"), "expected a name of a-z"),
        ((None, "safetensors", "squeezenet"), "expected a name of a-z"),
        (("mine", None), "a format among safetensors, .*got None"),
        (("mine", "tar"), "a format among safetensors, .*got 'tar'"),
        (("mine", "safetensors"), "a network among vggm, .*got None"),
        (("mine", "safetensors", "vggm"), "a file of another network"),
        (("mine", "safetensors", "squeezenet", {"norm": "x"}), "a field among depth, got 'norm'"),
        (("mine", "rt-mdnet"), "shared_layers of MDNet"),
    ],
)
def test_add_refuses_and_keeps_what_is_there(served, folder, good, arguments, told):
    weights.add(good)
    with pytest.raises(ValueError, match=told):
        weights.add(save(good, seed=1), *arguments)
    assert [path.name for path in folder.iterdir()] == ["a.safetensors"]
    weights.load("made")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mine", "safetensors", "squeezenet"), "known as made, safetensors with {'depth'"),
        ((None, None, "squeezenet"), "a name and a format with network and config"),
        ((None, None, None, {"depth": "conv1"}), "a name and a format with network and config"),
    ],
)
def test_add_does_not_overrule_the_registry(served, folder, good, arguments, told):
    with pytest.raises(ValueError, match=told):
        weights.add(good, *arguments)
    assert not folder.exists()


def test_add_runs_no_code(tmp_path, table, folder):
    table()
    path = tmp_path / "a.pth"
    made.save_torch(path, {"shared_layers": made.Code(tmp_path / "proof")}, "legacy")
    with pytest.raises(ValueError, match="mkdir, which was not run"):
        weights.add(path, "mine", "rt-mdnet")
    assert not (tmp_path / "proof").exists() and not folder.exists()


def test_a_full_disk_while_adding(served, folder, good, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"an earlier file")
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left on device"):
        weights.add(good)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"an earlier file"]


def test_a_file_that_changes_while_it_is_copied(served, folder, good, monkeypatch):
    def change(source, target):
        Path(target).write_bytes(b"other")
        return target

    monkeypatch.setattr(shutil, "copyfile", change)
    with pytest.raises(ValueError, match="changed while it was copied"):
        weights.add(good)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", FAULTS)
def test_whatever_stops_a_download_on_the_disk_the_next_gives_the_same(
    kind, served, tmp_path, monkeypatch
):
    def fetch(root):
        monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(root))
        weights.fetch("made")

    assert disturbed(kind, tmp_path, fetch) > 1
