"""Box arithmetic: by hand, by counting pixels, by property, in numpy and in torch."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from trackerlib import boxes

COORDINATES = st.floats(-1e4, 1e4, allow_subnormal=False)
SIZES = st.floats(0.01, 1e4, allow_subnormal=False)
BOXES = st.tuples(COORDINATES, COORDINATES, SIZES, SIZES).map(np.array)
CORNERS, SIDES = st.integers(0, 12), st.integers(1, 8)
WHOLE = st.tuples(CORNERS, CORNERS, SIDES, SIDES).map(np.array)


def pixels(box: np.ndarray) -> set:
    """The pixels of a whole-numbered box, one by one."""
    x, y, w, h = box
    return {(column, row) for column in range(x, x + w) for row in range(y, y + h)}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1),
        ((5, 0, 10, 10), 50 / 150),
        ((2, 2, 5, 5), 25 / 100),
        ((10, 0, 10, 10), 0),  # they touch
        ((30, 30, 10, 10), 0),
        ((5, 5, 0, 0), 0),
        ((5, 5, -3, -3), 0),
        ((np.nan, 0, 10, 10), 0),
    ],
)
def test_overlap_by_hand(other, expected):
    assert boxes.box_iou(np.array([0.0, 0, 10, 10]), np.array(other, float)) == expected


def test_overlap_of_nothing_with_nothing():
    assert boxes.box_iou(np.zeros(4), np.zeros(4)) == 0


@given(WHOLE, WHOLE)
def test_overlap_counts_pixels(box, other):
    a, b = pixels(box), pixels(other)
    assert boxes.box_iou(box * 1.0, other * 1.0) == len(a & b) / len(a | b)
    assert (boxes.box_iou(box * 1.0, other * 1.0) == 1) == (a == b)


@given(BOXES, BOXES)
def test_overlap_is_symmetric_and_a_rate(box, other):
    value = boxes.box_iou(box, other)
    assert 0 <= value <= 1
    assert value == boxes.box_iou(other, box)


@given(BOXES)
def test_a_box_overlaps_itself_by_exactly_one(box):
    assert boxes.box_iou(box, box) == 1


@given(BOXES, BOXES, SIZES)
def test_overlap_has_no_unit(box, other, scale):
    assert_allclose(
        boxes.box_iou(box * scale, other * scale), boxes.box_iou(box, other), atol=1e-5
    )


def test_overlap_of_all_pairs():
    some = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [0, 5, 10, 10], [20, 0, 1, 1]])
    expected = [[1, 1 / 3, 0], [1 / 3, 25 / 175, 0]]
    assert_allclose(boxes.box_iou(some[:, None], others), expected)


@given(BOXES)
def test_conversions_return(box):
    assert_allclose(boxes.xyxy_to_xywh(boxes.xywh_to_xyxy(box)), box, atol=1e-8)
    assert_allclose(boxes.otb_to_xywh(boxes.xywh_to_otb(box)), box, atol=1e-8)


def test_conversions_by_hand():
    box = np.array([[2.0, 3, 10, 20]])
    assert_array_equal(boxes.xywh_to_xyxy(box), [[2, 3, 12, 23]])
    assert_array_equal(boxes.xywh_to_otb(box), [[3, 4, 10, 20]])
    assert_array_equal(boxes.centres(box), [[7, 13]])


@pytest.mark.parametrize(
    ("corners", "bounds"),
    [
        ([4, 1, 8, 5, 5, 9, 1, 6], [1, 1, 7, 8]),
        ([4, 20, 8, 25, 5, 29, 1, 23], [1, 20, 7, 9]),  # no y among the x, and no x among the y
        ([10, 2, 30, 4, 20, 3], [10, 2, 20, 2]),
        ([-9, -3, -1, -3, -1, 50, -9, 50], [-9, -3, 8, 53]),
    ],
)
def test_polygon_bounds(corners, bounds):
    polygon = np.array(corners, float)
    assert_array_equal(boxes.polygon_to_xywh(polygon), bounds)
    assert_array_equal(boxes.polygon_to_xywh(torch.tensor(polygon)), bounds)


def test_distance_between_centres():
    assert boxes.centre_distance(np.array([0.0, 0, 2, 2]), np.array([3.0, 4, 2, 2])) == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "function",
    [boxes.xywh_to_xyxy, boxes.xyxy_to_xywh, boxes.otb_to_xywh, boxes.xywh_to_otb,
     boxes.polygon_to_xywh, boxes.centres, lambda b: boxes.box_iou(b, b + 1),
     lambda b: boxes.centre_distance(b, b * 2)],
    ids=["xyxy", "xywh", "from otb", "to otb", "polygon", "centres", "overlap", "distance"],
)  # fmt: skip
def test_torch_gives_what_numpy_gives(function, dtype):
    array = np.random.default_rng(0).uniform(1, 50, (20, 4)).astype(dtype)
    result, expected = function(torch.from_numpy(array)), function(array)
    assert isinstance(result, torch.Tensor) and isinstance(expected, np.ndarray)
    assert expected.dtype == dtype
    torch.testing.assert_close(result, torch.from_numpy(expected))


def test_whole_numbers_stay_exact():
    row = np.array([198, 214, 34, 81])
    assert_array_equal(boxes.otb_to_xywh(row), [197, 213, 34, 81])
    assert boxes.otb_to_xywh(row).dtype == np.float64


# Every function of boxes; of two that are far apart, in reverse order, of no area.
FUNCTIONS = {
    "xywh_to_xyxy": boxes.xywh_to_xyxy,
    "xyxy_to_xywh": boxes.xyxy_to_xywh,
    "otb_to_xywh": boxes.otb_to_xywh,
    "xywh_to_otb": boxes.xywh_to_otb,
    "polygon_to_xywh": boxes.polygon_to_xywh,
    "centres": boxes.centres,
    "centre_distance": lambda rows: boxes.centre_distance(rows[:, None], rows),
    "box_iou": lambda rows: boxes.box_iou(rows[:, None], rows),
}
SMALL = [[0, 0, 1, 1], [1, 1, 0, 1]]
BYTES = [*SMALL, [120, 120, 120, 120], [127, 1, 3, 125], [5, 127, 100, 90]]
INTEGERS = {
    "bool": SMALL,
    "int8": [*BYTES, [-100, -128, 127, 127]],
    "uint8": [*BYTES, [250, 255, 255, 255], [255, 0, 200, 7]],
    "int16": [*BYTES, [300, 300, 10, 10], [10, 10, 20, 20], [-200, 30000, 3000, 3000]],
    "uint16": [*BYTES, [300, 300, 10, 10], [10, 10, 20, 20], [65000, 0, 65535, 65535]],
    "int32": [*BYTES, [300, 300, 10, 10], [-7, 2**30, 2**30, 2**30], [0, 0, 70_001, 70_001]],
    "uint32": [*BYTES, [300, 300, 10, 10], [2**32 - 1, 0, 2**31, 2**31]],
    "int64": [*BYTES, [300, 300, 10, 10], [-7, 2**40, 2**40, 2**40]],
    "uint64": [*BYTES, [300, 300, 10, 10], [10, 10, 20, 20], [0, 2**40, 2**40, 2**40]],
    "float16": [*BYTES, [300, 300, 10, 10], [0.5, -3, 1000, 1000]],
}


def test_the_matrix_has_every_function():
    assert {*FUNCTIONS, "first_box"} == set(boxes.__all__)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_integers_and_halves_give_what_float64_gives(name, dtype):
    rows = np.array(INTEGERS[dtype], dtype)
    expected = FUNCTIONS[name](rows.astype(np.float64))
    assert expected.dtype == np.float64
    result, untouched = FUNCTIONS[name](rows), np.array(INTEGERS[dtype], dtype)
    assert_array_equal(result, expected, strict=True)
    tensor = FUNCTIONS[name](torch.from_numpy(rows))
    torch.testing.assert_close(tensor, torch.from_numpy(expected), rtol=1e-12, atol=0)
    assert_array_equal(rows, untouched, strict=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bfloat16_gives_what_float64_gives(name):
    rows = torch.tensor(BYTES, dtype=torch.bfloat16)
    assert torch.equal(FUNCTIONS[name](rows), FUNCTIONS[name](rows.double()))


@pytest.mark.parametrize("name", ["xywh_to_xyxy", "xywh_to_otb", "centres"])
def test_lists_count_as_arrays(name):
    assert_array_equal(getattr(boxes, name)(BYTES), getattr(boxes, name)(np.array(BYTES, float)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_the_types_of_two_boxes_may_differ(dtype):
    whole, real = np.array([[200, 100, 50, 60]], dtype), np.array([[190.5, 90, 50, 60]])
    for function in (boxes.box_iou, boxes.centre_distance):
        expected = function(whole.astype(float), real)
        assert_array_equal(function(whole, real), expected)
        assert_array_equal(function(real, whole), expected)
        assert_array_equal(function(real.astype(np.float32), whole), expected)  # 190.5 is exact


@pytest.mark.parametrize("function", [boxes.box_iou, boxes.centre_distance])
def test_an_array_and_a_tensor_do_not_mix(function):
    with pytest.raises(ValueError, match=r"expected boxes of one library.* torch.as_tensor"):
        function(np.zeros(4), torch.zeros(4))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(5,), (3,), (2, 7), ()])
def test_boxes_have_four_numbers(name, shape):
    function = getattr(boxes, name)
    several = [np.zeros(shape)] * len(inspect.signature(function).parameters)
    with pytest.raises(
        ValueError, match=rf"^{name}: expected .* got \({', '.join(map(str, shape))}"
    ):
        function(*several)


def test_first_boxes_of_any_type():
    for dtype in ("uint8", "uint16", "int32", "float32", "float16"):
        first = boxes.first_box(np.array([63, 47, 200, 250], dtype), FRAME)
        assert_array_equal(first, np.array([63.0, 47, 200, 250]), strict=True)
    whole = torch.tensor([63, 47, 200, 250], dtype=torch.uint8)
    assert boxes.first_box(whole, FRAME).tolist() == [63, 47, 200, 250]


FRAME = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize("box", [(0, 0, 64, 48), (63, 47, 1, 1), (-5, -5, 6, 6), (60, 40, 99, 99)])
def test_first_boxes_to_start_from(box):
    boxes.first_box(np.array(box), FRAME, where="Made, frame 1")


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((np.nan, 0, 5, 5), "four finite numbers"),
        ((0, 0, np.inf, 5), "four finite numbers"),
        ((0, 0, 5), "four finite numbers"),
        ((0, 0, 0, 5), "at least 1 pixels"),
        ((0, 0, 5, -3), "at least 1 pixels"),
        ((0, 0, 0.5, 5), "at least 1 pixels"),
        ((64, 0, 5, 5), "overlaps the 64x48 frame"),
        ((0, 48, 5, 5), "overlaps the 64x48 frame"),
        ((-5, 0, 5, 5), "overlaps the 64x48 frame"),
    ],
)
def test_first_boxes_to_refuse(box, expected):
    with pytest.raises(ValueError, match=f"^Made, frame 1: .*{expected}.* got"):
        boxes.first_box(np.array(box), FRAME, where="Made, frame 1")


@pytest.mark.parametrize("name", [n for n, _ in inspect.getmembers(boxes, inspect.isfunction)])
def test_every_parameter_says_what_it_is(name):
    signature = inspect.signature(getattr(boxes, name))
    hints = [p.annotation for p in signature.parameters.values()] + [signature.return_annotation]
    assert inspect.Signature.empty not in hints


@pytest.mark.parametrize("box", ["20,40,30,30", None, {"x": 1}, [[1], [2, 3]], ["a", 1, 2, 3]])
def test_a_first_box_that_is_no_numbers_is_told_in_words(box):
    with pytest.raises(
        ValueError, match="first_box: expected four finite numbers x, y, w, h, got"
    ):
        boxes.first_box(box, FRAME)
