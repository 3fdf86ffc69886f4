"""Sizes that keep code readable, docstrings of what is public, comments that say why."""

import ast
import io
import json
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE = 400  # lines
MAX_FUNCTION = 45  # lines, its docstring apart
MAX_NESTING = 3  # of loops, conditions and the like in a function
MIN_COMMENTS = 6  # per 100 lines of code
COMMENTED = ("trackerlib/ops", "trackerlib/trackers", "trackerlib/train")

# What begins a docstring: verbs in the imperative. `Returns` or a noun is neither.
NOT_VERBS = {
    *("a", "an", "the", "this", "that", "these", "those", "it", "its", "one", "two", "each"),
    *("every", "all", "both", "no", "not", "same", "also", "there", "boxes", "mean", "as", "at"),
    *("by", "for", "from", "how", "in", "of", "on", "to", "what", "when", "where", "whether"),
    *("which", "who", "whose"),
}

FILES = sorted(
    path
    for folder in ("trackerlib", "benchmarks", "tests", "book")
    for path in (ROOT / folder).rglob("*.py")
)
CODE = [path for path in FILES if path.relative_to(ROOT).parts[0] in ("trackerlib", "benchmarks")]
NOTEBOOKS = sorted(
    path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
LIBRARY = [path for path in CODE if path.relative_to(ROOT).parts[0] == "trackerlib"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = ast.For | ast.While | ast.If | ast.With | ast.Try | ast.Match


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a file's code, parsed once for all that is asked of it."""
    return ast.parse(path.read_text())


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines of a function, decorators and docstring apart."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function):
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


def nesting(node: ast.AST) -> int:
    """How deep blocks stand in one another; `elif` is no deeper than its `if`."""
    depths = [0]
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef | ast.Lambda):
            continue
        otherwise = isinstance(node, ast.If) and node.orelse == [child]
        is_block = isinstance(child, BLOCKS) and not (otherwise and isinstance(child, ast.If))
        depths.append(nesting(child) + is_block)
    return max(depths)


def starred(tree: ast.AST, is_written: bool = False) -> Iterator[ast.Call]:
    """Yield the calls with more than one starred argument.

    A function may pass on all that it is called with: `f(*arguments, **named)`.

    is_written  of a test or a notebook, in which `f(*a, **b)` may stand: a size and a style
    """
    passed_on = [
        {f.args.vararg.arg, f.args.kwarg.arg}
        for f in functions(tree)
        if f.args.vararg and f.args.kwarg
    ]
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            stars = [ast.unparse(a.value) for a in call.args if isinstance(a, ast.Starred)]
            if not is_written:
                stars += [ast.unparse(k.value) for k in call.keywords if k.arg is None]
            if len(stars) > 1 and set(stars) not in passed_on:
                yield call


def public(tree: ast.Module) -> Iterator[Function]:
    """Functions of a module and methods of its classes whose names begin with no underscore."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (
                method
                for method in node.body
                if isinstance(method, Function) and not method.name.startswith("_")
            )


def begins_with_a_verb(docstring: str) -> bool:
    """Whether a text's first word can be an imperative: `Return`, not `Returns` or `The`."""
    first = docstring.split(maxsplit=1)[0].strip(".,:;") if docstring.split() else ""
    is_word = first.isalpha() and first[0].isupper() and first[1:].islower()
    third_person = first.endswith("s") and not first.endswith("ss")
    return is_word and first.lower() not in NOT_VERBS and not third_person


def comments_and_code(text: str) -> tuple[int, int]:
    """Comments, and lines that have code: neither blank, nor comment, nor docstring."""
    comments, code = 0, set()
    skipped = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments += not token.string.startswith(("# noqa", "# fmt", "# type:"))
        elif token.type not in skipped:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node):
            code -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return comments, len(code)


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_is_short(path):
    assert len(path.read_text().splitlines()) <= MAX_FILE


@pytest.mark.parametrize("path", FILES, ids=label)
def test_functions_are_short_and_flat(path):
    tree = tree_of(path)
    assert not {f.name: length(f) for f in functions(tree) if length(f) > MAX_FUNCTION}
    if path in CODE:  # an oracle in scalar loops is as deep as its tensors
        assert not {f.name: nesting(f) for f in functions(tree) if nesting(f) > MAX_NESTING}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_call_has_one_starred_argument_at_most(path):
    is_test = path.relative_to(ROOT).parts[0] == "tests"
    assert not [ast.unparse(call) for call in starred(tree_of(path), is_test)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=label)
def test_a_notebooks_call_has_one_starred_argument_at_most(path):
    found = []
    for cell in json.loads(path.read_text())["cells"]:
        lines = "".join(cell["source"]).splitlines() if cell["cell_type"] == "code" else []
        code = "\n".join(line for line in lines if not line.startswith(("%", "!")))
        found += [ast.unparse(call) for call in starred(ast.parse(code), is_written=True)]
    assert not found


@pytest.mark.parametrize("path", LIBRARY, ids=label)
def test_public_functions_say_what_they_do(path):
    found = {
        function.name: (ast.get_docstring(function) or "").split("\n")[0]
        for function in public(tree_of(path))
        if not begins_with_a_verb(ast.get_docstring(function) or "")
    }
    assert not found


@pytest.mark.parametrize("folder", COMMENTED)
def test_comments_say_why(folder):
    counts = [comments_and_code(path.read_text()) for path in (ROOT / folder).rglob("*.py")]
    comments, code = (sum(column) for column in zip(*counts, strict=True))
    assert 100 * comments >= MIN_COMMENTS * code


def parsed(code: str) -> Function:
    return next(functions(ast.parse(code)))


def test_a_long_function_is_seen():
    assert length(parsed("@cached\ndef f():\n" + "    x = 1\n" * 45)) == MAX_FUNCTION + 1


def test_a_deep_function_is_seen():
    deep = "def f():\n for a in b:\n  if a:\n   with c:\n    while d:\n     pass\n"
    flat = "def f():\n if a:\n  pass\n elif b:\n  pass\n elif c:\n  pass\n else:\n  pass\n"
    assert (nesting(parsed(deep)), nesting(parsed(flat))) == (4, 1)


def test_two_starred_arguments_are_seen():
    code = "f(*a, *b)\nf(*a, **b)\nf(a, *b)\ndef g(*c, **d):\n    return f(*c, **d)\n"
    assert [ast.unparse(call) for call in starred(ast.parse(code))] == ["f(*a, *b)", "f(*a, **b)"]
    found = starred(ast.parse(code), is_written=True)
    assert [ast.unparse(call) for call in found] == ["f(*a, *b)"]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Return the boxes.", True),
        ("Pass on.", True),
        ("Returns the boxes.", False),
        ("The boxes.", False),
        ("(T, 4) -> (T,) overlaps", False),
        ("A layer", False),
        ("", False),
    ],
)
def test_the_first_word_of_a_docstring_is_seen(text, passes):
    assert begins_with_a_verb(text) == passes


def test_comments_are_counted():
    module = '"""A module."""\n\n# Why.\nx = 1  # (N, 4)\n'
    function = 'def f():\n    """Do it.\n\n    # no\n    """\n    return x\n'
    assert comments_and_code(module + function) == (2, 3)
