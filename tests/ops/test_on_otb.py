"""The ops on a tracker's own input: candidates around a target in a real frame."""

import numpy as np
import pytest
import torch
from made_rois import SCALE
from oracles import adaptive_roi_align as adaptive_oracle
from oracles import crop_and_resize as crop_oracle
from oracles import roi_align as align_oracle
from oracles import roi_pool as pool_oracle

from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data.otb import read_otb
from trackerlib.ops import adaptive_roi_align, crop_and_resize, roi_align, roi_pool

FDN = {"sampling_ratio": 2, "reduce": "max", "points": "interior"}
OPS = {  # op, its oracle, bins, settings
    "roi_pool": (roi_pool, pool_oracle, 3, {}),
    "Mask R-CNN": (roi_align, align_oracle, 3, {"sampling_ratio": 2}),
    "Mask R-CNN, as many points as cells": (roi_align, align_oracle, 3, {"aligned": True}),
    "FDN": (roi_align, align_oracle, 3, FDN),
    "RT-MDNet": (adaptive_roi_align, adaptive_oracle, 7, {"pool": True}),
}


@pytest.fixture(scope="module", params=["DragonBaby", "MotorRolling", "Couple"])
def scene(shared, request):
    """(H, W, 3) uint8 and 32 candidates (32, 4) around the target, amid the sequence."""
    (sequence,) = read_otb(shared / "otb", [request.param])
    middle = len(sequence.frames) // 2
    random = np.random.default_rng(0)
    x, y, w, h = np.tile(sequence.boxes[middle], (32, 1)).T
    growth = 1.05 ** random.normal(size=32)
    across, down = 12 * random.normal(size=(2, 32))
    boxes = np.stack((x + across, y + down, w * growth, h * growth), 1)
    return sequence.frames[middle], boxes


@pytest.mark.parametrize("name", OPS)
def test_regions_of_a_map(scene, name):
    op, oracle, bins, settings = OPS[name]
    frame, boxes = scene
    image = torch.tensor(frame).permute(2, 0, 1)[None] / 255 - 0.5
    filters = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) / 8
    features = torch.nn.functional.conv2d(image, filters, stride=8).relu()
    rois = torch.from_numpy(np.hstack((np.zeros((32, 1)), xywh_to_xyxy(boxes))))
    expected = oracle.forward(features.double().numpy(), rois.numpy(), bins, SCALE, **settings)
    actual = op(features, rois.float(), bins, SCALE, **settings).double()
    torch.testing.assert_close(actual, torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


def test_crops(scene):
    frame, boxes = scene
    values = [[128.0] * 3, [1.0] * 3, [128.0] * 3]
    expected = crop_oracle.crop_and_resize(frame, boxes[:2], (21, 19), *values, False)
    actual = crop_and_resize(torch.tensor(frame), torch.tensor(boxes[:2]), (21, 19), mean=128.0)
    torch.testing.assert_close(actual.double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-3)
