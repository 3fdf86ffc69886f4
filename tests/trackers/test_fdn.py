"""FDN's boxes are pooled from one map of the frame, where they lie."""

import pytest
import torch

from trackerlib.nets.backbone import Tap, tap
from trackerlib.nets.vggm import CHANNELS, VGGM
from trackerlib.ops import roi_align, roi_pool
from trackerlib.trackers.fdn import FrameFeatures


@pytest.fixture(scope="module")
def network():
    return VGGM().eval()


def test_the_feature_scale_multiplies(frame, boxes, network):
    features = FrameFeatures(network, "conv3")
    with torch.no_grad():
        features.feature_scale = 1.0
        features.set_frame(frame)
        plain = features(boxes)
        features.feature_scale = 3.0
        features.set_frame(frame)
        torch.testing.assert_close(features(boxes), 3 * plain)


@pytest.mark.parametrize("pooling", ["align", "pool"])
def test_a_box_is_pooled_from_where_it_lies(frame, boxes, identity, pooling):
    geometry = Tap(stride=4, receptive_field=11, centre=5.5, channels=3)
    features = FrameFeatures(identity(geometry), "map", pooling, feature_scale=1.0)
    features.set_frame(frame)
    pooled = features(boxes).view(2, 3, 3, 3)[:, :2]
    # the largest point of a bin is its last: at 2/3, or the cell at its end
    third = (torch.arange(3) + (2 / 3 if pooling == "align" else 1)) / 3
    bins = torch.stack(torch.meshgrid(third, third, indexing="xy"))
    places = boxes[:, :2, None, None] + boxes[:, 2:, None, None] * bins
    slack = 0.8 if pooling == "align" else 2.0
    torch.testing.assert_close(pooled, (places / 2 - 0.25).float(), atol=slack, rtol=0)


def test_the_whole_frame_has_map_positions_to_its_edges(frame, network):
    geometry = network.taps["conv3"]
    features = FrameFeatures(network, "conv3")
    with torch.no_grad():
        features.set_frame(frame)
    height, width = features.map.shape[2:]
    assert features.zoom == 2.5  # 240 to 600
    end = torch.tensor([[320.0, 240, 0, 0]], dtype=torch.float64)
    corner = features.boxes_on_map(end)[0, :2]
    last = (torch.tensor([width, height]) - 1) * geometry.stride
    assert (corner - last <= geometry.stride / 2 + 1).all()
    start = features.boxes_on_map(torch.zeros(1, 4, dtype=torch.float64))[0, :2]
    assert (start >= -geometry.stride).all()


def test_pooling_is_that_of_the_ops(frame, boxes, network):
    with torch.no_grad():
        for pooling in ("align", "pool"):
            features = FrameFeatures(network, "conv3", pooling, samples=3)
            features.set_frame(frame)
            rois = torch.nn.functional.pad(features.boxes_on_map(boxes).float(), (1, 0))
            if pooling == "align":
                choice = {"sampling_ratio": 3, "reduce": "max", "points": "interior"}
                expected = roi_align(features.map, rois, 3, 1 / 16, **choice)
            else:
                expected = roi_pool(features.map, rois, 3, 1 / 16)
            torch.testing.assert_close(features(boxes), expected.flatten(1), rtol=0, atol=0)


def test_an_unknown_pooling_is_told(identity):
    geometry = tap([], CHANNELS["conv3"])
    with pytest.raises(ValueError, match="expected pooling align or pool, got 'mean'"):
        FrameFeatures(identity(geometry), "map", "mean")
