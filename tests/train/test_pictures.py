"""The pictures that trunks learn from."""

from itertools import islice

import cv2
import numpy as np
import pytest

from trackerlib.data import embedded
from trackerlib.data.embedded.store import Rendered
from trackerlib.train import pictures

SQUARE = np.zeros((120, 160, 3), np.uint8) + np.arange(160, dtype=np.uint8)[:, None]


def write(path, image):
    assert cv2.imwrite(str(path), image)


def test_photographs_of_every_kind_become_rgb(tmp_path):
    blue = np.full((100, 200, 3), (255, 0, 0), np.uint8)  # OpenCV writes B, G, R
    write(tmp_path / "a.png", blue)
    write(tmp_path / "b.png", np.full((100, 100), 7, np.uint8))
    write(tmp_path / "c.png", np.full((100, 100, 3), 257 * 9, np.uint16))
    write(tmp_path / "d.jpg", np.full((3000, 1500, 3), 128, np.uint8))
    write(tmp_path / "icon.png", blue[:20, :20])
    bundled = len(pictures.BUNDLED)
    a, b, c, d = pictures.photographs([tmp_path])[bundled:]
    assert a.shape == (100, 200, 3) and tuple(a[0, 0]) == (0, 0, 255)
    assert b.shape == (100, 100, 3) and (b == 7).all() and (c == 9).all()
    assert d.shape == (pictures.LONGEST, pictures.LONGEST // 2, 3)


def test_what_is_transparent_shows_the_photograph_before(tmp_path):
    write(tmp_path / "a.png", np.full((100, 100, 3), 200, np.uint8))
    sticker = np.zeros((100, 100, 4), np.uint8)
    sticker[:50] = (0, 0, 255, 255)
    write(tmp_path / "b.png", sticker)
    picture = pictures.photographs([tmp_path])[-1]
    assert tuple(picture[0, 0]) == (255, 0, 0) and tuple(picture[-1, -1]) == (200, 200, 200)


def test_a_folder_without_pictures_and_a_broken_picture_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected pictures in"):
        pictures.photographs([tmp_path])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        pictures.photographs([tmp_path])


def test_rendered_scenes_are_not_the_benchmarks_own():
    step = 80
    stored = [
        np.int16(Rendered(name, severity=1.0)[index])
        for name in embedded.names()
        for index in range(0, len(Rendered(name, severity=1.0)), step)
    ]
    for ours, theirs in zip(pictures.rendered(step), stored, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == np.uint8
        assert np.median(abs(ours - theirs)) > 5  # of 255; two noisy frames of one scene: 2


def test_leaves_cover_the_picture_and_come_again():
    made = [pictures.dead_leaves(np.random.default_rng(3), 80, [SQUARE]) for _ in range(2)]
    np.testing.assert_array_equal(*made)
    assert made[0].shape == (80, 80, 3) and len(np.unique(made[0].reshape(-1, 3), axis=0)) > 200


def test_a_crop_lies_inside_its_picture():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert pictures.crop(rng, [SQUARE], 64).shape == (64, 64, 3)


def test_disturbances_stay_in_range_and_differ():
    rng, image = np.random.default_rng(0), pictures.crop(np.random.default_rng(1), [SQUARE], 64)
    made = [pictures.disturbed(rng, image) for _ in range(20)]
    assert all(m.dtype == np.float32 and m.min() >= 0 and m.max() <= 255 for m in made)
    assert len({m.tobytes() for m in made}) == 20


def test_a_stream_is_decided_by_its_seed():
    def first(seed):
        return np.stack(list(islice(pictures.stream(seed, 64, [SQUARE], [SQUARE]), 5)))

    np.testing.assert_array_equal(first(1), first(1))
    assert (first(1) != first(2)).any()
