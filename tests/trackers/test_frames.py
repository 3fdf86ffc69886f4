"""Every tracker checks its frames: what is refused, with which cure, and what is not."""

import copy
import re
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_trackers import SPECIFICATIONS

from trackerlib import checks
from trackerlib.trackers import identity, parse

GOOD = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
GREY = GOOD[..., 0]
TENSOR = torch.from_numpy(GOOD).permute(2, 0, 1)
BOX = np.array([8.0, 6, 12, 10])
BAD = {  # what is no frame, and whether what the message says to take is one
    "float 0 to 1": (GOOD / 255, True),
    "float32 0 to 1": ((GOOD / 255).astype(np.float32), True),
    "float16 0 to 255": (GOOD.astype(np.float16), True),
    "normalised": (GOOD / 127.5 - 1, False),
    "not a number": (np.full(GOOD.shape, np.nan), False),
    "int64": (GOOD.astype(np.int64), True),
    "int64 below 0": (GOOD.astype(np.int64) - 9, False),
    "uint16": (GOOD.astype(np.uint16) * 257, True),
    "bool": (GOOD > 127, True),
    "grey": (GREY, True),
    "grey with an axis": (GREY[..., None], True),
    "grey float": (GREY / 255, True),
    "grey and opacity": (GOOD[..., :2], True),
    "RGBA": (np.concatenate((GOOD, GOOD[..., :1]), -1), True),
    "channels first": (GOOD.transpose(2, 0, 1), True),
    "batch": (GOOD[None], True),
    "batch of two": (np.stack((GOOD, GOOD)), False),
    "five channels": (np.zeros((24, 32, 5), np.uint8), False),
    "one axis": (GREY[0], False),
    "tensor": (TENSOR, True),
    "tensor (H, W, 3)": (torch.from_numpy(GOOD), True),
    "bfloat16 tensor 0 to 1": (TENSOR[None].to(torch.bfloat16) / 255, True),
    "tensor with a gradient": ((TENSOR / 255).requires_grad_(), True),
    "no pixels": (GOOD[:0], False),
    "complex": (GOOD.astype(complex), False),
    "text": (np.full((4, 4, 3), "a"), False),
    "None": (None, False),
    "list": (GOOD.tolist(), True),
    "path": ("frame.png", False),
    "Path": (Path("frame.png"), False),
    "what OpenCV reads": ((True, GOOD), False),
    "number": (7, False),
    "UMat": (cv2.UMat(GOOD), True),
}


@pytest.fixture(scope="module")
def trackers(moving):
    """All trackers, with the target of a frame that is a view and cannot be written."""
    frames, truth = moving(40, 32)
    made = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, text in SPECIFICATIONS.items():
            made[name] = parse(text).build(seed=0)
            made[name].init(view(frames[0]), truth[0])
    return made


def view(frame):
    """Such as OpenCV's frame[..., ::-1], and np.asarray of an image of PIL: the same pixels."""
    turned = np.flip(np.flip(frame, -1).copy(), -1)
    turned.flags.writeable = False
    return turned


@pytest.mark.parametrize("kind", BAD)
def test_every_tracker_refuses_what_is_no_frame(trackers, moving, kind):
    frame, box = BAD[kind][0], moving(40, 32)[1][0]
    error = ValueError if isinstance(frame, np.ndarray | torch.Tensor) else TypeError
    for name, tracker in trackers.items():
        where = rf"{name}\.Tracker\.{{}}: expected a frame \(H, W, 3\) uint8 RGB, got .*; \w"
        with pytest.raises(error, match=where.format("update")):
            tracker.update(frame)
        with pytest.raises(error, match=where.format("init")):
            tracker.init(frame, box)


@pytest.mark.parametrize("kind", BAD)
def test_what_the_message_says_to_take_is_a_frame(kind):
    frame, is_cured = BAD[kind]
    tracker = identity.Tracker()
    with pytest.raises((ValueError, TypeError)) as raised:
        tracker.init(frame, BOX)
    code = re.search(r"; take (.*)$", str(raised.value))
    if is_cured:
        tracker.init(eval(code[1]), BOX)
    elif code:  # to be completed: a file to read, a pair to take apart
        assert "frame" in code[1]


def test_the_cures_keep_the_picture():
    for kind in ("float 0 to 1", "uint16", "int64", "RGBA", "channels first", "tensor", "list"):
        frame = BAD[kind][0]
        with pytest.raises((ValueError, TypeError)) as raised:
            identity.Tracker().init(frame, BOX)
        cured = eval(re.search(r"; take (.*)$", str(raised.value))[1])
        np.testing.assert_array_equal(cured, GOOD, err_msg=f"{kind}, {frame is None}")


def test_a_frame_of_another_size_is_refused_with_the_first_ones(trackers, moving):
    frames, _ = moving(40, 32)
    for name, tracker in trackers.items():
        told = f"{name}.Tracker.update: expected a frame of 320x240 pixels, as the first one, got "
        with pytest.raises(ValueError, match=told + r"310x240; .*cv2.resize\(frame, \(320, 240\)"):
            tracker.update(frames[1][:, :310])


def test_every_tracker_takes_views_and_frames_that_cannot_be_written(trackers, moving):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch's, about memory that cannot be written
        for tracker in trackers.values():
            assert np.isfinite(tracker.update(view(moving(40, 32)[0][1]))).all()


def test_a_checked_frame_is_the_frame_itself_or_its_pixels():
    tracker = identity.Tracker()
    assert checks.first_frame(tracker, GOOD) is GOOD
    checked = checks.first_frame(tracker, view(GOOD))
    assert checked.flags.c_contiguous and checked.flags.writeable
    np.testing.assert_array_equal(checked, GOOD)


def test_an_init_that_fails_leaves_no_target(trackers, moving):
    frames, _ = moving(40, 32)
    for name, tracker in trackers.items():
        tried = copy.copy(tracker)
        with pytest.raises(ValueError, match="first_box: expected"):
            tried.init(frames[0], [10, 10, 0, 0])
        with pytest.raises(RuntimeError, match=rf"{name}.Tracker.update: .* call init\(frame, b"):
            tried.update(frames[1])


def test_the_check_takes_microseconds():
    tracker = identity.Tracker()
    tracker.init(GOOD, BOX)
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        checks.next_frame(tracker, GOOD)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1e-4
