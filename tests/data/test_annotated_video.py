"""trackerlib/data/annotated_video.py: the video that `track --out` writes."""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackerlib.data import video
from trackerlib.data.annotated_video import COLOURS, AnnotatedVideo, drawn
from trackerlib.data.sequence import FrameError
from trackerlib.data.video import frames_per_second

pytest.importorskip("av", reason="needs PyAV")


@dataclass
class Target:
    box: np.ndarray
    score: float | None = None
    lost: bool | None = None
    target: int = 1


ONE = [Target(np.array([10.0, 5.0, 20.0, 10.0]))]


def noise(number, size=(48, 64)):
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def count(path):
    capture, found = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        found += 1
    return found


def test_an_annotated_video_begins_with_a_usable_frame(tmp_path):
    annotated = AnnotatedVideo(tmp_path / "out.mp4", 25)
    with pytest.raises(ValueError, match="expected a usable first frame, got: damaged"):
        annotated.write(FrameError("damaged"), ONE)


def test_in_place_of_an_unusable_frame_the_last_is_shown_again(tmp_path):
    annotated = AnnotatedVideo(tmp_path / "out.mp4", 25)
    for one in (noise(0), FrameError("damaged"), noise(1)):
        annotated.write(one, ONE)
    annotated.close()
    assert annotated.frames == count(tmp_path / "out.mp4") == 3


@pytest.mark.parametrize("fps", [0, -25.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_an_error(fps):
    with pytest.raises(ValueError, match=f"expected frames per second above 0, got {fps}"):
        AnnotatedVideo(Path("out.mp4"), fps)


@pytest.mark.parametrize("told", [0.0, -1.0, math.nan, math.inf])
def test_a_source_without_a_rate_gets_25_and_a_warning(monkeypatch, told):
    class Capture:
        def __init__(self, _path):
            pass

        def get(self, _property):
            return told

    monkeypatch.setattr(video.cv2, "VideoCapture", Capture)
    rate, warning = frames_per_second(Path("clip.h264"))
    expected = f"clip.h264: expected a frame rate above 0, its header says {told:g}"
    assert rate == 25 and expected in warning


def test_a_folder_has_no_rate_and_gets_25(tmp_path):
    assert frames_per_second(tmp_path) == (25.0, "")


def test_what_cannot_be_written_is_told_with_the_first_frame(tmp_path):
    annotated = AnnotatedVideo(tmp_path / "nowhere" / "out.mp4", 25)
    with pytest.raises(OSError, match=r"nowhere/out\.mp4 whole: .*its folder does not exist"):
        annotated.write(noise(0), ONE)
    annotated.close()
    assert annotated.frames == 0


def test_an_error_is_told_once(tmp_path, monkeypatch):
    annotated = AnnotatedVideo(tmp_path / "out.mp4", 25)
    annotated.write(noise(0), ONE)

    def full(image, time):
        raise OSError("the disk is full")

    monkeypatch.setattr(annotated._writer, "write", full)
    with pytest.raises(OSError, match="the disk is full"):
        for number in range(100):
            annotated.write(noise(number), ONE)
    annotated.close()


def test_the_file_is_there_when_it_is_closed_and_not_before(tmp_path):
    annotated = AnnotatedVideo(tmp_path / "out.mp4", 25)
    annotated.write(noise(0), ONE)
    assert not (tmp_path / "out.mp4").exists()
    annotated.close()
    assert [one.name for one in tmp_path.iterdir()] == ["out.mp4"]
    annotated.close()


@pytest.mark.parametrize(
    "box", [[1e12, 5, 20, 10], [-1e300, -1e300, 2e300, 2e300], [200, 5, 255, 9], [math.nan] * 4]
)
def test_any_box_is_drawn(box):
    assert drawn(noise(0), [Target(np.array(box), 0.5, True)]).shape == (48, 64, 3)


def test_every_target_has_its_colour():
    boxes = [[4.0, 4, 10, 10], [40.0, 4, 10, 30]]
    targets = [Target(np.array(box), target=n) for n, box in enumerate(boxes, 1)]
    image = drawn(np.zeros((48, 64, 3), np.uint8), targets)
    np.testing.assert_array_equal(image[13, 4], COLOURS[0])
    np.testing.assert_array_equal(image[30, 40], COLOURS[1])


def test_score_number_and_loss_are_written_above_the_box():
    dark = np.zeros((200, 300, 3), np.uint8)
    box = np.array([100.0, 100, 50, 50])
    plain = drawn(dark, [Target(box)])
    assert not plain[:95].any() and not dark.any()
    widths = []
    for score, lost in ((None, True), (0.87, False), (0.12, True)):
        columns = drawn(dark, [Target(box, score, lost)])[:95].any((0, 2))
        widths.append(int(columns.sum()))
    assert 0 < widths[0] < widths[2] and 0 < widths[1] < widths[2]
