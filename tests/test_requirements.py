"""What is pinned installs on every promised Python, from files whose hashes are known."""

import importlib.metadata
import re
from pathlib import Path

import licences
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "requirements.txt"
LOCKS = "requirements.lock", "requirements-cuda.lock"
PYTHONS = "3.11.0", "3.11.2", "3.12.0", "3.13.0", "3.14.0"  # 3.11.2 is Debian 12's own


def requirements():
    lines = (line.partition("#")[0].strip() for line in PINS.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def locked(lock):
    """What a lock pins, each with the hashes of its files."""
    entries = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    parts = [re.split(r"\s+--hash=sha256:", entry) for entry in entries]
    return [(Requirement(pin), [digest.strip() for digest in digests]) for pin, *digests in parts]


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


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-torch-cpu.lock"])
def test_every_pin_has_hashes(lock):
    found = locked(lock)
    bare = [str(pin) for pin, digests in found if not digests]
    odd = [d for _, digests in found for d in digests if not re.fullmatch("[0-9a-f]{64}", d)]
    loose = [str(pin) for pin, _ in found if not re.fullmatch("==[^*]+", str(pin.specifier))]
    assert found and not bare and not odd and not loose


def test_the_lock_holds_what_is_pinned():
    pinned = {pin.name: str(pin.specifier) for pin in requirements()}
    held = {pin.name: str(pin.specifier) for pin, _ in locked(LOCKS[0])}
    assert pinned.items() <= held.items(), "run `make lock`"


def test_the_lock_has_what_other_systems_and_pythons_need():
    held = {pin.name: pin.marker for pin, _ in locked(LOCKS[0])}
    elsewhere = {"colorama": "win32", "appnope": "darwin"}
    assert all(held[name].evaluate({"sys_platform": at}) for name, at in elsewhere.items())


def test_pytorch_without_cuda_is_the_same_version_and_comes_first():
    [(pin, digests)] = locked("requirements-torch-cpu.lock")
    [pinned] = [pin for pin in requirements() if pin.name == "torch"]
    assert str(pin) == f"{pinned}+cpu" and len(digests) == 8  # Python 3.11 to 3.14, x86-64 and ARM
    steps = re.findall(r"LOCKED\) -r ([^\s;]+)", (ROOT / "Makefile").read_text())
    assert steps == ["requirements-torch-cpu.lock", *LOCKS]


def test_what_cuda_needs_is_for_linux_alone_and_apart():
    held = [pin for pin, _ in locked(LOCKS[1])]
    assert all(re.match("nvidia-|cuda-", pin.name) for pin in held)
    assert not any(pin.marker.evaluate({"sys_platform": "darwin"}) for pin in held)
    assert not any(re.match("nvidia-|cuda-", pin.name) for pin, _ in locked(LOCKS[0]))


def test_every_installation_asks_for_hashes():
    lines = (ROOT / "Makefile").read_text().splitlines()
    installs = [line for line in lines if "pip install" in line and "$(LOWEST)" not in line]
    ours = "--no-deps --no-build-isolation -e ."
    assert installs and all("$(LOCKED)" in line or ours in line for line in installs)
    assert "LOCKED := --no-deps --require-hashes" in lines
    builder = re.search(r'requires = \["(\S+)"\]', (ROOT / "pyproject.toml").read_text())[1]
    built_with = {str(pin) for pin in requirements()}
    assert builder in built_with, "what builds the project is locked too"
    assert any(pin.startswith("editables==") for pin in built_with)  # hatchling asks for it late


def test_every_licence_goes_with_this_projects(capsys):
    assert licences.main() == 0, capsys.readouterr().err
    listed = capsys.readouterr().out
    assert re.search(r"^torch .*BSD-3-Clause", listed, re.MULTILINE)
    assert len(listed.splitlines()) > 150


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("MIT OR Apache-2.0", []),
        ("", [""]),
        ("GPL-3.0-only AND MIT", ["GPL-3.0-only"]),
        ("MIT License; GNU General Public License (GPL)", ["GNU General Public License (GPL)"]),
        ("LicenseRef-NVIDIA-Proprietary", ["LicenseRef-NVIDIA-Proprietary"]),
    ],
)
def test_a_licence_that_does_not_is_seen(text, strange):
    assert licences.unknown("some", text) == strange
    assert licences.unknown("docutils", text) == [s for s in strange if "(GPL)" not in s]
