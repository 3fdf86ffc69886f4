"""trackerlib/data/sequence.py: frames read lazily, and what becomes of broken ones."""

import pickle
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from made import frame, write_image

from trackerlib.data.sequence import (
    READ_AHEAD,
    SAMPLED,
    FrameError,
    ImageFiles,
    Sequence,
    open_images,
    read_image,
)


class Counted:
    """Frames that count how many of them were decoded, and keep none."""

    def __init__(self, length: int):
        self.length, self.decoded = length, 0

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.decoded += 1
        return frame(index)


def sequence(frames) -> Sequence:
    count = len(frames)
    return Sequence("Made", frames, np.ones((count, 4)), np.arange(300, 300 + count))


def test_frames_come_in_order_from_anywhere():
    got = list(sequence(Counted(9)).read(start=2))
    np.testing.assert_array_equal(got, [frame(index) for index in range(2, 9)])
    assert list(sequence(Counted(9)).read(start=9)) == []


def test_frames_are_decoded_a_few_ahead_and_no_further():
    frames = Counted(1000)
    reader = sequence(frames).read()
    for asked in range(1, 20):
        next(reader)
        assert frames.decoded <= asked + READ_AHEAD
    reader.close()
    assert frames.decoded < 20 + READ_AHEAD


def test_memory_does_not_grow_with_the_length():
    def peak(length):
        made = sequence(Counted(length))
        tracemalloc.start()
        for _ in made.read():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(1000) < 2 * (READ_AHEAD + 1) * frame(0).nbytes  # 1000 frames are 100 times that


def test_a_broken_frame_is_named_and_the_others_still_come(tmp_path):
    paths = [write_image(tmp_path / f"{n}.png", frame(n)) for n in range(6)]
    paths[1].unlink()
    paths[2].write_bytes(b"")
    paths[3].write_bytes(paths[3].read_bytes()[:40])
    write_image(paths[4], frame(4, size=(20, 30)))
    got = list(sequence(ImageFiles(tuple(paths))).read())
    assert [isinstance(one, FrameError) for one in got] == [False, True, True, True, True, False]
    np.testing.assert_array_equal(got[5], frame(5))
    for index, said in enumerate(
        ["cannot be read (No such file", "(0 bytes)", "(40 bytes)", "expected 64x48"], start=1
    ):
        assert f"Made, frame {300 + index}: " in str(got[index])
        assert said in str(got[index])
    assert str(paths[2]) in str(got[2])
    assert "got 30x20" in str(got[4])


def test_images_that_are_cut_short_or_claim_too_much(tmp_path):
    def png_chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0))
    huge = tmp_path / "huge.png"
    huge.write_bytes(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"")))
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    cut = write_image(tmp_path / "cut.jpg", noise)
    cut.write_bytes(cut.read_bytes()[:-800])
    for path in (huge, cut):
        with pytest.raises(FrameError, match=f"{path.name}: not a readable image"):
            read_image(path)


def test_the_size_is_that_of_the_first_frame_that_can_be_read(tmp_path):
    paths = [
        tmp_path / "absent.png",
        *(write_image(tmp_path / f"{n}.png", frame(n)) for n in (1, 2)),
    ]
    got = list(sequence(ImageFiles(tuple(paths))).read())
    assert [isinstance(one, FrameError) for one in got] == [True, False, False]


def test_the_size_does_not_depend_on_where_reading_starts(tmp_path):
    sizes = [(48, 64), (48, 64), (20, 30), (48, 64)]
    paths = [write_image(tmp_path / f"{n}.png", frame(n, s)) for n, s in enumerate(sizes)]
    paths[0].write_bytes(b"")
    got = list(sequence(ImageFiles(tuple(paths))).read(start=2))
    assert [isinstance(one, FrameError) for one in got] == [True, False]
    assert "frame 302: expected 64x48 like the first frame, got 30x20" in str(got[0])


def test_grey_images_get_three_channels_and_colour_is_rgb(tmp_path):
    grey = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    got = read_image(write_image(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(got, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_image(write_image(tmp_path / "c.png", frame(7))), frame(7))


def test_a_sequence_survives_pickling(tmp_path):
    frames = ImageFiles((write_image(tmp_path / "1.png", frame(1)),))
    got = pickle.loads(pickle.dumps(sequence(frames)))
    np.testing.assert_array_equal(got.frames[0], frame(1))


def thermal(number: int, low=7700, span=200) -> np.ndarray:
    """(48, 64) uint16 with `span` values from `low` on, moving with the number."""
    ramp = np.linspace(low, low + span, 48 * 64).round().astype(np.uint16).reshape(48, 64)
    return np.roll(ramp, number, axis=1)


@pytest.mark.parametrize("low", [0, 7700, 65000])
@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_deep_images_are_scaled_by_the_range_of_the_sequence(tmp_path, low, ending):
    images = [thermal(n, low, span=50 if n == 0 else 200) for n in range(5)]
    paths = [write_image(tmp_path / f"{n}.{ending}", image) for n, image in enumerate(images)]
    frames, (said,) = open_images(paths)
    assert f"uint16 images are scaled, {low} to {low + 200} become 0 to 255" in said
    for index in (4, 0):  # whichever is read first
        expected = np.rint((images[index] - float(low)) * 255 / 200)
        np.testing.assert_array_equal(frames[index], np.repeat(expected[..., None], 3, axis=2))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames))[0], frames[0])


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_tiffs_of_other_types(tmp_path, dtype):
    image = (thermal(1).astype(np.int64) - 7800).astype(dtype)
    frames, (said,) = open_images([write_image(tmp_path / "1.tif", image)])
    assert "-100 to 100" in said and frames[0].dtype == np.uint8
    expected = np.rint((image + 100.0) * 255 / 200)
    np.testing.assert_array_equal(frames[0][..., 1], expected)
    np.testing.assert_array_equal(read_image(tmp_path / "1.tif"), frames[0])


def test_deep_colours_keep_their_proportions(tmp_path):
    image = np.dstack([thermal(1), thermal(2) + 200, thermal(3) + 400])
    frames, _ = open_images([write_image(tmp_path / "1.png", image)])
    np.testing.assert_array_equal(frames[0], np.rint((image - 7700.0) * 255 / 600))


def test_stuck_pixels_and_empty_images_do_not_settle_the_range(tmp_path):
    images = [thermal(n) for n in range(4)]
    images[1][20, 30], images[2][10, 5] = 65535, 0
    images[3][:] = 0
    paths = [write_image(tmp_path / f"{n}.png", image) for n, image in enumerate(images)]
    frames, (said,) = open_images(paths)
    assert "without a few pixels from 0 to 65535" in said
    assert len(np.unique(frames[0])) > 190
    assert frames[1][20, 30, 0] == 255 and frames[2][10, 5, 0] == 0 and not frames[3].any()


def spoilt(fault: str) -> list[np.ndarray]:
    """Thermal images with what a sensor or a rectification leaves in them."""
    images = [thermal(n) for n in range(5)]
    if fault == "blob":
        for image in images:
            image[20:23, 30:33] = 65535
    elif fault == "band":
        for image in images:
            image[:12] = 0
    elif fault == "noise":
        images[2] = np.random.default_rng(0).integers(0, 65536, (48, 64), dtype=np.uint16)
    return images


@pytest.mark.parametrize("fault", ["blob", "band"])
def test_blobs_and_bands_take_no_contrast_from_the_rest(tmp_path, fault):
    paths = [write_image(tmp_path / f"{n}.png", im) for n, im in enumerate(spoilt(fault))]
    frames, (said,) = open_images(paths)
    assert len(np.unique(frames[0][12:])) > 145  # of 150
    assert "beyond are clipped" in said


def test_how_many_levels_remain_is_said(tmp_path):
    paths = [write_image(tmp_path / f"{n}.png", im) for n, im in enumerate(spoilt("noise"))]
    frames, (said,) = open_images(paths)
    held = len(np.unique(thermal(0)))
    left = len(np.unique(frames[0]))
    assert left < 5 and held > 190
    assert f"{left} of {held} levels remain in {paths[0].name}" in said
    assert "contrast is lost: " in said
    whole, (said,) = open_images(paths[:2])
    assert f"{held} of {held} levels remain" in said and "contrast" not in said
    assert len(np.unique(whole[0])) == held


def test_float_levels_beyond_256_are_no_loss(tmp_path):
    image = np.linspace(0, 1, 300 * 300, dtype=np.float32).reshape(300, 300)
    _, (said,) = open_images([write_image(tmp_path / "1.tif", image)])
    assert f"256 of {len(np.unique(image))} levels remain" in said and "contrast" not in said


def test_values_that_are_not_finite(tmp_path):
    image = thermal(1).astype(np.float32)
    image[0, :3] = np.nan, np.inf, -np.inf
    frames, (said,) = open_images([write_image(tmp_path / "1.tif", image)])
    assert "float32 images are scaled, 7700" in said
    assert frames[0][0, :3, 0].tolist() == [0, 255, 0]


def test_depths_are_not_mixed(tmp_path):
    paths = [
        write_image(tmp_path / "1.png", frame(1)),
        write_image(tmp_path / "2.png", thermal(2)),
    ]
    frames, notes = open_images(paths)
    assert notes == []
    with pytest.raises(FrameError, match=r"2.png: expected 8 bits per value .*, got uint16"):
        frames[1]
    frames, _ = open_images(paths[::-1])
    with pytest.raises(FrameError, match=r"1.png: expected more than 8 bits .*, got uint8"):
        frames[1]


def test_a_long_sequence_is_sampled(tmp_path, monkeypatch):
    path, read = write_image(tmp_path / "1.png", thermal(1)), []
    monkeypatch.setattr(
        "trackerlib.data.sequence._probed", lambda one: read.append(one) or thermal(1)
    )
    open_images([path] * 1000)
    assert len(read) <= SAMPLED + 1


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "tif", "webp", "ppm", "gif", "jp2"])
def test_images_of_8_bits_come_as_they_are(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    path = write_image(tmp_path / f"1.{ending}", noise)
    frames, notes = open_images([path])
    plain = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(frames[0], plain)
    np.testing.assert_array_equal(read_image(path), plain)
    assert notes == [] and frames.levels is None


def test_transparency_is_ignored_and_said(tmp_path):
    image = np.dstack([frame(1), np.full((48, 64), 255, np.uint8)])
    assert cv2.imwrite(str(tmp_path / "1.png"), image)
    assert open_images([tmp_path / "1.png"])[1] == []
    image[:9, ..., 3] = 0
    assert cv2.imwrite(str(tmp_path / "1.png"), image)
    frames, (said,) = open_images([tmp_path / "1.png"])
    assert "transparency of images is ignored" in said
    np.testing.assert_array_equal(frames[0][..., ::-1], image[..., :3])
