"""The plain detection tracker on a made-up backbone: geometry, updates, repeatability."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackerlib import boxes as B
from trackerlib import weights
from trackerlib.data.otb import read_otb
from trackerlib.eval.metrics import score
from trackerlib.nets.backbone import Backbone, Window, convolution
from trackerlib.trackers import parse
from trackerlib.trackers.detection import Config, Tracker
from trackerlib.weights import inference

FAST = Config(
    layer="conv",
    target_size=64,
    scene=5,
    first_negatives=500,
    first_iterations=30,
    first_lr=0.02,
    iterations=5,
)


WINDOW = Window(11, stride=4)


class Layer(Backbone):
    """One random convolution: enough for a texture."""

    def __init__(self, factor=1.0):
        super().__init__({"conv": [WINDOW]}, {"conv": 32}, mean=[128.0] * 3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = convolution(3, 32, WINDOW)
        self.layer.weight.data.mul_(factor)

    def step(self, name, x):
        return torch.relu(self.layer(x))


class Picture(Backbone):
    """The map is the image itself, at the centres of the units."""

    def __init__(self):
        super().__init__({"conv": [WINDOW]}, {"conv": 3}, mean=[0.0] * 3)

    def step(self, name, x):
        return x[:, :, 5:-5:4, 5:-5:4]


@pytest.fixture
def backbone(monkeypatch):
    def use(backbone):
        backbone.dtype = torch.float32
        monkeypatch.setattr(inference, "load", lambda *_, **__: backbone)

    use(Layer().requires_grad_(False))
    return use


def track(frames, box, config=FAST, seed=0):
    tracker = Tracker(config, seed=seed)
    tracker.init(frames[0], box)
    return np.array([tracker.update(frame) for frame in frames[1:]])


def test_it_follows_a_translating_texture(moving, backbone):
    frames, truth = moving(40, 32)
    tracked = track(frames, truth[0])
    assert tracked.dtype == np.float64
    assert B.box_iou(tracked, truth[1:]).min() > 0.6


def test_the_same_seed_gives_the_same_boxes(moving, backbone):
    frames, truth = moving(40, 32)
    first, again, other = (track(frames[:5], truth[0], seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_a_second_init_starts_afresh(moving, backbone):
    frames, truth = moving(40, 32)
    tracker, tracks = Tracker(FAST), []
    for _ in range(2):
        tracker.init(frames[0], truth[0])
        tracks.append([tracker.update(frame) for frame in frames[1:4]])
    np.testing.assert_array_equal(*tracks)


def test_the_scale_of_the_backbone_does_not_matter(moving, backbone):
    frames, truth = moving(40, 32)
    tracks = []
    for factor in (1.0, 1024.0):
        backbone(Layer(factor).requires_grad_(False))
        tracks.append(track(frames[:5], truth[0]))
    np.testing.assert_allclose(*tracks, atol=1e-3)


def test_a_box_is_pooled_where_it_lies(backbone):
    backbone(Picture())
    y, x = np.mgrid[:240, :320]
    frame = np.stack((x / 2, y / 2, 0 * x), -1).astype(np.uint8)  # a pixel's place, halved
    tracker = Tracker(FAST)
    tracker.init(frame, [100, 90, 60, 30])
    boxes = torch.tensor([[100.0, 90, 60, 30], [140, 60, 30, 60]], dtype=torch.float64)
    pooled = (tracker.features(boxes) * tracker.features.rms).view(2, 3, 3, 3)[..., :2]
    third = (torch.arange(3) + 0.5) / 3
    bins = torch.stack(torch.meshgrid(third, third, indexing="xy"), -1)  # x, y of their centres
    places = boxes[:, None, None, :2] + boxes[:, None, None, 2:] * bins
    torch.testing.assert_close(pooled, (places / 2 - 0.5).float(), atol=0.3, rtol=0)


@pytest.mark.parametrize(
    ("value", "frames", "rows"),
    [(1.0, 3, []), (1.0, 20, [10, 20]), (-1.0, 3, [1, 2, 3]), (0.0, 3, [])],
    ids=["success", "long-term", "short-term", "neither"],
)
def test_when_it_learns(moving, backbone, value, frames, rows):
    (frame, *_), truth = moving(40, 32)
    tracker = Tracker(FAST)
    tracker.init(frame, truth[0])
    learned, kept = [], len(tracker.positives.counts)
    tracker.classifier.scores = lambda features: torch.full((len(features),), value)
    tracker.classifier.fine_tune = lambda positives, negatives, lr, *_: learned.append(
        tracker.frame_index
    )
    for _ in range(frames):
        tracker.update(frame)
    assert learned == rows
    assert len(tracker.positives.counts) == kept + (frames if value > 0 else 0)


def test_the_search_widens_while_the_target_is_lost(moving, backbone):
    (frame, *_), truth = moving(40, 32)
    tracker, widths = Tracker(FAST), []
    tracker.init(frame, truth[0])
    tracker.classifier.fine_tune = lambda *_: None
    for value in [-1.0] * 11 + [1.0]:
        tracker.classifier.scores = lambda features, value=value: torch.full((256,), value)
        tracker.update(frame)
        widths.append(tracker.translation)
    assert widths == pytest.approx([min(0.6 * 1.1**n, 1.5) for n in range(1, 12)] + [0.6])


@pytest.mark.parametrize(
    "box",
    [[300, 220, 60, 60], [-30, -30, 50, 50], [0, 0, 320, 240], [70, 60, 2, 2], [10, 0, 4, 240]],
    ids=["low corner", "high corner", "whole frame", "smallest", "a line"],
)
def test_awkward_boxes_are_no_error(moving, backbone, box):
    frames, _ = moving(40, 32)
    tracked = track(frames[:3], box)
    assert np.isfinite(tracked).all() and (tracked[:, 2:] >= 2).all()
    inside = B.box_iou(tracked, np.array([0.0, 0, 320, 240]))
    assert (inside > 0).all()


@pytest.mark.parametrize("box", [[10, 10, 1, 30], [400, 10, 20, 20], [10, 10, np.nan, 9]])
def test_unusable_boxes_are_refused(moving, backbone, box):
    frames, _ = moving(40, 32)
    with pytest.raises(ValueError, match="first_box: expected"):
        Tracker(FAST).init(frames[0], box)


def test_the_answer_is_the_callers_own(moving, backbone):
    frames, truth = moving(40, 32)
    tracker = Tracker(FAST)
    tracker.init(frames[0], truth[0])
    tracker.update(frames[1])[:] = np.nan
    assert np.isfinite(tracker.update(frames[2])).all()


def test_a_specification_names_backbone_and_layer():
    config = parse("detection:backbone=squeezenet,layer=fire5,target_size=80").config
    assert config == replace(Config(), backbone="squeezenet", layer="fire5", target_size=80)


def test_a_map_that_the_backbone_has_not_is_named():
    with pytest.raises(
        ValueError, match=r"layer among conv1, conv2, conv3, .*random, got 'fire5'"
    ):
        Tracker(Config(backbone="random", layer="fire5", mode="float32"))


def test_a_random_backbone_is_the_seeds_and_leaves_other_random_numbers_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    config = Config(backbone="random", mode="float32")
    networks = [Tracker(config, seed=seed).backbone.backbone for seed in (0, 0, 1)]
    first, again, other = (network.conv1.weight for network in networks)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)
    torch.testing.assert_close(torch.rand(1), expected, rtol=0, atol=0)


def test_it_tracks_on_real_video_with_squeezenet(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKERLIB_CACHE", str(tmp_path))
    weights.add(next((shared / "weights").glob("squeezenet*/*.safetensors")))
    (sequence,) = read_otb(shared / "otb", ["Crossing"])
    first, *others = [frame for frame, _ in zip(sequence.read(), range(21), strict=False)]
    config = Config(backbone="squeezenet", layer="fire5", mode="float32")
    tracked = track([first, *others], sequence.boxes[0], config)
    assert score(tracked, sequence.boxes[1:21]).auc > 0.6
