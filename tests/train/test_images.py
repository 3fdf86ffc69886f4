"""The images that networks are trained on."""

from itertools import islice

import cv2
import numpy as np
import pytest

from trackerlib.data import synthetic
from trackerlib.data.synthetic.dataset import Rendered
from trackerlib.train import images

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
    bundled = len(images.BUNDLED)
    a, b, c, d = images.photographs([tmp_path])[bundled:]
    assert a.shape == (100, 200, 3) and tuple(a[0, 0]) == (0, 0, 255)
    assert b.shape == (100, 100, 3) and (b == 7).all() and (c == 9).all()
    assert d.shape == (images.MAX_PHOTO_SIDE, images.MAX_PHOTO_SIDE // 2, 3)


def test_what_is_transparent_shows_the_photograph_before(tmp_path):
    write(tmp_path / "a.png", np.full((100, 100, 3), 200, np.uint8))
    sticker = np.zeros((100, 100, 4), np.uint8)
    sticker[:50] = (0, 0, 255, 255)
    write(tmp_path / "b.png", sticker)
    picture = images.photographs([tmp_path])[-1]
    assert tuple(picture[0, 0]) == (255, 0, 0) and tuple(picture[-1, -1]) == (200, 200, 200)


def test_a_folder_without_pictures_and_a_broken_picture_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected pictures in"):
        images.photographs([tmp_path])
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        images.photographs([tmp_path])


def test_rendered_scenes_are_not_the_benchmarks_own():
    step = 80
    stored = [
        np.int16(Rendered(name, severity=1.0)[index])
        for name in synthetic.names()
        for index in range(0, len(Rendered(name, severity=1.0)), step)
    ]
    for ours, theirs in zip(images.rendered(step), stored, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == np.uint8
        assert np.median(abs(ours - theirs)) > 5  # of 255; two noisy frames of one scene: 2


def test_leaves_cover_the_picture_and_come_again():
    made = [images.dead_leaves(np.random.default_rng(3), 80, [SQUARE]) for _ in range(2)]
    np.testing.assert_array_equal(*made)
    assert made[0].shape == (80, 80, 3) and len(np.unique(made[0].reshape(-1, 3), axis=0)) > 200


def test_a_crop_lies_inside_its_picture():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert images.crop(rng, [SQUARE], 64).shape == (64, 64, 3)


def test_disturbances_stay_in_range_and_differ():
    rng, image = np.random.default_rng(0), images.crop(np.random.default_rng(1), [SQUARE], 64)
    made = [images.disturbed(rng, image) for _ in range(20)]
    assert all(m.dtype == np.float32 and m.min() >= 0 and m.max() <= 255 for m in made)
    assert len({m.tobytes() for m in made}) == 20


def test_a_stream_is_decided_by_its_seed():
    def first(seed):
        return np.stack(list(islice(images.stream(seed, 64, [SQUARE], [SQUARE]), 5)))

    np.testing.assert_array_equal(first(1), first(1))
    assert (first(1) != first(2)).any()


def test_clips_show_their_targets_and_are_the_same_again():
    seen, again = (images.clips(["Twins", "Ride"], count=2, frames=2) for _ in range(2))
    assert 4 <= len(seen) <= 8
    assert len({frame.tobytes() for frame, _ in seen}) == len(seen)
    for (frame, box), (other, _) in zip(seen, again, strict=True):
        np.testing.assert_array_equal(frame, other)
        assert (box[:2] + box[2:] / 2 >= 0).all()
        assert (box[:2] + box[2:] / 2 <= frame.shape[1::-1]).all()


def test_a_collage_shows_its_target_where_its_box_is():
    crop = np.zeros((40, 60, 4), np.uint8)
    crop[10:30, 5:50] = 0, 250, 0, 255  # what is transparent shows the photograph
    photo = np.full((300, 400, 3), 90, np.uint8)
    photo[::7] = 150
    for seed in range(5):
        frame, box = images.collage(np.random.default_rng(seed), [photo], [crop])
        assert frame.shape == (240, 320, 3)
        x, y, w, h = box.astype(int)
        assert 0 <= x <= 320 - w and 0 <= y <= 240 - h
        middle = frame[y + h // 2, x + w // 2]
        np.testing.assert_array_equal(middle, [0, 250, 0])


def test_foreground_crops_are_cropped_and_others_left_out(tmp_path):
    image = np.zeros((300, 300, 4), np.uint8)
    cv2.circle(image, (120, 140), 60, (10, 20, 200, 255), -1)
    cv2.imwrite(str(tmp_path / "disc.png"), image)
    cv2.imwrite(str(tmp_path / "solid.png"), np.full((200, 200, 4), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((200, 200, 3), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "icon.png"), image[::8, ::8])
    lines = np.zeros((200, 200, 4), np.uint8)
    lines[::199] = 255
    cv2.imwrite(str(tmp_path / "lines.png"), lines)
    (found,) = images.foreground_crops([tmp_path])
    assert found.shape == (121, 121, 4)
    np.testing.assert_array_equal(found[60, 60], [200, 20, 10, 255])


def test_two_of_three_targets_are_collages():
    known = np.zeros((4, 4, 3), np.uint8), np.array([1.0, 1, 2, 2])
    crop = np.full((30, 30, 4), 255, np.uint8)
    photo = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    drawn = images.targets(0, [known], [photo], [crop])
    small = [next(drawn)[0].shape == known[0].shape for _ in range(60)]
    assert 10 <= sum(small) <= 30
    alone = images.targets(0, [known], [photo], [])
    assert all(next(alone)[0].shape == known[0].shape for _ in range(10))
