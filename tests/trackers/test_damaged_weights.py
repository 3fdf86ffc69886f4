"""A file of weights that cannot be used is an error about the file, not about the first box."""

import pytest
import torch
from safetensors.torch import save_file

from trackerlib import weights
from trackerlib.trackers import parse
from trackerlib.weights.registry import locate, registry

FILES = {  # specification without weights -> the field that names them
    "mdnet:backbone=random,mode=float32": "head",
    "fdn:backbone=random,mode=float32": "head",
    "rtmdnet:backbone=random,mode=float32": "head",
    "dlst:backbone=random,mode=float32,classifier=connected": "head",
    "msdat:mode=float32": "adaptation",
    "hcf:mode=float32": "backbone",
}


@pytest.fixture
def flipped(tmp_path, monkeypatch):
    """A network of one's own, added and then changed by one bit."""
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    path = tmp_path / "own.safetensors"
    shapes = {"fc4": (512, 4608), "fc5": (512, 512)}
    layers = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    save_file(layers | {f"{name}.bias": torch.zeros(512) for name in shapes}, path)
    weights.add(path, "own", "safetensors", "head")
    added = locate(registry()["own"])
    content = added.read_bytes()
    added.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return added


@pytest.mark.parametrize("text", FILES)
def test_a_changed_file_is_told_when_the_tracker_is_built(flipped, text):
    with pytest.raises(ValueError, match=f"^load: {flipped} is not own: expected sha256 .*; get"):
        parse(f"{text},{FILES[text]}=own").build()


def test_a_head_of_other_features_is_told_when_the_tracker_is_built():
    with pytest.raises(ValueError, match=r"^read_head: vggm-msdat does not hold .*fc4.bias missi"):
        parse("mdnet:mode=float32,backbone=random,head=vggm-msdat").build()


def test_a_head_that_would_not_be_used_is_refused():
    with pytest.raises(ValueError, match="head=vggm-mdnet with classifier=pooled"):
        parse("dlst:head=vggm-mdnet")


@pytest.mark.parametrize("name", ["mdnet", "rtmdnet", "dlst"])
def test_a_backbone_without_conv3_is_refused_in_words(shared, tmp_path, monkeypatch, name):
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path))
    weights.add(next(shared.glob("weights/*/squeezenet*.safetensors")))
    with pytest.raises(
        ValueError, match=r"a layer conv3, as vggm, got backbone=squeezenet with c"
    ):
        parse(f"{name}:backbone=squeezenet,head=random,mode=float32").build()
