"""What people type: boxes in any form, paths with ~, settings."""

import argparse

import numpy as np
import pytest

from trackerlib.arguments import box, box_joined, output, place


@pytest.mark.parametrize(
    "typed",
    [
        ["--box", "-5,40,30,30"],
        ["--box=-5,40,30,30"],
        ["--box", "-5 40 30 30"],
        ["--box", "-5", "40", "30", "30"],
        ["--box", "-5,", "40,", "30,", "30"],
        ["--box", "-5;40;30;30"],
        ["--box", " -5.0, 4e1, 30, +30 "],
        ["--box", "(-5, 40, 30, 30)"],
        ["--box", "[-5 40 30 30]"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("after", [[], ["clip.mp4"], ["--tracker", "kcf"], ["7"]])
def test_a_box_in_any_form(typed, after):
    joined = box_joined(["track", *typed, *after])
    assert joined[0] == "track" and joined[2:] == after
    name, _, value = joined[1].partition("=")
    assert name == "--box"
    np.testing.assert_array_equal(box(value), [-5, 40, 30, 30])


@pytest.mark.parametrize("typed", ["1,2,3", "1,2,3,4,5", "", "a,b,c,d", "1,2,3,x", "--out"])
def test_anything_but_four_numbers_is_refused(typed):
    with pytest.raises(argparse.ArgumentTypeError, match="expected four numbers x,y,w,h, got"):
        box(typed)


def test_what_is_no_box_stays_as_it_is():
    typed = ["track", "--seed", "-1", "--box", "--out", "o.mp4"]
    assert box_joined(typed) == typed
    assert box_joined(["track", "--box"]) == ["track", "--box"]


def test_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert place("~/a") == output("~/a") == tmp_path / "a"
    with pytest.raises(argparse.ArgumentTypeError, match=r"the name of a user .* ~nobody-of-this"):
        place("~nobody-of-this-name/a")
