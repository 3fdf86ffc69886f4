"""trackerlib/eval/video.py: what is done is kept, whatever ends the tracking."""

import dataclasses
import os
import shutil
import signal
import stat
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_tracker import BOX, FakeTracker, replace_frame

from trackerlib.data.annotated_video import AnnotatedVideo
from trackerlib.eval.box_files import BoxFile, write_text
from trackerlib.eval.interrupts import Interrupted
from trackerlib.eval.video import follow_targets, follow_video

pytest.importorskip("av", reason="needs PyAV")


def follow(tracker, sequence, boxes=None, video=None):
    results = follow_targets([tracker], sequence.boxes[:1], sequence)
    return follow_video(results, sequence, boxes and BoxFile(boxes), video)


class Ended(FakeTracker):
    """A tracker during whose third update something happens."""

    def __init__(self, ending):
        super().__init__()
        self.ending, self.updates = ending, 0

    def update(self, frame):
        self.updates += 1
        if self.updates == 3:
            self.ending()
        return super().update(frame)


def crash():
    raise RuntimeError("out of memory")


def interrupt(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "boxes.txt", AnnotatedVideo(folder / "video.mp4", 25)


def frames_of(path):
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    return count


def test_everything_is_kept_of_a_whole_video(dark, outputs):
    found = follow(FakeTracker(), dark, *outputs)
    boxes, video = outputs
    rows = np.loadtxt(boxes, delimiter=",")
    np.testing.assert_array_equal(rows, found.track.boxes)  # to the last bit
    np.testing.assert_allclose(rows, BOX + 0.1 * np.arange(5)[:, None])
    assert frames_of(video.path) == 5 and found.written == (video.path, boxes)
    assert (found.errors, found.stopped, found.track.warnings) == ((), None, ())
    assert found.summary("fake", "Dark").startswith("fake: 5 frames of Dark at ")
    assert found.summary("fake", "Dark").endswith(f"wrote {video.path} and {boxes}")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_keeps_the_frames_so_far(dark, outputs, name):
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    number = getattr(signal, name)
    before = signal.getsignal(number)
    found = follow(Ended(interrupt(number)), dark, *outputs)
    boxes, video = outputs
    assert len(boxes.read_text().splitlines()) == frames_of(video.path) == 3
    assert isinstance(found.stopped, Interrupted) and found.stopped.number == number
    assert found.summary("fake", "Dark").startswith("interrupted: fake: 3 of 5 frames of Dark")
    assert signal.getsignal(number) == before


def test_a_crash_keeps_the_frames_so_far(dark, outputs):
    found = follow(Ended(crash), dark, *outputs)
    boxes, video = outputs
    assert len(boxes.read_text().splitlines()) == frames_of(video.path) == 3
    assert str(found.stopped) == "out of memory" and found.track.boxes.shape == (3, 4)
    assert "RuntimeError: fake: 3 of 5 frames" in found.summary("fake", "Dark")


def test_a_signal_during_a_frames_writing_keeps_that_frame_whole(dark, outputs):
    boxes, video = outputs
    write, calls = video.write, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        write(*arguments)

    video.write = interrupted
    found = follow(FakeTracker(), dark, boxes, video)
    assert isinstance(found.stopped, KeyboardInterrupt)
    assert len(boxes.read_text().splitlines()) == frames_of(video.path) == 2


def test_what_ends_it_on_the_first_frame_leaves_no_file(dark, outputs):
    with pytest.raises(ValueError, match="expected at least 5 pixels"):
        follow(FakeTracker("too small"), dark, *outputs)
    assert not list(outputs[0].parent.iterdir())


@pytest.mark.parametrize("name", ["video.png", "no/video.mp4"])
def test_boxes_are_written_though_the_video_cannot(dark, outputs, name):
    boxes = outputs[0]
    found = follow(FakeTracker(), dark, boxes, AnnotatedVideo(boxes.parent / name, 25))
    assert len(boxes.read_text().splitlines()) == 5
    assert found.written == (boxes,) and name in found.errors[0] and len(found.errors) == 1


def test_a_video_that_cannot_be_written_ends_it_where_no_boxes_are_asked_for(dark, tmp_path):
    tracker = Ended(crash)
    with pytest.raises(ValueError, match="expected a name that ends in"):
        follow(tracker, dark, video=AnnotatedVideo(tmp_path / "video.png", 25))
    assert tracker.updates == 0


def test_the_video_is_kept_though_the_boxes_cannot(dark, outputs, monkeypatch):
    boxes, video = outputs

    def full(self, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(tempfile, "tempdir", str(boxes.parent.parent))
    found = follow(FakeTracker(), dark, boxes, video)
    assert found.written[0] == video.path and frames_of(video.path) == 5
    assert len(found.written[1].read_text().splitlines()) == 5
    assert "boxes.txt: No space left on device; the disk is full: free" in found.errors[0]
    assert [one.name for one in boxes.parent.iterdir()] == ["video.mp4"]


def test_boxes_that_cannot_be_written_are_told_before_the_tracking(dark, tmp_path):
    tracker = Ended(crash)
    with pytest.raises(OSError, match=r"nowhere/b\.txt: .*its folder does not exist: make it"):
        follow(tracker, dark, tmp_path / "nowhere" / "b.txt")
    assert tracker.updates == 0


def test_a_disk_with_room_for_a_name_alone_is_told_before_the_tracking(dark, outputs):
    """It takes an empty file, and refuses 5 rows of boxes."""
    resource = pytest.importorskip("resource", reason="needs limits of Unix")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    tracker, boxes = Ended(crash), outputs[0]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*boxes\.txt: .*; a file may not be"):
            follow(tracker, dark, boxes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert tracker.updates == 0 and not list(boxes.parent.iterdir())


@pytest.mark.parametrize("refusing", [0, 1, 2])
def test_boxes_that_cannot_be_written_at_the_end_are_kept_elsewhere(
    dark, outputs, tmp_path, monkeypatch, refusing
):
    """`refusing` of the temporary folder and the cache do not take them either."""
    boxes, (temporary, cache) = outputs[0], (tmp_path / "temporary", tmp_path / "cache")
    for folder in (temporary, cache)[:refusing]:
        folder.write_text("no folder")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TRACKERLIB_CACHE", str(cache))
    found = follow(Ended(lambda: shutil.rmtree(boxes.parent)), dark, boxes)
    assert f"{boxes}: No such file or directory; its folder does not exist" in found.errors[0]
    if refusing < 2:
        (kept,) = found.written
        assert kept.parent == (temporary, cache)[refusing]
        assert found.errors[0].endswith(f"; the boxes are kept in {kept}")
        assert f"wrote {kept}" in found.summary("fake", "Dark")
        rows = kept.read_text().splitlines()
    else:
        rows = found.errors[0].splitlines()[1:]
    np.testing.assert_array_equal(np.loadtxt(rows, delimiter=","), found.track.boxes)


def test_every_warning_is_in_one_list(dark, outputs):
    replace_frame(dark, 2, b"no image")
    noticed = dataclasses.replace(dark, warnings=("Dark: 1 frame is grey",))
    boxes, _ = outputs
    found = follow(FakeTracker(), noticed, boxes, AnnotatedVideo(boxes.with_name("v.gif"), 60))
    grey, unreadable, rate = found.track.warnings
    assert "grey" in grey and "Dark, frame 3" in unreadable and "plays at 50 " in rate


def test_several_targets_are_followed_in_one_pass(dark, outputs):
    boxes, video = outputs
    trackers = [FakeTracker(), FakeTracker()]
    results = follow_targets(trackers, np.array([BOX, BOX + 5]), dark)
    found = follow_video(results, dark, BoxFile(boxes, 2), video, targets=2)
    assert found.frames == frames_of(video.path) == 5 and found.track.boxes.shape == (10, 4)
    files = [boxes.with_name(f"boxes.{number}.txt") for number in (1, 2)]
    assert found.written == (video.path, *files)
    for number, file in enumerate(files):
        rows = np.loadtxt(file, delimiter=",")
        np.testing.assert_allclose(rows, BOX + 5 * number + 0.1 * np.arange(5)[:, None])
    assert ", 2 targets at " in found.summary("fake", "Dark")


def test_a_crash_between_two_targets_drops_that_frame_alone(dark, outputs):
    boxes, video = outputs
    results = follow_targets([FakeTracker(), Ended(crash)], np.array([BOX, BOX]), dark)
    found = follow_video(results, dark, BoxFile(boxes, 2), video, targets=2)
    assert found.frames == frames_of(video.path) == 3
    assert all(len(path.read_text().splitlines()) == 3 for path in found.written[1:])


def test_a_disk_that_fills_up_keeps_video_and_boxes_so_far(dark, outputs, monkeypatch):
    from trackerlib.data import video_writer

    boxes, video = outputs
    write, told = video_writer.VideoWriter.write, []

    def full(self, image, time):
        if self.frames == 3:
            with self._guarded():
                raise OSError(28, "No space left on device")
        write(self, image, time)

    monkeypatch.setattr(video_writer.VideoWriter, "write", full)
    monkeypatch.setitem(video_writer.H264, "tune", "zerolatency")  # no frames wait inside
    results = follow_targets([FakeTracker()], dark.boxes[:1], dark)
    found = follow_video(results, dark, BoxFile(boxes), video, tell=told.append)
    assert len(boxes.read_text().splitlines()) == 5 and found.written == (video.path, boxes)
    assert told == list(found.errors) and len(told) == 1
    assert "the disk is full: free some space; it has the first 3 frames" in told[0]
    assert frames_of(video.path) == 3


def test_what_a_tracker_says_of_itself_is_in_the_results(dark):
    class Sure(FakeTracker):
        probability, is_lost = 0.25, True

    first, *others = follow_targets([Sure()], dark.boxes[:1], dark)
    assert (first.score, first.lost, first.frame, first.time) == (None, True, 1, 0)
    assert {(one.score, one.lost) for one in others} == {(0.25, True)}
    assert [one.time for one in others] == [0.04, 0.08, 0.12, 0.16]
    silent = list(follow_targets([FakeTracker()], dark.boxes[:1], dark))
    assert {(one.score, one.lost) for one in silent} == {(None, None)}


def test_boxes_go_to_a_pipe_as_to_a_file(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes with names")
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "1,2,3,4\n")
    assert os.read(end, 100) == b"1,2,3,4\n"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
