"""Geometry against what gradients say, and the one convention for images."""

import pytest
import torch

from trackerlib.nets import googlenet, squeezenet, vgg19, vggm
from trackerlib.nets.backbone import Tap, Window, border, tap, tiling

BACKBONES = {
    "vggm": vggm.VGGM(),
    "vggm dense": vggm.VGGM(vggm.Config(dense=True)),
    "vggm five": vggm.VGGM(vggm.Config(depth=5)),
    "vgg19": vgg19.VGG19(vgg19.Config("conv3_1")),
    "squeezenet": squeezenet.SqueezeNet(squeezenet.Config("fire5")),
    "googlenet": googlenet.GoogLeNet(googlenet.Config("inception_3b")),
}
TAPS = [(backbone, name) for backbone, net in BACKBONES.items() for name in net.taps]


def seen(length: int, windows: list[Window], position: int) -> torch.Tensor:
    """Which pixels of a line a position sees, by brute force: windows of ones, one by one."""
    line = torch.zeros(1, 1, length, dtype=torch.float64, requires_grad=True)
    x = line
    for kernel, stride, padding, dilation in windows:
        ones = torch.ones(1, 1, kernel, dtype=torch.float64)
        x = torch.nn.functional.conv1d(x, ones, None, stride, padding, dilation)
    (gradient,) = torch.autograd.grad(x[0, 0, position], line)
    return gradient.flatten().nonzero().flatten()


@pytest.mark.parametrize(
    "windows",
    [
        [Window(7, 2), Window(3, 2), Window(5, 2), Window(3, 2), Window(3)],
        [Window(7, 2), Window(3, 2), Window(5, 2), Window(3, dilation=3)],
        [Window(3, 1, 1)] * 2 + [Window(2, 2)] + [Window(3, 1, 1)] * 4,
        [Window(7, 2, 3), Window(3, 2), Window(3, 1, 1), Window(3, 2), Window(5, 1, 2)],
    ],
)
def test_geometry_is_what_the_gradient_shows(windows):
    found, position = tap(windows, channels=1), 5
    pixels = seen(401, windows, position)
    assert pixels.max() - pixels.min() + 1 == found.receptive_field
    middle = (pixels.max() + pixels.min() + 1) / 2
    assert middle == found.centre + position * found.stride


@pytest.mark.parametrize(("backbone", "name"), TAPS)
def test_a_position_sees_what_its_tap_says(backbone, name):
    """The map's gradient at a position is zero outside the receptive field, not far inside."""
    net, geometry = BACKBONES[backbone], BACKBONES[backbone].taps[name]
    images = (255 * torch.rand(1, 3, 155, 155)).requires_grad_()
    (features,) = net(images, name)
    assert features.shape[1] == geometry.channels
    middle = features.shape[-1] // 2
    centre = geometry.centre + middle * geometry.stride
    (gradient,) = torch.autograd.grad(features[0, :, middle, middle].sum(), images)
    low = round(centre - geometry.receptive_field / 2)
    high = low + geometry.receptive_field
    touched = gradient.abs().amax((0, 1, 2)).nonzero().flatten()
    assert low <= touched.min() and touched.max() < high
    if geometry.receptive_field < 100:  # the outermost pixels of larger ones rarely win a pooling
        assert touched.min() - low <= geometry.stride
        assert high - 1 - touched.max() <= geometry.stride


def test_only_what_is_asked_for_is_computed():
    net = vggm.VGGM()
    net.conv3 = None
    conv2, conv1 = net(torch.zeros(1, 3, 107, 107), "conv2", "conv1")
    assert conv2.shape == (1, 256, 11, 11) and conv1.shape == (1, 96, 51, 51)


@pytest.mark.parametrize(
    ("images", "layers", "told"),
    [
        (torch.zeros(3, 107, 107), ["conv3"], "permute"),
        (torch.zeros(1, 1, 107, 107), ["conv3"], "(1, 1, 107, 107)"),
        (torch.zeros(1, 3, 107, 107, dtype=torch.uint8), ["conv3"], "torch.uint8"),
        (torch.zeros(1, 3, 107, 107), ["conv9"], "conv1, conv2, conv3"),
        (torch.zeros(1, 3, 107, 107), [], "got none"),
        (torch.zeros(1, 3, 74, 107), ["conv3"], "75 pixels"),
    ],
)
def test_other_inputs_are_refused(images, layers, told):
    with pytest.raises(ValueError, match="VGGM: expected") as error:
        vggm.VGGM()(images, *layers)
    assert told in str(error.value)


def test_the_smallest_image_has_one_position():
    net = vgg19.VGG19()
    assert net(torch.zeros(1, 3, 16, 16), "conv5_4")[0].shape == (1, 512, 1, 1)
    with pytest.raises(ValueError, match="at least 16 pixels"):
        net(torch.zeros(1, 3, 15, 16), "conv5_4")


def test_a_tap_reads_as_its_numbers():
    assert vggm.VGGM().taps["conv1"] == Tap(2, 7, 3.5, 96)


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3"])
def test_positions_tile_a_square(name):
    """Each stands in the middle of its own square of one stride, to within half a pixel."""
    dense = vggm.VGGM(vggm.Config(dense=True))
    taps = [dense.taps["conv1"], dense.taps["conv2"], dense.taps["conv3"]]
    around, tap = border(taps, 64), dense.taps[name]
    columns = tap.centre + tap.stride * torch.arange(200.0)  # of the positions, in the image
    places = tiling(columns.expand(200, 200), tap, 64, around)[0] - around
    assert len(places) == 64 // tap.stride
    expected = (torch.arange(len(places)) + 0.5) * tap.stride
    torch.testing.assert_close(places, expected, rtol=0, atol=0.5)
    assert columns[0] <= around + tap.stride
