"""Mutation testing: which small faults, put into the library one at a time, do its tests notice?

    python -m benchmarks.mutants --json build/mutants.json
    python -m benchmarks.mutants --parts losses boxes --count 20 --json FILE

A mutant is a module with one fault: a comparison, an arithmetic or a logical operator exchanged,
a condition negated, a number one off, a bound of a slice left out, a result that is None. The
mutants of a part are drawn at random. Each runs, in a copy of the checkout and a process of its
own, the part's tests that reach its line; it is killed if one fails, or if they take far longer
than without it. The same run gives the branches that these tests take.

Not of interest, and left out: what a `raise` or an f-string says, type hints, and what only a GPU
runs (`is_left_out`). mutmut 3.8 changes no decorated function, which all bodies of ops are, and
cosmic-ray 8.7 imports PyTorch anew for each mutant and draws no sample: hence this module.
"""

import argparse
import ast
import copy
import importlib
import json
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import coverage
import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
# What each process would import anew; not the library itself, which a mutant changes.
HEAVY = "cv2", "hypothesis.extra.numpy", "numba", "numpy", "pandas", "scipy.stats", "torch"
NOT_COPIED = ".git", ".venv", "build", ".mypy_cache", ".ruff_cache", ".pytest_cache"
MIN_SECONDS = 20  # of a processor, which a mutant's tests may take at least
MIN_KILLED = 0.85  # of the mutants that were drawn
SLOWER = 5  # times as long as without the mutant


class Part(NamedTuple):
    """Modules, and tests that mirror them: paths below the root, or patterns of such."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


def _named(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}{name}.py" for name in names.split())


PARTS = {
    "boxes": Part(("trackerlib/boxes.py",), ("tests/test_boxes.py",)),
    "metrics": Part(
        _named("trackerlib/eval/", "conventions metrics overlaps resets statistics vot"),
        _named("tests/eval/test_", "metrics metrics_scale overlaps statistics vot_protocol"),
    ),
    "store": Part(
        _named("trackerlib/eval/", "archive archived box_files contents records store"),
        _named("tests/eval/test_", "archive contents outdated store"),
    ),
    "losses": Part(
        ("trackerlib/nets/losses.py", "trackerlib/trackers/*/losses.py"),
        ("tests/nets/test_losses.py",),
    ),
    "samplers": Part(
        _named("trackerlib/", "trackers/mdnet/samplers train/augmentation train/samples"),
        _named(
            "tests/", "trackers/mdnet/test_samplers train/test_augmentation train/test_samples"
        ),
    ),
    "readers": Part(
        _named(
            "trackerlib/data/",
            "__init__ cvat davis formats got10k label_studio lasot mot nfs numbering otb rows "
            "sequence targets temple_color trackingnet uav123 via vot",
        ),
        _named(
            "tests/data/test_",
            "data_formats dataset_layouts numbering open_dataset otb other_sets rows sequence vot",
        ),
    ),
    "ops": Part(
        _named(
            "trackerlib/ops/",
            "adaptive_roi_align bilinear correlation_filter crop_and_resize hog "
            "pooled_convolution response_norm roi_align roi_pool rois",
        ),
        _named(
            "tests/ops/test_",
            "adaptive_roi_align correlation_filter crop_and_resize hog layouts "
            "pooled_convolution response_norm roi_align roi_pool",
        ),
    ),
}

EXCHANGED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Break: ast.Continue, ast.Continue: ast.Break,
}  # fmt: skip
# Of plugins the one alone that tests need: others import as much as the library itself.
QUIET = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "_hypothesis_pytestplugin",
    "--hypothesis-profile=few",
)
UNHARMED = pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED
MAX_SECONDS = 900  # of the clock, for tests that wait
ABOUT = "benchmarks/mutants.py: small faults drawn at random, and whether the tests notice them"
SAID = ast.Raise | ast.JoinedStr


class Mutant(NamedTuple):
    """A place in a module where one node may stand for another."""

    module: str  # path below the root
    tree: ast.Module
    statement: ast.stmt  # the innermost that holds the node
    node: ast.AST
    other: ast.AST

    def __str__(self) -> str:
        other = self.other if self.node is self.statement else self._with(self.statement)
        return f"{self.module}: {_text(self.statement)} -> {_text(other)}"

    @property
    def lines(self) -> range:
        """Return the statement's lines, without the block under it."""
        first, body = self.statement.lineno, getattr(self.statement, "body", None)
        return range(first, body[0].lineno if body else (self.statement.end_lineno or first) + 1)

    @property
    def source(self) -> str:
        """Return the whole module with the fault."""
        return ast.unparse(self._with(self.tree))

    def _with(self, tree: ast.AST) -> ast.AST:
        # A copy of all but one node, in whose place the other is.
        return copy.deepcopy(tree, {id(self.node): self.other})


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place."""
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                if type(operator) in EXCHANGED:
                    ops = list(node.ops)
                    ops[number] = EXCHANGED[type(operator)]()
                    yield ast.Compare(node.left, ops, node.comparators)
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp() if type(node.op) in EXCHANGED:
            yield _with(node, op=EXCHANGED[type(node.op)]())
        case ast.UnaryOp():
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float() as number):
            yield from (ast.Constant(number + step) for step in (1, -1))
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Slice():
            bounds = [name for name in ("lower", "upper") if getattr(node, name)]
            yield from (_with(node, **{name: None}) for name in bounds)
        case ast.If() | ast.IfExp() | ast.While():
            yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Break() | ast.Continue():
            yield EXCHANGED[type(node)]()


def _with(node: ast.AST, **changed: Any) -> ast.AST:
    return type(node)(**(dict(ast.iter_fields(node)) | changed))


def is_left_out(node: ast.AST) -> bool:
    """Return whether a node and all in it stay as they are: words, and what only a GPU runs."""
    return isinstance(node, SAID) or (
        isinstance(node, ast.If) and ast.unparse(node.test) == "find_spec('triton')"
    )


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module: its path below the root and its text."""
    tree = ast.parse(source)
    for node, statement in _places(tree, tree.body[0]):
        for other in alternatives(node):
            yield Mutant(module, tree, statement, node, other)


def _places(node: ast.AST, statement: ast.stmt) -> Iterator[tuple[ast.AST, ast.stmt]]:
    """Yield the nodes that may change, and the innermost statement of each."""
    if is_left_out(node):
        return
    statement = node if isinstance(node, ast.stmt) else statement
    yield node, statement
    hints = [child for name in ("annotation", "returns") if (child := getattr(node, name, None))]
    for child in ast.iter_child_nodes(node):
        if child not in hints:
            yield from _places(child, statement)


def _text(statement: ast.AST) -> str:
    """Return a statement on one line, without the block under it."""
    first, *rest = ast.unparse(statement).split("\n")
    return first if hasattr(statement, "body") else " ".join([first, *map(str.strip, rest)])


class Baseline(NamedTuple):
    """What a part's tests do without a fault."""

    reached: dict[str, dict[int, list[str]]]  # module -> line -> tests
    seconds: dict[str, float]  # of a processor, by test
    covered: dict[str, tuple[int, int]]  # lines, branches: taken, of how many


class _Watch:
    """Tells the coverage which test runs, and how long each takes."""

    def __init__(self, measured: coverage.Coverage):
        self.measured, self.seconds = measured, dict[str, float]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.measured.switch_context(item.nodeid)
        start = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - start
        return result


class _Choice:
    """Runs the chosen tests alone."""

    def __init__(self, names: set[str]):
        self.names = names

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.names]


def baseline(tree: Path, part: Part) -> Baseline:
    """Run a part's tests in a copy of the checkout, and note which lines and branches they reach.

    Raises SystemExit if one fails: no mutant could be told from it.
    """
    modules, notes = found(tree, part.modules), tree / "baseline.json"
    measured = coverage.Coverage(
        tree / ".coverage", branch=True, include=[str(tree / name) for name in modules]
    )
    measured.exclude(r'if find_spec\("triton"\)')

    def watched() -> int:
        watch = _Watch(measured)
        measured.start()
        code = pytest.main([*QUIET, *found(tree, part.tests)], plugins=[watch])
        measured.stop()
        measured.save()
        notes.write_text(json.dumps(watch.seconds))
        return code

    if code := _in_copy(tree, watched, limit=None):
        raise SystemExit(f"tests fail without a fault, with {code}: {' '.join(part.tests)}")
    measured.load()
    measured.json_report(outfile=str(tree / "coverage.json"))
    totals = json.loads((tree / "coverage.json").read_text())["totals"]
    data = measured.get_data()
    return Baseline(
        {name: data.contexts_by_lineno(str(tree / name)) for name in modules},
        json.loads(notes.read_text()),
        {
            "lines": (totals["covered_lines"], totals["num_statements"]),
            "branches": (totals["covered_branches"], totals["num_branches"]),
        },
    )


def found(tree: Path, patterns: tuple[str, ...]) -> list[str]:
    """Return the paths below a folder that the patterns match, in order."""
    return sorted({str(path.relative_to(tree)) for one in patterns for path in tree.glob(one)})


def _in_copy(tree: Path, run: Callable[[], int], limit: float | None) -> int:
    """Call a function in a copy of the checkout and a process of its own -> its result.

    limit  seconds of a processor, after which it is ended
    """

    def child() -> None:
        os.setsid()
        if limit:
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 1))
        os.chdir(tree)
        os.environ |= {"PYTHONPATH": str(tree), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        # What the first run compiles, later ones read; none may read another mutant.
        sys.dont_write_bytecode = limit is not None
        hypothesis.settings.register_profile(
            "few", deadline=None, derandomize=True, max_examples=25
        )
        sys.path[:] = [str(tree), *(path for path in sys.path if path != str(ROOT))]
        for name in [name for name in sys.modules if name.startswith("benchmarks")]:
            del sys.modules[name]
        with open(tree / "output.txt", "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        sys.exit(run())

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(MAX_SECONDS)
    if process.is_alive() and process.pid:
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode or 0


def is_killed(tree: Path, mutant: Mutant, known: Baseline) -> bool:
    """Run the tests that reach a mutant's line, in a copy of the checkout."""
    reached = known.reached[mutant.module]
    tests = set().union(*(reached.get(line, ()) for line in mutant.lines)) - {""}
    if not tests and any(line in reached for line in mutant.lines):  # what an import alone runs
        tests = set().union(*reached.values()) - {""}
    if not tests:
        return False
    files = sorted({name.partition("::")[0] for name in tests})
    limit = MIN_SECONDS + SLOWER * sum(known.seconds[name] for name in tests)
    path = tree / mutant.module
    original = path.read_bytes()
    path.write_text(mutant.source)
    os.utime(path, (1, 1))  # no bytecode is of that time: none of the same size is taken for it
    run = partial(pytest.main, ["-x", *QUIET, *files], plugins=[_Choice(tests)])
    try:
        return _in_copy(tree, run, limit) not in UNHARMED
    finally:
        path.write_bytes(original)


def result(tree: Path, part: Part, count: int, seed: int, notes: dict[str, str]) -> dict[str, Any]:
    """Draw a part's mutants and run them in a copy of the checkout -> the file's entry on it.

    notes  why a survivor is none to kill, by its name
    """
    known = baseline(tree, part)
    every = [
        mutant
        for module in found(tree, part.modules)
        for mutant in mutants(module, (tree / module).read_text())
    ]
    drawn = random.Random(seed).sample(every, min(count, len(every)))  # noqa: S311
    survived = []
    for mutant in drawn:
        if not is_killed(tree, mutant, known):
            survived.append({"change": str(mutant), "why": notes.get(str(mutant))})
            print(f"survived, line {mutant.lines[0]} of {mutant}", flush=True)
    entry = {"mutants": len(every), "drawn": len(drawn), "killed": len(drawn) - len(survived)}
    return entry | known.covered | {"survived": survived}


def main() -> None:
    """Run the mutants that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--count", type=int, default=50, help="of mutants of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--json", type=Path, required=True, help="file to write; its notes on survivors stay"
    )
    given = parser.parse_args()
    stored = json.loads(given.json.read_text())["parts"] if given.json.exists() else {}
    notes = {one["change"]: one["why"] for part in stored.values() for one in part["survived"]}
    for name in HEAVY:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "checkout"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
        for name in given.parts:
            stored[name] = result(tree, PARTS[name], given.count, given.seed, notes)
            print(name, {**stored[name], "survived": None}, flush=True)
            given.json.write_text(json.dumps({"about": ABOUT, "parts": stored}, indent=1) + "\n")
    low = [n for n in given.parts if stored[n]["killed"] < MIN_KILLED * stored[n]["drawn"]]
    if low:
        raise SystemExit(f"fewer than {MIN_KILLED:.0%} are killed of {', '.join(low)}")


if __name__ == "__main__":
    main()
