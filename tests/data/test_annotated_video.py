"""trackerlib/data/annotated_video.py: the video that `track --out` writes."""

import contextlib
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackerlib.data import annotated_video
from trackerlib.data.annotated_video import (
    CONTAINERS,
    AnnotatedVideo,
    frames_per_second,
    writable_rate,
)
from trackerlib.data.sequence import FrameError

BOX = np.array([10.0, 5.0, 20.0, 10.0])


def noise(number, size=(48, 64)):
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def written(path, fps, count=5, size=(48, 64)):
    video = AnnotatedVideo(path, fps)
    for number in range(count):
        video.write(noise(number, size), BOX)
    video.close()
    return video


def read(path):
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    return count, capture.get(cv2.CAP_PROP_FPS)


@contextlib.contextmanager
def files_of_at_most(size):
    """A limit that ends files in the middle, as a disk does that is full."""
    resource = pytest.importorskip("resource", reason="needs limits of Unix")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_annotated_video_begins_with_a_usable_frame(tmp_path):
    annotated = AnnotatedVideo(tmp_path / "out.mp4", 25)
    with pytest.raises(ValueError, match="expected a usable first frame, got: damaged"):
        annotated.write(FrameError("damaged"), BOX)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (25, 25),
        (30000 / 1001, 29.97),
        (239.762, 239.76),
        (119.8801, 119.88),
        (7.492507, 7.493),
        (655.36, 655.36),
        (90000.0, 65535),
        (1e9, 65535),
        (1e-9, 0.002),
    ],
)
def test_the_next_rate_that_the_container_holds(tmp_path, fps, rate):
    assert writable_rate(fps) == rate
    video = written(tmp_path / "out.mp4", fps)
    assert read(tmp_path / "out.mp4") == (5, rate)
    assert written(tmp_path / "out.avi", fps).frames == read(tmp_path / "out.avi")[0] == 5
    is_close = abs(rate - fps) < 2e-6 * fps
    said = f"plays at {rate:.10g} frames per second, not {fps:.10g}"
    assert video.warnings == [] if is_close else said in video.warnings[0]


@pytest.mark.parametrize("fps", [1000.1, 1500, 2000, 65535.0])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_container_holds_all_frames_of_a_high_rate(tmp_path, suffix, fps):
    video = written(tmp_path / f"out{suffix}", fps, count=120, size=(16, 16))
    assert read(video.path)[0] == 120
    if suffix in (".avi", ".wmv"):
        (warning,) = video.warnings
        assert f"plays at 1000 frames per second, not {fps:g}" in warning
    elif suffix != ".mkv":  # whose times are in milliseconds
        assert not video.warnings


@pytest.mark.parametrize("fps", [7.3, 25.0, 29.97, 59.94, 239.76])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 30])
def test_a_rate_that_opencv_only_guesses_is_no_warning(tmp_path, fps, count):
    """Windows Media has times and no rate: of 2 frames 29.97 is read as 1000."""
    video = written(tmp_path / "out.wmv", fps, count, (16, 16))
    assert video.warnings == [] and read(video.path)[0] == count


def test_a_rate_that_windows_media_does_not_get_is_a_warning(tmp_path):
    (warning,) = written(tmp_path / "out.WMV", 239.762).warnings
    assert "plays at 239.76 frames per second, not 239.762" in warning


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

    monkeypatch.setattr(annotated_video.cv2, "VideoCapture", Capture)
    rate, warning = frames_per_second(Path("clip.h264"))
    assert (
        rate == 25
        and f"clip.h264: expected a frame rate above 0, its header says {told:g}" in (warning)
    )


def test_a_folder_has_no_rate_and_gets_25(tmp_path):
    assert frames_per_second(tmp_path) == (25.0, "")


def test_a_video_that_was_cut_short_by_the_disk_is_no_video(tmp_path):
    path = tmp_path / "out.avi"
    path.write_bytes(b"an earlier one")
    with (
        files_of_at_most(60_000),
        pytest.raises(OSError, match=r"cannot write .*out\.avi whole: .*; a file may not be"),
    ):
        written(path, 25, count=60)
    assert [one.name for one in tmp_path.iterdir()] == ["out.avi"]
    assert path.read_bytes() == b"an earlier one"


def test_frames_that_are_missing_from_a_video_are_counted(tmp_path, monkeypatch):
    """Whatever the reason: the disk has room again."""
    video = AnnotatedVideo(tmp_path / "out.mp4", 25)
    for number in range(12):
        video.write(noise(number), BOX)
    video.frames += 1
    with pytest.raises(OSError, match="not written whole: 12 of 13 frames can be read from it"):
        video.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_called_a_full_disk(tmp_path):
    (tmp_path / "out.mp4").symlink_to("/dev/full")
    with pytest.raises(
        OSError, match=r"out\.mp4 whole: No space left on device; the disk is full"
    ):
        written(tmp_path / "out.mp4", 25)


@pytest.mark.parametrize("name", ["out", "out.png", "out.jpeg-sequence", "out.webm", "out.gif"])
def test_a_name_without_a_container_is_refused_and_leaves_nothing(tmp_path, name):
    with pytest.raises(ValueError, match=rf"cannot write MPEG-4 to .*{name} .*\.mp4, \.avi"):
        written(tmp_path / name, 25)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"nowhere/out\.mp4 whole: .*its folder does not exist"):
        written(tmp_path / "nowhere" / "out.mp4", 25)


def test_sizes_that_mpeg4_cuts_are_told(tmp_path):
    video = written(tmp_path / "out.mp4", 25, size=(49, 65))
    assert "frames of 65x49 are cut to 64x48 in the video" in video.warnings[0]
    assert written(tmp_path / "even.mp4", 25).warnings == []


@pytest.mark.parametrize(
    "box", [[1e12, 5, 20, 10], [-1e300, -1e300, 2e300, 2e300], [200, 5, 255, 9]]
)
def test_any_box_is_drawn(tmp_path, box):
    video = AnnotatedVideo(tmp_path / "out.mp4", 25)
    video.write(noise(0), np.array(box))
    video.close()
    assert read(tmp_path / "out.mp4")[0] == 1


def test_the_file_is_there_when_it_is_closed_and_not_before(tmp_path):
    video = AnnotatedVideo(tmp_path / "out.mp4", 25)
    video.write(noise(0), BOX)
    assert not (tmp_path / "out.mp4").exists()
    video.close()
    assert [one.name for one in tmp_path.iterdir()] == ["out.mp4"]
    video.close()
