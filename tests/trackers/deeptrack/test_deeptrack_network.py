"""DeepTrack's network: the paper's sizes, the pooled convolution, the score."""

import math

import pytest
import torch
from torch.nn.functional import conv2d, interpolate, linear, max_pool2d, relu

from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.trackers.deeptrack.network import CueNetworks, DeepTrack, pooled_maps, score


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_sizes_of_the_paper():
    """12 kernels of 13x13; 216 of 7x7, 18 for each of 12 maps; 72 -> 8 -> 2; 24 -> 2."""
    network = DeepTrack(generator())
    cue = [p.chunk(3)[0] for p in network.cues.parameters() if p.ndim > 1]
    shapes = [tuple(weight.shape) for weight in cue]
    assert shapes == [(12, 1, 13, 13), (18, 12, 7, 7), (8, 18, 2, 2), (2, 8, 1, 1)]
    assert cue[1][:, :, 0, 0].numel() == 216 and cue[2][0].numel() == 72
    assert network.fusion.weight.shape == (2, 24)


def test_each_cue_is_two_convolutions_two_pools_and_two_layers_of_its_own():
    cues, patches = (
        CueNetworks(generator()).double(),
        torch.randn(5, 3, 32, 32, dtype=torch.float64),
    )
    for bias in list(cues.parameters())[1::2]:
        torch.nn.init.normal_(bias, generator=generator(1))
    for i in range(3):
        conv1, conv2, fc1, fc2 = (
            (layer.weight.chunk(3)[i], layer.bias.chunk(3)[i])
            for layer in (cues.conv1, cues.conv2, cues.fc1, cues.fc2)
        )
        x = max_pool2d(relu(conv2d(patches[:, i : i + 1], *conv1)), 2)
        assert x.shape == (5, 12, 10, 10)
        x = max_pool2d(relu(conv2d(x, *conv2)), 2)
        assert x.shape == (5, 18, 2, 2)
        neurons = relu(linear(x.flatten(1), fc1[0].flatten(1), fc1[1]))
        torch.testing.assert_close(cues.neurons(patches)[:, 8 * i : 8 * i + 8], neurons)
        scores = linear(neurons, fc2[0].flatten(1), fc2[1])
        torch.testing.assert_close(cues(patches)[:, i], scores)


def test_scores_are_the_mean_of_the_cues_own_and_the_fusion_begins_as_this():
    patches, network = torch.randn(250, 3, 32, 32), DeepTrack(generator())
    torch.nn.init.normal_(network.cues.fc2.bias, generator=generator(1))
    mean = network.cues(patches).mean(1)
    torch.testing.assert_close(network(patches), mean)
    network.fuse()
    torch.testing.assert_close(network(patches), mean)
    torch.nn.init.normal_(network.fusion.weight, generator=generator(1))
    torch.testing.assert_close(network(patches), network.fusion(network.cues.neurons(patches)))


def test_the_score_by_hand():
    scores = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [-1.0, 0.0]])
    expected = torch.tensor([math.e, 0.5, 0.0, -1 / math.e])
    torch.testing.assert_close(score(scores), expected)


def test_saturated_scores_gain_nothing_beyond_their_labels():
    scores = torch.tensor([[1.0, 0.0], [1.7, -0.5], [0.5, 0.2], [0.9, -1.0]])
    expected = torch.tensor([math.e, math.e, 0.5 * math.exp(0.3), 0.9 * math.exp(0.9)])
    torch.testing.assert_close(score(scores, saturated=True), expected)


def test_the_convolutions_in_bfloat16_are_close_and_learn_alike():
    patches = torch.rand(60, 3, 32, 32, generator=generator(2)) * 10 - 5
    slopes, neurons = [], []
    for dtype in (torch.float32, torch.bfloat16):
        cues = CueNetworks(generator(), dtype)
        neurons.append(cues.neurons(patches))
        neurons[-1].square().mean().backward()
        slopes.append(cues.conv1.weight.grad)
    for (exact, rounded), limit in ((neurons, 0.02), (slopes, 0.15)):
        assert exact.dtype == rounded.dtype == torch.float32
        assert 0 < float(((rounded - exact).norm() / exact.norm()).detach()) < limit


def test_the_same_generator_makes_the_same_network():
    first, again, other = (DeepTrack(generator(s)).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["cues.conv1.weight"], other["cues.conv1.weight"])


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("stride, dilation", [(2, 1), (1, 1), (1, 2)])
def test_a_convolution_per_cue_equals_one_with_groups(count, stride, dilation):
    """And so do its gradients, in double numbers, of no patch too."""
    layer = CueNetworks(generator()).double().conv2
    torch.nn.init.normal_(layer.bias, generator=generator(1))
    size = count, 36, 15, 17
    x = torch.randn(size, dtype=torch.float64, generator=generator(2), requires_grad=True)
    convolved = conv2d(x, layer.weight, layer.bias, dilation=dilation, groups=3)
    expected = relu(max_pool2d(convolved, 2, stride, dilation=dilation))
    found = pooled_maps(layer, x, stride, dilation)
    torch.testing.assert_close(found, expected)
    up = torch.randn(expected.shape, dtype=torch.float64, generator=generator(3))
    pairs = (torch.autograd.grad(y, (x, *layer.parameters()), up) for y in (found, expected))
    for slopes in zip(*pairs, strict=True):
        torch.testing.assert_close(*slopes)


def test_maps_are_channels_last_even_of_one_image():
    """Pooling takes four times as long otherwise."""
    layer = CueNetworks(generator()).conv1
    for count in (1, 4):
        found = pooled_maps(layer, torch.randn(count, 3, 40, 33))
        assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("convolutions", [1, 2])
def test_scanning_a_scene_equals_cutting_it_up_at_whole_pixels(convolutions):
    network, scene = DeepTrack(generator()), torch.randn(3, 70, 90, generator=generator(1))
    boxes = torch.tensor([[0, 0, 32, 32], [58, 38, 32, 32], [17, 5, 32, 32], [18, 5, 32, 32]])
    cut = torch.stack([scene[:, y : y + 32, x : x + 32] for x, y, _, _ in boxes.tolist()])
    found = network.scan(scene, boxes.double(), convolutions)
    torch.testing.assert_close(found, network(cut))


@pytest.mark.parametrize("convolutions", [1, 2])
def test_the_smallest_scene_is_one_box_and_no_box_has_no_scores(convolutions):
    network, scene = DeepTrack(generator()), torch.randn(3, 33, 33, generator=generator(1))
    found = network.scan(scene, torch.tensor([[0.0, 0, 32, 32]]), convolutions)
    torch.testing.assert_close(found, network(scene[None, :, :32, :32]))
    assert network.scan(scene, torch.empty(0, 4), convolutions).shape == (0, 2)


@pytest.mark.parametrize("convolutions", [1, 2])
def test_between_pixels_scanning_is_close_to_cutting(convolutions):
    """Of a smooth scene, and of boxes within 3 % of a patch's size."""
    draws = generator(1)
    network, scene = DeepTrack(generator()), torch.randn(1, 3, 14, 18, generator=draws)
    scene = interpolate(scene, scale_factor=5, mode="bicubic")[0]
    boxes = torch.rand(200, 4, generator=draws, dtype=torch.float64)
    boxes = boxes * torch.tensor([55, 35, 2, 2]) + torch.tensor([1, 1, 31, 31])
    with torch.no_grad():
        cut = network(crop_and_resize(scene.permute(1, 2, 0).contiguous(), boxes, (32, 32)))
        found = network.scan(scene, boxes, convolutions)
    assert float(torch.corrcoef(torch.stack((found[:, 0], cut[:, 0])))[0, 1]) > 0.98
    assert float((found - cut).abs().mean() / cut.std()) < 0.15
