"""FDN's boxes are pooled from one map of the frame, where they lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackerlib.nets import squeezenet, vggm
from trackerlib.nets.backbone import Tap, tap
from trackerlib.nets.vggm import CHANNELS, VGGM
from trackerlib.ops import roi_align, roi_pool
from trackerlib.trackers import fdn
from trackerlib.trackers.fdn import (
    Config,
    FrameFeatures,
    ReleasedFeatures,
    Tracker,
    surroundings,
)
from trackerlib.trackers.mdnet import samplers


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


PLACES = torch.tensor(
    [
        [100.0, 90, 60, 30],
        [0.0, 0.0, 20, 20],  # at the frame's corners
        [310.5, 231.2, 9.5, 8.8],
        [-15.0, 200, 40, 60],  # across its edges
        [290.0, -30, 70, 50],
        [-300.0, -200, 50, 50],  # outside: before the map begins, and after it ends
        [700.0, 500, 50, 50],
        [150.3, 120.7, 0.4, 0.2],  # shorter than a map cell
        [153.6, 115.2, 64, 64],  # from one map cell to another, without fractions
        [-50.0, -50, 420, 340],  # all of the frame
    ],
    dtype=torch.float64,
)


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(0)
    return {
        "vggm": VGGM(vggm.Config(depth=5)).eval().requires_grad_(False),
        "squeezenet": squeezenet.SqueezeNet().eval().requires_grad_(False),
    }


@pytest.fixture
def noise(monkeypatch) -> np.ndarray:
    """A frame without any pattern, whose map is small."""
    monkeypatch.setattr(fdn, "SHORT", 300)
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def assert_rounded(found, expected):
    """Features are equal but for rounding: of sums, and of where in a map cell a point lies."""
    atol = 3e-5 * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("make", "network", "layer", "pooling"),
    [
        (FrameFeatures, "vggm", "conv3", "align"),
        (FrameFeatures, "vggm", "conv3", "pool"),
        (ReleasedFeatures, "vggm", "conv3", "align"),
        (ReleasedFeatures, "vggm", "conv3", "pool"),
        (FrameFeatures, "vggm", "conv5", "align"),  # its last convolutions pad
        (ReleasedFeatures, "vggm", "conv5", "pool"),
        (FrameFeatures, "squeezenet", "fire5", "align"),  # its poolings round sizes up
        (FrameFeatures, "squeezenet", "fire5", "pool"),
    ],
)
def test_a_part_of_the_map_equals_the_whole(noise, deep, make, network, layer, pooling):
    whole, part = (make(deep[network], layer, pooling) for _ in range(2))
    whole.set_frame(noise)
    expected = whole(PLACES)
    for box, row in zip(PLACES, expected, strict=True):
        part.set_frame(noise, box)
        assert_rounded(part(box[None])[0], row)
        assert part.map[0, 0].numel() < whole.map[0, 0].numel() / 2 or box[2] > 400
    part.set_frame(noise, PLACES[0])  # grows to what the boxes need
    assert_rounded(part(PLACES), expected)
    assert (part.end - part.first).equal(whole.limit)


def test_boxes_anywhere_are_pooled_as_from_the_whole_map(noise, network):
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(30, 4, generator=generator, dtype=torch.float64)
    boxes = places * torch.tensor([400, 300, 80, 80]) - torch.tensor([40, 30, 0, 0])
    whole, part = (FrameFeatures(network, "conv3") for _ in range(2))
    with torch.no_grad():
        whole.set_frame(noise)
        for pooling in ("align", "pool"):
            whole.pooling = part.pooling = pooling
            for few in boxes.split(3):
                part.set_frame(noise, few[0])
                assert_rounded(part(few), whole(few))


def test_what_is_there_is_not_made_again(frame, boxes, identity):
    made = []
    backbone = identity(Tap(stride=4, receptive_field=11, centre=5.5, channels=3))
    features = FrameFeatures(backbone, "map", feature_scale=1.0)
    make = features._make
    features._make = lambda first, end: made.append(end - first) or make(first, end)
    features.set_frame(frame, torch.tensor([90.0, 80, 120, 120], dtype=torch.float64))
    features(boxes[:1])
    assert len(made) == 1
    features(boxes[:0])  # of no boxes, no features
    assert len(made) == 1 and features(boxes[:0]).shape == (0, 27)
    features(boxes + 100)
    assert len(made) == 2 and (made[1] >= made[0]).all()
    features(boxes[:1])
    assert len(made) == 2


def test_the_map_is_whole_at_once_where_two_parts_would_cost_more(frame, boxes, identity):
    backbone = identity(Tap(stride=4, receptive_field=11, centre=5.5, channels=3))
    features = FrameFeatures(backbone, "map")
    everywhere = torch.tensor([0.0, 0, 320, 240], dtype=torch.float64)
    for later, whole in ((None, False), (boxes[1], False), (everywhere, True)):
        features.set_frame(frame, boxes[0], later)
        assert (features.end - features.first).equal(features.limit) == whole


def test_the_tracker_makes_one_part_for_candidates_and_one_for_samples(moving, monkeypatch):
    monkeypatch.setattr(fdn, "SHORT", 300)
    frames, truth = moving(40, 32)
    config = Config(backbone="random", head="random", mode="float32", candidates=32)
    few = {"first_positives": 40, "first_negatives": 100, "first_iterations": 1}
    config = replace(config, regression=False, iterations=1, **few)
    tracker = Tracker(config)
    tracker.init(frames[0], truth[0])
    assert (tracker.features.end - tracker.features.first).equal(tracker.features.limit)
    made = []
    make = tracker.features._make
    tracker.features._make = lambda first, end: made.append(end - first) or make(first, end)
    for found in (1.0, -1.0):
        made.clear()
        tracker.classifier.scores = lambda rows, found=found: torch.full((len(rows),), found)
        tracker.update(frames[1])
        assert len(made) == (2 if found > 0 else 1)


def test_boxes_drawn_around_a_box_lie_in_its_surroundings():
    box = torch.tensor([100.0, 90, 60, 30], dtype=torch.float64)
    region = torch.tensor([[0.0, 0], [1000, 1000]], dtype=torch.float64)
    sizes = torch.tensor([[2.0, 2], [1000, 1000]], dtype=torch.float64)
    drawn = samplers.Sampler(region, sizes, torch.Generator().manual_seed(0)).uniform(
        box, 2.0, 1.3, 2000
    )
    x, y, w, h = surroundings(box, 2.0, 1.3)
    ends = drawn[:, :2] + drawn[:, 2:]
    assert (drawn[:, 0] >= x).all() and (drawn[:, 1] >= y).all()
    assert (ends[:, 0] <= x + w).all() and (ends[:, 1] <= y + h).all()
    assert drawn[:, 0].min() - x < 10 and x + w - ends[:, 0].max() < 10
