"""Tracking one segment: boxes, seconds, warnings, errors."""

import dataclasses
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from fake_tracker import BOX, WHOLE, FakeTracker, replace_frame

from trackerlib.data.sequence import FrameError, ImageFiles
from trackerlib.eval.protocols import Segment
from trackerlib.eval.tracking import track

DECODING = 0.3  # seconds; far more than five predictions take on a busy machine


def test_a_track_begins_with_the_box_given(dark):
    result = track(FakeTracker(), dark, WHOLE)
    np.testing.assert_allclose(result.boxes, BOX + 0.1 * np.arange(5)[:, None])
    assert (result.seconds > 0).all() and result.warnings == ()


def test_a_segment_begins_where_it_says(dark):
    result = track(FakeTracker(), dark, Segment("tre03", 3, BOX + 1))
    np.testing.assert_allclose(result.boxes, [BOX + 1, BOX + 1.1])


@pytest.mark.parametrize("content", [None, b"", b"no image", np.zeros((40, 40, 3), np.uint8)])
def test_an_unusable_frame_keeps_the_last_box(dark, content):
    replace_frame(dark, 2, content)
    result = track(FakeTracker(), dark, WHOLE)
    np.testing.assert_allclose(result.boxes[:, 0], [10, 10.1, 10.1, 10.2, 10.3])
    assert result.seconds[2] == 0 and (np.delete(result.seconds, 2) > 0).all()
    (warning,) = result.warnings
    assert "Dark, frame 3" in warning and "the last box stays" in warning


def test_an_unusable_first_frame_is_an_error(dark):
    replace_frame(dark, 0, b"no image")
    with pytest.raises(FrameError, match=r"Dark, frame 1: .*0001\.png: not a readable image"):
        track(FakeTracker(), dark, WHOLE)


@pytest.mark.parametrize("box", [[70, 8, 20, 16], [10, 8, 0, 16], [10, np.nan, 20, 16]])
def test_an_unusable_first_box_is_an_error(dark, box):
    with pytest.raises(ValueError, match="Dark, frame 1, first box"):
        track(FakeTracker(), dark, Segment("ope", 0, np.array(box)))


def test_a_box_that_the_tracker_refuses_is_named(dark):
    with pytest.raises(ValueError, match="Dark, frame 1, first box: expected at least 5 pixels"):
        track(FakeTracker("too small"), dark, WHOLE)


@pytest.mark.parametrize("behaviour", ["three", "nothing"])
def test_anything_but_four_numbers_is_an_error(dark, behaviour):
    with pytest.raises(ValueError, match="Dark, frame 2: expected a box of 4 numbers"):
        track(FakeTracker(behaviour), dark, WHOLE)


def test_nan_passes_with_a_warning(dark):
    result = track(FakeTracker("nan"), dark, WHOLE)
    assert np.isnan(result.boxes[1:]).all() and len(result.warnings) == 4
    assert "Dark, frame 2: the tracker predicted [nan" in result.warnings[0]


def test_seconds_are_the_trackers_alone(dark):
    @dataclass(frozen=True)
    class Slow:
        frames: ImageFiles

        def __len__(self):
            return len(self.frames)

        def __getitem__(self, index):
            time.sleep(DECODING)
            return self.frames[index]

    slow = dataclasses.replace(dark, frames=Slow(dark.frames))
    assert track(FakeTracker(), slow, WHOLE).seconds.sum() < DECODING


def test_seconds_wait_for_the_gpu(dark, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: time.sleep(0.01))
    assert (track(FakeTracker(), dark, WHOLE).seconds >= 0.01).all()


class Reporting(FakeTracker):
    """A tracker with something to say when it starts, and about one frame."""

    def init(self, frame, box):
        super().init(frame, box)
        self.warnings, self.updates = ["it is not repeatable"], 0

    def update(self, frame):
        self.updates += 1
        self.warnings = ["the window is flat"] if self.updates == 2 else []
        return super().update(frame)


def test_what_a_tracker_says_is_kept_once(dark):
    assert track(Reporting(), dark, WHOLE).warnings == (
        "Dark, frame 1: it is not repeatable",
        "Dark, frame 3: the window is flat",
    )


def test_one_warning_hides_no_other(dark):
    result = track(Reporting("nan"), dark, WHOLE)
    assert "Dark, frame 3: the tracker predicted [nan" in result.warnings[2]
    assert result.warnings[2].endswith("; Dark, frame 3: the window is flat")


def test_what_was_said_of_a_frame_is_not_said_again_of_one_that_the_tracker_does_not_see(dark):
    replace_frame(dark, 3, b"no image")
    warnings = track(Reporting(), dark, WHOLE).warnings
    assert len(warnings) == 3 and "flat" not in warnings[2] and "frame 4" in warnings[2]


def test_a_clock_that_stands_still_hides_no_warning(dark, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    assert len(track(Reporting(), dark, WHOLE).warnings) == 2
