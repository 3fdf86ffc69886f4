"""The probe against scalar loops and features whose worth is known."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from trackerlib.analysis import linear_probe as module
from trackerlib.analysis.linear_probe import average_precision, probe, probe_levels, ridge, views
from trackerlib.boxes import box_iou
from trackerlib.data.sequence import Sequence

SIZE = 96, 128  # height, width


def clip(boxes, name="made", seed=0):
    """Noise with a patch that follows the boxes, and a copy of it that stands still."""
    random = np.random.default_rng(seed)
    scene, patch = (random.integers(0, 256, (*size, 3), np.uint8) for size in (SIZE, (24, 16)))
    frames = []
    for x, y, w, h in np.nan_to_num(boxes).astype(int):
        frame = scene.copy()
        frame[70:94, 108:124] = patch
        target = frame[y : y + h, x : x + w]
        target[:24, :16] = patch[: target.shape[0], : target.shape[1]]
        frames.append(frame)
    return Sequence(name, frames, np.array(boxes, dtype=float), np.arange(len(frames)))


def moving(frames=4):
    return [(20 + 3 * i, 30 + 2 * i, 16, 24) for i in range(frames)]


def ious_of(sequence):
    """Return the best feature that there is: the IoU itself."""
    known = {view.boxes.tobytes(): view.ious for view in views(sequence)}
    return lambda frame, boxes: torch.from_numpy(known[boxes.tobytes()])[:, None]


def slow_average_precision(scores, positive):
    precisions = []
    for score, hit in zip(scores, positive, strict=True):
        if hit:
            above = [p for s, p in zip(scores, positive, strict=True) if s >= score]
            precisions.append(sum(above) / len(above))
    return sum(precisions) / len(precisions)


@pytest.mark.parametrize("levels", [2, 5, 1000], ids=["many ties", "ties", "hardly any"])
def test_average_precision_is_the_loop(levels):
    random = np.random.default_rng(levels)
    for _ in range(20):
        scores, positive = random.integers(levels, size=40) / 7, random.random(40) < 0.3
        positive[0] = True
        expected = slow_average_precision(scores, positive)
        assert_allclose(average_precision(scores, positive), expected)


def test_average_precision_by_hand():
    positive = np.array([True, False, True, False])
    assert_allclose(average_precision(np.array([4.0, 3, 2, 1]), positive), (1 + 2 / 3) / 2)
    assert average_precision(np.array([4.0, 1, 3, 2]), positive) == 1
    assert average_precision(np.zeros(4), positive) == 0.5


def test_the_dual_is_the_primal():
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(30, 5, generator=random, dtype=torch.float64)
    labels = torch.randn(30, generator=random, dtype=torch.float64)
    x = rows - rows.mean(0)
    x /= x.square().sum(1).mean().sqrt()
    primal = torch.linalg.solve(x.T @ x + 0.3 * torch.eye(5, dtype=x.dtype), x.T @ labels)
    torch.testing.assert_close(ridge(rows, labels, 0.01), primal)


def test_the_iou_itself_is_a_perfect_feature():
    sequence = clip(moving())
    result = probe(ious_of(sequence), sequence)
    best = [np.sort(view.ious)[-5:].mean() for view in views(sequence)][1:]
    assert_array_equal(result.ap, 1)
    assert_allclose(result.iou, best)
    assert_array_equal(result.frames, [1, 2, 3])


def test_constant_features_are_chance():
    sequence = clip(moving(10) * 4)
    result = probe(lambda frame, boxes: torch.full((len(boxes), 7), 0.1), sequence)
    shown = list(views(sequence))[1:]
    found, background = (
        np.array([f(view.ious).sum() for view in shown])
        for f in (lambda o: o >= 0.5, lambda o: o <= 0.3)
    )
    assert_allclose(result.ap, found / (found + background))
    expected = [view.ious.mean() for view in shown]
    assert_allclose(result.iou.mean(), np.mean(expected), atol=0.05)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_features_does_not_matter(scale):
    sequence = clip(moving())

    def features(frame, boxes):
        return torch.from_numpy(np.sin(boxes @ np.arange(24).reshape(4, 6) / 50))

    expected = probe(features, sequence)
    result = probe(lambda *view: scale * features(*view), sequence)
    assert_allclose(result.ap, expected.ap)
    assert_allclose(result.iou, expected.iou)
    assert (expected.ap < 1).all()


def test_levels_are_measured_as_if_alone():
    sequence = clip(moving())
    good, bad = ious_of(sequence), lambda frame, boxes: torch.from_numpy(boxes[:, 2:])
    both = probe_levels(lambda *view: {"good": good(*view), "bad": bad(*view)}, sequence)
    for name, alone in (("good", good), ("bad", bad)):
        result = probe(alone, sequence)
        assert_array_equal(both[name].ap, result.ap)
        assert_array_equal(both[name].iou, result.iou)


def test_all_features_see_the_same():
    first, again = (list(views(clip(moving()))) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert_array_equal(one.boxes, other.boxes)
        assert_array_equal(one.frame, other.frame)
    renamed = next(views(clip(moving(), name="other")))
    assert not np.array_equal(first[0].boxes, renamed.boxes)
    assert not np.array_equal(first[0].ious, first[1].ious)
    assert_array_equal([v.index for v in views(clip(moving(8)), every=3)], [0, 3, 6])


def test_candidates_are_good_wide_and_look_alike():
    sequence = clip(moving())
    for view in views(sequence):
        height, width = view.frame.shape[:2]
        scale = width / SIZE[1]
        middles = view.boxes[:, :2] + view.boxes[:, 2:] / 2
        assert (view.ious >= 0.7).sum() >= 5
        assert (view.ious <= 0.3).sum() >= 100
        quarters = {tuple(q) for q in (middles // (width / 4, height / 4)).astype(int).tolist()}
        assert {(i, j) for i in range(4) for j in range(4)} <= quarters
        copy = np.array([108, 70, 16, 24]) * scale
        assert box_iou(view.boxes, copy).max() > 0.85  # what correlation finds exactly


def test_the_copy_is_the_first_look_alike():
    (frame, *_), box = clip(moving()).frames, np.array(moving()[0])
    template = frame[30:54, 20:36]
    found = module.look_alikes(frame, template, box[2:], box)
    assert_array_equal(found[0], (108, 70, 16, 24))
    assert len(found) <= module.MAX_PEAKS and (box_iou(found, box) <= 0.3).all()
    assert module.look_alikes(frame, template, np.array([200, 24]), box).shape == (0, 4)


@pytest.mark.parametrize(
    ("size", "side"),
    [((16, 24), 2 * 384**0.5), ((64, 64), 64)],
    ids=["at most twice", "64 pixels"],
)
def test_frames_are_scaled_by_the_first_target(size, side):
    view = next(views(clip([(20, 20, *size)])))
    assert_allclose(side / np.prod(size) ** 0.5, view.frame.shape[1] / SIZE[1], rtol=0.01)


def test_frames_without_a_target_are_left_out():
    boxes = moving(5)
    boxes[1], boxes[3] = (np.nan,) * 4, (140, 30, 16, 24)
    assert_array_equal([view.index for view in views(clip(boxes))], [0, 2, 4])


def test_a_first_target_may_reach_out_of_the_frame():
    boxes = [(-12, 30, 16, 24), (2, 30, 16, 24)]
    assert [view.index for view in views(clip(boxes))] == [0, 1]


def test_a_target_that_fills_the_frame_still_has_background():
    for view in views(clip([(0, 0, 128, 96)] * 2)):
        assert (view.ious <= 0.3).any() and (view.ious >= 0.7).any()


def test_errors():
    sequence = clip(moving())
    for rows, text in ((torch.zeros(3, 2), r"\(3, 2\)"), (torch.zeros(3, 2, 2), r"\(3, 2, 2\)")):
        with pytest.raises(ValueError, match=f"one row per box, got {text}"):
            probe(lambda *view, rows=rows: rows, sequence)
    with pytest.raises(ValueError, match="expected finite features"):
        probe(lambda frame, boxes: torch.full((len(boxes), 2), torch.nan), sequence)
    for boxes in (moving(1), [*moving(1), (np.nan,) * 4]):
        with pytest.raises(ValueError, match="a known target after the first"):
            probe(lambda frame, boxes: torch.ones(len(boxes), 2), clip(boxes))
    with pytest.raises(ValueError, match=r"made, first frame: expected four finite numbers"):
        probe(lambda frame, boxes: torch.ones(len(boxes), 2), clip([(np.nan,) * 4]))
