"""trackerlib/data/rows.py: the ground-truth parser."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackerlib.data.rows import parse_rows, read_rows, truth_notes

NUMBERS = st.one_of(
    st.integers(-10000, 10000).map(float),
    st.floats(allow_nan=True, allow_infinity=False, width=64),
)
SEPARATORS = st.sampled_from([",", "\t", " ", ", ", " ,\t", "   "])


@given(
    rows=st.lists(st.tuples(*[NUMBERS] * 4), min_size=1, max_size=12),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    tail=st.sampled_from(["", "\n", "\n \n\t\n"]),
    data=st.data(),
)
def test_what_is_written_is_read_whatever_separates_it(rows, ends, tail, data):
    lines = []
    for row in rows:
        gaps = [data.draw(SEPARATORS) for _ in row[1:]] + [
            data.draw(st.sampled_from(["", ",", " "]))
        ]
        lines.append("".join(f"{number!r}{gap}" for number, gap in zip(row, gaps, strict=True)))
    parsed = parse_rows(ends.join(lines) + tail, (4,), "made")
    assert parsed.dtype == np.float64
    np.testing.assert_array_equal(parsed, np.array(rows))


@given(st.text(max_size=60))
def test_any_text_is_rows_or_a_named_error(text):
    try:
        parsed = parse_rows(text, (4,), "made.txt")
    except ValueError as error:
        assert "made.txt" in str(error)
    else:
        assert parsed.shape == (len(text.rstrip().splitlines()), 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got an empty file"),
        (" \n\n", "got an empty file"),
        ("1,2,3,4\n1,2,3\n", r"row 2: expected 4 numbers, got '1,2,3'"),
        ("1,2,3,4\n1,2,3,4,5\n", "row 2: expected 4 numbers"),
        ("1,2,3,4\n\n1,2,3,4\n", "row 2: expected 4 numbers, got ''"),
        ("1,2,x,4\n", "row 1: expected 4 numbers, got '1,2,x,4'"),
        ("1,2,inf,4\n", "row 1: expected 4 numbers"),
    ],
)
def test_errors_name_the_file_and_the_row(text, said):
    with pytest.raises(ValueError, match=f"^made.txt.*{said}"):
        parse_rows(text, (4,), "made.txt")


def test_the_first_row_settles_the_width():
    assert parse_rows("1 2 3 4 5 6 7 8\n", (4, 8), "made").shape == (1, 8)
    with pytest.raises(ValueError, match="row 2: expected 8 numbers"):
        parse_rows("1 2 3 4 5 6 7 8\n1 2 3 4\n", (4, 8), "made")


def test_files_with_a_byte_order_mark_or_no_text(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_bytes(b"\xef\xbb\xbf1,2,3,4\r\n")
    np.testing.assert_array_equal(read_rows(path), [[1, 2, 3, 4]])
    path.write_bytes(b"\xff\xd8\xff\xe0 an image")
    with pytest.raises(ValueError, match="row 1"):
        read_rows(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_rows(tmp_path / "absent.txt")


def test_a_long_list_of_frames_is_cut_short():
    boxes = np.array([[0, 1, 20, 10], [np.nan] * 4] * 10)
    numbers = np.arange(1, 21)
    (said,) = truth_notes(Path("folder/gt.txt"), boxes, numbers)
    assert said == ("gt.txt: no positive box in frames 2, 4, 6, 8, 10, 12, 14, 16 ... (10 in all)")
    assert truth_notes(Path("gt.txt"), boxes[::2], numbers[::2]) == []
    outside = np.array([[-1.0, 1, 20, 10], [0, 0, 20, 0]])
    assert "frames 1 to 2" in truth_notes(Path("gt.txt"), outside, numbers[:2])[0]
