"""Networks of MatConvNet: VGG-19, mean colours, and layers that are not supported, by name."""

import made_weights as made
import numpy as np
import pytest
import torch
from scipy.io import savemat

from trackerlib import weights
from trackerlib.nets import vgg19
from trackerlib.weights.formats import inspect, read

RGB = np.array([123.68, 116.779, 103.939])
FILTERS, BIASES = np.ones((3, 3, 2, 4), np.float32), np.zeros((1, 4), np.float32)


def layer(name, *arrays, **fields):
    return {"name": name, "type": "conv", "weights": made.cell(list(arrays)), **fields}


def save(path, *layers, **variables):
    savemat(path, {"layers": made.cell(list(layers)), **variables}, appendmat=False)
    return path


@pytest.mark.parametrize("era", ["old", "new"])
def test_vgg19_sees_what_caffes_does(tmp_path, table, folder, era):
    """MatConvNet's filters take red, green, blue; Caffe's take blue, green, red."""
    table()
    small = vgg19.VGG19(vgg19.Config(depth="conv1_2"))
    tensors = dict(small.state_dict())
    turned = tensors | {"conv1_1.weight": tensors["conv1_1.weight"].flip(1)}
    made.save_matconvnet(tmp_path / "imagenet-vgg-verydeep-19.mat", turned, era)
    path, config = tmp_path / "imagenet-vgg-verydeep-19.mat", {"depth": "conv1_2"}
    entry = weights.add(path, "vgg", "matconvnet", "vgg19", config)
    assert (entry.network, entry.config) == ("vgg19", {"input": "matconvnet"} | config)
    images = 255 * torch.rand(1, 3, 32, 32)
    [found], [expected] = weights.load("vgg")(images, "conv1_2"), small(images, "conv1_2")
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-2)


def test_fully_connected_layers_beyond_a_backbone_are_left_alone(tmp_path, table, folder):
    table()
    shapes = {"conv1_1": (64, 3, 3, 3), "fc6": (5, 18), "fc8": (7, 9)}
    made.save_matconvnet(tmp_path / "a", made.tensors(shapes), "new")
    config = {"depth": "conv1_1"}
    weights.add(tmp_path / "a", "vgg", "matconvnet", "vgg19", config)
    assert weights.load("vgg").config == vgg19.Config(depth="conv1_1", input="matconvnet")


def test_a_file_of_vgg19_without_its_network_names_it(tmp_path, table, folder):
    table()
    made.save_matconvnet(tmp_path / "a", made.tensors({"conv1_1": (64, 3, 3, 3)}), "new")
    with pytest.raises(ValueError, match="its layers are named as those of vgg19"):
        weights.add(tmp_path / "a", "vgg", "matconvnet")
    with pytest.raises(ValueError, match="a network among vggm, vgg19, got 'squeezenet'"):
        weights.add(tmp_path / "a", "vgg", "matconvnet", "squeezenet")


IMAGE = np.broadcast_to(RGB.astype(np.float32), (5, 4, 3))


@pytest.mark.parametrize(
    "variables",
    [
        {"normalization": {"averageImage": IMAGE}},
        {"meta": {"normalization": {"averageImage": RGB.reshape(1, 1, 3), "border": 0.0}}},
        {"meta": {"normalization": {"averageImage": RGB.reshape(3, 1)}}},
    ],
    ids=["image, until 2014", "colour", "column"],
)
def test_the_mean_colour_is_read_and_compared(tmp_path, table, folder, variables):
    table()
    layers = [
        layer("conv1_1", np.ones((3, 3, 3, 64), np.float32), np.zeros((64, 1), np.float32)),
    ]
    path = save(tmp_path / "a", *layers, **variables)
    mean = inspect(path, "matconvnet").mean
    torch.testing.assert_close(mean.double(), torch.from_numpy(RGB), rtol=1e-5, atol=1e-3)
    config = {"depth": "conv1_1"}
    assert weights.add(path, "a", "matconvnet", "vgg19", config).origin == "added by hand from a"


def test_another_mean_colour_is_told(tmp_path, table, folder):
    """VGG-M's trackers reduce images by 128."""
    table()
    layers = [
        layer(name, np.ones((*shape[2:], shape[1], shape[0]), np.float32), np.zeros(shape[0]))
        for name, shape in made.VGGM.items()
    ]
    path = save(tmp_path / "a", *layers, normalization={"averageImage": IMAGE})
    told = "images are to be reduced by the colour 123.7, 116.8, 103.9, and are by 128.0, 128.0, 1"
    assert told in weights.add(path, "mine", "matconvnet").origin


@pytest.mark.parametrize(
    "variables",
    [{}, {"meta": {"x": 1.0}}, {"normalization": {"averageImage": np.zeros((0, 0))}}],
    ids=["none", "no normalisation", "empty"],
)
def test_files_without_a_mean_colour(tmp_path, variables):
    contents = inspect(
        save(tmp_path / "a", layer("c", FILTERS, BIASES), **variables), "matconvnet"
    )
    assert contents.mean is None and set(contents.tensors) == {"c.weight", "c.bias"}


MOMENTS = np.ones((4, 2), np.float32)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ([FILTERS], r"1 array \(a convolution without biases\)"),
        ([FILTERS, np.zeros((0, 0))], r"1 array \(a convolution without biases\)"),
        ([BIASES, BIASES, MOMENTS], r"3 arrays \(batch normalisation: merge it"),
        ([BIASES, BIASES], r"2 arrays \(a gain and an offset\)"),
        ([FILTERS, BIASES, BIASES, BIASES], r"4 arrays \(no convolution\)"),
        ([made.cell([1.0, 2.0]), BIASES], r"arrays of object and float32; of a network on a GPU"),
    ],
    ids=["no bias", "empty bias", "batch normalisation", "gain", "four", "objects"],
)
def test_a_layer_that_is_not_supported_is_named(tmp_path, arrays, told):
    path = save(tmp_path / "a", layer("ok", FILTERS, BIASES), layer("odd7", *arrays))
    with pytest.raises(ValueError, match=f"filters and biases for layer odd7 in .*a, got {told}"):
        read(path, "matconvnet")


def test_a_layer_without_a_name_has_a_number(tmp_path):
    path = save(tmp_path / "a", {"type": "relu"}, {"weights": made.cell([FILTERS])})
    with pytest.raises(ValueError, match=r"for layer number 2 in "):
        read(path, "matconvnet")


def test_filters_in_the_old_layout_without_biases(tmp_path):
    path = save(tmp_path / "a", {"name": "conv1", "filters": FILTERS})
    with pytest.raises(
        ValueError, match=r"for layer conv1 in .* without biases\), which is not s"
    ):
        read(path, "matconvnet")


def test_a_single_output_keeps_its_axes(tmp_path):
    """MATLAB drops last axes of length 1."""
    path = save(tmp_path / "a", layer("conv1", FILTERS[..., 0], np.zeros((1, 1), np.float32)))
    assert read(path, "matconvnet")["conv1.weight"].shape == (1, 2, 3, 3)


@pytest.mark.parametrize("is_in_net", [True, False])
def test_a_dag_is_refused_in_words(tmp_path, is_in_net):
    dag = {"layers": made.cell([]), "params": made.cell([{"name": "conv1f", "value": FILTERS}])}
    savemat(tmp_path / "a", {"net": dag} if is_in_net else dag, appendmat=False)
    with pytest.raises(ValueError, match="got a DagNN, whose layers have names of their own; sa"):
        read(tmp_path / "a", "matconvnet")


def test_variables_that_are_no_network_are_listed(tmp_path):
    savemat(tmp_path / "a", {"vgg": {"layers": 1.0}, "y": 2.0}, appendmat=False)
    with pytest.raises(ValueError, match=r"with `layers` or `net`, in .*a, got vgg, y; in MATLAB"):
        read(tmp_path / "a", "matconvnet")


def test_version_7_3_is_told_to_save_version_7(tmp_path):
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(512)
    (tmp_path / "a").write_bytes(header + b"\x89HDF\r\n\x1a\n" + bytes(512))
    with pytest.raises(
        ValueError, match=r"version 7.3 \(HDF5\), which is not read; .* '-v7'"
    ) as e:
        read(tmp_path / "a", "matconvnet")
    assert "damaged" not in str(e.value)


def test_a_file_of_torch_is_no_network_of_matlab(tmp_path):
    made.save_torch(tmp_path / "a", {"a": torch.ones(1)}, "zip")
    with pytest.raises(ValueError, match=r"it is a file of torch.save"):
        read(tmp_path / "a", "matconvnet")
