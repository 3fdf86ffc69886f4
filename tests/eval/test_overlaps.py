"""Overlaps in whole pixels beside vot-toolkit's own numbers, and exact ones.

`vot_toolkit.json` was made with vot-toolkit 0.7.4 (attributee 0.1.9, NumPy 2.4.6, Numba
0.68.1) in an environment of its own: regions drawn at random and a few chosen ones, with
what its `calculate_overlap` returns for them in an image of 64 x 48 pixels; the raster code
of 0.9.0 gives the same.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackerlib.eval.overlaps import exact_overlaps, overlaps, raster_overlaps

TOOLKIT = json.loads((Path(__file__).parent / "vot_toolkit.json").read_text())
SQUARE = [[10, 10, 20, 20]]
SQUARE_CORNERS = [[10, 10, 30, 10, 30, 30, 10, 30]]


def arrays(group):
    return (np.array(group[name], np.float64) for name in ("boxes", "truth", "values"))


@pytest.mark.parametrize("group", TOOLKIT["overlaps"], ids=["rectangles", "polygons"])
def test_whole_pixels_are_those_of_the_toolkit(group):
    boxes, truth, expected = arrays(group)
    got = overlaps(boxes, truth, TOOLKIT["overlap_size"])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    assert 0.05 < expected.mean() < 0.95


def test_the_exact_overlap_is_that_of_convex_polygons():
    boxes, truth, _ = arrays(TOOLKIT["overlaps"][1])
    boxes, truth = boxes[:60], truth[:60]  # rotated rectangles
    expected = []
    for (x, y, w, h), row in zip(boxes, truth.reshape(-1, 4, 2).astype(np.float32), strict=True):
        box = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)
        common = cv2.intersectConvexConvex(box, row)[0]
        expected.append(common / (w * h + cv2.contourArea(row) - common))
    np.testing.assert_allclose(overlaps(boxes, truth, (64, 48), "exact"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("box", "truth", "raster", "exact"),
    [
        (SQUARE, SQUARE, 1, 1),
        (SQUARE, SQUARE_CORNERS, 400 / 441, 1),
        ([[10.4, 10, 20, 20]], SQUARE, 1, 19.6 / 20.4),
        ([[0, 0, 5, 5]], [[5, 0, 5, 5]], 0, 0),
        ([[-10, 0, 20, 10]], [[0, 0, 10, 10]], 1, 0.5),  # cut at the border, or not
        ([[0, 0, -5, 5]], SQUARE, 0, 0),
        ([[0, 0, 0, 0]], SQUARE_CORNERS, 0, 0),
    ],
)
def test_worked_examples(box, truth, raster, exact):
    assert overlaps(box, truth, (100, 80)).tolist() == pytest.approx([raster])
    assert overlaps(box, truth, (100, 80), "exact").tolist() == pytest.approx([exact])


def test_what_is_not_finite_overlaps_nothing():
    boxes = np.array([[np.nan] * 4, SQUARE[0], SQUARE[0]])
    truth = np.array([SQUARE[0], [np.inf] * 4, SQUARE[0]])
    for convention in ("vot", "exact"):
        assert overlaps(boxes, truth, (100, 80), convention).tolist() == [0, 0, 1]


def test_no_frames():
    for function in (raster_overlaps, exact_overlaps):
        assert function(np.zeros((0, 4)), np.zeros((0, 8)), (100, 80)).shape == (0,)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="among vot, exact, got 'otb'"):
        overlaps(SQUARE, SQUARE, (100, 80), "otb")
    with pytest.raises(ValueError, match=r"same frames.*\(1, 4\) and \(2, 4\)"):
        overlaps(SQUARE, SQUARE * 2, (100, 80))
