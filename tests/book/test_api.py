"""The library's pages: every module is on one, and docstrings become reST."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
API = ROOT / "book" / "api"
SPEC = importlib.util.spec_from_file_location("plain_docstrings", API / "plain_docstrings.py")
plain_docstrings = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(plain_docstrings)

# GPU kernels, how the embedded benchmark is drawn, and what a folder's own page shows.
INTERNAL = re.compile(
    r"\.ops\.kernels|\.data\.synthetic|\.__main__|\.weights\.store|\.(config|tracker|departures)$"
)


def modules() -> set[str]:
    """Dotted names of the library's modules that hold something."""
    found = set()
    for path in (ROOT / "trackerlib").rglob("*.py"):
        if path.stat().st_size:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.add(name.removesuffix(".__init__"))
    return found - {"trackerlib"}


def test_every_module_is_on_a_page():
    """A new module needs a section in book/api/; what INTERNAL names has its folder's."""
    text = "".join(page.read_text() for page in API.glob("*.md"))
    shown = set(re.findall(r"automodule:: (\S+)", text))
    wanted = {name for name in modules() if not INTERNAL.search(name)}
    assert wanted <= shown and shown <= modules()


def test_every_page_is_in_the_contents():
    contents = (ROOT / "_toc.yml").read_text()
    assert all(f"book/api/{page.stem}\n" in contents for page in API.glob("*.md"))


def rest(text: str, item: object = None) -> str:
    lines = text.splitlines()
    plain_docstrings.rewrite(None, "function", "name", item, None, lines)
    return "\n".join(lines).strip()


def test_columns_become_a_list():
    text = "rois  (K, 5): batch index,\n      then edges\nmean, std  of `x`"
    expected = "- ``rois``: (K, 5): batch index, then edges\n- ``mean, std``: of \\ ``x``\\"
    assert rest(text) == expected


def test_prose_code_and_references_stay_apart():
    text = "Sum x * y_ of a|b.\nSecond line.\n\n    a = *b\n\n[1] One: a\n    title.\n[2] Two."
    expected = (
        "Sum x \\* y\\_ of a\\|b. Second line.\n\n::\n\n    a = *b\n\n| [1] One: a title.\n\n"
        "| [2] Two."
    )
    assert rest(text) == expected


@dataclass(frozen=True)
class Settings:
    """Some settings."""

    steps: int = 3  # per frame
    # Lower than in the paper:
    # it diverged.
    lr: float = 0.1


def test_a_dataclass_shows_its_fields_with_their_comments():
    assert rest("Some settings.", Settings).splitlines()[2:] == [
        "- ``steps: int = 3``: per frame",
        "- ``lr: float = 0.1``: Lower than in the paper: it diverged.",
    ]
