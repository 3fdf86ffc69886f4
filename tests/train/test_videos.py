"""Videos to train on: those that are held out, and those that a user adds."""

from functools import partial

import numpy as np

from trackerlib.data import synthetic
from trackerlib.train import videos
from trackerlib.train.videos import frame_of_sequence, sources


def test_a_sequences_box_has_an_area():
    sequence = synthetic.render("Harbour")
    sequence.boxes[1:] = np.nan
    for seed in range(3):
        frame, box = frame_of_sequence(sequence, np.random.default_rng(seed))
        np.testing.assert_array_equal(box, sequence.boxes[0])
        assert frame.ndim == 3


def test_videos_are_clips_of_other_scenes_and_a_users_sequences(monkeypatch):
    made = []
    monkeypatch.setattr(videos.images, "clip", lambda name, *_: made.append(name) or ["a frame"])
    training, held_out = sources([], "embedded", "Harbour", clips=1)
    scenes = set(videos.HELD_OUT)
    assert len(held_out) == 2 * videos.CLIPS
    assert len(training) == len(made) - len(held_out) + 1
    assert scenes <= set(made) and isinstance(training[-1], partial)


def test_held_out_objects_and_their_backgrounds_are_not_trained_on(monkeypatch):
    photos = np.random.default_rng(0).integers(0, 256, (9, 480, 640, 3), dtype=np.uint8)
    crops = [np.full((9, 9, 4), number, np.uint8) for number in range(20)]
    monkeypatch.setattr(videos, "scene_clips", lambda *_: [])
    monkeypatch.setattr(videos.images, "photographs", lambda _: list(photos))
    monkeypatch.setattr(videos.images, "foreground_crops", lambda _: crops)
    training, held_out = sources([], None, "all", objects=15)
    assert len(training) == 15 and len(held_out) == videos.HELD_OUT_OBJECTS
    kinds = [{int(video.target[0, 0, 0]) for video in part} for part in (training, held_out)]
    assert kinds[1] <= {0, 10} and not kinds[0] & {0, 10}
    backgrounds = [{video.background.tobytes() for video in part} for part in (training, held_out)]
    assert not backgrounds[0] & backgrounds[1]
