"""trackerlib/data/numbering.py: the order of images by their names, and gaps in it."""

import pytest

from trackerlib.data.numbering import fill_gaps, image_files


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


def test_sparse_numbers_have_no_gaps_to_fill(tmp_path):
    files = {n: tmp_path / f"{n}.png" for n in (1_600_000_000_000, 1_600_000_000_033)}
    assert fill_gaps(files) == files
    every_other = {n: tmp_path / f"{n}.png" for n in (1, 3, 5, 7)}
    assert fill_gaps(every_other) == every_other
