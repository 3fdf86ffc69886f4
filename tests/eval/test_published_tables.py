"""Every number of the five papers' tables: complete, as printed, and consistent in itself."""

import csv
import re
from itertools import pairwise

import pytest
from numpy.testing import assert_allclose

from trackerlib.data import manifest
from trackerlib.eval.published import (
    COLUMNS,
    PAPERS,
    UNITS,
    paper_scores,
    published_items,
    published_number,
    published_scores,
    published_table,
)
from trackerlib.paths import shipped

TEXTS = {  # paper -> how the name of its text begins
    "MSDAT": "000_",
    "FDN": "001_",
    "RT-MDNet": "002_",
    "DLST": "003_",
    "DeepTrack": "004_",
}
CELLS = {  # (paper, table) -> numbers in its cells
    ("MSDAT", "Table 1"): 30,
    ("FDN", "Table 1"): 18,
    ("FDN", "Table 2"): 6,
    ("RT-MDNet", "Table 1"): 22,
    ("RT-MDNet", "Table 2"): 10,
    ("RT-MDNet", "Table 3"): 6,
    ("DLST", "Table 1"): 144,
    ("DLST", "Table 2"): 24,
}
LINES = {  # (paper, table) -> by what its numbers follow one another in the text
    ("MSDAT", "Table 1"): "row",
    ("FDN", "Table 1"): "row",
    ("FDN", "Table 2"): "row",
    ("RT-MDNet", "Table 1"): "row",
    ("RT-MDNet", "Table 2"): "row",
    ("RT-MDNet", "Table 3"): "row",
    ("DLST", "Table 1"): "column",
    ("DLST", "Table 2"): "column",
}
RATES = {"auc", "precision20", "success45", "success50", "success60", "eao", "accuracy"}
ATTRIBUTES = ["IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR"]


def numbers(paper: str, item: str, measure: str, subset: str = "") -> dict[str, float]:
    """Tracker -> number, in the order of the table."""
    table = published_table(paper, item)
    kept = table[(table.measure == measure) & (table.subset == subset)]
    return dict(zip(kept.tracker, kept.number, strict=True))


def cells(paper: str, item: str):
    """The lines of a table that stand in the table itself, not in the prose about it."""
    table = published_table(paper, item)
    return table[table.source == item]


@pytest.fixture(scope="module")
def texts(shared):
    """Paper -> its text: one kind of minus, no separators of thousands."""
    folder = shared / "papers"
    if not folder.is_dir():
        pytest.skip(f"needs the papers' texts in {folder}")
    found = {}
    for paper, prefix in TEXTS.items():
        (path,) = folder.glob(f"{prefix}*.txt")
        text = re.sub("[−–‐]", "-", path.read_text())
        found[paper] = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return found


@pytest.mark.parametrize("paper", PAPERS)
def test_a_file_has_the_schema(paper):
    with (shipped("published") / PAPERS[paper]).open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == list(COLUMNS) and lines
    assert all(len(line) == len(header) for line in lines)
    for line in (dict(zip(header, line, strict=True)) for line in lines):
        assert all(text == text.strip() and "\n" not in text for text in line.values()), line
        assert line["paper"] == paper
        empty = {name for name, text in line.items() if not text}
        assert empty <= {"subset", "note"}, line
        assert re.fullmatch(r"(Table|Figure) (\d+|[IVX]+)|section [\dIVX]+(\.\d+)*", line["item"])
        assert re.fullmatch(
            r"(Table|Figure) (\d+|[IVX]+)|section [\dIVX]+([.-][\dA-C]+)*|footnote \d",
            line["source"],
        ), line
        assert re.fullmatch(r"-?\d+(\.\d+)?", line["value"]), line
        assert line["unit"] in UNITS and line["relation"] in ("=", "~", "<", ">")
        assert line["dataset"] in COLUMNS["dataset"] and line["protocol"] in COLUMNS["protocol"]


def test_the_folder_has_the_papers_files_and_nothing_else():
    assert {path.name for path in shipped("published").iterdir()} == set(PAPERS.values())


@pytest.mark.parametrize("paper", PAPERS)
def test_no_number_is_there_twice(paper):
    table = published_table(paper)
    for key in (
        ["item", "row", "column", "measure"],
        ["item", "tracker", "measure", "subset", "dataset", "column"],
    ):
        assert not table.duplicated(key).any(), table[table.duplicated(key, keep=False)]


@pytest.mark.parametrize("paper", PAPERS)
def test_numbers_are_in_the_librarys_units(paper):
    table = published_table(paper)
    assert table.number.dtype == table.rounding.dtype == float
    assert table.rounding.gt(0).all()
    rates = table[table.measure.isin(RATES)]
    assert rates.number.between(0, 1, inclusive="neither").all()
    assert set(rates.unit) <= {"%", "fraction"}
    assert set(table[table.subset.isin(ATTRIBUTES)].item) <= {"Table 1"}


def test_tables_have_all_their_cells():
    assert {key: len(cells(*key)) for key in CELLS} == CELLS
    for paper in PAPERS:  # a table of which the text has the body is among them
        tables = {item for item in published_items(paper) if item.startswith("Table")}
        whole = {item for name, item in CELLS if name == paper}
        assert tables - whole <= ({"Table II"} if paper == "DeepTrack" else set())


@pytest.mark.parametrize("paper", PAPERS)
def test_every_value_is_in_the_text(texts, paper):
    printed = set(re.findall(r"-?\d+(?:\.\d+)?", texts[paper]))
    printed |= {number.lstrip("-") for number in printed}  # 10 in 2-10
    assert not set(published_table(paper).value) - printed


@pytest.mark.parametrize(("paper", "item"), LINES)
def test_a_tables_numbers_follow_one_another_in_the_text(texts, paper, item):
    table, by = cells(paper, item), LINES[paper, item]
    groups = [by, "measure"] if (paper, item) == ("DLST", "Table 1") else [by]
    between = r"[\s/]+(?:-\s+)*"  # blanks, the stroke of 46/52, dashes of empty cells
    for name, line in table.groupby(groups, sort=False):
        pattern = between.join(re.escape(value) for value in line.value)
        assert re.search(rf"(?<![\d.]){pattern}(?!\.?\d)", texts[paper]), name


def test_msdat():
    """Section 4.3: above the other real-time trackers, level with HCF and three times as fast."""
    auc, precision, fps = (
        numbers("MSDAT", "Table 1", measure) for measure in ("auc", "precision20", "fps")
    )
    for scores in (auc, precision):
        real_time = [name for name in scores if fps[name] > 20]
        assert len(real_time) == 6 and max(real_time, key=scores.get) == "MSDAT"
        assert max(scores, key=scores.get) == "MDNet"
        assert abs(scores["HCF"] - scores["MSDAT"]) < 0.01
    assert auc["MSDAT"] > auc["HCF"] and precision["MSDAT"] < precision["HCF"]
    times, _ = published_number("MSDAT", "section 4.2", "MSDAT", "speedup_over_hcf")
    assert_allclose(fps["MSDAT"] / fps["HCF"], times, atol=0.5)


def test_fdn():
    """Section 3.4: an update where the score is below 0, 16 iterations in all."""
    trace = {
        measure: dict(zip(group.column, group.number, strict=True))
        for measure, group in cells("FDN", "Table 1").groupby("measure")
    }
    updated = [frame for frame, score in trace["score"].items() if score < 0]
    assert len(trace["score"]) == 8
    assert list(trace["loss"]) == list(trace["iterations"]) == updated
    total, _ = published_number("FDN", "Table 1", "FDN", "iterations_total", "Ironman")
    assert sum(trace["iterations"].values()) == total
    theirs, _ = published_number("FDN", "Table 1", "MDNet", "iterations_total", "Ironman")
    assert theirs == 10 * len(updated)
    fps = numbers("FDN", "Table 2", "fps")
    times, _ = published_number("FDN", "Table 2", "FDN", "speedup_over_mdnet")
    assert fps["FDN"] / fps["MDNet"] == times


@pytest.mark.parametrize("measure", ["auc", "precision20"])
def test_rtmdnet(measure):
    """Table 1 is in ascending order, Tables 2 and 3 add one part after the other."""
    tables = {n: numbers("RT-MDNet", f"Table {n}", measure) for n in (1, 2, 3)}
    for table in tables.values():
        assert all(one < next_one for one, next_one in pairwise(table.values()))
    assert tables[1]["RT-MDNet"] == tables[3]["RT-MDNet"]


@pytest.mark.parametrize("measure", ["precision20", "success50"])
def test_dlst_table_1(measure):
    """Section 4.2 says on which attributes its classifier is ahead of MDNet's."""
    means = numbers("DLST", "Table 1", measure)
    assert len(means) == 6 and max(means, key=means.get) == "DLST"
    assert means["DLST-nloc"] > means["MDNet-NH"] > means["MDNet-NL"]
    assert means["DLST-fc"] > means["MDNet-NH"]
    scores = {code: numbers("DLST", "Table 1", measure, code) for code in ATTRIBUTES}

    def leads(one: str, other: str) -> list[str]:
        return [code for code, row in scores.items() if row[one] > row[other]]

    assert leads("DLST-nloc", "MDNet-NH") == ["IV", "OPR", "DEF", "IPR", "BC"]
    assert "OCC" in leads("DLST-fc", "MDNet-NH")
    assert leads("DLST", "DLST-nloc") == ATTRIBUTES
    for name, mean in means.items():  # which is over sequences: within its attributes' range
        parts = [row[name] for row in scores.values()]
        assert min(parts) < mean < max(parts) + 0.06


def test_dlst_table_2():
    """In the order of EAO; DLST shares the fewest failures, its accuracy is the second."""
    eao, accuracy, failures = (
        numbers("DLST", "Table 2", measure) for measure in ("eao", "accuracy", "failures")
    )
    assert list(eao.values()) == sorted(eao.values()) and list(eao)[-1] == "DLST"
    assert {n for n, f in failures.items() if f == min(failures.values())} == {"MLDF", "DLST"}
    assert sorted(accuracy, key=accuracy.get)[-2:] == ["DLST", "SSAT"]


def test_dlst_figure_5():
    """Its values for OTB-100 are those of Table 1."""
    table = published_table("DLST", "Figure 5").set_index(["dataset", "measure"])["number"]
    assert len(table) == 4
    assert table["otb100", "precision20"] == numbers("DLST", "Table 1", "precision20")["DLST"]


def test_deeptrack():
    """Section IV-B: 6 points of precision over TGPR, the most sequences won."""
    precision = numbers("DeepTrack", "Table II", "precision20")
    assert_allclose(precision["DeepTrack"] - precision["TGPR"], 0.06)
    success = numbers("DeepTrack", "Table II", "success60")
    assert_allclose(success["DeepTrack"] / success["CNT"] - 1, 0.08, atol=0.01)
    best = numbers("DeepTrack", "Table II", "best_count")
    assert max(best, key=best.get) == "DeepTrack" and len(best) == 6


def test_what_papers_print_of_others_is_near_what_their_boxes_give():
    """Of those whose boxes are their authors' or the benchmark's, on the same sequences."""
    splits = {}
    for split in ("otb2013", "otb100"):
        members = [n for n, entry in manifest.load().items() if split.upper() in entry.splits]
        splits[split] = published_scores(members)
    compared = 0
    for paper in PAPERS:
        table = published_table(paper)
        means = table[table.measure.isin(["auc", "precision20"]) & (table.subset == "")]
        for row in means.itertuples():
            boxes = splits.get(row.dataset, {}).get(row.tracker)
            if boxes:
                compared += 1
                ours = boxes[0 if row.measure == "auc" else 1]
                assert_allclose(row.number, ours, atol=0.007, err_msg=str(row))
    assert compared == 12


def test_the_scores_of_papers_are_these():
    """data/published_otb.json agrees; it has nothing that is not here."""
    tables = {paper: published_table(paper) for paper in PAPERS}
    found = {
        (row.paper, row.measure, round(row.number, 6))
        for table in tables.values()
        for row in table[table.subset == ""].itertuples()
    }
    for score in [*paper_scores("otb2013"), *paper_scores("otb100")]:
        for measure in ("auc", "precision20", "success50", "fps"):
            value = getattr(score, measure)
            assert value is None or (score.paper, measure, value) in found, (score, measure)


def test_one_number():
    number, rounding = published_number("RT-MDNet", "Table 2", "RT-MDNet, RoIPooling", "auc")
    assert_allclose((number, rounding), (0.354, 0.0005))
    number, rounding = published_number("DLST", "Table 1", "DLST-fc", "success50", "OCC")
    assert_allclose((number, rounding), (0.816, 0.0005))
    assert_allclose(published_number("FDN", "Table 2", "FDN", "fps"), (7, 0.5))
    assert_allclose(published_number("DLST", "Figure 4", "MDNet", "parameters"), (2.6e6, 5e4))


def test_a_table_is_a_copy():
    for item in (None, "Table 2"):
        table = published_table("FDN", item)
        table["value"] = "0"
        assert "0.948" in set(published_table("FDN", item).value)


def test_errors_list_what_there_is():
    with pytest.raises(ValueError, match=r"published_items: .* MSDAT, FDN, .*, got 'SiamFC'"):
        published_table("SiamFC")
    with pytest.raises(ValueError, match=r"published_table: .*Table 1, Table 2.*got 'Table 9'"):
        published_table("FDN", "Table 9")
    with pytest.raises(ValueError, match=r"got 0; there are\n(.*\n)+.*MDNet +fps"):
        published_number("FDN", "Table 2", "MDNet", "recall")
    with pytest.raises(ValueError, match=r"published_number: .* got 0; there are\n(.*\n)+.*FDN"):
        published_number("FDN", "Table 2", "KCF", "auc")
    with pytest.raises(ValueError, match="got 2; there are"):
        published_number("DLST", "Figure 5", "DLST", "auc")
