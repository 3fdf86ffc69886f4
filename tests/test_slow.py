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
    slow = {f"test_slow.py::{item.name}": 4.0, "test_other.py::test": 5.0}
    monkeypatch.setattr(conftest, "slow_tests", lambda: slow)
    conftest.pytest_collection_modifyitems([item])
    assert item.get_closest_marker("slow")


def test_slow_files_begin_first_in_the_order_of_their_seconds(conftest, monkeypatch):
    class Item:
        def __init__(self, file):
            self.path, self.name, self.marked = TESTS / file, "test", False

        def add_marker(self, marker):
            self.marked = True

    slow = {"ops/b.py::test": 4.0, "a.py::other": 3.0, "a.py::another": 3.0}
    monkeypatch.setattr(conftest, "slow_tests", lambda: slow)
    items = [Item(file) for file in ("c.py", "ops/b.py", "a.py", "d.py")]
    conftest.pytest_collection_modifyitems(items)
    assert [item.path.name for item in items] == ["a.py", "b.py", "c.py", "d.py"]
    assert [item.marked for item in items] == [False, True, False, False]
