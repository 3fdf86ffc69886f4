"""FDN's boxes are pooled from one map of the frame, where they lie."""

import pytest
import torch

from trackerlib.nets.backbone import Tap, tap
from trackerlib.nets.vggm import CHANNELS, VGGM
from trackerlib.ops import roi_align, roi_pool
from trackerlib.trackers.fdn import Config, FrameFeatures, ReleasedFeatures, Tracker


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


def one_bin(cells, start, end, bin_, points=2):
    """The released kernel along one axis in words: positions of a bin's points, on the map.

    start and end in cells; the extent is end - start + 1; a bin is cut at the map's border, and
    its points stand at 1/3 and 2/3 of it.
    """
    size = max(end - start + 1, 1)
    low, high = (min(max(start + size * edge / 3, 0), cells) for edge in (bin_, bin_ + 1))
    if high <= low:
        return []
    return [min(low + (high - low) * (k + 1) / (points + 1), cells - 1) for k in range(points)]


def interpolated(plane, y, x):
    """The bilinear value of a map (H, W) at a point, from its four neighbours."""
    top, left = int(y), int(x)
    total = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            total += weight * plane[row][column] if weight else 0
    return total


@pytest.mark.parametrize(
    "box",
    [
        [100.0, 90, 60, 30],
        [140, 60, 30, 60],
        [0, 0, 9, 7],  # extents below a cell have one more, too
        [-20, 40, 50, 50],  # cut at the map's border
        [300, 220, 60, 60],  # the map of a frame without padding ends before the frame does
        [400, 300, 50, 50],  # nothing left: 0
    ],
)
def test_the_released_geometry_against_a_loop(frame, identity, box):
    stride = 16
    geometry = Tap(stride=stride, receptive_field=107, centre=53.5, channels=3)
    features = ReleasedFeatures(identity(geometry), "map", feature_scale=1.0)
    features.set_frame(frame)
    x, y, w, h = (2.5 * side / stride for side in box)  # 240 pixels become 600
    planes = features.map[0].tolist()
    rows, columns = features.map.shape[2:]
    assert (rows, columns) == (-(-(600 - 2 * 53) // stride), -(-(800 - 2 * 53) // stride))
    expected = [
        max(
            (
                interpolated(plane, v, u)
                for v in one_bin(rows, y, y + h, i)
                for u in one_bin(columns, x, x + w, j)
            ),
            default=0.0,
        )
        for plane in planes
        for i in range(3)
        for j in range(3)
    ]
    found = features(torch.tensor([box], dtype=torch.float64))[0]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-3)


def test_the_released_geometry_pools_whole_cells_of_the_box(frame, boxes, identity):
    geometry = Tap(stride=4, receptive_field=11, centre=5.5, channels=3)
    features = ReleasedFeatures(identity(geometry), "map", "pool", feature_scale=1.0)
    features.set_frame(frame)
    corners = torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1) * 2.5
    rois = torch.nn.functional.pad(corners.float(), (1, 0))
    expected = roi_pool(features.map, rois, 3, 1 / 4).flatten(1)
    torch.testing.assert_close(features(boxes), expected, rtol=0, atol=0)


def test_the_released_geometry_is_off_by_the_receptive_field(frame, boxes, identity):
    """What the class says: a box is pooled from what lies 53.5 pixels of the map's further on."""
    geometry = Tap(stride=4, receptive_field=107, centre=53.5, channels=3)
    pooled = []
    for make in (ReleasedFeatures, FrameFeatures):
        features = make(identity(geometry), "map", feature_scale=1.0)
        features.set_frame(frame)
        pooled.append(features(boxes).view(2, 3, 3, 3)[:, :2])
    # a value is half of its place in the frame, of which 2.5 pixels are one
    shift = (pooled[0] - pooled[1]) * 2 * 2.5
    torch.testing.assert_close(shift, torch.full_like(shift, 53.5), rtol=0, atol=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"geometry": "free"},
            "fdn.Config: expected geometry among centred, released, got 'free'",
        ),
        ({"pooling": "mean"}, "fdn.Config: expected pooling among align, pool, got 'mean'"),
    ],
)
def test_a_config_of_what_there_is_not_is_told(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


def test_boxes_are_centred_by_default():
    assert Config().geometry == "centred"
    for geometry, kind in (("centred", FrameFeatures), ("released", ReleasedFeatures)):
        config = Config(backbone="random", head="random", mode="float32", geometry=geometry)
        assert type(Tracker(config).features) is kind


def test_an_unknown_pooling_is_told(identity):
    geometry = tap([], CHANNELS["conv3"])
    with pytest.raises(ValueError, match="expected pooling align or pool, got 'mean'"):
        FrameFeatures(identity(geometry), "map", "mean")
