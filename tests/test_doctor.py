"""The examination of a machine: what is missing is named, with a cure, and stops nothing."""

import importlib.util
import os
import subprocess
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


LIBGL = 'raise ImportError("libGL.so.1: cannot open shared object file")'
FAKES = {  # how a package breaks -> what is said of it
    LIBGL: "cv2 cannot be used here: libGL.so.1: cannot open",
    "": "cv2 cannot be used here: AttributeError: module 'cv2' has no attribute",
    "import numpy; numpy.bool8": "cv2 cannot be used here: AttributeError: module 'numpy'",
    "raise RuntimeError('built for another one')": "cv2 cannot be used here: RuntimeError: built",
    "import nothing_such": "nothing_such cannot be used here: No module named 'nothing_such'",
}


def run(tmp_path, content, *arguments, package="cv2"):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(content)
    return subprocess.run(
        [sys.executable, "-m", "trackerlib", *arguments],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("content", "said"), FAKES.items())
def test_a_command_says_in_words_which_package_is_broken(tmp_path, content, said):
    done = run(tmp_path, content, "track", "x", "--box", "1,2,3,4")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"error: {said}" in done.stderr
    assert "`python -m trackerlib doctor` says what is broken" in done.stderr


def test_a_library_of_a_desktop_that_is_missing_is_one_thing_to_do(tmp_path):
    done = run(tmp_path, LIBGL, "doctor")
    assert "Traceback" not in done.stderr
    cures = [line for line in done.stdout.splitlines() if line.startswith("  ->")]
    assert len([line for line in cures if "opencv-contrib-python-headless" in line]) == 1
    assert "apt install libgl1" in done.stdout and "requirements.txt" not in done.stdout


def test_a_cause_is_named_once(tmp_path):
    done = run(tmp_path, "raise ImportError('no torch today')", "doctor", package="torch")
    assert done.stdout.count("no torch today") == done.stdout.count("requirements.txt") == 1
    assert "weights: not examined, since torch cannot be used: see " in done.stdout


def test_errors_of_the_library_itself_are_no_broken_package():
    for error in (ValueError("x"), AttributeError("y", name="z", obj=doctor), KeyError("z")):
        assert doctor.broken_package(error) == ""
