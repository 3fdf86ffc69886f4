"""Trackers by name, the hash of their code, devices, the tracker that never moves."""

import dataclasses
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_trackers import SPECIFICATIONS

from trackerlib import trackers
from trackerlib.trackers import RENAMED, TRACKERS, names, parse


@pytest.mark.parametrize("name", TRACKERS)
def test_every_name_builds_a_tracker_that_answers_boxes(moving, name):
    frames, truth = moving(40, 32)
    tracker = parse(SPECIFICATIONS[name]).build(seed=1)
    with pytest.raises(RuntimeError, match=r"update: .* call init\(frame, box\) first"):
        tracker.update(frames[1])
    tracker.init(frames[0], truth[0])
    box = tracker.update(frames[1])
    assert (box.shape, box.dtype) == ((4,), np.float64)


def test_every_tracker_has_its_name():
    assert names() == sorted(TRACKERS) == sorted(SPECIFICATIONS)
    assert {"identity", "kcf", "opencv"} <= set(names())


def test_identity_never_moves(moving):
    frames, truth = moving(40, 32)
    tracker = parse("identity").build()
    tracker.init(frames[0], truth[0])
    tracker.update(frames[1])[:] = 0
    np.testing.assert_array_equal(tracker.update(frames[2]), truth[0])


def test_a_specification_changes_the_fields_it_names():
    spec = parse("kcf:features=gray,cell=2,sigma=0.25")
    assert (spec.label, spec.module) == ("kcf:features=gray,cell=2,sigma=0.25", "kcf")
    changed = {"features": "gray", "cell": 2, "sigma": 0.25}
    assert spec.settings() == parse("kcf").settings() | changed


@given(st.floats(1e-6, 1e6), st.integers(1, 100))
def test_numbers_survive_their_text(sigma, cell):
    config = parse(f"kcf:sigma={sigma!r},cell={cell}").config
    assert (config.sigma, config.cell) == (sigma, cell)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kfc",
            r"a tracker among deeptrack, detection, dlst, fdn, hcf, identity, kcf.*, got 'kfc'",
        ),
        ("kcf:kernal=linear", r"field among features, kernel.*, got 'kernal=linear'"),
        ("kcf:linear", r"expected field=value .*, got 'linear'"),
        ("kcf:padding=wide", r"expected a value of type float, got 'wide'"),
        ("kcf:cell=1.5", r"expected a value of type int, got '1.5'"),
        ("kcf:kernel=cubic", r"expected kernel among gaussian, linear, got 'cubic'"),
    ],
)
def test_a_wrong_specification_lists_what_is_known(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_set_of_weights_names_those_that_it_has(monkeypatch):
    config = parse("fdn:weights=real,best=3").config
    assert (config.backbone, config.head, config.best) == ("vggm", "vggm-fdn-real", 3)
    assert parse("fdn:head=random,weights=real").config.head == "random"
    ships = trackers.registry()
    monkeypatch.setattr(trackers, "registry", lambda: ships | {"vggm-real": ships["vggm"]})
    assert parse("fdn:weights=real").config.backbone == "vggm-real"
    # What was trained on another backbone is not mixed with this one.
    with pytest.raises(ValueError, match="has not all of vggm-real, vggm-msdat-real"):
        parse("msdat:weights=real")
    with pytest.raises(ValueError, match="got 'unreal'; the registry has not all of vggm-unreal"):
        parse("fdn:weights=unreal")
    with pytest.raises(ValueError, match="got 'real'; the registry has not all of its, as"):
        parse("kcf:weights=real")


def fields(name):
    """The fields of a tracker's Config."""
    return {field.name for field in dataclasses.fields(parse(name).config)}


@pytest.mark.parametrize("former", RENAMED)
def test_a_former_name_of_a_field_says_its_new_one(former):
    assert not [name for name in TRACKERS if former in fields(name)]
    having = [name for name in TRACKERS if RENAMED[former] in fields(name)]
    assert having
    for name in having:
        told = f"got '{former}=1' in .*; {former} is now called {RENAMED[former]}$"
        with pytest.raises(ValueError, match=told):
            parse(f"{name}:{former}=1")


def test_a_former_name_is_no_cure_where_the_field_is_not():
    with pytest.raises(ValueError, match=r"got 'tap=conv3' in 'kcf:tap=conv3'$"):
        parse("kcf:tap=conv3")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A copy of the library's code to change, hashed afresh."""
    copy = tmp_path / "trackerlib"
    shutil.copytree(trackers.LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(trackers, "LIBRARY", copy)
    return copy


@pytest.mark.parametrize(
    ("file", "addition", "counts"),
    [
        ("trackers/kcf.py", "\nX = 1\n", True),
        ("ops/hog.py", "\nX = 1\n", True),
        ("boxes.py", "\nX = 1\n", True),
        ("ops/hog.py", "\n\n# a remark\n", False),
        ("trackers/opencv.py", "\nX = 1\n", False),
    ],
)
def test_the_hash_of_a_trackers_code(library, file, addition, counts):
    code = trackers._code_hash.__wrapped__
    before = code("trackerlib.trackers.kcf")
    with (library / file).open("a") as text:
        text.write(addition)
    assert (code("trackerlib.trackers.kcf") != before) == counts
