"""What `load` leaves of the garbage collector, and of what it imports."""

import gc
import sys

import pytest

from trackerlib.startup import load


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that says whether the collector ran while it was imported; imported anew."""
    (tmp_path / "made_package.py").write_text("import gc\nwas_enabled = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "made_package"
    sys.modules.pop("made_package", None)
    gc.unfreeze()


def test_the_collector_waits_for_the_import_and_leaves_it_alone(package):
    frozen = gc.get_freeze_count()
    load(package)
    assert not sys.modules[package].was_enabled
    assert gc.isenabled() and gc.get_freeze_count() > frozen


def test_a_collector_that_is_off_stays_off(package):
    gc.disable()
    try:
        load(package)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_imported_already_changes_nothing():
    frozen = gc.get_freeze_count()
    load("sys")
    assert gc.isenabled() and gc.get_freeze_count() == frozen


def test_a_failed_import_is_raised_and_the_collector_goes_on(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise ImportError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="broken"):
        load("broken_package")
    assert gc.isenabled()
