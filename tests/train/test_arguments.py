"""The command line of the trainings: shared arguments, former names, counts that cannot be."""

from pathlib import Path

import pytest

from trackerlib.train import adaptation, arguments, multidomain


def refused(main, monkeypatch, capsys, *flags):
    monkeypatch.setattr("sys.argv", ["train", "--out", "nowhere", *flags])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().err


@pytest.mark.parametrize("option, count", [("--mine", 0), ("--clips", -1), ("--objects", -1)])
def test_a_count_that_cannot_be_is_refused(option, count, monkeypatch, capsys):
    error = refused(multidomain.main, monkeypatch, capsys, option, str(count))
    assert f"expected {option} of at least {count + 1}, got {count}" in error


@pytest.mark.parametrize("option, multiple", [("--positives", 8), ("--negatives", 16)])
@pytest.mark.parametrize("count", [0, 20])
def test_a_batch_that_frames_cannot_share_is_refused(option, multiple, count, monkeypatch, capsys):
    error = refused(multidomain.main, monkeypatch, capsys, option, str(count))
    assert f"expected {option} in multiples of {multiple}, got {count}" in error


@pytest.mark.parametrize(
    "former, now",
    [
        (["--fixed-trunk"], "--fixed-backbone"),
        (["--trunk", "vggm"], "--backbone"),
        (["--films", "6"], "--clips"),
        (["--things=300"], "--objects"),
    ],
)
def test_a_former_flag_says_what_it_is_called_now(former, now, monkeypatch, capsys):
    error = refused(multidomain.main, monkeypatch, capsys, *former)
    assert f"{former[0].partition('=')[0]} is now called {now}" in error


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--videos", "here:0"], "expected a weight above 0, got 'here:0'"),
        (["--videos", "nowhere"], "nowhere: expected a folder"),
        (["--scale", "0.5"], "scale of at least 1"),
        (["--steps", "0"], "expected --steps of at least 1, got 0"),
        (["--data", "here"], "--data is now called --videos FOLDER"),
    ],
)
def test_videos_that_cannot_be_are_refused_before_training(flags, told, monkeypatch, capsys):
    assert told in " ".join(refused(multidomain.main, monkeypatch, capsys, *flags).split())


def test_so_do_those_of_the_adaptation(monkeypatch, capsys):
    error = refused(adaptation.main, monkeypatch, capsys, "--trunk", "vggm")
    assert "--trunk is now called --backbone" in error


def test_all_trainings_know_pictures_folder_and_time():
    parser = arguments.parser("distill", "What it does.", minutes=120)
    given = parser.parse_args(["--out", "here", "--photos", "a", "b"])
    assert given.out == Path("here") and given.photos == [Path("a"), Path("b")]
    assert given.minutes == 120
    arguments.add_renamed(parser, {"--films": "--clips"})
    assert not hasattr(parser.parse_args(["--out", "here"]), "films")
