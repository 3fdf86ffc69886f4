"""Boxes are cut out where they lie, with their context."""

import torch

from trackerlib.nets.vggm import VGGM
from trackerlib.trackers.mdnet.features import CONTEXT, CROP_SIDE, CropFeatures


def test_a_crop_holds_the_box_and_its_context(frame, boxes):
    shown = []

    def backbone(crops, name):
        shown.append(crops)
        return (crops[:, :, ::40, ::40],)

    crops = CropFeatures(backbone, feature_scale=1.0)
    crops.set_frame(frame)
    assert crops(boxes).shape == (2, 27)
    (images,) = shown
    assert images.shape == (2, 3, CROP_SIDE, CROP_SIDE)
    middle = CROP_SIDE // 2
    step = 60 * (1 + 2 * CONTEXT / CROP_SIDE) / CROP_SIDE  # pixels of the frame, of the crop
    places = 130 + (torch.arange(CROP_SIDE) - middle) * step
    torch.testing.assert_close(images[0, 0, middle], places / 2 - 0.5, atol=0.3, rtol=0)


def test_crops_do_not_depend_on_how_many_there_are(frame, boxes):
    network = VGGM().eval()
    crops = CropFeatures(network)
    crops.set_frame(frame)
    with torch.no_grad():
        many = crops(boxes.repeat(40, 1))
        torch.testing.assert_close(many[78:], crops(boxes), rtol=1e-4, atol=1e-4)


def test_the_feature_scale_multiplies(frame, boxes):
    network = VGGM().eval()
    crops = CropFeatures(network, feature_scale=3.0)
    with torch.no_grad():
        crops.feature_scale = 1.0
        crops.set_frame(frame)
        plain = crops(boxes)
        crops.feature_scale = 3.0
        crops.set_frame(frame)
        torch.testing.assert_close(crops(boxes), 3 * plain)
