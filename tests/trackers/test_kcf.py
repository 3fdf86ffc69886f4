"""KCF on made-up and real video; its algebra is tested with the correlation filter."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackerlib import boxes as B
from trackerlib.data.otb import read_otb
from trackerlib.eval.metrics import score
from trackerlib.trackers.kcf import Config, Tracker, contrast

PUBLISHED_AUC = {"Crossing": 0.698, "Football1": 0.698, "Surfer": 0.465}  # the authors' boxes


@pytest.mark.parametrize(
    ("features", "kernel", "size"),
    [
        ("hog", "gaussian", (40, 32)),
        ("hog", "linear", (40, 32)),
        ("gray", "gaussian", (40, 32)),
        ("gray", "linear", (40, 32)),
        ("hog", "gaussian", (110, 100)),  # large: halved
    ],
)
def test_it_follows_a_translating_texture(moving, features, kernel, size):
    frames, truth = moving(*size)
    tracker = Tracker(Config(features=features, kernel=kernel))
    tracker.init(frames[0], truth[0])
    tracked = np.array([tracker.update(frame) for frame in frames[1:]])
    assert B.centre_distance(tracked, truth[1:]).max() < 8
    np.testing.assert_array_equal(tracked[:, 2:], truth[1:, 2:])


@pytest.mark.parametrize("size", [(40, 32), (110, 100)], ids=["small", "halved"])
def test_whole_cells_are_followed_exactly_in_one_step(moving, size):
    frames, truth = moving(*size)
    tracker = Tracker()
    tracker.init(frames[0], truth[0])
    moved = tracker.update(np.roll(frames[0], (8, 16), (0, 1)))
    np.testing.assert_array_equal(moved, truth[0] + [16, 8, 0, 0])


def test_steps_between_cells_bring_the_box_closer(moving):
    frames, truth = moving(40, 32)
    errors = []
    for subcell in (False, True):
        tracker = Tracker(Config(subcell=subcell))
        tracker.init(frames[0], truth[0])
        tracked = np.array([tracker.update(frame) for frame in frames[1:]])
        errors.append(B.centre_distance(tracked, truth[1:]).mean())
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("name", PUBLISHED_AUC)
def test_it_scores_like_the_authors_code_on_real_video(shared, name):
    (sequence,) = read_otb(shared / "otb", [name])
    tracker = Tracker()
    first, *others = sequence.read()
    tracker.init(first, sequence.boxes[0])
    tracked = np.array([sequence.boxes[0], *map(tracker.update, others)])
    assert score(tracked, sequence.boxes).auc == pytest.approx(PUBLISHED_AUC[name], abs=0.02)


def test_the_published_values_follow_the_features():
    raw = replace(Config(), features="gray").filled()
    assert (raw.cell, raw.sigma, raw.learning_rate) == (1, 0.2, 0.075)
    assert Config(sigma=0.7).filled().sigma == 0.7
    with pytest.raises(ValueError, match="expected kernel among gaussian, linear, got 'cubic'"):
        Config(kernel="cubic")


@pytest.mark.parametrize(
    "change",
    [
        {"cell": 0},
        {"sigma": 0.0},
        {"sigma": float("nan")},
        {"learning_rate": 1.5},
        {"regularisation": 0.0},
        {"padding": -1.0},
        {"label_sigma": -0.1},
        {"large": -1.0},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(change):
    ((field, value),) = change.items()
    with pytest.raises(ValueError, match=f"kcf.Config: expected {field} from .*, got {value}"):
        Config(**change)


def test_the_learning_rate_is_the_share_of_the_newest_frame(moving):
    frames, truth = moving(40, 32)
    tracker = Tracker(Config(learning_rate=1.0))
    tracker.init(frames[0], truth[0])
    box = tracker.update(frames[1])
    fresh = Tracker()
    fresh.init(frames[1], box)
    torch.testing.assert_close(tracker.xf, fresh.xf)
    torch.testing.assert_close(tracker.alphaf, fresh.alphaf)


@pytest.mark.parametrize(
    ("features", "side"), [("hog", 4.8), ("gray", 1.2)], ids=["three cells", "three pixels"]
)
def test_the_smallest_target(moving, features, side):
    frames, _ = moving(40, 32)
    tracker = Tracker(Config(features=features))
    tracker.init(frames[0], [70, 60, side, side])
    assert np.isfinite(tracker.update(frames[1])).all()
    with pytest.raises(ValueError, match=f"at least {side} pixels"):
        tracker.init(frames[0], [70, 60, side, side - 0.1])


def test_leaving_the_frame_is_no_error(moving):
    frames, _ = moving(40, 32)
    tracker = Tracker()
    tracker.init(frames[0], [300, 220, 60, 60])
    for _ in range(20):
        frames[0] = np.roll(frames[0], (8, 8), (0, 1))
        assert np.isfinite(tracker.update(frames[0])).all()
    tracker.box[:2] = 5000, -5000
    assert np.isfinite(tracker.update(frames[0])).all()


def test_the_answer_is_the_callers_own(moving):
    frames, truth = moving(40, 32)
    start = truth[0].copy()
    tracker = Tracker()
    tracker.init(frames[0], start)
    tracker.update(frames[1])[:] = np.nan
    np.testing.assert_array_equal(start, truth[0])
    assert np.isfinite(tracker.update(frames[2])).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_boxes(moving):
    frames, truth = moving(40, 32)
    tracks = []
    for device in ("cpu", "cuda"):
        tracker = Tracker(device=device)
        tracker.init(frames[0], truth[0])
        tracks.append(np.array([tracker.update(frame) for frame in frames[1:]]))
    np.testing.assert_array_equal(*tracks)


def blank(frame, noise):
    """What a camera sees with its lens closed: black, with noise of so many grey levels."""
    levels = np.random.default_rng(0).normal(16, noise, frame.shape[:2])
    return np.rint(levels)[..., None].repeat(3, -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("noise", [0, 0.3, 1])
@pytest.mark.parametrize(("features", "kernel"), [("hog", "gaussian"), ("gray", "linear")])
def test_a_flat_frame_changes_neither_box_nor_model(moving, noise, features, kernel):
    frames, truth = moving(40, 32)
    tracker = Tracker(Config(features=features, kernel=kernel))
    tracker.init(frames[0], truth[0])
    assert tracker.warnings == []
    box, model = tracker.update(frames[1]), (tracker.xf, tracker.alphaf)
    for _ in range(3):
        np.testing.assert_array_equal(tracker.update(blank(frames[0], noise)), box)
        [told] = tracker.warnings
        assert "search window is flat" in told and "the box and the model stay" in told
        assert tracker.xf is model[0] and tracker.alphaf is model[1]
    tracker.update(frames[2])
    assert tracker.warnings == [] and tracker.xf is not model[0]


@pytest.mark.parametrize("name", ["Crossing", "Football1"])
def test_a_black_frame_in_real_video_does_not_lose_the_target(shared, name):
    (sequence,) = read_otb(shared / "otb", [name])
    frames = [frame for frame, _ in zip(sequence.read(), range(40), strict=False)]
    frames[20] = np.zeros_like(frames[20])
    tracker = Tracker()
    tracker.init(frames[0], sequence.boxes[0])
    tracked, told = [], []
    for frame in frames[1:]:
        tracked.append(tracker.update(frame))
        told.append(bool(tracker.warnings))
    assert B.box_iou(np.array(tracked[20:]), sequence.boxes[21:40]).mean() > 0.5
    assert told == [index == 20 for index in range(1, 40)]


def test_a_window_that_moves_onto_a_flat_place_is_not_learned_from(moving):
    """The target leaves, and what is most like it in the search window lies beside a wall."""
    frames, truth = moving(40, 32)
    tracker = Tracker()
    tracker.init(frames[0], truth[0])
    model, window = tracker.alphaf, tracker._window
    seen = iter([window(frames[1]), torch.zeros(80, 100)])
    tracker._window = lambda frame: next(seen)
    tracker.update(frames[4])
    assert "is flat" in tracker.warnings[0] and tracker.alphaf is model


def test_a_target_without_contrast_is_told_at_once(moving):
    frames, truth = moving(40, 32)
    tracker = Tracker()
    tracker.init(np.full_like(frames[0], 90), truth[0])
    assert "there is no target to learn; start from another frame" in tracker.warnings[0]
    tracker.init(frames[0], truth[0])
    assert tracker.warnings == []


def test_a_dark_target_is_no_flat_window():
    """Of five grey levels in all: as dark as the embedded benchmark's Spotlight."""
    y, x = np.mgrid[:240, :320]
    frame = (5 * ((x // 8 + y // 8) % 2))[..., None].repeat(3, -1).astype(np.uint8)
    tracker = Tracker()
    tracker.init(frame, [100, 100, 40, 40])
    tracker.update(frame)
    assert tracker.warnings == []


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.full((9, 7), 0.3), 0.0),
        (torch.arange(2.0).repeat_interleave(8).expand(8, 16), 127.5),
        (torch.arange(2.0).repeat(8).expand(8, 16), 0.0),  # finer than a cell
        (
            torch.stack(
                (torch.zeros(2, 8), torch.tensor([0, 0.4]).repeat_interleave(4).expand(2, 8))
            ),
            51,
        ),
    ],
    ids=["flat", "halves", "stripes of a pixel", "one of two channels"],
)
def test_contrast_is_the_deviation_of_means_over_cells(image, expected):
    assert contrast(image) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("features", ["hog", "gray"])
def test_the_number_of_threads_changes_no_box_and_is_restored(moving, features):
    frames, truth = moving(40, 32)
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        tracker = Tracker(Config(features=features, subcell=True))
        tracker.init(frames[0], truth[0])
        found.append([tracker.update(frame) for frame in frames[1:]])
        with pytest.raises(ValueError):
            tracker.update(frames[0][:-1])
        after = torch.get_num_threads()
        torch.set_num_threads(before)
        assert after == threads
    np.testing.assert_array_equal(*found)
