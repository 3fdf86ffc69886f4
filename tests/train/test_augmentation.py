"""What frames go through: boxes stay on their targets, and nothing happens unless asked for."""

import cv2
import numpy as np
import pytest
from made_videos import VIDEOS

from trackerlib.train.augmentation import Augmentation, resized


def boxed(frame):
    """The box around what is bright in the first channel."""
    rows, columns = np.nonzero(frame[..., 0] > 140)
    x, y = columns.min(), rows.min()
    return np.array([x, y, columns.max() + 1 - x, rows.max() + 1 - y])


def shown(augmentation, seed, video=VIDEOS[0]):
    """The frames of one batch."""
    rng = np.random.default_rng(seed)
    video = augmentation.over(video, rng)
    return [video(rng) for _ in range(6)]


def test_as_published_nothing_happens():
    assert Augmentation().over(VIDEOS[0], np.random.default_rng(0)) is VIDEOS[0]


@pytest.mark.parametrize(
    "fields", [{"flip": 0.5}, {"scale": 2.0}, {"flip": 1.0, "scale": 1.5, "blur": 1.0}]
)
def test_boxes_stay_on_their_targets(fields):
    for seed in range(4):
        for frame, box in shown(Augmentation(**fields), seed):
            assert frame.flags["C_CONTIGUOUS"] and frame.dtype == np.uint8
            assert np.abs(boxed(frame) - box).max() <= 3


def left_edge(rng):
    """A video that is dark on its left."""
    return np.tile(np.arange(160, dtype=np.uint8)[None, :, None], (120, 1, 3)), np.ones(4)


def test_a_batch_is_mirrored_as_a_whole():
    sides = []
    for seed in range(20):
        batch = {
            bool(f[0, 0, 0] > f[0, -1, 0]) for f, _ in shown(Augmentation(0.5), seed, left_edge)
        }
        assert len(batch) == 1
        sides += batch
    assert 4 < sum(sides) < 16


def test_frames_are_blurred_coloured_and_resized():
    sharp = [frame for frame, _ in shown(Augmentation(flip=0.0, blur=3.0), 0)]
    contrast = [np.diff(frame[:40, :, 1].astype(float), axis=1).std() for frame in sharp]
    assert max(contrast) > 3 * min(contrast)
    means = np.array([frame.mean((0, 1)) for frame, _ in shown(Augmentation(colour=0.5), 0)])
    assert means.std(0).min() > 3
    sizes = {frame.shape for frame, _ in shown(Augmentation(scale=2.0), 0)}
    assert len(sizes) > 3 and all(60 <= h <= 240 for h, _, _ in sizes)


@pytest.mark.parametrize("seed", range(4))
def test_a_frames_light_is_a_formula_of_the_random_numbers(seed):
    """Doublings: a normal number for all channels, and half of one for each."""
    [(frame, _), *_] = shown(Augmentation(colour=0.5), seed, left_edge)
    rng = np.random.default_rng(seed)
    rng.random()  # whether the batch is mirrored
    light = 0.5 * (rng.normal() + rng.normal(size=3) / 2)
    expected = np.clip(np.rint(np.arange(160)[:, None] * 2**light), 0, 255)
    np.testing.assert_array_equal(frame[0], expected)


@pytest.mark.parametrize(("blur", "share"), [(0.4, 0), (0.5, 0), (3.0, 0.5)])
def test_half_of_the_frames_are_blurred(blur, share):
    """By a deviation from 0.5 pixels on, so that a smaller one blurs nothing."""
    image = cv2.randn(np.zeros((30, 40, 3), np.uint8), (128,) * 3, (40,) * 3)
    rng, again = np.random.default_rng(1), np.random.default_rng(1)
    video = Augmentation(blur=blur).over(lambda _: (image, np.ones(4)), rng)
    again.random()
    blurred = 0
    for _ in range(40):
        found, expected = video(rng)[0], image
        if share and again.random() < share:
            expected = cv2.GaussianBlur(image, (0, 0), again.uniform(0.5, blur))
            blurred += 1
        np.testing.assert_array_equal(found, expected)
    assert 40 * share - 10 <= blurred <= 40 * share + 10


def test_a_frame_is_resized_to_whole_pixels_and_its_box_with_each_side():
    frame, box = np.zeros((20, 5, 3), np.uint8), np.array([1.0, 10, 2, 4])
    larger, moved = resized(frame, box, 1.5)  # 7.5 becomes 8
    assert larger.shape == (30, 8, 3)
    np.testing.assert_allclose(moved, [1.6, 15, 3.2, 6])
    assert resized(frame, box, 0.01)[0].shape == (1, 1, 3)


@pytest.mark.parametrize(
    "fields", [{"flip": 1.5}, {"flip": -0.1}, {"blur": -1.0}, {"colour": -1.0}, {"scale": 0.5}]
)
def test_what_cannot_be_is_told(fields):
    with pytest.raises(ValueError, match="expected flip from 0 to 1, blur and colour"):
        Augmentation(**fields)
