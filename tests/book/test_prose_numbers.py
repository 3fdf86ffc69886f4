"""Numbers in a chapter's prose: each is computed on its page, cited, or a constant of the library.

A number counts if it has a unit, at least three digits, or two decimals. It passes if
- an output of the same page prints it (or it is what one of its numbers is rounded to), with the
  unit, if it has one, in the same output; an exercise may use its solution's outputs too;
- its sentence has a citation;
- GIVEN names it, with the value of the library's own constant, or as what an exercise assumes.
Numbers in figures, code and displayed equations do not count, on either side.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.book.given import GIVEN

CHAPTERS = Path(__file__).resolve().parents[2] / "book" / "chapters"
PATHS = sorted(CHAPTERS.glob("*.ipynb"))
SMALL = "two three four five six seven eight nine ten eleven twelve"
WORDS = {word: value for value, word in enumerate(SMALL.split(" "), 2)}
WORDS |= {"twenty": 20, "thirty": 30, "fifty": 50, "sixty": 60}
UNITS = {
    r"%": r"%",
    r"px|pixels?": r"px|pixels?",
    r"ms|milliseconds?": r"ms\b|milliseconds?",
    r"s|seconds?": r"\bs\b|\bseconds?|\d s\b",
    r"minutes?": r"\bminutes?",
    r"fps|frames per second": r"\bfps|frames per second",
    r"[MG]B": r"[MG]B\b",
    r"times": r"\btimes\b",
    r"sides?": r"\bsides?\b",
}
NUMBER = r"\d[\d,]*(?:\.\d+)?"
CLAIM = re.compile(
    rf"(?<![\w.^_/-])(?P<number>{NUMBER}|(?:{'|'.join(WORDS)})\b)(?![\d\w])"
    rf"(?=(?:(?: | (?:to|and|or) {NUMBER} |-)(?P<unit>(?:{'|'.join(UNITS)})(?!\w)))?)"
)
PRINTED = re.compile(rf"(?<![\w.])-?{NUMBER}(?:e[-+]\d+)?")
CITATION = r"\{cite[^}]*\}`[^`]*`|\[[^\]]*\b(?:19|20)\d\d\)?\]\(https?://[^)]*\)"
DROPPED = (  # what is no prose
    r"```.*?```",  # directives, displayed equations
    r"\$\$.*?\$\$",
    r"\[(?:Fig\. |\()[\w.]+\)?\]\([^)]*\)|\*\*Fig\. [\w.]+\*\*",  # numbers of figures, equations
    r"\{(?:py|numref|eq|term|ref)[^}]*\}`[^`]*`",
    r"`[^`]*`",
    r"\]\([^)]*\)",  # where a link leads
    r"https?://\S+",
)


def prose(source: str) -> str:
    """Return a markdown cell's prose; a citation becomes one sign, numbers lose blanks."""
    text = re.sub(CITATION, "§", source)
    for pattern in DROPPED:
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return re.sub(r"(?<=\d)\{,\}(?=\d)|\\(?=%)", "", text).replace("\N{NO-BREAK SPACE}", " ")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; a line of a table or of a list counts as one."""
    blocks = re.split(r"\n\s*\n|\n(?=[-|#]|\d\.)|\\\n", text)
    return [s for block in blocks for s in re.split(r"(?<=[.!?])\s+(?=[A-Z$*])", block)]


def claims(source: str) -> Iterator[tuple[str, str, str]]:
    """Yield number, unit ("" if none) and sentence of all that a cell must account for."""
    for sentence in sentences(prose(source)):
        if "§" in sentence:
            continue
        sentence = re.sub(r"^\d+\. ", "", sentence)  # an item's own number
        for match in CLAIM.finditer(sentence):
            number, unit = match["number"].rstrip(","), match["unit"] or ""
            digits = re.sub(r"\D", "", number).lstrip("0")
            fine = len(digits) >= 3 or len(number.partition(".")[2]) >= 2
            if unit or (number not in WORDS and fine):
                yield number, unit, sentence


def printed(cells) -> list[str]:
    """Return the texts that cells print or show as tables; figures and players have none."""
    found = []
    for output in (o for cell in cells if cell.cell_type == "code" for o in cell.outputs):
        data = output.get("data", {})
        if output.output_type == "stream":
            found.append(output.text)
        elif "text/html" in data and "base64" not in data["text/html"]:
            found.append(re.sub(r"<[^>]*>", " ", data["text/html"]))
        elif not {"image/png", "image/svg+xml", "text/html"} & set(data):
            found.append(data.get("text/markdown") or data.get("text/plain", ""))
    return found


def occurs(number: str, unit: str, texts: list[str]) -> bool:
    """Return whether a text has the number, or one that rounds to it, and the unit."""
    plain = number.replace(",", "")
    value = float(WORDS.get(plain, plain))
    places = len(plain.partition(".")[2])
    near = 0.5 * 10.0**-places + 1e-9
    known = [shown for short, shown in UNITS.items() if re.fullmatch(short, unit)]
    return any(
        abs(abs(float(found.replace(",", ""))) - value) <= near
        for text in texts
        if not known or re.search(known[0], text)
        for found in PRINTED.findall(text)
    )


def written(notebook) -> list[str]:
    """Return what a page's author wrote: its markdown cells and the captions of its figures."""
    captions = [
        cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        for cell in notebook.cells
    ]
    return [c.source for c in notebook.cells if c.cell_type == "markdown"] + captions


def unaccounted(path: Path) -> list[str]:
    """Return the claims of a chapter that nothing on its page supports."""
    notebook = nbformat.read(path, as_version=4)
    here = printed(notebook.cells)
    solutions = nbformat.read(path.parents[1] / "solutions" / path.name, as_version=4)
    also = printed(solutions.cells)
    given = GIVEN.get(path.stem, {})
    missing = []
    for source in written(notebook):
        texts = here + also if "## Exercises" in source else here
        for number, unit, sentence in claims(source):
            if f"{number} {unit}".strip() not in given and not occurs(number, unit, texts):
                missing.append(f"{number} {unit}: {' '.join(sentence.split())[:160]}")
    return missing


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_numbers_in_prose_are_computed_cited_or_constants(path):
    assert unaccounted(path) == []


@pytest.mark.parametrize("stem", sorted(GIVEN))
def test_constants_are_the_librarys_and_are_used(stem):
    notebook = nbformat.read(CHAPTERS / f"{stem}.ipynb", as_version=4)
    found = {
        f"{number} {unit}".strip()
        for text in written(notebook)
        for number, unit, _ in claims(text)
    }
    for claim, (value, reason) in GIVEN[stem].items():
        assert reason and claim in found, f"{claim}: no longer in the prose, or without a reason"
        number = claim.partition(" ")[0].replace(",", "")
        assert value is None or float(WORDS.get(number, number)) == pytest.approx(value), claim


CASES = [  # prose, what the page prints, whether the prose is supported
    ("It takes 12 ms.", "frame 12 ms", True),
    ("It takes 12 ms.", "frame 13 ms", False),
    ("It takes 12 ms.", "12 frames", False),
    ("It takes 12 ms {cite}`a2020b`.", "", True),
    ("Cited {cite}`a2020b`. Ours takes 12 ms.", "", False),
    ("An AUC of 0.68.", "", False),
    ("An AUC of 0.68.", "AUC 0.678", True),
    ("In 8 cells, 2.5 of them.", "", True),
    ("An AUC of 0.678.", "AUC 0.678", True),
    ("An AUC of 0.678.", "AUC 0.6781", True),
    ("An AUC of 0.678.", "AUC 0.68", False),
    ("An AUC of $0.678$.", "", False),
    ("It is three times as fast.", "3.1 times", True),
    ("It is three times as fast.", "2.2 times", False),
    ("It is 2 to 2.9 times as fast.", "2.9 times", False),
    ("Of 2,601 cells", "2601 cells", True),
    ("A thing of VGG-19 and `x=1234` and conv3_4 with OTB-2013.", "", True),
    ("```{math}\nx = 1234\n```\nand no more", "", True),
    ("| frame | 123 |\n", "", False),
    ("57 % of them, 43 % not", "57 % here", False),
]


@pytest.mark.parametrize(("text", "output", "supported"), CASES)
def test_the_check_itself(text, output, supported):
    found = [c for c in claims(text) if not occurs(c[0], c[1], [output])]
    assert (not found) == supported, found
