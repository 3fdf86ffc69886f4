"""Mutants: what is changed and what not, and which of them tests kill."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks import mutants

ROOT = Path(__file__).resolve().parents[2]


def changes(code: str) -> set[str]:
    """The texts that stand for a statement in turn."""
    names = [str(one) for one in mutants.mutants("made.py", textwrap.dedent(code))]
    return {name.partition(" -> ")[2] for name in names}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = a < b <= c", {"x = a <= b <= c", "x = a < b < c"}),
        ("x = a + b * c", {"x = a - b * c", "x = a + b / c"}),
        ("x += y", {"x -= y"}),
        ("x = a and b", {"x = a or b"}),
        ("x = not a", {"x = a"}),
        ("x = 3", {"x = 4", "x = 2"}),
        ("x = True", {"x = False"}),
        ("x = a[i:j]", {"x = a[:j]", "x = a[i:]"}),
        ("if a:\n    b", {"if not a:"}),
        ("def f():\n    return a", {"return None"}),
        ("x = 'word'", set()),
        ("x: tuple[2] = a", set()),
        ("raise ValueError(f'{a + 1}', 2)", set()),
        ("x = f'{a + 1}'", set()),
        ("if find_spec('triton'):\n    x = 3", set()),
    ],
)
def test_what_may_stand_in_its_place(code, expected):
    assert changes(code) == expected


def test_a_mutant_is_the_module_with_one_fault():
    first, *_ = mutants.mutants("made.py", "x = 1\n\n\ndef f(a):\n    return a < x\n")
    assert first.source == "x = 2\n\ndef f(a):\n    return a < x"
    assert [one.lines for one in mutants.mutants("made.py", "if (a and\n    b):\n    c")] == [
        range(1, 3)
    ] * 2


MADE = """
def larger(a, b):
    if a > b:
        return a
    return b


def loops(a):
    while a > 0:
        a -= 1
    return a


def unseen(a):
    return a + 1
"""
TESTS = """
import made


def test_larger():
    assert made.larger(3, 2) == 3 and made.larger(2, 3) == 3


def test_loops():
    assert made.loops(3) == 0
"""
RUN = """
import json, pathlib, sys
from benchmarks import mutants
mutants.MIN_SECONDS, tree = 1, pathlib.Path(sys.argv[1])
part = mutants.Part(("made.py",), ("test_made.py",))
print(json.dumps(mutants.result(tree, part, 99, 0, {"made.py: if a > b: -> if a >= b:": "equal"})))
"""


def test_tests_kill_what_they_see_and_an_endless_loop(tmp_path):
    (tmp_path / "made.py").write_text(MADE)
    (tmp_path / "test_made.py").write_text(TESTS)
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])  # above are the survivors
    assert (tmp_path / "made.py").read_text() == MADE
    assert {one["change"]: one["why"] for one in found["survived"]} == {
        "made.py: if a > b: -> if a >= b:": "equal",
        "made.py: return a + 1 -> return None": None,
        "made.py: return a + 1 -> return a - 1": None,
        "made.py: return a + 1 -> return a + 2": None,
        "made.py: return a + 1 -> return a + 0": None,
    }
    assert (found["mutants"], found["drawn"], found["killed"]) == (16, 16, 11)
    assert (found["lines"], found["branches"]) == ([9, 10], [4, 4])


def test_every_module_and_test_of_a_part_is_there():
    for part in mutants.PARTS.values():
        for name in (*part.modules, *part.tests):
            assert mutants.found(ROOT, (name,)), f"{name} is no file"
