"""trackerlib/data/video_writer.py: what is written plays, frame for frame, at its time."""

import contextlib
import re
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from made import frame

from trackerlib.data.video_writer import FORMATS, VideoWriter, as_fraction

av = pytest.importorskip("av", reason="needs PyAV")


def written(path, count=12, fps=25.0, size=(48, 64), times=None, clock=None):
    writer = VideoWriter(path, size[::-1], clock or as_fraction(fps), fps)
    for number in range(count):
        writer.write(frame(number, size), number / fps if times is None else times[number])
    writer.close()
    return writer


def read(path):
    """Which of the made frames there are, their size, and their times in seconds."""
    with av.open(str(path)) as file:
        frames = [
            (one.to_ndarray(format="rgb24"), float(one.time)) for one in file.decode(video=0)
        ]
    shades = [round(float(image[..., 0].mean()) / 10) for image, _ in frames]
    return shades, frames[0][0].shape[:2], [time for _, time in frames]


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


@pytest.mark.parametrize("fps", [25.0, 239.762])
@pytest.mark.parametrize("size", [(48, 64), (49, 65)])
@pytest.mark.parametrize("suffix", FORMATS)
def test_frame_k_is_frame_k(tmp_path, suffix, size, fps):
    writer = written(tmp_path / f"out{suffix}", fps=fps, size=size)
    shades, stored, times = read(writer.path)
    assert shades == list(range(12)) and writer.frames == 12
    is_slower = suffix == ".gif" and fps > 50
    at = 50 if is_slower else fps
    times = np.array(times) - (times[0] if suffix == ".avi" else 0)  # it has a rate, no times
    np.testing.assert_allclose(times, np.arange(12) / at, atol=6e-4)
    assert any("plays at 50 frames per second" in line for line in writer.warnings) == is_slower
    is_padded = suffix != ".gif" and size == (49, 65)
    assert stored == ((50, 66) if is_padded else size)
    assert any("65x49 are padded to 66x50" in line for line in writer.warnings) == is_padded


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".mkv"])
def test_times_of_a_variable_rate_are_kept(tmp_path, suffix):
    times = [0, 0.04, 0.1, 0.13, 0.3, 0.34, 0.37, 1.2]
    written(tmp_path / f"out{suffix}", 8, times=times, clock=Fraction(90_000))
    shades, _, found = read(tmp_path / f"out{suffix}")
    assert shades == list(range(8))
    np.testing.assert_allclose(found, times, atol=1e-4)


def test_the_pixels_are_nearly_those_that_were_given(tmp_path):
    written(tmp_path / "out.mp4", 3)
    with av.open(str(tmp_path / "out.mp4")) as file:
        images = [one.to_ndarray(format="rgb24") for one in file.decode(video=0)]
    for number, image in enumerate(images):
        assert abs(image.astype(int) - frame(number)).max() <= 6


def test_an_mp4_is_what_every_player_takes(tmp_path):
    content = written(tmp_path / "out.mp4").path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat") and b"moof" not in content
    with av.open(str(tmp_path / "out.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert float(file.duration / 1e6) == pytest.approx(12 / 25, abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".gif"])
def test_a_disk_that_fills_up_keeps_the_frames_so_far(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (150, 48, 64, 3), dtype=np.uint8)
    path = tmp_path / f"out{suffix}"
    said = r"cannot write .*out\.\w+ whole: .*; a file may not be .*; it has the first \d+ frames"
    with files_of_at_most(120_000), pytest.raises(OSError, match=said) as raised:
        writer = VideoWriter(path, (64, 48), Fraction(25), 25)
        for number, image in enumerate(noise):
            writer.write(image, number / 25)
        writer.close()
    kept = int(re.search(r"first (\d+)", str(raised.value))[1])
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert 0 < kept == writer.frames < 150
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    assert abs(count - kept) <= 1  # the last may be cut


def test_no_room_for_the_rewritten_mp4_leaves_its_fragments(tmp_path, monkeypatch):
    replace = shutil.os.replace

    def full(source, target):
        if str(source).endswith(".front"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    writer = written(tmp_path / "out.mp4")
    assert "left in fragments, which play too" in writer.warnings[0]
    assert read(tmp_path / "out.mp4")[0] == list(range(12))
    assert [one.name for one in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_called_a_full_disk_and_stays(tmp_path):
    (tmp_path / "out.mp4").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"whole: No space left on device; the disk is full"):
        written(tmp_path / "out.mp4")
    assert Path("/dev/full").exists()


@pytest.mark.parametrize("name", ["out", "out.png", "out.jpeg-sequence"])
def test_a_name_without_a_format_is_refused_and_leaves_nothing(tmp_path, name):
    with pytest.raises(ValueError, match=rf"ends in \.mp4, .*\.gif.*, got .*{name}"):
        written(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_codec_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"gif", "libvpx-vp9"})
    with pytest.raises(ValueError, match=r"encoder libx264 for .*out\.mp4, .*install its own"):
        written(tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())
    written(tmp_path / "out.webm")


def test_pyav_that_is_missing_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"expected PyAV .* pip install 'av>=18'"):
        written(tmp_path / "out.mp4")


@pytest.mark.parametrize("fps", [1e-9, 1e9])
def test_a_rate_of_a_broken_header_loses_no_frame(tmp_path, fps):
    written(tmp_path / "out.mp4", 5, fps, times=np.arange(5) / 25)
    assert read(tmp_path / "out.mp4")[0] == list(range(5))
