"""What is pinned installs on every Python that the project promises."""

import importlib.metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PINS = Path(__file__).resolve().parents[1] / "requirements.txt"
PYTHONS = "3.11.0", "3.11.2", "3.12.0", "3.13.0", "3.14.0"  # 3.11.2 is Debian 12's own


def requirements():
    lines = (line.partition("#")[0].strip() for line in PINS.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_admits_the_python(python):
    here = [r for r in requirements() if r.marker is None or r.marker.evaluate()]
    asked = {r.name: importlib.metadata.metadata(r.name).get("Requires-Python") for r in here}
    refused = [
        f"{name} asks for {versions}"
        for name, versions in asked.items()
        if versions and not SpecifierSet(versions).contains(python)
    ]
    assert not refused


def test_what_is_installed_is_what_is_pinned():
    here = [r for r in requirements() if r.marker is None or r.marker.evaluate()]
    found = {r.name: importlib.metadata.version(r.name) for r in here}
    assert not [str(r) for r in here if not r.specifier.contains(found[r.name], prereleases=True)]
