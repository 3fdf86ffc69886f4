"""A paper's number, the authors' boxes and ours: what is expected, and whether ours is near."""

import dataclasses

import numpy as np
import pytest
from made_archive import NAMES, archive
from numpy.testing import assert_allclose

from trackerlib.data import manifest
from trackerlib.eval import reproduction
from trackerlib.eval.archived import collect_archive
from trackerlib.eval.items import Item, Row
from trackerlib.eval.published import published_by_sequence, published_number

KCF = Row(("kcf", "kcf:features=gray"), "KCF", ("auc", "precision20", "fps"))
TABLE = Item(
    paper="MSDAT",
    item="Table 1",
    shows="numbers",
    status="complete",
    needs="otb",
    page="",
    datasets=("otb100",),
    protocols=("ope",),
    band={"auc": 0.04},
    rows={"KCF": KCF, "HCF": Row(("hcf",), "", ("auc",)), "TLD": Row((), "", ("auc",))},
)
WIDE, NARROW = {"auc": 1.0}, {"auc": 1e-6}


def report(runs, **given):
    return collect_archive(archive(runs, **given), "otb")


def line(found, spec, measure="auc", **more):
    wanted = {"specification": spec, "measure": measure} | more
    for column, value in wanted.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_the_authors_boxes_on_the_same_targets_are_expected():
    found = reproduction.compare(TABLE, report({"kcf": [{}], "hcf": [{"names": NAMES[:8]}]}))
    kcf = line(found, "kcf")
    own = published_by_sequence(NAMES)["KCF"]
    assert_allclose(kcf["authors' boxes"], np.mean([auc for auc, _ in own.values()]))
    assert kcf["expected"] == kcf["authors' boxes"] and kcf["margin"] == 0.04
    assert kcf["paper"] == 0.475 and kcf["targets"] == len(NAMES)


def test_targets_that_ours_did_not_finish_do_not_count():
    found = reproduction.compare(TABLE, report({"kcf": [{"names": NAMES[:8]}], "hcf": [{}]}))
    own = published_by_sequence(NAMES[:8])["KCF"]
    kcf = line(found, "kcf")
    assert_allclose(kcf["authors' boxes"], np.mean([auc for auc, _ in own.values()]))
    assert kcf["targets"] == 8 and line(found, "hcf")["targets"] == len(NAMES)


def test_without_boxes_the_papers_number_is_carried_over():
    found = line(reproduction.compare(TABLE, report({"hcf": [{}]})), "hcf")
    value, _ = published_number("MSDAT", "Table 1", "HCF", "auc")
    expected, error = reproduction.carried(value, "otb100", tuple(NAMES), "auc")
    assert np.isnan(found["authors' boxes"])
    assert_allclose([found["expected"], found["margin"]], [expected, 0.04 + 2 * error])


def test_what_is_carried_over_to_the_whole_split_stays():
    split = tuple(one.name for one in manifest.load().values() if "OTB100" in one.splits)
    assert_allclose(reproduction.carried(0.6, "otb100", split, "auc"), (0.6, 0), atol=1e-9)
    assert reproduction.means(split, "otb100", "precision20").shape == (14, 2)


def test_the_line_is_that_of_least_squares():
    pairs = reproduction.means(tuple(NAMES), "otb2013", "auc")
    design = np.column_stack([pairs[:, 0], np.ones(len(pairs))])
    (slope, intercept), (rest,), *_ = np.linalg.lstsq(design, pairs[:, 1], rcond=None)
    expected = slope * 0.7 + intercept, np.sqrt(rest / (len(pairs) - 2))
    assert_allclose(reproduction.carried(0.7, "otb2013", tuple(NAMES), "auc"), expected)


@pytest.mark.parametrize("measure", ["success50", "fps"])
def test_nothing_is_carried_of_what_was_not_published(measure):
    assert np.isnan(reproduction.carried(0.5, "otb100", tuple(NAMES), measure)).all()


@pytest.mark.parametrize(
    ("band", "explained", "verdict"),
    [
        (WIDE, {}, reproduction.IN_BAND),
        (NARROW, {}, reproduction.OUTSIDE),
        (NARROW, {"kcf": "another cut of Girl"}, reproduction.EXPLAINED),
        (NARROW, {"kcf:features=gray": "not this one"}, reproduction.OUTSIDE),
        ({}, {}, reproduction.UNCOMPARED),
    ],
)
def test_a_verdict(band, explained, verdict):
    rows = {"KCF": dataclasses.replace(KCF, explained=explained)}
    item = dataclasses.replace(TABLE, band=band, rows=rows)
    found = reproduction.compare(item, report({"kcf": [{}]}))
    assert line(found, "kcf")["verdict"] == verdict
    assert len(reproduction.failures(found)) == (verdict == reproduction.OUTSIDE)


def test_few_targets_are_not_compared():
    item = dataclasses.replace(TABLE, band=NARROW)
    found = reproduction.compare(item, report({"kcf": [{}]}, names=NAMES[:7]))
    assert line(found, "kcf")["verdict"] == reproduction.UNCOMPARED


def test_what_was_not_run_is_missing_and_fails_nothing():
    found = reproduction.compare(TABLE, report({"kcf": [{}]}))
    assert line(found, "hcf")["verdict"] == reproduction.NOT_RUN
    assert reproduction.not_run(found) == ["kcf:features=gray", "hcf"]
    missing = reproduction.missing_rows([TABLE], report({"kcf": [{}]}))
    assert missing.to_numpy().tolist() == [
        ["kcf:features=gray", "MSDAT, Table 1"],
        ["hcf", "MSDAT, Table 1"],
    ]
    assert "hcf" not in reproduction.shown(found)["ours, as"].to_list()


def test_ours_has_its_interval_and_the_spread_over_seeds():
    runs = report({"kcf": [{"off": 2.0}, {"off": 6.0}]})
    kcf = line(reproduction.compare(TABLE, runs), "kcf")
    seeds = runs.by_seed("kcf").mean(axis="columns")
    assert_allclose([kcf["ours"], kcf["seed spread"]], [seeds.mean(), seeds.std()])
    shown = reproduction.shown(reproduction.compare(TABLE, runs))
    of_kcf = shown[(shown["ours, as"] == "kcf") & (shown["measure"] == "auc")].iloc[0]
    assert of_kcf["95 % interval"] == f"{kcf['95 % from']:.3f} to {kcf['to']:.3f}"
    assert of_kcf["expected"] == f"{kcf['expected']:.3f} ± {kcf['margin']:.3f}"
    assert of_kcf["targets"] == "10"
    assert kcf["95 % from"] == pytest.approx(kcf["ours"]) == kcf["to"]  # all targets are alike


def test_speeds_are_shown_and_not_compared():
    found = line(reproduction.compare(TABLE, report({"kcf": [{"seconds": 0.05}]})), "kcf", "fps")
    assert found["ours"] == pytest.approx(20) and found["paper"] == 243
    assert found["verdict"] == reproduction.UNCOMPARED
    assert reproduction.shown(found.to_frame().T)["paper"].iloc[0] == "243.0"


def test_a_ratio_of_speeds_is_over_the_tracker_in_its_name():
    row = Row(("msdat",), "", ("speedup_over_hcf",))
    item = dataclasses.replace(TABLE, item="section 4.2", rows={"MSDAT": row})
    runs = report({"msdat": [{"seconds": 0.1}], "hcf": [{"seconds": 0.25}]})
    found = reproduction.compare(item, runs).iloc[0]
    assert found["ours"] == pytest.approx(2.5) and found["paper"] == "~ 3"


def test_attributes_are_over_their_targets_and_apart():
    row = Row(("dlst",), "", ("precision20", "success50"))
    item = dataclasses.replace(TABLE, paper="DLST", rows={"DLST": row})
    attributes = {"Couple": ("SV", "BC"), "Dog": ("SV", "BC"), "Man": ("SV", "BC")}
    found = reproduction.compare(item, report({"dlst": [{}]}, attributes=attributes))
    clutter = line(found, "dlst", "precision20", subset="BC")
    assert clutter["targets"] == 3 and clutter["verdict"] == reproduction.UNCOMPARED
    assert not reproduction.shown(found)["paper's set"].str.contains("BC").any()
    table = reproduction.by_attribute(found).set_index("measure")
    paper, _ = published_number("DLST", "Table 1", "DLST", "precision20", "BC")
    assert table.loc["precision20", "BC (3)"] == f"{paper:.3f} | 1.000"


def test_success_at_any_threshold():
    """Boxes 8 beside 20 wide: IoU 12 / 28 = 0.43, so that all but the first frame miss at 0.6."""
    row = Row(("deeptrack",), "", ("success60",))
    item = dataclasses.replace(TABLE, paper="DeepTrack", item="Table II", rows={"DeepTrack": row})
    found = reproduction.compare(item, report({"deeptrack": [{"off": 8.0}]}))
    assert line(found, "deeptrack", "success60")["ours"] == pytest.approx(1 / 11)


def test_a_figure_without_numbers_has_those_of_its_legends():
    item = dataclasses.replace(TABLE, paper="FDN", item="Figure 7", rows={"KCF": Row(("kcf",))})
    found = reproduction.compare(item, report({"kcf": [{}]}))
    assert found["measure"].to_list() == ["auc", "precision20"] and found["paper"].isna().all()
    assert line(found, "kcf")["why"] == "nothing published to compare with"


def test_the_summary_counts():
    other = dataclasses.replace(TABLE, item="Figure 1", status="illustration", rows={})
    item = dataclasses.replace(TABLE, band=WIDE)
    table, drawing = reproduction.summary([item, other], report({"kcf": [{}]})).itertuples()
    assert table[4] == "1 of 3" and table[5] == 1
    assert drawing.state == reproduction.ILLUSTRATION
