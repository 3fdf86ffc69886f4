"""What a training learns from: sources and weights, held-out clips, overlap, metadata."""

import argparse

import numpy as np
import pytest
from made_videos import write_clip

from trackerlib.train import mixture, videos
from trackerlib.train.mixture import Mixture, Request, Source, mix, parse_source
from trackerlib.train.samples import Samples


@pytest.fixture
def folder(tmp_path):
    """Four clips in OTB's layout, the last with two targets."""
    for name in ("one", "two", "uav_three"):
        write_clip(tmp_path / "mine" / name)
    write_clip(tmp_path / "mine" / "four", labels=("", ".2"))
    return tmp_path / "mine"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Clips of the renderer's scenes take seconds."""
    made = []
    monkeypatch.setattr(videos.images, "clip", lambda name, *_: made.append(name) or ["a frame"])
    return made


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("rendered", ("rendered", None)),
        ("/data/train:2", ("/data/train", 2.0)),
        ("/data/a:b", ("/data/a:b", None)),
        ("collages:0.5", ("collages", 0.5)),
    ],
)
def test_a_source_and_its_weight(text, source):
    assert parse_source(text) == source


@pytest.mark.parametrize("weight", ["0", "-1", "inf", "nan"])
def test_a_weight_that_cannot_be_is_told(weight):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a weight above 0"):
        parse_source(f"here:{weight}")


def test_a_target_is_a_domain_and_sources_come_as_often_as_they_weigh(folder, quick):
    request = Request((Source("rendered", 1.0), Source(str(folder), 3.0)), clips=1)
    made = mix(request)
    assert len(made.videos) == 14 + 5 and made.sources[1] == f"{folder}: weight 3, 5 videos"
    assert set(videos.HELD_OUT) <= set(quick) and list(made.held_out) == ["rendered"]
    assert len(made.held_out["rendered"]) == 2 * videos.CLIPS
    samples = Samples(made.videos, seed=0)
    samples.shares = made.shares
    order = samples.order()
    drawn = np.array([next(order) for _ in range(2000)])
    assert 0.7 < (drawn >= 14).mean() < 0.8
    real = drawn[drawn >= 14][:50].reshape(-1, 5)
    assert (np.sort(real) == np.arange(14, 19)).all()


def test_without_weights_every_video_comes_as_often_as_any_other(folder):
    made = mix(Request((Source("rendered"), Source(str(folder))), clips=1))
    assert [weight for weight, _ in made.shares] == [14, 5]


def test_whole_clips_are_held_out_by_name(folder):
    """Of a clip with two targets, both are."""
    made = mix(Request((Source(str(folder)),), held_out=("four", "uav_three")))
    assert len(made.videos) == 2 and len(made.held_out["real"]) == 3
    assert "rendered" not in made.held_out
    (mine, uav) = made.metadata["data_sets"]
    assert mine["clips"] == ["one", "two"] and mine["held_out"] == ["four", "four-2"]
    assert uav["name"] == "UAV123" and uav["clips"] == []
    assert made.metadata["uav123_seen"] == ["uav_three"]
    with pytest.raises(ValueError, match="names of clips to hold out, got three"):
        mix(Request((Source(str(folder)),), held_out=("three",)))


def test_the_named_split_holds_out_clips_of_every_kind(shared):
    source = Source(str(shared / "train"), 2.0)
    made = mix(Request((source,), left_out=("dlc_reaching",), held_out=("eighth",)))
    assert len(made.videos) == 73 and len(made.held_out["real"]) == 11
    names = [one["name"] for one in made.metadata["data_sets"]]
    assert names == ["DAVIS-2016", "DeepLabCut", "DTB70", "LaSOT", "UAV123", "UAVDT"]
    assert "no OTB target" in made.metadata["benchmark_seen"]
    assert len(made.metadata["uav123_seen"]) == 24


def test_what_a_test_table_has_is_refused_by_name(folder):
    write_clip(folder / "Faceocc1")
    request = Request((Source(str(folder)),))
    with pytest.raises(ValueError, match=r"Faceocc1: a target of OTB has this name.*--leave-out"):
        mix(request)
    made = mix(Request((Source(str(folder)),), allow_overlap=True))
    assert made.metadata["benchmark_seen"].startswith("OVERLAP ALLOWED: Faceocc1")
    assert made.metadata["overlaps"] == ["Faceocc1: a target of OTB has this name"]
    with pytest.raises(ValueError, match="it is the embedded benchmark's"):
        mix(Request((Source("embedded"),), split="Twins"))


def test_what_a_test_table_has_is_refused_by_its_frames(folder, tmp_path):
    """In another size, under another name."""
    write_clip(tmp_path / "test" / "same", seed=5, scale=0.6)
    write_clip(tmp_path / "test" / "other", seed=7)
    write_clip(folder / "five", seed=5)
    request = Request((Source(str(folder)),), tests=(tmp_path / "test",))
    with pytest.raises(ValueError, match=r"got five: it shows frames of same in \S*test\. Leave"):
        mix(request)


def test_collages_need_crops_and_names_are_unique(folder, tmp_path):
    with pytest.raises(ValueError, match=r"expected foreground crops.*none given"):
        mix(Request((Source("collages"),)))
    write_clip(tmp_path / "again" / "one")
    sources = Source(str(folder)), Source(str(tmp_path / "again"))
    with pytest.raises(ValueError, match="one sequence of each name, got several of one"):
        mix(Request(sources))
    with pytest.raises(ValueError, match="videos of rendered to train on, got none"):
        Mixture().add(Source("rendered"), [])


def test_held_out_objects_and_their_backgrounds_are_not_trained_on(monkeypatch):
    photos = np.random.default_rng(0).integers(0, 256, (9, 480, 640, 3), dtype=np.uint8)
    crops = [np.full((9, 9, 4), number, np.uint8) for number in range(20)]
    monkeypatch.setattr(mixture.images, "photographs", lambda _: list(photos))
    monkeypatch.setattr(mixture.images, "foreground_crops", lambda _: crops)
    made = mix(Request((Source("collages"),), objects=15))
    training, held_out = made.videos, made.held_out["rendered"]
    assert len(training) == 15 and len(held_out) == videos.HELD_OUT_OBJECTS
    kinds = [{int(video.target[0, 0, 0]) for video in part} for part in (training, held_out)]
    assert kinds[1] <= {0, 10} and not kinds[0] & {0, 10}
    backgrounds = [{video.background.tobytes() for video in part} for part in (training, held_out)]
    assert not backgrounds[0] & backgrounds[1]
