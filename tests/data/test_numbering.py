"""trackerlib/data/numbering.py: the order of images by their names, and gaps in it."""

import cv2
import pytest

from trackerlib.data.numbering import fill_gaps, image_files, image_suffixes, order_notes


def test_images_are_ordered_by_number(tmp_path):
    for name in ("7f2.png", "7f10.png", "7f1.JPG", "._7f1.JPG", "notes.txt"):
        (tmp_path / name).touch()
    files = image_files(tmp_path)
    assert [(n, path.name) for n, path in files.items()] == [
        (1, "7f1.JPG"),
        (2, "7f2.png"),
        (10, "7f10.png"),
    ]


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        ((), FileNotFoundError, "found none"),
        (("cover.png", "1.png"), ValueError, "cover.png: expected a frame number"),
        (("1.png", "01.png"), ValueError, "one image per frame number, got 01.png"),
    ],
)
def test_folders_that_are_no_video(tmp_path, names, error, said):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(error, match=said):
        image_files(tmp_path)


def test_gaps_keep_their_place(tmp_path):
    files = {n: tmp_path / f"{n:05d}.png" for n in (9, 10, 12, 13)}
    assert fill_gaps(files) == {n: tmp_path / f"{n:05d}.png" for n in range(9, 14)}


def test_a_gap_is_named_like_its_neighbours(tmp_path):
    files = {n: tmp_path / f"take2-shot{n:02d}b.png" for n in (1, 2, 4)}
    assert fill_gaps(files)[3].name == "take2-shot03b.png"


FLOATS = {  # kind -> names in their order, as Python prints them
    "quarters": [f"{i / 4}.png" for i in range(1, 20)],
    "eighths": [f"t{i / 8}s.png" for i in range(30)],
    "thirds": [f"{i / 3}.png" for i in range(1, 12)],
    "25-a-second": [f"{i / 25}.png" for i in range(80)],
    "30-a-second": [f"{i / 30}.png" for i in range(95)],
    "shortest": [f"{i / 4:g}.png" for i in range(12)],
    "shortest-with-text": [f"t{i / 4:g}s.png" for i in range(12)],
    "commas": [f"{i / 4}.png".replace(".", ",", 1) for i in range(1, 20)],
    "exponents": [f"{i / 40000}.png" for i in range(12)],
    "two-fractions": ["7.05.png", "7.5.png"],
}
COUNTS = {
    "sections": [f"{i}.{j}.png" for i in (1, 2) for j in range(1, 13)],
    "sections-without-10": [f"{i}.{j}.png" for i in (1, 2) for j in (8, 9, 11, 12)],
    "every-third": [f"{i}.{j}.png" for i in (1, 2) for j in range(3, 31, 3)],
    "days": ["2024.1.9.png", "2024.1.31.png", "2024.2.5.png", "2024.2.16.png"],
    "parts": ["1.png", "1.1.png", "1.9.png", "1.10.png", "2.png"],
}


@pytest.mark.parametrize("kind", [*FLOATS, *COUNTS])
def test_digits_after_a_point_are_decimals_or_a_count(tmp_path, kind):
    names = (FLOATS | COUNTS)[kind]
    for name in names:
        (tmp_path / name).touch()
    files = image_files(tmp_path)
    assert [path.name for path in files.values()] == names
    assert fill_gaps(files) == files
    (said,) = order_notes(tmp_path, files)
    assert "in the order of their names" in said


@pytest.mark.parametrize(
    ("names", "reading"),
    [
        (FLOATS["quarters"], "decimals, 0.25 before 0.5"),
        (["1.11.png", "1.14.png", "1.9.png"], "decimals, 1.14 before 1.9"),
        (COUNTS["sections"], "a count, 1.9 before 1.10"),
    ],
)
def test_how_digits_after_a_point_are_read_is_said(tmp_path, names, reading):
    for name in names:
        (tmp_path / name).touch()
    (said,) = order_notes(tmp_path, image_files(tmp_path))
    assert f"the digits after the point are taken as {reading}" in said


def test_a_count_after_a_point_may_lack_one(tmp_path):
    for number in (8, 9, 11, 12):
        (tmp_path / f"cam1.{number}.png").touch()
    assert list(image_files(tmp_path)) == [8, 9, 11, 12]


@pytest.mark.parametrize("pair", [("0.5.png", "0.50.png"), ("7.05.png", "7.050.png")])
def test_one_moment_written_twice_is_refused(tmp_path, pair):
    for name in (*pair, "0.25.png", "0.125.png", "7.1.png", "0.04.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="one image per frame number"):
        image_files(tmp_path)


def test_sparse_numbers_have_no_gaps_to_fill(tmp_path):
    files = {n: tmp_path / f"{n}.png" for n in (1_600_000_000_000, 1_600_000_000_033)}
    assert fill_gaps(files) == files
    every_other = {n: tmp_path / f"{n}.png" for n in (1, 3, 5, 7)}
    assert fill_gaps(every_other) == every_other


NAMES = {  # kind -> names in their order
    "seconds-and-microseconds": ["1305031102.975304.png", "1305031103.008674.png"],
    "trimmed-decimals": ["7.05.png", "7.1.png", "7.15.png", "7.2.png"],
    "unpadded-nanoseconds": ["17.9000000.png", "17.99000000.png", "17.123000000.png", "18.5.png"],
    "dates": ["2024-01-31_23-59-59.jpg", "2024-02-01_00-00-00.jpg", "2024-02-01_00-00-02.jpg"],
    "two-numbers": ["cam2_frame9.png", "cam2_frame10.png", "cam10_frame1.png"],
    "text-alone": ["first.png", "last.png", "middle.png"],
    "windows-copies": ["frame.jpg", "frame (2).jpg", "frame (10).jpg"],
    "seconds-missing": ["12.png", "12.5.png", "13.png"],
    "parts": ["a10.png", "b2.png", "b11.png"],
    "size-after-number": ["f9_640x480.png", "f10_640x480.png", "f11_320x240.png"],
    "capitals": ["IMG_1 a1.JPG", "img_2 A7.jpg", "Img_10 a3.jpg"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_in_natural_order(tmp_path, kind):
    names = NAMES[kind]
    for name in names:
        (tmp_path / name).touch()
    files = image_files(tmp_path)
    assert [path.name for path in files.values()] == names
    assert list(files) == list(range(1, len(names) + 1))
    assert fill_gaps(files) == files
    (said,) = order_notes(tmp_path, files)
    assert "in the order of their names" in said and names[0] in said and names[-1] in said


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["frame (2).jpg", "frame (10).jpg", "frame (11).jpg"], [2, 10, 11]),
        (["cam2_frame9.png", "cam2_frame10.png"], [9, 10]),
        (["0007_640x480.png", "0008_640x480.png"], [7, 8]),
        (["take2_shot009b.tif", "TAKE2_shot010b.TIF"], [9, 10]),
        (["9.ppm", "10.ppm", "100.ppm"], [9, 10, 100]),
        (["scene1.09.png", "scene1.10.png", "scene1.100.png"], [9, 10, 100]),
        (["only4.png"], [4]),
        (["v_20240131_000001.png", "v_20240131_000061.png"], [1, 61]),
    ],
    ids=[
        "brackets",
        "camera",
        "size",
        "capitals",
        "widths",
        "padding-overflows",
        "single",
        "date",
    ],
)
def test_one_number_that_changes_is_the_frames(tmp_path, names, numbers):
    for name in names:
        (tmp_path / name).touch()
    files = image_files(tmp_path)
    assert [path.name for path in files.values()] == names and list(files) == numbers


def test_a_plain_count_needs_no_word(tmp_path):
    files = {n: tmp_path / f"{n:04d}.png" for n in (7, 8, 10, 11)}
    assert order_notes(tmp_path, fill_gaps(files)) == []


@pytest.mark.parametrize(
    "name", ["IMG_20240131_23590{}.jpg", "2024-01-31 23-59-0{}.png", "2024.1.31_9.5.{}.png"]
)
def test_moments_have_no_gaps(tmp_path, name):
    for second in (1, 2, 4, 5):
        (tmp_path / name.format(second)).touch()
    files = image_files(tmp_path)
    assert list(files) == [1, 2, 3, 4] and fill_gaps(files) == files


def test_a_gap_before_other_digits_is_named(tmp_path):
    files = {n: tmp_path / f"{n:03d}_640x480.png" for n in (8, 9, 11)}
    assert fill_gaps(files)[10].name == "010_640x480.png"


def test_two_videos_in_one_folder_are_refused(tmp_path):
    for name in ("left_0001.png", "right_0001.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"one image per frame number, got left.*its own"):
        image_files(tmp_path)


COMMON = "ppm pgm pbm pnm pam jpe jfif jp2 tif TIFF dib webp gif ras pfm hdr"


@pytest.mark.parametrize("ending", COMMON.split())
def test_whatever_opencv_decodes_is_an_image(tmp_path, ending):
    (tmp_path / f"1.{ending}").touch()
    assert list(image_files(tmp_path)) == [1]


def test_what_opencv_does_not_decode_is_named(tmp_path):
    (tmp_path / "img").mkdir()
    for name in ("1.heic", "2.HEIC", "notes.txt", "README"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"found none .*but 2 \.heic, 1 .* and 1 more"):
        image_files(tmp_path)
    (tmp_path / "3.png").touch()
    (said,) = order_notes(tmp_path, image_files(tmp_path))
    assert "2 images are left out" in said and "1.heic, 2.HEIC" in said


def test_codecs_that_were_not_built_in_are_not_decoded(monkeypatch):
    monkeypatch.setattr("cv2.haveImageWriter", lambda name: name.endswith(".png"))
    image_suffixes.cache_clear()
    assert image_suffixes() == {".png", ".apng"}
    monkeypatch.undo()
    image_suffixes.cache_clear()


def test_a_codec_that_opencv_has_switched_off_is_none(monkeypatch):
    def raising(name):
        if name.endswith(".exr"):
            raise cv2.error("OpenEXR codec is disabled")  # as OpenCV 4.11 does
        return True

    monkeypatch.setattr("cv2.haveImageWriter", raising)
    image_suffixes.cache_clear()
    found = image_suffixes()
    image_suffixes.cache_clear()
    assert ".exr" not in found and ".jpg" in found
