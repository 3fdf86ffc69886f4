"""A paper's tables: its numbers, the authors' boxes and ours on the same targets."""

import dataclasses

import numpy as np
import pytest
from made_archive import NAMES, archive
from test_reproduction import TABLE

from trackerlib.data import manifest
from trackerlib.eval import paper_tables
from trackerlib.eval.archive import write_archive
from trackerlib.eval.archived import collect_archive
from trackerlib.eval.items import Row
from trackerlib.eval.paper_tables import Page, side_by_side
from trackerlib.eval.published import published_by_sequence

MANIFEST = """
- {paper: MSDAT, item: Figure 1, shows: features, status: illustration, needs: nothing, page: ""}
- {paper: FDN, item: Figure 1, shows: the network, status: illustration, needs: nothing, page: ""}
"""
ATTRIBUTES = {"Couple": ("SV", "BC"), "Dog": ("SV", "BC"), "Man": ("SV", "BC")}


def report(runs, **given):
    return collect_archive(archive(runs, **given), "otb")


def row(table, tracker, source):
    """The one row of a tracker and a source; of the authors' boxes that over our targets."""
    found = table.numbers
    found = found[(source != "authors' boxes") | found["over"].str.contains("targets")]
    found = found[(found["tracker"] == tracker) & (found["numbers of"] == source)]
    assert len(found) == 1, table
    return found.iloc[0]


def test_a_table_has_the_papers_order_measures_and_units():
    table = side_by_side(TABLE, report({"kcf": [{"seconds": 0.05}], "hcf": [{}]}))
    columns = ["tracker", "numbers of", "over", "DP (%)", "OS, AUC", "speed (fps)"]
    assert table.numbers.columns.to_list() == columns
    assert table.numbers["tracker"].to_list()[:2] == ["MSDAT", "HCF"]
    assert row(table, "KCF", "paper").to_list()[2:] == ["OTB-100", "69.2", "0.475", "243"]
    ours = row(table, "KCF", "kcf")
    assert ours["DP (%)"] == "100.0" and ours["speed (fps)"] == "20.0"
    auc = np.mean([auc for auc, _ in published_by_sequence(NAMES)["KCF"].values()])
    assert row(table, "KCF", "authors' boxes")["OS, AUC"] == f"{auc:.3f}"


def test_a_row_that_is_missing_is_said_and_not_averaged():
    table = side_by_side(TABLE, report({"kcf": [{}]}))
    absent = row(table, "HCF", "hcf")
    assert absent["over"] == "not in the file" and not any(absent[["DP (%)", "OS, AUC"]])
    assert row(table, "KCF", "kcf:features=gray")["over"] == "not in the file"
    assert row(table, "KCF", "kcf")["over"] == f"{len(NAMES)} targets"


def test_a_row_on_few_targets_is_said_and_not_averaged():
    table = side_by_side(TABLE, report({"kcf": [{}], "hcf": [{"names": NAMES[:3]}]}))
    few = row(table, "HCF", "hcf")
    assert few["over"] == "3 of 10 targets: too few" and few["OS, AUC"] == ""
    assert row(table, "KCF", "kcf")["over"] == "10 targets"


def test_all_rows_of_a_table_are_over_the_same_targets():
    runs = report({"kcf": [{}, {"off": 9.0}], "hcf": [{"names": NAMES[:8]}]})
    table = side_by_side(TABLE, runs)
    assert row(table, "KCF", "kcf")["over"] == "8 targets, 2 seeds"
    own = published_by_sequence(NAMES[:8])["KCF"]
    auc = np.mean([auc for auc, _ in own.values()])
    assert row(table, "KCF", "authors' boxes")["OS, AUC"] == f"{auc:.3f}"
    assert any(NAMES[7] in note and NAMES[8] not in note for note in table.notes)


def test_a_target_that_a_seed_lacks_counts_for_no_row():
    runs = report({"kcf": [{}, {"names": NAMES[1:]}], "hcf": [{}]})
    table = side_by_side(TABLE, runs)
    assert {row(table, "KCF", "kcf")["over"], row(table, "HCF", "hcf")["over"]} == {
        "9 targets, 2 seeds",
        "9 targets",
    }


def test_boxes_of_trackers_that_were_not_run_are_over_all_targets():
    table = side_by_side(TABLE, report({"hcf": [{}]}))
    assert row(table, "KCF", "authors' boxes")["over"] == "10 targets"
    assert row(table, "KCF", "kcf")["over"] == "not in the file"


def test_the_authors_boxes_are_over_the_papers_split_too():
    found = side_by_side(TABLE, report({"kcf": [{}]})).numbers
    boxes = found[(found["numbers of"] == "authors' boxes") & (found["over"] == "OTB-100")]
    split = [one.name for one in manifest.load().values() if "OTB100" in one.splits]
    every = published_by_sequence(split)["KCF"].values()
    assert len(every) == 100 and boxes["tracker"].to_list() == ["KCF"]
    auc, precision = np.mean([*every], axis=0)
    assert boxes[["OS, AUC", "DP (%)"]].to_numpy().tolist() == [
        [f"{auc:.3f}", f"{100 * precision:.1f}"]
    ]


def test_attributes_are_columns_in_the_papers_order():
    item = dataclasses.replace(
        TABLE, paper="DLST", rows={"DLST": Row(("dlst",), "", ("precision20", "success50"))}
    )
    table = side_by_side(item, report({"dlst": [{"off": 9.0}]}, attributes=ATTRIBUTES))
    found = table.numbers
    assert found.columns.to_list()[:6] == ["measure", *paper_tables.HEAD, "all", "IV (0)"]
    ours = found[(found["numbers of"] == "dlst") & (found["measure"] == "OS (%)")].iloc[0]
    assert ours["BC (3)"] == ours["all"] != "" and ours["IV (0)"] == ""
    paper = found[found["numbers of"] == "paper"].iloc[0]
    assert (paper["all"], paper["IV (0)"]) == ("91.4", "91.9")


def test_sequences_that_the_file_has_not_are_named():
    item = dataclasses.replace(
        TABLE, paper="DLST", item="Figure 1", rows={"DLST": Row(("dlst",), "", ("auc",))}
    )
    table = side_by_side(item, report({"dlst": [{}]}))
    assert "Not among the targets of the file: Biker, Singer2." in table.notes
    assert row(table, "DLST", "paper")["AUC Biker"] == "0.645"
    runs = report({"kcf": [{}]})
    columns = side_by_side(item, runs).numbers.columns.to_list()
    assert columns == [*paper_tables.HEAD, "AUC Biker", "AUC Singer2"]  # and no empty one


def test_what_is_of_no_such_run_has_the_papers_numbers_alone():
    item = dataclasses.replace(
        TABLE, paper="DLST", item="Table 2", protocols=("reset",), why="no results ship"
    )
    table = side_by_side(item, report({"kcf": [{}]}))
    assert table.numbers.columns.to_list()[:3] == ["paper's row", "EBT", "DDC"]
    assert table.notes == (f"{paper_tables.PRINTED_ALONE}.", "No results ship.")


def page(runs, **given):
    return Page({"Table 1": TABLE}, report(runs, **given))


def test_targets_stand_in_rows_with_their_mean():
    found = page({"kcf": [{}, {"off": 9.0}]}).by_target("Table 1", "precision20", "success60")
    table = found.numbers
    assert table["over"].to_list() == [*NAMES, "mean"]
    # One seed lies within an IoU of 0.6 in every frame, the other in its first of 11 alone.
    assert set(table["kcf: success at 0.60"]) == {f"{(1 + 1 / 11) / 2:.3f}"}
    own = published_by_sequence(NAMES)["KCF"]
    theirs = table["KCF, authors' boxes: DP (%)"].to_list()
    assert theirs[0] == f"{100 * own[NAMES[0]][1]:.1f}"
    assert theirs[-1] == f"{100 * np.mean([p for _, p in own.values()]):.1f}"
    assert found.notes == (
        "Left out: `kcf:features=gray`, not in the file; `hcf`, not in the file.",
    )


def test_attributes_say_how_many_targets_have_them():
    table = page({"kcf": [{}]}, attributes=ATTRIBUTES).by_attribute("Table 1", "auc").numbers
    assert table["over"].to_list() == ["BC (3)", "SV (10)"]


def test_curves_are_of_the_items_rows_alone():
    found = page({"kcf": [{}], "fdn": [{}], "hcf": [{"names": NAMES[:2]}]})
    assert list(found.curves("Table 1", "success")) == ["kcf"]


def test_a_page_says_how_many_rows_the_file_has(tmp_path):
    contents = page({"kcf": [{}]}).contents().numbers
    assert contents["rows in the file"].to_list() == ["1 of 3"]
    (tmp_path / "results.yml").write_text(MANIFEST)
    write_archive(tmp_path / "otb.npz", archive({"kcf": [{}]}))
    read = paper_tables.page_of("FDN", tmp_path / "results.yml", tmp_path / "otb.npz")
    assert [item.shows for item in read.items.values()] == ["the network"]
    assert read.report.trackers == ["kcf"]
    with pytest.raises(ValueError, match=r"expected a paper of .*got 'HCF'"):
        paper_tables.page_of("HCF", tmp_path / "results.yml", tmp_path / "otb.npz")


def test_notebooks_show_a_table_with_its_notes():
    table = side_by_side(TABLE, report({"kcf": [{}]}))
    assert "<td>0.475</td>" in table._repr_html_() and "0.475" in repr(table)
    parts = page({"kcf": [{}]}).by_target("Table 1", "auc")
    assert "<code>hcf</code>" in parts._repr_html_() and "`hcf`" in repr(parts)
