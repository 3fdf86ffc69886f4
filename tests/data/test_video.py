"""trackerlib/data/video.py: a user's own video, and what may be wrong with it."""

import pickle
import re

import cv2
import numpy as np
import pytest
from made import frame, write_image

from trackerlib.data.sequence import FrameError
from trackerlib.data.video import VideoFile, read_video

BOX = np.array([10.0, 5.0, 20.0, 10.0])
COUNT = 12


@pytest.fixture
def video(tmp_path):
    """Motion JPEG, in which every frame stands for itself."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for number in range(1, COUNT + 1):
        writer.write(cv2.cvtColor(frame(number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def chunk(video, number: int) -> int:
    """Where a frame's chunk begins; the first mention of the tag is in the header."""
    return [found.start() for found in re.finditer(b"00dc", video.read_bytes())][number]


def shades(frames) -> list[int]:
    """Which of the made frames each one is."""
    return [round(float(one[..., 0].mean()) / 10) for one in frames]


def test_a_video_is_a_sequence_with_one_known_box(video):
    sequence = read_video(video, BOX)
    assert sequence.name == "clip" and len(sequence) == COUNT and sequence.warnings == ()
    np.testing.assert_array_equal(sequence.boxes[0], BOX)
    assert sequence.boxes.shape == (COUNT, 4) and np.isnan(sequence.boxes[1:]).all()
    np.testing.assert_array_equal(sequence.frame_numbers, np.arange(1, COUNT + 1))
    assert shades(sequence.read()) == list(range(1, COUNT + 1))
    np.testing.assert_allclose(sequence.frames[3], frame(4), atol=6)


def test_frames_in_any_order_and_after_pickling(video):
    frames = read_video(video, BOX).frames
    order = [5, 6, 0, 11, 3, 3]
    assert shades(frames[index] for index in order) == [index + 1 for index in order]
    again = pickle.loads(pickle.dumps(frames))
    assert (again.path, len(again)) == (video, COUNT)
    assert shades([again[7]]) == [8]
    with pytest.raises(IndexError):
        frames[COUNT]


def test_a_broken_frame_keeps_its_place(video):
    data, at = video.read_bytes(), chunk(video, 5)
    end = chunk(video, 6)
    video.write_bytes(data[: at + 8] + bytes(end - at - 8) + data[end:])
    got = list(read_video(video, BOX).read())
    assert len(got) == COUNT
    assert [index for index, one in enumerate(got) if isinstance(one, FrameError)] == [4]
    assert "clip, frame 5: " in str(got[4]) and str(video) in str(got[4])
    assert shades(got[5:]) == list(range(6, COUNT + 1))


def test_a_truncated_video_ends_early_and_says_so(video):
    video.write_bytes(video.read_bytes()[: chunk(video, 8)])
    sequence = read_video(video, BOX)
    assert len(sequence) == 7 and shades(sequence.read()) == list(range(1, 8))
    assert sequence.warnings == (f"clip: {video}: reports {COUNT} frames, 7 can be decoded",)


def test_frames_beyond_the_reported_number_are_read(video):
    data = bytearray(video.read_bytes())
    for tag, offset in ((b"avih", 24), (b"strh", 40)):  # the frame counts of the AVI header
        at = data.index(tag) + offset
        assert int.from_bytes(data[at : at + 4], "little") == COUNT
        data[at : at + 4] = (5).to_bytes(4, "little")
    video.write_bytes(data)
    sequence = read_video(video, BOX)
    assert shades(sequence.read()) == list(range(1, COUNT + 1))
    assert sequence.warnings == (f"clip: {video}: reports 5 frames, {COUNT} can be decoded",)


def test_what_is_no_video(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    with pytest.raises(ValueError, match=r"OpenCV can decode, got .*notes.mp4; convert it"):
        read_video(text, BOX)
    (tmp_path / "empty.avi").touch()
    with pytest.raises(ValueError, match="OpenCV can decode"):
        read_video(tmp_path / "empty.avi", BOX)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_video(tmp_path / "nowhere.avi", BOX)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match="found none"):
        read_video(tmp_path / "folder", BOX)


def test_an_image_that_is_missing_keeps_its_place(tmp_path):
    for number in (1, 2, 4):
        write_image(tmp_path / f"shot{number}.png", frame(number))
    sequence = read_video(tmp_path, BOX)
    got = list(sequence.read())
    np.testing.assert_array_equal(sequence.frame_numbers, [1, 2, 3, 4])
    assert [isinstance(one, FrameError) for one in got] == [False, False, True, False]
    assert str(tmp_path / "shot3.png") in str(got[2])
    assert shades([got[3]]) == [4] and sequence.warnings == ()


def test_a_folder_of_images_in_the_order_of_their_numbers(tmp_path):
    for number in (1, 2, 10):
        write_image(tmp_path / f"shot{number}.png", frame(number))
    sequence = read_video(tmp_path, BOX)
    np.testing.assert_array_equal(sequence.frame_numbers, [1, 2, 10])
    assert shades(sequence.read()) == [1, 2, 10]
    assert np.isnan(sequence.boxes[1:]).all()
    said = "3 images numbered from 1 to 10, taken one after the other"
    assert sequence.warnings == (f"{tmp_path.name}: {tmp_path}: {said}",)


def test_a_video_that_vanishes_gives_frame_errors(video):
    frames = VideoFile(video, COUNT)
    video.unlink()
    with pytest.raises(FrameError, match="frame 1 cannot be decoded"):
        frames[0]


@pytest.mark.parametrize("reported", [-9.223372036854776e18, -1.0, 0.0, 1e18, float("inf")])
def test_a_stream_without_a_length_has_no_wrong_one(video, monkeypatch, reported):
    capture = cv2.VideoCapture

    class Stream:
        def __init__(self, path):
            self.capture = capture(path)

        def get(self, key):
            return reported if key == cv2.CAP_PROP_FRAME_COUNT else self.capture.get(key)

        def __getattr__(self, name):
            return getattr(self.capture, name)

    monkeypatch.setattr(cv2, "VideoCapture", Stream)
    sequence = read_video(video, BOX)
    assert len(sequence) == COUNT and sequence.warnings == ()


def test_a_raw_stream(tmp_path):
    images = [cv2.cvtColor(frame(number), cv2.COLOR_RGB2BGR) for number in range(1, 9)]
    encoded = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]
    (tmp_path / "raw.mjpeg").write_bytes(b"".join(encoded))
    sequence = read_video(tmp_path / "raw.mjpeg", BOX)
    assert shades(sequence.read()) == list(range(1, 9)) and sequence.warnings == ()


def test_grey_values_of_16_bits_in_a_video_are_a_warning(tmp_path):
    depth = [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    codec = cv2.VideoWriter.fourcc(*"FFV1")
    path = str(tmp_path / "thermal.mkv")
    writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, codec, 25, (64, 48), depth)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no FFV1")
    writer.write(np.full((48, 64), 7700, np.uint16))
    writer.release()
    (said,) = read_video(path, BOX).warnings
    assert "grey values of more than 8 bits, of which the upper 8 are read" in said


def test_names_that_are_times_are_in_their_order(tmp_path):
    names = [f"{1305031102.175304 + 0.03337 * i:.6f}.png" for i in range(45)]
    for number, name in enumerate(names, 1):
        write_image(tmp_path / name, frame(number % 24))
    sequence = read_video(tmp_path, BOX)
    assert [path.name for path in sequence.frames.paths] == names
    np.testing.assert_array_equal(sequence.frame_numbers, np.arange(1, 46))
    (said,) = sequence.warnings
    assert "45 images in the order of their names" in said and names[0] in said


def test_images_of_16_bits_are_scaled_and_said_once(tmp_path):
    for number in range(1, 6):
        values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) % 200 + 7700
        write_image(tmp_path / f"{number}.png", values)
    sequence = read_video(tmp_path, BOX)
    (said,) = sequence.warnings
    assert "7700 to 7899 become 0 to 255, the range of 5 images" in said
    assert len(np.unique(sequence.frames[4])) == 200


def stack(path, count=4):
    """An image file of several pages."""
    assert cv2.imwritemulti(str(path), [frame(number) for number in range(1, count + 1)])
    return path


@pytest.mark.parametrize("ending", ["tif", "gif"])
def test_images_of_several_pages_in_a_folder_are_a_warning(tmp_path, ending):
    for number in (1, 2, 3):
        write_image(tmp_path / f"{number}.{ending}", frame(number))
    assert read_video(tmp_path, BOX).warnings == ()
    stack(tmp_path / f"2.{ending}")
    sequence = read_video(tmp_path, BOX)
    (said,) = sequence.warnings
    assert len(sequence) == 3 and f"2.{ending} has 4 pages" in said
    assert "the first page alone" in said
    assert ("give the file itself" in said) == (ending == "gif")
    assert "cv2.imreadmulti" in said


def test_a_file_of_pages_that_opencv_reads_as_one_frame(tmp_path):
    sequence = read_video(stack(tmp_path / "0001.tif"), BOX)
    (said,) = sequence.warnings
    assert len(sequence) == 1
    assert "0001.tif has 4 pages, of which 1 is read" in said and "cv2.imreadmulti" in said


def test_a_file_of_pages_that_opencv_reads_whole(tmp_path):
    sequence = read_video(stack(tmp_path / "clip.gif"), BOX)
    assert len(sequence) == 4 and sequence.warnings == ()
