"""The built book in a real browser: no error, nothing from elsewhere, nothing cut, all found.

`make book` builds the pages that are looked at; without them, or without Chromium, the tests are
skipped. Pages are opened as files, as a reader without a server opens them.
"""

import gzip
import os
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "build" / "_build" / "html"
NAMES = [*re.findall(r"book/[\w/]+", (ROOT / "_toc.yml").read_text()), "genindex"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MAX_BOOK, MAX_PAGE = 35_000_000, 1_500_000  # bytes
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
AUDITED = ("book/index", "book/chapters/05_mdnet", "book/reproduction/fdn", "book/glossary")
IS_EXTERNAL = re.compile(r"^(?!file:|data:|blob:)")
TEXTS = (".html", ".js", ".css", ".svg")  # what servers send compressed

# Elements beyond the right edge, but those that a box around them scrolls or hides.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let box = element; box && box !== document.body; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== "visible") return true;
    }
    return false;
  };
  return [...document.querySelectorAll("main *")]
    .filter((element) => element.getBoundingClientRect().right > width + 1 && !scrolls(element))
    .map((element) => element.outerHTML.slice(0, 80));
}"""
CUT = """() => [...document.querySelectorAll("div.math mjx-container")]
  .filter((shown) => shown.scrollWidth > shown.parentElement.clientWidth + 1)
  .map((shown) => shown.parentElement.id)"""
IS_SHOWN = "scheme => document.documentElement.dataset.theme === scheme"
COLUMN = """(head) => [...head.closest("table").tBodies[0].rows]
  .map((row) => row.cells[head.cellIndex].innerText)"""
MATHEMATICS = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  return [document.querySelectorAll("span.math, div.math").length,
          document.querySelectorAll("mjx-container").length,
          document.querySelectorAll("mjx-merror").length];
}"""


@pytest.fixture(scope="module")
def browser():
    """A context of Chromium, which all tests share, at one size and scheme at first."""
    if not PAGES.is_dir():
        pytest.skip(f"no built book in {PAGES}; `make book` builds it")
    if not CHROMIUM:
        pytest.skip("no chromium on the path; `apt-get install chromium` brings it")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        shown = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield shown.new_context(viewport=WIDE)
        shown.close()


def opened(browser, name: str, scheme: str = "light", query: str = ""):
    """Open a page of the book -> it, and what went wrong on it so far, a list that grows."""
    page = browser.new_page()
    page.emulate_media(color_scheme=scheme)
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.route(IS_EXTERNAL, lambda route: (wrong.append(route.request.url), route.abort()))
    page.goto(f"{(PAGES / name).as_uri()}.html{query}")
    return page, wrong


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_no_error_and_nothing_is_cut(browser, name):
    """At both widths, in light and dark."""
    page, wrong = opened(browser, name)
    equations, rendered, broken = page.evaluate(MATHEMATICS)
    assert rendered == equations and not broken
    for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark"), (NARROW, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(IS_SHOWN, arg=scheme, polling=20)
        assert not page.evaluate(TOO_WIDE), (size, scheme)
        assert not page.evaluate(CUT), (size, scheme)
    page.close()
    assert not wrong


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("IoU", "chapters/01_boxes"),
        ("backbone", "chapters/03_backbones"),
        ("RoIAlign", "chapters/06_fdn"),
        ("fine-tuning", "chapters/05_mdnet"),
    ],
)
def test_the_search_finds_the_chapter(browser, words, expected):
    page, wrong = opened(browser, "search", query=f"?q={words}")
    page.wait_for_selector("#search-results p.search-summary:has-text('found'), ul.search li a")
    page.wait_for_timeout(300)
    links = page.eval_on_selector_all("ul.search li a", "links => links.map(a => a.href)")
    page.close()
    assert any(expected in link for link in links) and not wrong


@pytest.mark.parametrize("name", AUDITED)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_has_no_serious_barrier(browser, name, scheme):
    """axe-core's rules, from the package's own copy."""
    package = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    page, _ = opened(browser, name, scheme)
    page.add_script_tag(path=Path(package.__file__).with_name("axe.min.js"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    page.close()
    assert not [
        (rule["id"], [node["target"] for node in rule["nodes"]][:5])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


def test_a_column_sorts_its_table(browser):
    page, _ = opened(browser, "book/reproduction/otb_table")
    head = page.locator("table.sortable th[aria-sort] button").nth(1)
    head.click()
    values = head.locator("xpath=..").evaluate(COLUMN)
    page.close()
    assert len(values) >= 3 and values == sorted(values, key=as_number)


def as_number(text: str) -> tuple[int, float | str]:
    found = re.match(r"-?\d+(?:\.\d+)?", text)
    return (0, float(found[0])) if found else (1, text)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_light(browser, name):
    """What a server that compresses text sends until all of the page has been seen."""
    html = (PAGES / f"{name}.html").read_text()
    folder = (PAGES / name).parent
    asked = {f"{name}.html"} | {
        os.path.relpath(folder / found.partition("?")[0], PAGES)
        for found in re.findall(r'(?:src|href)="((?:\.\./)*_(?:static|images)/[^"#]+)"', html)
    }
    assert sum(sent(PAGES / file) for file in asked) <= MAX_PAGE


def sent(file: Path) -> int:
    content = file.read_bytes()
    return len(gzip.compress(content)) if file.suffix in TEXTS else len(content)


def test_the_book_is_small(browser):
    assert sum(file.stat().st_size for file in PAGES.rglob("*") if file.is_file()) <= MAX_BOOK
