"""The clip of the first page: a box per tracker, and a strip as high as its IoU."""

import numpy as np

from benchmarks import race


def test_boxes_have_their_trackers_colours():
    frame = np.zeros((60, 80, 3), np.uint8)
    boxes = {"truth": np.array([5.0, 5, 20, 20]), "KCF": np.array([40.0, 20, 20, 20])}
    image = race.drawn(frame, boxes)
    assert image.shape == (60 * race.ZOOM, 80 * race.ZOOM, 3)
    colour = tuple(int(race.PALETTE["KCF"][i : i + 2], 16) for i in (1, 3, 5))
    assert tuple(image[20 * race.ZOOM, 50 * race.ZOOM]) == colour
    assert image[60 * race.ZOOM - 1, 0].sum() == 0


def test_a_strip_is_as_high_as_the_iou():
    ious = {"KCF": np.array([1.0, 0.0])}
    picture = race.panel(400, ious, 1)
    colour = np.array([int(race.PALETTE["KCF"][i : i + 2], 16) for i in (1, 3, 5)])
    counts = (picture == colour).all(axis=2).sum(axis=0)
    assert counts[150] > 20 * max(1, counts[300] // 2)
