"""Sphinx extension: the library's docstrings, which are plain text, as reST.

A docstring is a summary, paragraphs, and blocks of aligned columns:

    features   (N, C, H, W) float
    threshold  below which it ends; a longer text goes on
               under its own column

Columns become a list, indented text a literal block, and what
stands between backquotes code. A frozen dataclass shows its fields, each with
its default and the comment beside it.
"""

import dataclasses
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from typing import Any

COLUMNS = re.compile(r"(\S(?:.*?\S)??)  +(\S.*)")
REFERENCE = re.compile(r"(\[?\d+[.\]]|-) (\S.*)")
SPECIAL = re.compile(r"([\\*|]|(?<=\w)_(?!\w))")


def setup(app: Any) -> dict[str, bool]:
    """Connect to autodoc."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True}


def rewrite(
    app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]
) -> None:
    """Replace the lines of a docstring by reST, in place, as autodoc asks."""
    text = "\n".join(lines).strip("\n")
    if dataclasses.is_dataclass(item) and text.startswith(f"{item.__name__}("):
        text = ""  # the signature that dataclasses put in place of none
    written = [line for block in blocks(text) for line in reads_as(block)]
    if dataclasses.is_dataclass(item):
        written += fields_of(item)
    lines[:] = written


def shorten(
    app: Any,
    what: str,
    name: str,
    item: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None] | None:
    """Leave out a signature that says nothing: fields are listed below it."""
    made = dataclasses.is_dataclass(item) or getattr(
        item, "_is_protocol", False
    )
    return ("", None) if what == "class" and made else None


def blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines between blank ones; indented blocks stay together."""
    block: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def reads_as(block: list[str]) -> list[str]:
    """Return a block of plain text as lines of reST."""
    if all(line.startswith("    ") for line in block):
        code = textwrap.dedent("\n".join(block))
        return ["::", "", *textwrap.indent(code, "    ").split("\n"), ""]
    if COLUMNS.fullmatch(block[0]) and len(columns(block)) > 0:
        return listing(columns(block))
    if REFERENCE.fullmatch(block[0]):
        return listed(block)
    return [escaped(" ".join(line.strip() for line in block)), ""]


def columns(block: list[str]) -> list[tuple[str, str]]:
    """Return names and texts of aligned columns; none if it is prose."""
    rows: list[tuple[str, str]] = []
    for line in block:
        match = COLUMNS.fullmatch(line)
        if match and not line.startswith(" "):
            rows.append((match[1], match[2]))
        elif rows and line.startswith("  "):
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
        else:
            return []
    return rows


def listing(rows: list[tuple[str, str]]) -> list[str]:
    """Return a list of names and what is said of them."""
    items = [
        f"- ``{name}``: {escaped(text)}".rstrip(": ") for name, text in rows
    ]
    return [*items, ""]


def listed(block: list[str]) -> list[str]:
    """Return one paragraph for each reference or item of a list."""
    items: list[str] = []
    for line in block:
        if REFERENCE.fullmatch(line):
            items.append(line)
        else:
            items[-1] += f" {line.strip()}"
    return [line for item in items for line in (f"| {escaped(item)}", "")]


def escaped(text: str) -> str:
    """Return text without markup but its code, which `backquotes` set off."""
    parts = re.split(r"`+([^`]+)`+", text)
    words = [SPECIAL.sub(r"\\\1", part) for part in parts[::2]]
    code = [f"\\ ``{part.strip()}``\\ " for part in parts[1::2]]
    return "".join(
        one + other for one, other in zip(words, [*code, ""], strict=True)
    ).strip()


def fields_of(item: type) -> list[str]:
    """Return the fields of a dataclass that it adds to those it inherits."""
    own = inspect.get_annotations(item)
    comments = comments_of(item)
    rows = []
    for field in dataclasses.fields(item):
        if field.name in own and not field.name.startswith("_"):
            kind = str(own[field.name]).removeprefix("<class '")
            kind = kind.removesuffix("'>").rpartition(".")[2]
            term = f"{field.name}: {kind}"
            if field.default is not dataclasses.MISSING:
                term += f" = {field.default!r}"
            rows.append((term, comments.get(field.name, "")))
    return listing(rows) if any(text for _, text in rows) else []


def comments_of(item: type) -> dict[str, str]:
    """Return the comment beside each field, or the lines of it above."""
    source = textwrap.dedent(inspect.getsource(item))
    found: dict[str, str] = {}
    above, name = [], ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ")
            if token.line.strip().startswith("#"):
                above.append(text)
            elif name:
                found[name] = " ".join([*above, text])
        elif token.type == tokenize.NAME and token.start[1] == 4:
            name = token.string
            if above:
                found[name] = " ".join(above)
        elif token.type == tokenize.NEWLINE:
            above, name = [], ""
    return found
