"""Writes notebooks' text as JupyterLab shows it, and counts their equations and figures.

    python -m benchmarks.plain_text book/chapters/05_mdnet.ipynb ...

Roles become links and code, directives of equations `$$`, and a figure's caption a cell below it,
as book/extensions/plain_text.py describes, which reads them back for the pages. What is written
so already stays; its numbers are counted again. Outputs are left as they are.
"""

import argparse
import functools
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

from book.extensions.plain_text import address

BOOK = Path(__file__).resolve().parents[1] / "book"
BIBLIOGRAPHY, CHAPTERS = BOOK / "references.bib", BOOK / "chapters"
DIRECTIVE = re.compile(r"```\{math\}\n:label: (eq-[\w-]+)\n(.*?)\n```", re.DOTALL)
ROLE = re.compile(r"\{(cite|eq|numref|term|py:\w+)\}`([^`]*)`")
CITED_BY = re.compile(r"(?:of|in|by|from|with|to|as|and|than|\|)\s*$")  # words a name may follow
ANCHOR = r'(<a id="(?P<label>{kind}-[\w-]+)"></a>\s*'
TAGGED = re.compile(ANCHOR.format(kind="eq") + r"\$\$.*?\\tag\{)[^}]*(\})", re.DOTALL)
CAPTION = re.compile(ANCHOR.format(kind="fig") + r")(?:\*\*Fig\. [\w.]+\*\* )?")
EQUATION_LINK = re.compile(r"\[\([\w.]+\)\]\([^)#]*#(eq-[\w-]+)\)")
FIGURE_LINK = re.compile(r"\[Fig\. [\w.]+\]\([^)#]*#(fig-[\w-]+)\)")


def surnames(entry: Entry) -> str:
    """Return who wrote a paper, as it is cited."""
    last = [str(Text.from_latex(" ".join(p.last_names))) for p in entry.persons["author"]]
    if len(last) > 2:
        return f"{last[0]} et al."
    return " and ".join(last)


def cited(keys: str, before: str) -> str:
    """Return links to papers: in brackets, or as names where the sentence before needs one.

    Raises ValueError for a key that references.bib does not have.
    """
    entries = parse_file(str(BIBLIOGRAPHY)).entries
    links, named = [], bool(CITED_BY.search(before))
    for key in keys.split(","):
        if key not in entries:
            raise ValueError(f"plain_text: expected a key of {BIBLIOGRAPHY.name}, got {key!r}")
        entry = entries[key]
        year = entry.fields["year"]
        text = f"{surnames(entry)} ({year})" if named else f"{surnames(entry)}, {year}"
        links.append(f"[{text}]({address(entry)})" if address(entry) else text)
    return " and ".join(links) if named else f"({', '.join(links)})"


def written(kind: str, target: str, before: str) -> str:
    """Return what stands for a role; numbers are set later."""
    text, _, inner = target.partition("<")
    if kind == "cite":
        return cited(target, before)
    if kind == "eq":
        return f"[(0)](#{target})"
    if kind == "numref":
        return f"[Fig. 0](#{target})"
    if kind == "term":
        shown = text.strip()
        return shown if before.endswith("**") else f"**{shown}**"
    name = f"`{inner.strip('>') or text.lstrip('~')}`"
    return f"{text.strip()} ({name})" if inner else name


def without_roles(text: str) -> str:
    """Return a cell's text without MyST's roles and its directive for equations."""
    text = DIRECTIVE.sub(r'<a id="\1"></a>\n\n$$\n\2\n\\tag{0}\n$$', text)
    return ROLE.sub(lambda match: written(match[1], match[2], text[: match.start()]), text)


def caption_cell(cell: NotebookNode) -> NotebookNode | None:
    """Take a figure's caption from its cell's metadata; None if there is none."""
    figure = cell.metadata.get("mystnb", {}).pop("figure", None)
    if not figure or "caption" not in figure:
        return None
    if not cell.metadata.mystnb:
        del cell.metadata["mystnb"]
    text = f'<a id="{figure["name"]}"></a>\n{without_roles(figure["caption"])}'
    made = nbformat.v4.new_markdown_cell(text, metadata={"tags": ["caption"]})
    made.id = str(uuid.uuid5(uuid.NAMESPACE_URL, figure["name"]))[:8]  # the same in every run
    return made


def with_captions(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Return cells with a caption's cell below every figure that has one."""
    found = []
    for cell in cells:
        made = caption_cell(cell) if cell.cell_type == "code" else None
        found += [cell, made] if made else [cell]
    return found


def numbered(notebook: NotebookNode, chapter: str) -> dict[str, str]:
    """Set the numbers of equations and captions, in place -> labels and numbers.

    chapter  its number; "" for a page without, whose figures are counted from 1
    """
    numbers: dict[str, str] = {}

    def number(match: re.Match[str], kind: str) -> str:
        count = 1 + sum(label.startswith(kind) for label in numbers)
        numbers[match["label"]] = f"{chapter}.{count}" if chapter else str(count)
        return numbers[match["label"]]

    def caption(match: re.Match[str]) -> str:
        return f"{match[1]}**Fig. {number(match, 'fig')}.** "

    def equation(match: re.Match[str]) -> str:
        return f"{match[1]}{number(match, 'eq')}{match[3]}"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = TAGGED.sub(equation, CAPTION.sub(caption, cell.source))
    return numbers


def linked(text: str, numbers: dict[str, str], others: dict[str, tuple[str, str]]) -> str:
    """Return a text whose references have the numbers of what they lead to.

    numbers  of the notebook's labels
    others   number and address of labels in other chapters

    Raises ValueError for a label that is nowhere.
    """

    def link(match: re.Match[str], form: str) -> str:
        label = match[1]
        if label in numbers:
            return f"[{form.format(numbers[label])}](#{label})"
        if label not in others:
            raise ValueError(f"plain_text: expected a label of a chapter, got {label!r}")
        number, place = others[label]
        return f"[{form.format(number)}]({place}#{label})"

    text = EQUATION_LINK.sub(lambda match: link(match, "({})"), text)
    return FIGURE_LINK.sub(lambda match: link(match, "Fig. {}"), text)


def labelled(notebook: NotebookNode, path: Path) -> dict[str, str]:
    """Write the text of the notebook at `path` plainly, in place -> labels and numbers."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = without_roles(cell.source)
    notebook.cells = with_captions(notebook.cells)
    found = re.match(r"0*(\d+)_", path.name) if path.parent.name == "chapters" else None
    return numbered(notebook, found[1] if found else "")


@functools.cache
def chapters_labels() -> dict[str, tuple[str, str]]:
    """Return number and address, seen from another folder of the book, of the chapters' labels."""
    return {
        label: (number, f"../chapters/{path.name}")
        for path in sorted(CHAPTERS.glob("*.ipynb"))
        for label, number in labelled(nbformat.read(path, as_version=4), path).items()
    }


def convert(notebook: NotebookNode, path: Path) -> None:
    """Write the text of the notebook at `path` plainly, in place.

    Raises ValueError for an unknown label, or an unknown key of the bibliography.
    """
    numbers = labelled(notebook, path)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source, numbers, chapters_labels())


def main(argv: list[str] | None = None) -> int:
    """Convert notebooks one after the other -> 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    for path in parser.parse_args(argv).notebooks:
        notebook: Any = nbformat.read(path, as_version=4)
        convert(notebook, path)
        nbformat.write(notebook, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
