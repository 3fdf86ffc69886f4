"""Boxes are seen where they lie: crops with their context, regions of one map."""

import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

from trackerlib.nets.backbone import Tap, tap
from trackerlib.nets.vggm import CHANNELS, VGGM, Config
from trackerlib.ops.adaptive_roi_align import adaptive_roi_align
from trackerlib.ops.roi_align import roi_align
from trackerlib.ops.roi_pool import roi_pool
from trackerlib.trackers.mdnet.features import (
    CONTEXT,
    PADDED,
    SIDE,
    CropFeatures,
    Frame,
    Scene,
    reachable,
)

BOXES = torch.tensor([[100.0, 90, 60, 30], [140, 60, 30, 60]], dtype=torch.float64)


@pytest.fixture
def frame():
    """A pixel's value is half of its x, half of its y, and 100."""
    y, x = np.mgrid[:240, :320]
    return np.stack((x / 2, y / 2, np.full_like(x, 100)), -1).astype(np.uint8)


def identity(geometry: Tap):
    """A backbone whose map is the image at the centres of its units."""

    def run(image, name):
        first, step = int(geometry.centre), geometry.stride
        last = -first if first else None
        return (image[:, :, first:last:step, first:last:step],)

    return run


def test_a_crop_holds_the_box_and_its_context(frame):
    shown = []

    def backbone(crops, name):
        shown.append(crops)
        return (crops[:, :, ::40, ::40],)

    crops = CropFeatures(backbone, feature_scale=1.0)
    crops.set_frame(frame)
    assert crops(BOXES).shape == (2, 27)
    (images,) = shown
    assert images.shape == (2, 3, SIDE, SIDE)
    step = 60 * (1 + 2 * CONTEXT / SIDE) / SIDE  # pixels of the frame per pixel of the crop
    places = 130 + (torch.arange(SIDE) - SIDE // 2) * step
    torch.testing.assert_close(images[0, 0, SIDE // 2], places / 2 - 0.5, atol=0.3, rtol=0)


def test_crops_do_not_depend_on_how_many_there_are(frame):
    network = VGGM().eval()
    crops = CropFeatures(network)
    crops.set_frame(frame)
    with torch.no_grad():
        many = crops(BOXES.repeat(40, 1))
        torch.testing.assert_close(many[78:], crops(BOXES), rtol=1e-4, atol=1e-4)


def test_the_gain_multiplies(frame):
    network = VGGM().eval()
    for kind in (
        CropFeatures(network, feature_scale=3.0),
        Frame(network, ("conv3", network.taps["conv3"])),
    ):
        with torch.no_grad():
            kind.gain = 1.0
            kind.set_frame(frame)
            plain = kind(BOXES)
            kind.gain = 3.0
            kind.set_frame(frame)
            torch.testing.assert_close(kind(BOXES), 3 * plain)


@pytest.mark.parametrize("pooling", ["align", "pool"])
def test_a_box_is_pooled_from_where_it_lies(frame, pooling):
    geometry = Tap(stride=4, receptive_field=11, centre=5.5, channels=3)
    seen = Frame(identity(geometry), ("map", geometry), pooling, feature_scale=1.0)
    seen.set_frame(frame)
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
        seen.set_frame(frame)
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
            seen.set_frame(frame)
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


@pytest.fixture
def dense():
    network = VGGM(Config(dense=True)).eval()
    return network, ("conv3", network.taps["conv3"])


def seen_by(backbone, frame, box, generator=None, **settings):
    scene = Scene(*backbone, **settings)
    with torch.no_grad():
        scene.set_frame(frame, box, generator)
    return scene


def test_a_scene_shows_the_target_as_a_square_of_107_pixels(frame, dense):
    shown, (_, tap) = [], dense

    def backbone(image, name):
        shown.append(image)
        return dense[0](image, name)

    scene = seen_by((backbone, tap), frame, BOXES[0])
    (image,) = shown
    per_pixel = image[0, 0].diff(dim=1).median(), image[0, 1].diff(dim=0).median()
    expected = [60 / SIDE / 2, 30 / SIDE / 2]  # a pixel's value is half of its place
    torch.testing.assert_close(torch.stack(per_pixel), torch.tensor(expected), atol=0.02, rtol=0)
    middle = torch.tensor(image.shape[2:]) // 2
    assert image[0, 0, *middle] == pytest.approx(130 / 2, abs=0.5)
    (_, x1, y1, x2, y2) = scene.rois(BOXES[:1])[0].tolist()
    field = tap[1].receptive_field
    assert x2 + field - x1 == pytest.approx(PADDED * SIDE)
    assert (x1 + x2 + field) / 2 == pytest.approx(image.shape[3] / 2)
    assert (y1 + y2 + field) / 2 == pytest.approx(image.shape[2] / 2)


def test_pooled_units_see_nothing_outside_of_the_padded_box(frame, dense):
    """But for the units beside it that interpolation reads, a stride of the scene further."""
    box, features = BOXES[0], []
    outside, inside = np.zeros_like(frame), frame.copy()
    margin = box[2:] * ((PADDED - 1) / 2 + 8 / SIDE) + 2
    (x1, y1), (x2, y2) = ((box[:2] + side).int() for side in (-margin, box[2:] + margin))
    outside[y1:y2, x1:x2] = frame[y1:y2, x1:x2]
    inside[100:110, 125:135] = 255
    for image in (frame, outside, inside):
        scene = seen_by(dense, image, box)
        with torch.no_grad():
            features.append(scene(box[None]))
    torch.testing.assert_close(features[1], features[0])
    assert (features[2] - features[0]).abs().max() > 1


def test_a_tiny_box_keeps_a_pixel(frame, dense):
    scene = seen_by(dense, frame, BOXES[0])
    small = torch.tensor([[120.0, 100, 2, 2]], dtype=torch.float64)
    _, x1, y1, x2, y2 = scene.rois(small)[0].tolist()
    assert (x2 - x1, y2 - y1) == (1, 1)


@pytest.mark.parametrize("pooling", ["adaptive", "align", "pool"])
def test_a_scenes_pooling_is_that_of_the_ops(frame, dense, pooling):
    scene = seen_by(dense, frame, BOXES[0], pooling=pooling)
    rois = scene.rois(BOXES).float()
    expected = {
        "adaptive": lambda: adaptive_roi_align(scene.map, rois, 7, 1 / 8),
        "align": lambda: max_pool2d(roi_align(scene.map, rois, 7, 1 / 8), 3, 2),
        "pool": lambda: roi_pool(scene.map, rois, 3, 1 / 8),
    }[pooling]()
    torch.testing.assert_close(scene(BOXES), expected.flatten(1), rtol=0, atol=0)


def test_boxes_are_pooled_from_augmented_scenes_in_turn(frame, dense):
    scene = seen_by(dense, frame, BOXES[0], torch.Generator().manual_seed(0))
    assert len(scene.map) == 5
    rois = scene.rois(BOXES[:1].repeat(7, 1))
    assert rois[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1]
    field = dense[1][1].receptive_field
    sides = (rois[:5, 3] - rois[:5, 1] + field) / (PADDED * SIDE)
    expected = torch.tensor([1, 1.1**-2, 1.1**-1, 1.1, 1.1**2], dtype=torch.float64)
    torch.testing.assert_close(sides, expected)
    plain = seen_by(dense, frame, BOXES[0])
    assert plain.map.shape[1:] == scene.map.shape[1:]  # one size to compile


@pytest.mark.parametrize("zoom", [1.0, 1.21])
def test_what_is_reachable_lies_in_the_scene(frame, dense, zoom):
    for box in BOXES:
        region, scene = reachable(box, zoom), seen_by(dense, frame, box)
        assert (region[0] < region[1]).all()
        corner = torch.cat((region[0] - 1.3 / 2 * box[2:], 1.3 * box[2:]))[None]
        scene.zooms = scene.zooms * zoom
        scene.corners = scene.corners + (1 - 1 / zoom) * (box[:2] + box[2:] / 2 - scene.corners)
        assert (scene.rois(corner)[0, 1:3] >= -1).all()


def test_another_pooling_of_a_scene_is_told(dense):
    with pytest.raises(ValueError, match="expected pooling among adaptive, align, pool, got 'm'"):
        Scene(*dense, pooling="m")
