"""The field's words, not the project's own: in names, docstrings, comments and prose.

What is meant by each word stands in the glossary under another one: a trunk is a backbone,
what was taught is trained, the near and the far are positives and negatives.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Parts of names that are split at underscores and capitals: `Trunk`, `shared_trunk`, `_look`.
NAMES = re.compile(
    r"\b(trunks?|(un)?taught|looks?(?! alike| up| like)|judge[sd]?|judging|obstacles?|remarks?"
    r"|films?|filmed|filming|cut ?outs?|greatest|least(?! squares))\b"
)
WHOLE_NAMES = {"near", "far"}  # as parts they are adverbs: `far_outside`
DISTANCES = re.compile(r"/(ops|synthetic|tests)/")  # where near and far are places
PROSE = re.compile(
    r"\b(trunks?"
    r"|(un)?taught"
    r"|(its|their|his|her|whose|same|first|target's) looks?(?!-| alike| at| for| up)"
    r"|(mis)?judg(e|es|ed|ing|ements?)"
    r"|obstacles?"
    r"|remarks?"
    r"|films?|filmed|filming"
    r"|cut-?outs?)\b",
    re.IGNORECASE,
)
WRITTEN = ("README.md", "CONTRIBUTING.md", "data/README.md", "Makefile", "pyproject.toml")

CODE = sorted(
    path
    for folder in ("trackerlib", "benchmarks", "tests", "book")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__)
)
NOTEBOOKS = sorted(
    path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
TEXTS = sorted((ROOT / "book").rglob("*.md")) + [ROOT / name for name in WRITTEN]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def words_of(name: str) -> str:
    """`CropFeatures` and `crop_features` -> `crop features`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").strip().lower()


def is_private_word(name: str) -> bool:
    """Whether a name has one of the project's own words."""
    return bool(NAMES.search(words_of(name))) or is_near_or_far(name)


def is_near_or_far(name: str) -> bool:
    return name.strip("_") in WHOLE_NAMES


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield the names that code gives: of functions, classes, arguments, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def written(code: str) -> Iterator[str]:
    """Yield the comments and docstrings of code."""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def in_code(code: str) -> set[str]:
    """Private words of code: whole names, and words of its comments and docstrings."""
    names = {name for name in defined(ast.parse(code)) if is_private_word(name)}
    return names | {word for text in written(code) for word in in_prose(text)}


def in_prose(text: str) -> set[str]:
    return {match.group() for match in PROSE.finditer(text)}


def in_keys(stored: object) -> set[str]:
    """Private words among the keys of nested dicts."""
    if isinstance(stored, list):
        return {word for value in stored for word in in_keys(value)}
    if isinstance(stored, dict):
        own = {key for key in stored if is_private_word(key)}
        return own | in_keys(list(stored.values()))
    return set()


def in_notebook(notebook: dict) -> set[str]:
    """Private words of a notebook's prose and code."""
    found = set()
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found |= in_prose(text)
        else:
            lines = [line for line in text.splitlines() if not line.startswith(("%", "!"))]
            found |= in_code("\n".join(lines))
    return found


@pytest.mark.parametrize("path", CODE, ids=label)
def test_code_says_it_in_the_fields_words(path):
    found = in_code(path.read_text()) | set(filter(is_private_word, [path.stem]))
    if DISTANCES.search(path.as_posix()):
        found = {name for name in found if not is_near_or_far(name)}
    assert not found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=label)
def test_a_notebook_says_it_in_the_fields_words(path):
    assert not in_notebook(json.loads(path.read_text()))


@pytest.mark.parametrize("path", TEXTS, ids=label)
def test_a_text_says_it_in_the_fields_words(path):
    assert not in_prose(path.read_text())


@pytest.mark.parametrize("path", sorted((ROOT / "data").glob("*.json")), ids=label)
def test_data_are_named_in_the_fields_words(path):
    found = in_keys(json.loads(path.read_text()))
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "shared_trunk = 1",
        "class Trunk: pass",
        "def _look(frame): pass",
        "def first(least=0): pass",
        "self.remarks = []",
        "near, far = boxes",
        "with_cut_outs = CutOuts()",
        "x = 1  # the judge of it",
        '"""It was taught on films."""',
        "def f():\n    'Crops, filmed from elsewhere.'",
    ],
)
def test_a_private_word_in_code_is_seen(code):
    assert in_code(code)


@pytest.mark.parametrize(
    "text",
    [
        "The trunk was fixed.",
        "Untaught layers",
        "a linear judge",
        "misjudged boxes",
        "its look changes",
        "two of the same looks",
        "Cut-outs over photographs",
        "Remarks are printed",
    ],
)
def test_a_private_word_in_prose_is_seen(text):
    assert in_prose(text)


@pytest.mark.parametrize(
    "code",
    [
        "look_alikes = far_outside = least_squares = lookup = nearest = 1",
        "x = lookup(near=1)",
        "# at least two look alike, and it looks like the first look at it",
        "# it cuts out crops as far as it can see",
    ],
)
def test_plain_english_passes(code):
    assert not in_code(code)


def test_a_private_key_is_seen():
    assert in_keys({"rows": [{"taught": 1, "steps": 2}]}) == {"taught"}
    assert in_keys({"rows": [{"training": 1}]}) == set()
