"""KCF: its algebra against explicit shifts, and the tracker on made-up and real video."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.fft import irfft2, rfft2

from trackerlib import boxes as B
from trackerlib.data.otb import read_otb
from trackerlib.eval.metrics import score
from trackerlib.trackers import kcf
from trackerlib.trackers.kcf import Config, Tracker

SIZES = [(4, 5), (5, 4), (3, 3), (6, 8)]
PUBLISHED_AUC = {"Crossing": 0.698, "Football1": 0.698, "Surfer": 0.465}  # the authors' boxes


def templates(size):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)


def shifts(x):
    """(C, H, W) -> (H * W, C * H * W), the cyclic shifts of x, row by row."""
    _, h, w = x.shape
    return torch.stack([x.roll((i, j), (1, 2)).flatten() for i in range(h) for j in range(w)])


def gaussian(a, b, sigma=0.5):
    """Kernel values of all pairs of rows."""
    return torch.exp(-((a[:, None] - b) ** 2).mean(-1) / sigma**2)


@pytest.mark.parametrize("size", SIZES)
def test_gaussian_correlation_is_the_kernel_with_every_shift(size):
    x, z = templates(size)
    actual = irfft2(kcf.gaussian_correlation(rfft2(x), rfft2(z), size, 0.5), size)
    expected = gaussian(x.flatten()[None], shifts(z), 0.5).view(size)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("size", SIZES)
def test_linear_correlation_is_the_inner_product_with_every_shift(size):
    x, z = templates(size)
    actual = irfft2(kcf.linear_correlation(rfft2(x), rfft2(z), size), size)
    torch.testing.assert_close(actual, (shifts(z) @ x.flatten() / x.numel()).view(size))


@pytest.mark.parametrize("size", SIZES)
def test_training_and_response_are_kernel_ridge_regression(size):
    """Against the matrix of all pairs of shifts, solved as a linear system."""
    x, z = templates(size)
    y = kcf.gaussian_label(size, 0.7).double()
    kernel = gaussian(shifts(x), shifts(x))
    alpha = torch.linalg.solve(kernel + 1e-2 * torch.eye(len(kernel)), y.flatten())
    kf = kcf.gaussian_correlation(rfft2(x), rfft2(x), size, 0.5)
    alphaf = kcf.train(kf, rfft2(y), 1e-2)
    torch.testing.assert_close(irfft2(alphaf, size), alpha.view(size))
    expected = gaussian(shifts(z), shifts(x)) @ alpha  # of z moved by every shift
    moved = kcf.respond(alphaf, kcf.gaussian_correlation(rfft2(z), rfft2(x), size, 0.5), size)
    torch.testing.assert_close(moved.flip(0, 1).roll((1, 1), (0, 1)), expected.view(size))


def test_the_response_peaks_where_the_target_went():
    x, _ = templates((8, 9))
    xf, size = rfft2(x), (8, 9)
    alphaf = kcf.train(
        kcf.gaussian_correlation(xf, xf, size, 0.5), rfft2(kcf.gaussian_label(size, 1.0)), 1e-4
    )
    for shift in ((0, 0), (2, -3), (-4, 4), (3, 1)):
        zf = rfft2(x.roll(shift, (1, 2)))
        kf = kcf.gaussian_correlation(zf, xf, size, 0.5)
        assert kcf.peak(kcf.respond(alphaf, kf, size)) == shift


def test_the_label_is_one_at_no_shift_and_wraps():
    label = kcf.gaussian_label((5, 6), 1.5)
    assert label[0, 0] == 1
    torch.testing.assert_close(label[1, 0], torch.tensor(np.exp(-0.5 / 1.5**2)).float())
    torch.testing.assert_close(label[1:], label[1:].flip(0))
    torch.testing.assert_close(label[:, 1:], label[:, 1:].flip(1))


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
