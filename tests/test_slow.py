"""What `make check` leaves out is named in slow.txt, and is there to be run by `make test`."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


@pytest.fixture
def conftest(request):
    return request.config.pluginmanager.getplugin(str(TESTS / "conftest.py"))


def test_slow_tests_exist(conftest):
    assert conftest.slow_tests()
    for name in conftest.slow_tests():
        file, _, function = name.partition("::")
        nodes = ast.walk(ast.parse((TESTS / file).read_text()))
        assert function in {n.name for n in nodes if isinstance(n, ast.FunctionDef)}, name


def test_what_is_named_is_marked_and_nothing_else(conftest, request, monkeypatch):
    item = request.node
    conftest.pytest_collection_modifyitems([item])
    assert not item.get_closest_marker("slow")
    monkeypatch.setattr(
        conftest, "slow_tests", lambda: {f"test_slow.py::{item.name}", "test_other.py::test"}
    )
    conftest.pytest_collection_modifyitems([item])
    assert item.get_closest_marker("slow")
