"""Protocols against hand-worked cases and the MATLAB toolkit's arithmetic, line by line."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from trackerlib.boxes import xywh_to_otb
from trackerlib.data.sequence import Sequence
from trackerlib.eval.protocols import segments


def sequence(frames=100, omits=(), box=(10, 20, 30, 40), first_number=1, size=(240, 320)):
    boxes = np.tile(np.array(box, float), (frames, 1)) + np.arange(frames)[:, None] * [
        0.5,
        0,
        0,
        0,
    ]
    images = [np.zeros((*size, 3), np.uint8)] * frames
    numbers = np.arange(first_number, first_number + frames)
    return Sequence("Test", images, boxes, numbers, initial_omits=tuple(omits))


def matlab_starts(one: Sequence) -> list[int]:
    """splitSeqTRE.m in its own 1-based terms; 0-based starts."""
    numbers = range(1, len(one) + 1)
    first = int(one.frame_numbers[0])
    omitted = {
        index
        for low, high in one.initial_omits
        for index in range(low - first + 1, high - first + 2)
    }
    kept = [i for i in numbers if i not in omitted and (xywh_to_otb(one.boxes[i - 1]) > 0).all()]
    last = max(k for k, i in enumerate(kept, 1) if len(one) - i + 1 >= 20)
    picks = [math.floor(1 + k * last / 19) for k in range(20) if 1 + k * last / 19 <= last] + [
        last
    ]
    return [kept[pick - 1] - 1 for pick in picks]


def test_one_pass():
    (only,) = segments(sequence(), "ope")
    assert (only.name, only.start) == ("ope", 0)
    assert_array_equal(only.box, [10, 20, 30, 40])


DAVID3 = sequence(252, [(22, 31), (78, 91), (179, 193), (236, 244)])
JOGGING_1 = sequence(307, [(61, 83)])
JOGGING_2 = sequence(307, [(40, 63)])
FREEMAN4 = sequence(283, [(7, 8), (16, 17), (239, 256), (268, 297)])  # its last omit ends beyond
DAVID = sequence(471, [(310, 320)], first_number=300)


@pytest.mark.parametrize("one", [DAVID3, JOGGING_1, JOGGING_2, FREEMAN4, DAVID])
def test_starts_in_time_are_the_toolkits(one):
    found = segments(one, "tre")
    starts = [segment.start for segment in found]
    assert starts == matlab_starts(one)
    assert [segment.name for segment in found] == [f"tre{k:02d}" for k in range(1, 21)]
    assert_array_equal([segment.box for segment in found], one.boxes[starts])
    for first, last in one.initial_omits:
        assert not [n for n in one.frame_numbers[starts] if first <= n <= last]
    assert starts[0] == 0 and len(one) - starts[-1] >= 20


def test_starts_worked_by_hand():
    starts = [segment.start for segment in segments(JOGGING_1, "tre")]
    assert starts[:6] == [0, 13, 27, 41, 55, 92]  # the fifth step of 265 / 19 jumps 23 frames
    assert starts[-1] == 307 - 20


@given(
    st.integers(40, 400), st.lists(st.tuples(st.integers(1, 380), st.integers(0, 40)), max_size=5)
)
def test_starts_in_time_for_any_omits(frames, omits):
    one = sequence(frames, [(low, low + length) for low, length in omits])
    allowed = {i for i in range(frames - 19) if not any(a <= i + 1 <= a + n for a, n in omits)}
    if len(allowed) >= 20:
        starts = [segment.start for segment in segments(one, "tre")]
        assert starts == matlab_starts(one)
        assert len(set(starts)) == 20 and set(starts) <= allowed
        assert (starts[0], starts[-1]) == (min(allowed), max(allowed))


def test_a_short_sequence_gives_the_starts_it_has():
    found = segments(sequence(25), "tre")
    assert [segment.start for segment in found] == [0, 1, 2, 3, 4, 5]
    assert found[-1].name == "tre06"


def test_no_start_where_the_ground_truth_is_invalid():
    one = sequence(60)
    one.boxes[0] = np.nan
    one.boxes[1, 2] = 0
    one.boxes[2, 0] = -1  # 0 in OTB's numbers
    one.boxes[3, 0] = -0.9
    assert segments(one, "tre")[0].start == 3


@pytest.mark.parametrize("one", [sequence(19), sequence(30, [(1, 11)])])
def test_no_frame_allows_a_start(one):
    with pytest.raises(
        ValueError, match=r"Test: expected a frame .* 20 frames .* use protocol ope"
    ):
        segments(one, "tre")


def spatial(box, size=(240, 320)) -> dict[str, list[float]]:
    """Segment -> first box, 1-based, of a sequence whose first box is 1-based too."""
    one = sequence(30, box=np.subtract(box, (1, 1, 0, 0)), size=size)
    assert {segment.start for segment in segments(one, "sre")} == {0}
    return {s.name: xywh_to_otb(s.box).tolist() for s in segments(one, "sre")}


def test_first_boxes_in_space_worked_by_hand():
    assert spatial((101, 51, 34, 81)) == {
        "sre-left": [97, 51, 34, 81],  # ceil(3.4) pixels
        "sre-right": [105, 51, 34, 81],
        "sre-up": [101, 42, 34, 81],  # ceil(8.1)
        "sre-down": [101, 60, 34, 81],
        "sre-top-left": [98, 43, 37, 89],  # round(97.6), round(42.9): grown, not moved
        "sre-top-right": [101, 43, 37, 89],  # last column from 134 to round(137.4)
        "sre-bottom-left": [98, 51, 37, 89],
        "sre-bottom-right": [101, 51, 37, 89],
        "sre-scale-0.8": [104, 59, 27, 65],
        "sre-scale-0.9": [103, 55, 31, 73],
        "sre-scale-1.1": [99, 47, 37, 89],
        "sre-scale-1.2": [98, 43, 41, 97],
    }


def test_first_boxes_are_clipped_as_the_toolkit_clips():
    found = spatial((2, 3, 60, 50), size=(52, 62))
    assert found["sre-left"] == [1, 3, 60, 50]  # moved inside, its size kept
    assert found["sre-up"] == [2, 1, 60, 50]
    assert found["sre-right"] == [8, 3, 55, 50]  # cut at the right border
    assert found["sre-down"] == [2, 8, 60, 45]
    assert found["sre-bottom-right"] == [2, 3, 61, 50]
    for x, y, w, h in found.values():
        assert x >= 1 and y >= 1 and x + w - 1 <= 62 and y + h - 1 <= 52


def test_halves_are_rounded_away_from_zero():
    assert spatial((5, 5, 25, 25))["sre-top-left"] == [3, 3, 27, 27]  # 2.5 is 3, not 2
    # -0.5 is -1: the size counts from there, then the corner moves to 1
    assert spatial((2, 20, 25, 25))["sre-top-left"] == [1, 18, 28, 27]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64", "float32"])
@pytest.mark.parametrize("protocol", ["ope", "tre", "sre", "vot"])
def test_boxes_of_any_type_give_the_same_segments(protocol, dtype):
    real = sequence(60, box=(100, 90, 120, 110))
    real.boxes[:] = real.boxes[0]
    whole = replace(real, boxes=real.boxes.astype(dtype))
    for one, other in zip(segments(real, protocol), segments(whole, protocol), strict=True):
        assert (one.name, one.start) == (other.name, other.start)
        assert_array_equal(one.box, other.box, strict=True)


def test_a_segments_box_is_its_own():
    one = sequence()
    segments(one, "ope")[0].box[:] = 0
    assert_array_equal(one.boxes[0], [10, 20, 30, 40])


def test_an_unknown_protocol():
    with pytest.raises(ValueError, match="among ope, tre, sre, vot, got 'eao'"):
        segments(sequence(), "eao")


def test_real_starts(shared):
    from trackerlib.data import open_dataset

    for one in open_dataset(shared / "otb").sequences:
        assert [segment.start for segment in segments(one, "tre")] == matlab_starts(one)
        assert len(segments(one, "sre")) == 12
        assert_allclose(segments(one, "ope")[0].box, one.boxes[0])
