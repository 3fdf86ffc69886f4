"""The manifest of the papers' results: every item once, every tracker and every number known."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from trackerlib.eval.items import read_items
from trackerlib.eval.published import PAPERS, published_items, published_table
from trackerlib.eval.reproduction import measurable
from trackerlib.paths import shipped
from trackerlib.trackers import parse

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = yaml.safe_load((ROOT / "book" / "reproduction" / "results.yml").read_text())
MEASURED = [entry for entry in MANIFEST if entry["status"] != "illustration"]
ROMAN = {"I": 1, "II": 2}
NUMBERED = {  # paper -> tables, figures
    "MSDAT": (1, 7),
    "FDN": (2, 9),
    "RT-MDNet": (3, 8),
    "DLST": (2, 7),
    "DeepTrack": (2, 8),
}
TEXTS = {"MSDAT": "000", "FDN": "001", "RT-MDNet": "002", "DLST": "003", "DeepTrack": "004"}
STATUSES = {"complete", "partial", "missing", "illustration"}
SETS = {"otb2013", "otb100", "templecolor", "uav123", "vot2013", "vot2016"}
NEEDS = {"nothing", "embedded", "otb", *SETS - {"otb2013", "otb100"}}
BAND = {"auc": 0.04, "precision20": 0.06}  # of every item, by the rule at the manifest's top
ITEMS = read_items(ROOT / "book" / "reproduction" / "results.yml")
FIELDS = {"paper", "item", "shows", "status", "needs", "page"}
OF_MEASURED = {"datasets", "protocols", "rows"}


def label(entry: dict) -> str:
    return f"{entry['paper']}, {entry['item']}"


def numbered(paper: str) -> list[str]:
    """Names of a paper's tables and figures."""
    tables, figures = NUMBERED[paper]
    digits = {number: roman for roman, number in ROMAN.items()} if paper == "DeepTrack" else {}
    names = [f"Table {digits.get(n, n)}" for n in range(1, tables + 1)]
    return names + [f"Figure {n}" for n in range(1, figures + 1)]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_and_figure_is_there_once(paper):
    items = Counter(entry["item"] for entry in MANIFEST if entry["paper"] == paper)
    assert set(items.values()) == {1}
    assert {item for item in items if not item.startswith("section ")} == set(numbered(paper))
    assert set(published_items(paper)) <= set(items)


def test_there_are_49_tables_and_figures():
    assert sum(map(sum, NUMBERED.values())) == 49
    assert {entry["paper"] for entry in MANIFEST} == set(NUMBERED) == set(PAPERS)


@pytest.mark.parametrize("paper", NUMBERED)
def test_the_texts_name_no_further_one(shared, paper):
    if not (shared / "papers").is_dir():
        pytest.skip(f"needs the papers' texts in {shared / 'papers'}")
    (path,) = (shared / "papers").glob(f"{TEXTS[paper]}_*.txt")
    found = re.findall(r"(Table|TABLE|Fig\.|Figure)\s+([IV]+|\d+)\b", path.read_text())
    kinds = {"TABLE": "Table", "Fig.": "Figure"}
    assert {f"{kinds.get(kind, kind)} {n}" for kind, n in found} == set(numbered(paper))


@pytest.mark.parametrize("entry", MANIFEST, ids=label)
def test_an_entry_is_complete(entry):
    measured = entry["status"] != "illustration"
    required = FIELDS | (OF_MEASURED if measured else set())
    required |= {"why"} if entry["status"] in ("partial", "missing") else set()
    assert required <= set(entry) <= required | ({"published", "band"} if measured else set())
    assert entry["status"] in STATUSES and entry["needs"] in NEEDS
    assert any((ROOT / "book" / entry["page"]).with_suffix(s).exists() for s in (".ipynb", ".md"))
    assert set(entry.get("datasets", [])) <= SETS | {"none"}
    assert set(entry.get("protocols", [])) <= {"ope", "tre", "sre", "reset", "run", "none"}


@pytest.mark.parametrize("entry", MEASURED, ids=label)
def test_every_specification_parses(entry):
    specs = [spec for row in entry["rows"].values() for spec in row.get("specs", [])]
    assert specs and len(set(specs)) == len(specs)
    for spec in specs:
        assert parse(spec).label == spec


@pytest.mark.parametrize("entry", MEASURED, ids=label)
def test_every_row_is_of_a_known_kind(entry):
    boxes = json.loads(shipped("published_otb.json").read_text())["results"]
    for row in entry["rows"].values():
        assert set(row) <= {"specs", "boxes", "published", "explained"}
        assert "boxes" not in row or (row["boxes"] in boxes and entry["needs"] == "otb")


@pytest.mark.parametrize("entry", MEASURED, ids=label)
def test_every_published_number_has_a_row_and_every_row_its_numbers(entry):
    stated = {
        (tracker, measure)
        for tracker, row in entry["rows"].items()
        for measure in row.get("published", entry.get("published", []))
    }
    if entry["item"] not in published_items(entry["paper"]):
        assert not stated
        return
    table = published_table(entry["paper"], entry["item"])
    assert stated == set(zip(table.tracker, table.measure, strict=True))
    assert set(table.dataset) == set(entry["datasets"])
    assert set(table.protocol) <= set(entry["protocols"]) | {"none"}


@pytest.mark.parametrize("entry", MANIFEST, ids=label)
def test_an_illustration_has_no_numbers(entry):
    if entry["status"] == "illustration":
        assert entry["item"] not in published_items(entry["paper"])


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.paper}, {item.item}")
def test_an_item_has_the_band_where_it_is_measured_on_otb(item):
    assert item.band == (BAND if measurable(item) else {})


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.paper}, {item.item}")
def test_an_explanation_is_of_a_row_that_is_compared(item):
    for row in item.rows.values():
        assert set(row.explained) <= set(row.specs if item.band else ())
        assert all(len(why) > 20 for why in row.explained.values())


def test_the_entries_are_read_as_they_stand():
    for item, entry in zip(ITEMS, MANIFEST, strict=True):
        assert item.paper == entry["paper"] and list(item.rows) == list(entry.get("rows", {}))
        for tracker, row in entry.get("rows", {}).items():
            assert item.rows[tracker].specs == tuple(row.get("specs", ()))
            published = row.get("published", entry.get("published", ()))
            assert item.rows[tracker].published == tuple(published)


def test_a_field_that_is_not_known_is_refused(tmp_path):
    entry = MANIFEST[0] | {"bands": {}}
    (tmp_path / "results.yml").write_text(yaml.safe_dump([entry]))
    with pytest.raises(TypeError, match="bands"):
        read_items(tmp_path / "results.yml")
