"""The glossary: in alphabetical order, each term with what else it is called."""

import re
from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "book"
TEXT = (BOOK / "glossary.md").read_text().partition("```{glossary}\n")[2].partition("```")[0]
ENTRIES = [entry for entry in re.split(r"\n\n+", TEXT) if entry.strip()]
REQUIRED = (
    *("backbone", "fine-tuning", "IoU", "bounding box regression", "hard negative mining"),
    *("multi-domain learning", "domain-specific layers", "positives", "negatives"),
    *("short-term update", "long-term update", "learning rate", "optimizer", "pre-trained"),
    *("linear classifier", "cosine similarity", "relative error", "unit energy", "scene", "clip"),
    *("foreground crop", "held-out camera", "neuron", "map position", "map cell", "prediction"),
    *("search window", "response map", "candidate", "head", "one-pass evaluation"),
    *("training set", "validation set", "held-out set", "synthetic benchmark"),
)


def terms(entry: str) -> list[str]:
    return [line for line in entry.splitlines() if not line.startswith(" ")]


def test_terms_are_in_order_and_unique():
    first = [terms(entry)[0].lower() for entry in ENTRIES]
    assert first == sorted(first)
    every = [term for entry in ENTRIES for term in terms(entry)]
    assert len(every) == len(set(every)) and set(REQUIRED) <= set(every)


def test_every_entry_says_what_else_the_term_is_called():
    assert not [terms(entry)[0] for entry in ENTRIES if "Also called: " not in entry]


def test_notation_names_are_in_code():
    """Words in backquotes: each is in the library or in a notebook."""
    table = (BOOK / "notation.md").read_text()
    names = {
        name
        for row in re.findall(r"^\|.*?\|(.*?)\|", table, re.M)
        for code in re.findall(r"`([^`]+)`", row)
        for name in re.findall(r"[A-Za-z_]\w+", code)
    }
    sources = [*BOOK.rglob("*.ipynb"), *(BOOK.parent / "trackerlib").rglob("*.py")]
    known = {name for path in sources for name in re.findall(r"\w+", path.read_text())}
    assert names and names <= known
