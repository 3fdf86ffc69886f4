"""What frames go through: boxes stay on their targets, and nothing happens unless asked for."""

import numpy as np
import pytest
from made_videos import VIDEOS

from trackerlib.train.augmentation import Augmentation


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


@pytest.mark.parametrize(
    "fields", [{"flip": 1.5}, {"flip": -0.1}, {"blur": -1.0}, {"colour": -1.0}, {"scale": 0.5}]
)
def test_what_cannot_be_is_told(fields):
    with pytest.raises(ValueError, match="expected flip from 0 to 1, blur and colour"):
        Augmentation(**fields)
