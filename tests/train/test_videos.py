"""Videos that teach: those that are held out, and those that a user adds."""

from functools import partial

import numpy as np

from trackerlib.data import embedded
from trackerlib.train import videos
from trackerlib.train.videos import of_sequence, sources


def test_a_sequences_box_has_an_area():
    sequence = embedded.render("Harbour")
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
