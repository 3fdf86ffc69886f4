"""trackerlib/weights/formats.py: every foreign format, and what no format may do."""

import pickle

import made_weights as made
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.io import savemat
from torch import nn

from trackerlib.nets import vgg19
from trackerlib.weights.formats import FEATURES, read

SMALL = {"conv1": (4, 3, 7, 7), "conv2": (6, 4, 5, 5), "conv3": (5, 6, 3, 3)}
HEAD = {"fc4": (7, 45), "fc5": (7, 7), "fc6": (2, 7)}
NUMBERS = made.tensors(SMALL | HEAD)


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32 and not tensor.requires_grad
        torch.testing.assert_close(tensor, expected[name].float(), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_safetensors_of_caffe_networks(tmp_path, dtype):
    tensors = made.tensors(
        {"fire2/squeeze1x1": (2, 3, 1, 1), "conv1/7x7_s2": (4, 3, 7, 7)}, 0, dtype
    )
    save_file(tensors, tmp_path / "a")
    same(read(tmp_path / "a", "safetensors"), {k.replace("/", "."): v for k, v in tensors.items()})


@pytest.mark.parametrize("era", ["old", "new"])
def test_matconvnet(tmp_path, era):
    made.save_matconvnet(tmp_path / "a.mat", NUMBERS, era)
    same(read(tmp_path / "a.mat", "matconvnet"), NUMBERS)


def test_where_matconvnet_has_each_number(tmp_path):
    """By index, apart from what the maker of the other tests does."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (7, 5, 3, 4), "fc4": (3, 3, 5, 2)}  # height, width, inputs, outputs
    filters = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    layers = [
        {"name": name, "filters": array, "biases": np.zeros((1, array.shape[3]), np.float32)}
        for name, array in filters.items()
    ]
    savemat(tmp_path / "a.mat", {"layers": made.cell(layers)})
    tensors = read(tmp_path / "a.mat", "matconvnet")
    assert tensors["conv1.weight"].shape == (4, 3, 7, 5)
    assert tensors["conv1.weight"][1, 2, 6, 4] == filters["conv1"][6, 4, 2, 1]
    assert tensors["fc4.weight"].shape == (2, 45)
    assert tensors["fc4.weight"][1, 4 * 9 + 2 * 3 + 1] == filters["fc4"][2, 1, 4, 1]


@pytest.mark.parametrize("era", ["zip", "legacy", "python2"])
@pytest.mark.parametrize("format", ["py-mdnet", "rt-mdnet"])
def test_mdnet_in_pytorch(tmp_path, format, era):
    shared = made.tensors({**SMALL, "fc4": (7, 45), "fc5": (7, 7)})
    made.save_torch(tmp_path / "a.pth", made.mdnet(shared), era)
    same(read(tmp_path / "a.pth", format), shared)


def test_domains_of_mdnet_keep_their_numbers(tmp_path):
    branches = {"0.1.weight": torch.ones(2, 7), "11.1.bias": torch.zeros(2)}
    made.save_torch(tmp_path / "a", {"shared_layers": {}, "branches": branches}, "zip")
    expected = {"fc6.0.weight": torch.ones(2, 7), "fc6.11.bias": torch.zeros(2)}
    same(read(tmp_path / "a", "py-mdnet"), expected)


def torchvision_features(last):
    """VGG-19 as torchvision lays it out, up to a layer's ReLU."""
    layers, inputs = [], 3
    for block, (count, outputs) in vgg19.BLOCKS.items():
        for index in range(1, count + 1):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
            if f"conv{block}_{index}" == last:
                return nn.Sequential(*layers)
        layers.append(nn.MaxPool2d(2, 2))


def test_torchvision_gives_the_same_maps(tmp_path):
    torch.manual_seed(0)
    features = torchvision_features("conv3_1")
    state = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    made.save_torch(
        tmp_path / "a.pth", state | {"classifier.0.weight": torch.ones(2, 2)}, "legacy"
    )
    backbone = vgg19.VGG19(vgg19.Config(depth="conv3_1", input="torchvision"))
    backbone.load_state_dict(read(tmp_path / "a.pth", "torchvision-vgg19"))
    images = torch.rand(2, 3, 32, 24)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    with torch.no_grad():
        expected = features((images - mean) / std)
        torch.testing.assert_close(
            backbone(images * 255, "conv3_1")[0], expected, rtol=1e-4, atol=1e-5
        )


def test_every_layer_of_torchvision_has_its_name(tmp_path):
    count = {f"features.{place}.bias": torch.tensor([place * 1.0]) for place in FEATURES}
    made.save_torch(tmp_path / "a", count, "zip")
    found = read(tmp_path / "a", "torchvision-vgg19")
    assert list(found) == [f"{name}.bias" for name in vgg19.CHANNELS]
    with torch.device("meta"):
        layers = enumerate(torchvision_features("conv5_4"))
    convolutions = [place for place, layer in layers if isinstance(layer, nn.Conv2d)]
    assert convolutions == list(FEATURES)


def test_names_that_a_format_does_not_know_are_kept(tmp_path):
    made.save_torch(
        tmp_path / "a", {"features.1.running_mean": torch.ones(1), "x": torch.ones(1)}, "zip"
    )
    assert set(read(tmp_path / "a", "torchvision-vgg19")) == {"features.1.running_mean", "x"}


@pytest.mark.parametrize("era", ["zip", "legacy", 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("format", ["py-mdnet", "rt-mdnet", "torchvision-vgg19"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, format, era):
    state = {"shared_layers": made.Code(tmp_path / "proof")}
    if isinstance(era, int):
        (tmp_path / "a.pth").write_bytes(pickle.dumps(state, era))
    else:
        made.save_torch(tmp_path / "a.pth", state, era)
    with pytest.raises(ValueError, match=r"tensors alone in .*a.pth") as raised:
        read(tmp_path / "a.pth", format)
    assert era == pickle.HIGHEST_PROTOCOL or "mkdir, which was not run" in str(raised.value)
    assert not (tmp_path / "proof").exists()
    pickle.loads(pickle.dumps(state))
    assert (tmp_path / "proof").exists(), "the pickle does nothing, so this test shows nothing"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "named tensors in .*it is a list"),
        ({"state_dict": {}}, "shared_layers of MDNet in .*it has state_dict"),
        ({"shared_layers": {"conv1.0.weight": 3}}, "numbers for conv1.weight in .*got 3"),
        (
            {"shared_layers": {"conv1.0.bias": torch.ones(1, dtype=torch.int)}},
            "numbers for conv1.b",
        ),
        (
            {"shared_layers": {"conv1.0.bias": torch.tensor([1.0, torch.nan])}},
            "finite numbers for conv1.b",
        ),
    ],
)
def test_pickles_of_something_else(tmp_path, value, message):
    made.save_torch(tmp_path / "a", value, "zip")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a", "py-mdnet")


def test_numbers_of_eight_bits_are_numbers(tmp_path):
    save_file({"a": torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn)}, tmp_path / "a")
    same(read(tmp_path / "a", "safetensors"), {"a": torch.tensor([0.5, 2.0])})


def test_a_damaged_mat_does_not_reach_its_parser(tmp_path, monkeypatch):
    """loadmat may end the process on one."""
    made.save_matconvnet(tmp_path / "a.mat", made.tensors({"conv1": (2, 3, 1, 1)}), "new")
    content = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    monkeypatch.setattr("scipy.io.loadmat", lambda file: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match=r"MatConvNet in .*a.mat, which is damaged"):
        read(tmp_path / "a.mat", "matconvnet")


def files(folder):
    """A small file of each kind, with its format."""
    shared = made.mdnet(made.tensors({"conv1": (2, 3, 1, 1), "fc5": (2, 2)}))
    for era in ("zip", "legacy", "python2"):
        made.save_torch(folder / era, shared, era)
        yield folder / era, "py-mdnet"
    made.save_matconvnet(folder / "a.mat", made.tensors({"conv1": (2, 3, 1, 1)}), "new")
    yield folder / "a.mat", "matconvnet"
    save_file(made.tensors({"conv1": (2, 3, 1, 1)}), folder / "a.safetensors")
    yield folder / "a.safetensors", "safetensors"


@pytest.mark.parametrize("kind", range(5), ids=["zip", "legacy", "python2", "mat", "safetensors"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_value_errors(tmp_path_factory, kind):
    folder = tmp_path_factory.mktemp("files")
    path, format = list(files(folder))[kind]
    content = path.read_bytes()

    @given(st.integers(0, len(content) - 1), st.integers(0, 255), st.booleans())
    def damaged(place, byte, cut):
        path.write_bytes(content[:place] + (b"" if cut else bytes([byte]) + content[place + 1 :]))
        try:
            read(path, format)
        except ValueError as error:
            assert str(error).startswith("read: expected")

    damaged()
    for cut in (0, 10, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=f"read: expected .* in {path}, which is damaged"):
            read(path, format)
