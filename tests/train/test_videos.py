"""Videos that teach: those that are held out, and those that a user adds."""

from functools import partial

import numpy as np

from trackerlib.data import synthetic
from trackerlib.train import videos
from trackerlib.train.videos import of_sequence, sources


def test_a_sequences_box_has_an_area():
    sequence = synthetic.render("Harbour")
    sequence.boxes[1:] = np.nan
    for seed in range(3):
        frame, box = of_sequence(sequence, np.random.default_rng(seed))
        np.testing.assert_array_equal(box, sequence.boxes[0])
        assert frame.ndim == 3


def test_videos_are_films_of_other_scenes_and_a_users_sequences(monkeypatch):
    made = []
    monkeypatch.setattr(videos.pictures, "film", lambda name, *_: made.append(name) or ["a frame"])
    taught, apart = sources([], "embedded", "Harbour", films=1)
    held_out = set(videos.HELD_OUT)
    assert len(apart) == 2 * videos.FILMS and len(taught) == len(made) - len(apart) + 1
    assert held_out <= set(made) and isinstance(taught[-1], partial)


def test_held_out_things_and_their_grounds_do_not_teach(monkeypatch):
    grounds = np.random.default_rng(0).integers(0, 256, (9, 480, 640, 3), dtype=np.uint8)
    things = [np.full((9, 9, 4), number, np.uint8) for number in range(20)]
    monkeypatch.setattr(videos, "filmed", lambda *_: [])
    monkeypatch.setattr(videos.pictures, "photographs", lambda _: list(grounds))
    monkeypatch.setattr(videos.pictures, "cutouts", lambda _: things)
    taught, apart = sources([], None, "all", things=15)
    assert len(taught) == 15 and len(apart) == videos.APART
    kinds = [{int(video.thing[0, 0, 0]) for video in part} for part in (taught, apart)]
    assert kinds[1] <= {0, 10} and not kinds[0] & {0, 10}
    grounds = [{video.ground.tobytes() for video in part} for part in (taught, apart)]
    assert not grounds[0] & grounds[1]
