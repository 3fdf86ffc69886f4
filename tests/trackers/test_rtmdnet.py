"""RT-MDNet's scene: the target as a square, boxes pooled from what they see."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from few_boxes import FEWER
from torch.nn.functional import max_pool2d

from trackerlib import boxes as B
from trackerlib.nets.vggm import VGGM, Config
from trackerlib.ops import adaptive_roi_align, roi_align, roi_pool
from trackerlib.trackers import rtmdnet
from trackerlib.trackers.mdnet.classifier import Classifier
from trackerlib.trackers.mdnet.features import CROP_SIDE
from trackerlib.trackers.rtmdnet import REACH, ROI_PADDING, SceneFeatures, reachable_centres

pytestmark = pytest.mark.usefixtures("thin")


@pytest.fixture(scope="module")
def dense(thin):
    return VGGM(Config(dense=True)).eval()


def seen_by(backbone, frame, box, generator=None, **settings):
    scene = SceneFeatures(backbone, "conv3", **settings)
    with torch.no_grad():
        if generator:
            scene.set_first_frame(frame, box, generator)
        else:
            scene.set_frame(frame, box)
    return scene


class Watched:
    """A backbone, and the images that it was given."""

    def __init__(self, backbone):
        self.backbone, self.taps, self.shown = backbone, backbone.taps, []

    def __call__(self, image, name):
        self.shown.append(image)
        return self.backbone(image, name)


def test_a_scene_shows_the_target_as_a_square_of_107_pixels(frame, boxes, dense):
    backbone = Watched(dense)
    scene = seen_by(backbone, frame, boxes[0])
    (image,) = backbone.shown
    per_pixel = image[0, 0].diff(dim=1).median(), image[0, 1].diff(dim=0).median()
    expected = [60 / CROP_SIDE / 2, 30 / CROP_SIDE / 2]  # a pixel's value is half of its place
    torch.testing.assert_close(torch.stack(per_pixel), torch.tensor(expected), atol=0.02, rtol=0)
    middle = torch.tensor(image.shape[2:]) // 2
    assert image[0, 0, *middle] == pytest.approx(130 / 2, abs=0.5)
    (_, x1, y1, x2, y2) = scene.rois(boxes[:1])[0].tolist()
    field = dense.taps["conv3"].receptive_field
    assert x2 + field - x1 == pytest.approx(ROI_PADDING * CROP_SIDE)
    assert (x1 + x2 + field) / 2 == pytest.approx(image.shape[3] / 2)
    assert (y1 + y2 + field) / 2 == pytest.approx(image.shape[2] / 2)


def test_pooled_positions_see_nothing_outside_of_the_padded_box(frame, boxes, dense):
    """But for the positions beside it that interpolation reads, a stride of the scene further."""
    box, features = boxes[0], []
    outside, inside = np.zeros_like(frame), frame.copy()
    margin = box[2:] * ((ROI_PADDING - 1) / 2 + 8 / CROP_SIDE) + 2
    (x1, y1), (x2, y2) = ((box[:2] + side).int() for side in (-margin, box[2:] + margin))
    outside[y1:y2, x1:x2] = frame[y1:y2, x1:x2]
    inside[100:110, 125:135] = 255
    for image in (frame, outside, inside):
        scene = seen_by(dense, image, box)
        with torch.no_grad():
            features.append(scene(box[None]))
    torch.testing.assert_close(features[1], features[0])
    assert (features[2] - features[0]).abs().max() > 1


def test_a_tiny_box_keeps_a_pixel(frame, boxes, dense):
    scene = seen_by(dense, frame, boxes[0])
    small = torch.tensor([[120.0, 100, 2, 2]], dtype=torch.float64)
    _, x1, y1, x2, y2 = scene.rois(small)[0].tolist()
    assert (x2 - x1, y2 - y1) == (1, 1)


@pytest.mark.parametrize("pooling", ["adaptive", "align", "pool"])
def test_a_scenes_pooling_is_that_of_the_ops(frame, boxes, dense, pooling):
    scene = seen_by(dense, frame, boxes[0], pooling=pooling)
    rois = scene.rois(boxes).float()
    expected = {
        "adaptive": lambda: adaptive_roi_align(scene.map, rois, 7, 1 / 8),
        "align": lambda: max_pool2d(roi_align(scene.map, rois, 7, 1 / 8, 2), 3, 2),
        "pool": lambda: roi_pool(scene.map, rois, 3, 1 / 8),
    }[pooling]()
    torch.testing.assert_close(scene(boxes), expected.flatten(1), rtol=0, atol=0)


def test_boxes_are_pooled_from_augmented_scenes_in_turn(frame, boxes, dense):
    scene = seen_by(dense, frame, boxes[0], torch.Generator().manual_seed(0))
    assert len(scene.map) == 5
    rois = scene.rois(boxes[:1].repeat(7, 1))
    assert rois[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1]
    field = dense.taps["conv3"].receptive_field
    sides = (rois[:5, 3] - rois[:5, 1] + field) / (ROI_PADDING * CROP_SIDE)
    expected = torch.tensor([1, 1.1**-2, 1.1**-1, 1.1, 1.1**2], dtype=torch.float64)
    torch.testing.assert_close(sides, expected)
    plain = seen_by(dense, frame, boxes[0])
    assert plain.map.shape[1:] == scene.map.shape[1:]  # one size to compile


@pytest.mark.parametrize("zoom", [1.0, 1.21])
def test_what_is_reachable_lies_in_the_scene(frame, boxes, dense, zoom):
    for box in boxes:
        region, scene = reachable_centres(box, zoom), seen_by(dense, frame, box)
        assert (region[0] < region[1]).all()
        corner = torch.cat((region[0] - 1.3 / 2 * box[2:], 1.3 * box[2:]))[None]
        scene.zooms = scene.zooms * zoom
        scene.corners = scene.corners + (1 - 1 / zoom) * (box[:2] + box[2:] / 2 - scene.corners)
        assert (scene.rois(corner)[0, 1:3] >= -1).all()


def test_all_scenes_pool_every_box(frame, boxes, dense):
    """Five rows of a box: what it gives in turn is the row of its turn."""
    scene = seen_by(dense, frame, boxes[0], torch.Generator().manual_seed(0))
    five = boxes[:1].repeat(5, 1)
    with torch.no_grad():
        everywhere = scene.of_all_scenes(boxes)
        in_turn = scene(five)
    assert everywhere.shape == (10, in_turn.shape[1])
    torch.testing.assert_close(everywhere[::2], in_turn)  # scene by scene: box 0, then box 1
    assert len({row.sum().item() for row in everywhere}) == 10


def test_a_padding_and_a_reach_are_those_of_the_pooled_boxes_and_the_scene(frame, boxes, dense):
    """By hand: a target of 60x30 at 107x107, padded 1.2, is pooled from 128.4 - 75 pixels."""
    scene = SceneFeatures(dense, "conv3")
    scene.padding, scene.reach = 1.2, 2.0
    with torch.no_grad():
        scene.set_frame(frame, boxes[0])
    _, x1, y1, x2, y2 = scene.rois(boxes[:1])[0].tolist()
    assert (x2 - x1, y2 - y1) == pytest.approx((1.2 * 107 - 75, 1.2 * 107 - 75))
    # 2 mean sides of 45 pixels on each side, and 1.2 * 1.3 targets: 180 + 93.6 by 180 + 46.8
    extent = torch.tensor([180 + 93.6, 180 + 46.8], dtype=torch.float64)
    start = boxes[0, :2] + boxes[0, 2:] / 2 - extent / 2
    assert (scene.corners[0] <= start + 1e-9).all()  # sides are rounded up to 16 pixels
    assert (start - scene.corners[0] <= 8 * boxes[0, 2:] / 107).all()
    region = reachable_centres(boxes[0], reach=2.0, padding=1.2)
    by_hand = torch.tensor([[130 - 90.0, 105 - 90], [130 + 90, 105 + 90]], dtype=torch.float64)
    torch.testing.assert_close(region, by_hand)


def few(**changes):
    return rtmdnet.Config(**FEWER | {"first_positives": 8, "first_negatives": 64} | changes)


def test_the_first_frame_learns_from_every_box_in_every_scene(moving, monkeypatch):
    frames, truth = moving(40, 32)
    rows = {}
    for scenes in rtmdnet.SCENES:
        tracker = rtmdnet.Tracker(few(scenes=scenes))

        def learned(learner, targets, background, *_, scenes=scenes):
            rows[scenes] = len(targets.rows), len(background.rows)
            return [0.0]

        monkeypatch.setattr(Classifier, "fine_tune", learned)
        tracker.init(frames[0], truth[0])
        assert list(tracker.positives.counts) == [8]  # which is as it was
    assert rows == {"turns": (8, 64), "all": (40, 320)}


def test_after_a_failure_the_search_is_as_wide_as_configured(moving):
    """The authors' 1.4 at once; by default 1.0."""
    frames, truth = moving(40, 32)
    wide = {"growth": 1.4 / 0.6, "translation_limit": 1.4, "reach": 2.0}
    for changes, translation, widest in ((wide, 1.4, 1.4), ({}, 1.0, 1.0)):
        tracker = rtmdnet.Tracker(few(augment=False, **changes))
        tracker.init(frames[0], truth[0])
        assert tracker.translation == 0.6
        tracker.classifier.scores = lambda features: torch.linspace(-2, -1, len(features))
        tracker.update(frames[1])
        assert tracker.translation == pytest.approx(translation)
        tracker._set_frame(frames[1])
        tracker.config = replace(tracker.config, candidates=3000)
        offset = (B.centres(tracker._candidates()) - B.centres(tracker.box)).abs().max()
        assert offset / tracker.box[2:].mean() <= widest + 1e-9
    assert (rtmdnet.Config().padding, rtmdnet.Config().reach) == (ROI_PADDING, REACH) == (1.6, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenes": "some"}, "rtmdnet.Config: expected scenes among turns, all, got 'some'"),
        ({"pooling": "mean"}, "expected pooling among adaptive, align, pool, got 'mean'"),
        ({"padding": 0.5}, "rtmdnet.Config: expected padding from 1 to 4, got 0.5"),
        ({"reach": 9.0}, "rtmdnet.Config: expected reach from 0.1 to 4, got 9.0"),
    ],
)
def test_a_config_of_what_cannot_be_is_told(changes, message):
    with pytest.raises(ValueError, match=message):
        rtmdnet.Config(**changes)


def test_another_pooling_of_a_scene_is_told(dense):
    with pytest.raises(ValueError, match="expected pooling among adaptive, align, pool, got 'm'"):
        SceneFeatures(dense, "conv3", pooling="m")
