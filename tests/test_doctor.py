"""The examination of a machine: what is missing is named, with a cure, and stops nothing."""

import importlib.util
import sys

import pytest

from trackerlib import doctor
from trackerlib.__main__ import main


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Sizes that take no time; speed itself is not tested."""
    monkeypatch.setattr(doctor, "SIDE", 16)
    monkeypatch.setattr(doctor, "COPIED", 1000)


def found(what):
    return next(finding for finding in doctor.examine() if finding.what == what)


def test_every_examination_speaks():
    subjects = {finding.what for finding in doctor.examine()}
    assert subjects >= {"Python", "machine", "OpenCV", "GPU", "weights", "cache", "speed", "KCF"}
    assert all(finding.found for finding in doctor.examine())


def test_a_missing_package_is_named_with_its_purpose_and_cure(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "skimage" else find(name)
    )
    finding = found("for the embedded benchmark")
    assert "without scikit-image" in finding.found and "scikit-learn" in finding.found
    assert finding.cure == "pip install scikit-image"


def test_a_package_that_does_not_import_stops_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    finding = found("OpenCV")
    assert finding.found.startswith(("ImportError", "ModuleNotFoundError"))
    assert finding.cure == doctor.REINSTALL
    assert found("cache").found


def test_two_wheels_of_opencv_are_told(monkeypatch):
    from trackerlib.trackers import opencv

    monkeypatch.setattr(opencv, "problem", lambda: "keep one of them")
    assert found("OpenCV").cure == "keep one of them"


def test_a_cache_that_cannot_hold_anything_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "FREE_BYTES", 2**80)
    assert "TRACKERLIB_CACHE" in found("cache").cure


def test_the_command_ends_in_1_where_something_is_to_be_done(monkeypatch, capsys):
    findings = [doctor.Finding("Python", "3.11.2"), doctor.Finding("disk", "full", "free some")]
    monkeypatch.setattr(doctor, "examine", lambda: iter(findings))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Python: 3.11.2", "disk: full", "  -> free some", "1 thing to do"]
    findings.pop()
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing to do"
