"""HCF on made-up and real video: levels, windows, one frame computed apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackerlib import boxes as B
from trackerlib import weights
from trackerlib.data.otb import read_otb
from trackerlib.eval.metrics import score
from trackerlib.trackers import parse
from trackerlib.trackers.hcf import Config, Tracker, search_window

PLAIN = Config(mode="float32")


def start(frames, truth, config=PLAIN):
    tracker = Tracker(config)
    tracker.init(frames[0], truth[0])
    return tracker


@pytest.mark.parametrize("levels", ["conv1+conv2+conv3", "conv3", "conv1"])
def test_it_follows_a_translating_texture(moving, levels):
    frames, truth = moving(40, 32)
    tracker = start(frames, truth, replace(PLAIN, levels=levels))
    tracked = np.array([tracker.update(frame) for frame in frames[1:]])
    assert B.centre_distance(tracked, truth[1:]).max() < 8
    np.testing.assert_array_equal(tracked[:, 2:], truth[1:, 2:])


def test_whole_cells_are_followed_exactly_in_one_step(moving):
    frames, truth = moving(40, 32)
    moved = start(frames, truth).update(np.roll(frames[0], (8, 16), (0, 1)))
    np.testing.assert_array_equal(moved, truth[0] + [16, 8, 0, 0])


@pytest.mark.parametrize(
    ("target", "window"),
    [((40, 32), (112, 89)), ((30, 61), (84, 85)), ((30, 60), (84, 168)), ((100, 90), (200, 180))],
    ids=["others", "tall", "not quite tall", "large"],
)
def test_the_window_follows_the_authors_rule(target, window):
    found = search_window(np.array(target, dtype=float), (320, 240), Config())
    np.testing.assert_array_equal(found, window)


def test_maps_lie_where_the_window_is():
    """A step in brightness stands at its place on every level."""
    frame = np.zeros((240, 320, 3), np.uint8)
    frame[:, 160:] = 200
    tracker = start([frame], [[140, 100, 40, 40]])  # the step is in the middle
    for features in tracker.maps(frame):
        across = features.mean(1)  # (C, W)
        change = (across[:, 1:] - across[:, :-1]).abs().sum(0)
        middle = (change * torch.arange(1, len(change) + 1)).sum() / change.sum()
        assert middle == pytest.approx(features.shape[-1] / 2, abs=1)


def test_one_frame_equals_an_independent_computation(moving):
    """Weights, fused response and box of the second frame, by FFTs of numpy in float64."""
    frames, truth = moving(40, 32)
    tracker = start(frames, truth)
    learned, seen = ([m.double().numpy() for m in tracker.maps(f)] for f in frames[:2])
    rows, columns = tracker.size
    hann = np.outer(np.hanning(rows), np.hanning(columns))
    sigma = 0.1 * np.sqrt(40 * 32) / 4
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in (rows, columns))
    label = np.fft.fft2(np.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma**2)))
    fused, weight = 0, 0.25
    for level, (old, new) in enumerate(zip(learned, seen, strict=True)):
        xf, zf = np.fft.fft2(old * hann), np.fft.fft2(new * hann)
        alphaf = label / ((xf * xf.conj()).sum(0) / old.size + 1e-4)
        expected = torch.from_numpy(alphaf[:, : columns // 2 + 1]).to(torch.complex64)
        torch.testing.assert_close(tracker.alphaf[level], expected, rtol=1e-3, atol=1e-3)
        response = np.fft.ifft2(alphaf * (zf * xf.conj()).sum(0) / old.size).real
        fused, weight = fused + weight * response / response.max(), 2 * weight
    ours = tracker.respond(tracker.spectra(tracker.maps(frames[1]))).double()
    torch.testing.assert_close(ours, torch.from_numpy(fused), rtol=1e-3, atol=1e-3)
    row, column = np.unravel_index(fused.argmax(), fused.shape)
    shift = [(n + size // 2) % size - size // 2 for n, size in ((column, columns), (row, rows))]
    np.testing.assert_array_equal(
        tracker.update(frames[1])[:2], truth[0, :2] + 4 * np.array(shift)
    )


def test_the_answer_is_the_callers_own(moving):
    frames, truth = moving(40, 32)
    tracker = start(frames, truth)
    tracker.update(frames[1])[:] = np.nan
    assert np.isfinite(tracker.update(frames[2])).all()


@pytest.mark.parametrize(
    "box", [[300, 220, 60, 60], [-30, -30, 50, 50], [0, 0, 320, 240], [70, 60, 9, 9]]
)
def test_awkward_boxes_and_even_frames_are_no_error(moving, box):
    frames, _ = moving(40, 32)
    tracker = start(frames, [box])
    for frame in (frames[1], np.full_like(frames[0], 90)):
        assert np.isfinite(tracker.update(frame)).all()


def test_unusable_settings_and_boxes_are_refused(moving):
    frames, _ = moving(40, 32)
    with pytest.raises(
        ValueError, match=r"levels among conv1, conv2, conv3, joined by \+, got fire5"
    ):
        Tracker(replace(PLAIN, levels="conv1+fire5"))
    with pytest.raises(ValueError, match=r"hcf.Config: expected fade from 0 to 10, got -1"):
        replace(PLAIN, fade=-1)
    with pytest.raises(ValueError, match=r"strides \[2, 8, 8\] divide, got 220"):
        Tracker(replace(PLAIN, side=220))
    with pytest.raises(ValueError, match="first_box: expected"):
        start(frames, [[10, 10, 4, 30]])


def test_a_specification_names_levels():
    config = parse("hcf:backbone=vgg19-conv3,levels=conv2_2+conv3_4").config
    assert config == replace(Config(), backbone="vgg19-conv3", levels="conv2_2+conv3_4")


def test_it_tracks_on_real_video_with_vgg19(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKERLIB_CACHE", str(tmp_path))
    weights.add(next((shared / "weights").glob("vgg19*/*.safetensors")))
    (sequence,) = read_otb(shared / "otb", ["Crossing"])
    frames = [frame for frame, _ in zip(sequence.read(), range(21), strict=False)]
    config = replace(PLAIN, backbone="vgg19-conv3", levels="conv3_4")
    tracker = start(frames, sequence.boxes, config)
    assert tracker.border == 0
    tracked = np.array([tracker.update(frame) for frame in frames[1:]])
    assert score(tracked, sequence.boxes[1:21]).auc > 0.5


@pytest.mark.parametrize("name", ["hcf", "msdat"])
def test_a_flat_frame_changes_neither_box_nor_model(moving, name):
    frames, truth = moving(40, 32)
    tracker = parse(f"{name}:mode=float32,side=112").build()
    tracker.init(np.full_like(frames[0], 90), truth[0])
    assert "there is no target to learn" in tracker.warnings[0]
    tracker.init(frames[0], truth[0])
    assert tracker.warnings == []
    box, model = tracker.update(frames[1]), (tracker.xf, tracker.alphaf)
    for grey in (0, 90):
        np.testing.assert_array_equal(tracker.update(np.full_like(frames[0], grey)), box)
        assert "the box and the model stay what they were" in tracker.warnings[0]
        assert tracker.xf is model[0] and tracker.alphaf is model[1]
    assert B.centre_distance(tracker.update(frames[2]), truth[2]) < 8
    assert tracker.warnings == [] and tracker.xf is not model[0]


def test_colours_of_one_brightness_are_contrast(moving):
    """For KCF, which sees brightness alone, this frame is flat."""
    _, truth = moving(40, 32)
    y, x = np.mgrid[:240, :320]
    red = ((x // 8 + y // 8) % 2 == 0)[..., None]
    frame = np.where(red, [190, 0, 0], [0, 97, 0]).astype(np.uint8)
    for name, is_flat in (("hcf:mode=float32,side=112", False), ("kcf", True)):
        tracker = parse(name).build()
        tracker.init(frame, truth[0])
        assert bool(tracker.warnings) == is_flat
