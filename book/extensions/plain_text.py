"""Sphinx extension: notebooks' text, written so that JupyterLab shows it too.

JupyterLab knows no roles and directives. In a notebook's text therefore stand

    equations    `<a id="eq-auc"></a>`, a blank line, `$$ ... \\tag{1.3} $$`
    references   `[(1.3)](#eq-auc)`, `[Fig. 1.2](#fig-curves)`
    captions     a cell tagged "caption" below the figure's: its anchor,
                 `**Fig. 1.2.** What is seen.`
    citations    a link to the paper, at the address that references.bib has
    terms        bold, `**backbone**`
    names        `trackerlib.ops.roi_align`, in code and in full
    boxes        a quotation that begins with one of BOXES in bold,
                 `> **Warning.** Text`

and this module makes of them what MyST has for it: numbered equations and
figures, admonitions, and links to the bibliography, the glossary and the
library's pages.
`python -m benchmarks.plain_text` writes such text and counts its numbers.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pybtex.database import Entry, parse_file

EQUATION = re.compile(
    r'<a id="(eq-[\w-]+)"></a>\s*\$\$(.*?)\\tag\{[^}]*\}\s*\$\$', re.DOTALL
)
EQUATION_LINK = re.compile(r"\[\([\w.]+\)\]\([^)#]*#(eq-[\w-]+)\)")
FIGURE_LINK = re.compile(r"\[Fig\. [\w.]+\]\([^)#]*#(fig-[\w-]+)\)")
CAPTION = re.compile(
    r'<a id="(fig-[\w-]+)"></a>\s*(?:\*\*Fig\. [\w.]+\*\* )?(.*)', re.DOTALL
)
NAME = re.compile(r"trackerlib(\.\w+)+")
BIBLIOGRAPHY, GLOSSARY = "book/bibliography", "book/glossary"
BOXES = {  # word that begins a quotation, class of its admonition
    "definition": "note",
    "exercise": "tip",
    "note": "note",
    "warning": "warning",
}
URL = re.compile(r"(https?://[^\s]*[^\s.,;])")
MAX_TIP = 240  # characters of a definition


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", read)
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def read(app: Any, docname: str, source: list[str]) -> None:
    """Rewrite a notebook's text in place, as Sphinx asks."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    cells: list[dict[str, Any]] = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = as_myst(text)
        if "caption" in cell["metadata"].get("tags", []):
            add_caption(cells[-1], text, path)
        else:
            cells.append({**cell, "source": text})
    source[0] = json.dumps({**notebook, "cells": cells})


def as_myst(text: str) -> str:
    """Return a cell's text with labels, and with references to them."""
    text = EQUATION.sub(as_directive, text)
    text = EQUATION_LINK.sub(r"{eq}`\1`", text)
    return FIGURE_LINK.sub(r"{numref}`\1`", text)


def as_directive(match: re.Match[str]) -> str:
    """Return a numbered equation as MyST writes it."""
    return f"```{{math}}\n:label: {match[1]}\n{match[2].strip()}\n```"


def add_caption(cell: dict[str, Any], text: str, path: Path) -> None:
    """Give a figure's cell its caption. Raises ValueError for another text."""
    match = CAPTION.fullmatch(text.strip())
    if cell["cell_type"] != "code" or not match:
        raise ValueError(
            f"{path}: expected '<a id=\"fig-...\"></a>' and a caption below a "
            f"code cell, got {text[:60]!r}; see book/extensions/plain_text.py"
        )
    shown = cell["metadata"].setdefault("mystnb", {})
    shown["figure"] = {"name": match[1], "caption": match[2]}


def address(entry: Entry) -> str:
    """Return where a paper can be read, "" where the list has no address."""
    fields = entry.fields
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return fields.get("url", "")


def papers(path: Path) -> dict[str, str]:
    """Return addresses of papers and their keys in the list at `path`."""
    entries = parse_file(str(path)).entries
    found = {address(entry): key for key, entry in entries.items()}
    return {url: key for url, key in found.items() if url}


def link(app: Any, doctree: nodes.document, docname: str) -> None:
    """Link papers, terms and names to the book's own pages."""
    if app.builder.format != "html":
        return
    to_papers(app, doctree, docname)
    definitions = glossary(app)
    if docname == BIBLIOGRAPHY:
        link_addresses(doctree)
    if app.env.doc2path(docname).endswith(".ipynb"):
        to_boxes(doctree)
        to_terms(app, doctree, docname, definitions)
        to_names(app, doctree, docname)
    for node in doctree.findall(nodes.reference):
        page, _, anchor = node.get("refuri", "").partition("#")
        if page.endswith("glossary.html") and anchor in definitions:
            node["reftitle"] = definitions[anchor]


def to_papers(app: Any, doctree: nodes.document, docname: str) -> None:
    """Let links to papers lead to the bibliography, which has the address."""
    keys = papers(Path(app.srcdir, app.config.bibtex_bibfiles[0]))
    cited = app.env.get_domain("cite").citations
    tips = {citation.key: citation.tooltip_entry for citation in cited}
    if docname == BIBLIOGRAPHY:
        return
    for node in doctree.findall(nodes.reference):
        key = keys.get(node.get("refuri", ""))
        if key:
            page = app.builder.get_relative_uri(docname, BIBLIOGRAPHY)
            node["refuri"], node["internal"] = f"{page}#{key}", True
            node["reftitle"] = plain(tips.get(key))


def plain(entry: Any) -> str:
    """Return a reference of the list as text, "" for none."""
    return entry.text.render_as("text") if entry else ""


def link_addresses(doctree: nodes.document) -> None:
    """Make links of the addresses that the bibliography's notes have."""
    for text in list(doctree.findall(nodes.Text)):
        parts = URL.split(str(text))
        if len(parts) > 1 and not inside(text, nodes.reference):
            found: list[nodes.Node] = [nodes.Text(part) for part in parts]
            for index in range(1, len(parts), 2):
                url = parts[index]
                found[index] = nodes.reference("", url, refuri=url)
            text.parent.replace(text, found)


def to_boxes(doctree: nodes.document) -> None:
    """Make boxes of quotations that begin with a word of BOXES in bold."""
    for quote in list(doctree.findall(nodes.block_quote)):
        first = quote.next_node(nodes.strong)
        title = first.astext().rstrip(".") if first else ""
        kind = BOXES.get(title.partition(" ")[0].lower())
        if kind and quote.astext().startswith(first.astext()):
            first.parent.remove(first)
            head = nodes.title("", title)
            box = nodes.admonition("", head, *quote.children)
            box["classes"] = ["admonition", kind]
            quote.replace_self(box)


def to_terms(
    app: Any, doctree: nodes.document, docname: str, known: dict[str, str]
) -> None:
    """Link the terms that stand in bold to their definitions."""
    page = app.builder.get_relative_uri(docname, GLOSSARY)
    anchors = {a.removeprefix("term-").lower(): a for a in known}
    for node in list(doctree.findall(nodes.strong)):
        slug = re.sub(r"[^a-z0-9]+", "-", node.astext().lower()).strip("-")
        anchor = anchors.get(slug) or anchors.get(slug.removesuffix("s"))
        if anchor and not inside(node, nodes.reference):
            uri = f"{page}#{anchor}"
            shown = nodes.reference("", "", internal=True, refuri=uri)
            node.replace_self(shown)
            shown += node


def to_names(app: Any, doctree: nodes.document, docname: str) -> None:
    """Link the library's names, written in full, and show their last part."""
    objects = app.env.get_domain("py").objects
    for node in list(doctree.findall(nodes.literal)):
        name = node.astext()
        known = objects.get(name) if NAME.fullmatch(name) else None
        if known and not inside(node, nodes.reference):
            short = name.rpartition(".")[2]
            kind = "()" if known.objtype in ("function", "method") else ""
            page = app.builder.get_relative_uri(docname, known.docname)
            shown = nodes.reference("", "", internal=True, reftitle=name)
            shown["refuri"] = f"{page}#{known.node_id}"
            classes = ["xref", "py", f"py-{known.objtype}"]
            shown += nodes.literal("", short + kind, classes=classes)
            node.replace_self(shown)


def inside(node: nodes.Node, kind: type) -> bool:
    """Return whether a node is part of one of another kind."""
    while node.parent:
        node = node.parent
        if isinstance(node, kind):
            return True
    return False


def glossary(app: Any) -> dict[str, str]:
    """Return the glossary's anchors and definitions, the long ones cut."""
    return {
        anchor: shortened(item.children[-1].astext())
        for item in entries(app)
        for term in item.findall(nodes.term)
        for anchor in term["ids"]
    }


def entries(app: Any) -> Iterator[nodes.definition_list_item]:
    """Yield the glossary's entries; none if the page is not there yet."""
    if GLOSSARY in app.env.all_docs:
        doctree = app.env.get_doctree(GLOSSARY)
        yield from doctree.findall(nodes.definition_list_item)


def shortened(text: str) -> str:
    """Return a definition without its synonyms, cut after a word."""
    text = text.partition(" Also called:")[0].replace("\n", " ")
    if len(text) <= MAX_TIP:
        return text
    return text[:MAX_TIP].rpartition(" ")[0] + " ..."
