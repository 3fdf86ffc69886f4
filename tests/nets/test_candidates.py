"""Boxes are seen where they lie: crops with their context, regions of one map."""

import numpy as np
import pytest
import torch

from trackerlib.nets.candidates import CONTEXT, SIDE, Crops, Frame
from trackerlib.nets.trunk import Tap, tap
from trackerlib.nets.vggm import CHANNELS, VGGM
from trackerlib.ops.roi_align import roi_align
from trackerlib.ops.roi_pool import roi_pool

BOXES = torch.tensor([[100.0, 90, 60, 30], [140, 60, 30, 60]], dtype=torch.float64)


@pytest.fixture
def frame():
    """A pixel's value is half of its x, half of its y, and 100."""
    y, x = np.mgrid[:240, :320]
    return np.stack((x / 2, y / 2, np.full_like(x, 100)), -1).astype(np.uint8)


def identity(geometry: Tap):
    """A trunk whose map is the image at the centres of its units."""

    def run(image, name):
        first, step = int(geometry.centre), geometry.stride
        last = -first if first else None
        return (image[:, :, first:last:step, first:last:step],)

    return run


def test_a_crop_holds_the_box_and_its_context(frame):
    shown = []

    def trunk(crops, name):
        shown.append(crops)
        return (crops[:, :, ::40, ::40],)

    crops = Crops(trunk, gain=1.0)
    crops.look(frame)
    assert crops(BOXES).shape == (2, 27)
    (images,) = shown
    assert images.shape == (2, 3, SIDE, SIDE)
    step = 60 * (1 + 2 * CONTEXT / SIDE) / SIDE  # pixels of the frame per pixel of the crop
    places = 130 + (torch.arange(SIDE) - SIDE // 2) * step
    torch.testing.assert_close(images[0, 0, SIDE // 2], places / 2 - 0.5, atol=0.3, rtol=0)


def test_crops_do_not_depend_on_how_many_there_are(frame):
    network = VGGM().eval()
    crops = Crops(network)
    crops.look(frame)
    with torch.no_grad():
        many = crops(BOXES.repeat(40, 1))
        torch.testing.assert_close(many[78:], crops(BOXES), rtol=1e-4, atol=1e-4)


def test_the_gain_multiplies(frame):
    network = VGGM().eval()
    for kind in (Crops(network, gain=3.0), Frame(network, ("conv3", network.taps["conv3"]))):
        with torch.no_grad():
            kind.gain = 1.0
            kind.look(frame)
            plain = kind(BOXES)
            kind.gain = 3.0
            kind.look(frame)
            torch.testing.assert_close(kind(BOXES), 3 * plain)


@pytest.mark.parametrize("pooling", ["align", "pool"])
def test_a_box_is_pooled_from_where_it_lies(frame, pooling):
    geometry = Tap(stride=4, receptive_field=11, centre=5.5, channels=3)
    seen = Frame(identity(geometry), ("map", geometry), pooling, gain=1.0)
    seen.look(frame)
    pooled = seen(BOXES).view(2, 3, 3, 3)[:, :2]
    # the largest point of a bin is its last: at 2/3, or the cell at its end
    third = (torch.arange(3) + (2 / 3 if pooling == "align" else 1)) / 3
    bins = torch.stack(torch.meshgrid(third, third, indexing="xy"))
    places = BOXES[:, :2, None, None] + BOXES[:, 2:, None, None] * bins
    slack = 0.8 if pooling == "align" else 2.0
    torch.testing.assert_close(pooled, (places / 2 - 0.25).float(), atol=slack, rtol=0)


def test_the_whole_frame_has_units_to_its_edges(frame):
    network = VGGM().eval()
    geometry = network.taps["conv3"]
    seen = Frame(network, ("conv3", geometry))
    with torch.no_grad():
        seen.look(frame)
    height, width = seen.map.shape[2:]
    assert seen.zoom == 2.5  # 240 to 600
    corner = seen.places(torch.tensor([[320.0, 240, 0, 0]], dtype=torch.float64))[0, :2]
    last = (torch.tensor([width, height]) - 1) * geometry.stride
    assert (corner - last <= geometry.stride / 2 + 1).all()
    assert (seen.places(torch.zeros(1, 4, dtype=torch.float64))[0, :2] >= -geometry.stride).all()


def test_pooling_is_that_of_the_ops(frame):
    network = VGGM().eval()
    geometry = network.taps["conv3"]
    with torch.no_grad():
        for pooling in ("align", "pool"):
            seen = Frame(network, ("conv3", geometry), pooling, samples=3)
            seen.look(frame)
            rois = torch.nn.functional.pad(seen.places(BOXES).float(), (1, 0))
            if pooling == "align":
                expected = roi_align(seen.map, rois, 3, 1 / 16, 3, "max", "interior")
            else:
                expected = roi_pool(seen.map, rois, 3, 1 / 16)
            torch.testing.assert_close(seen(BOXES), expected.flatten(1), rtol=0, atol=0)


def test_an_unknown_pooling_is_told():
    geometry = tap([], CHANNELS["conv3"])
    with pytest.raises(ValueError, match="expected pooling align or pool, got 'mean'"):
        Frame(identity(geometry), ("conv3", geometry), "mean")
