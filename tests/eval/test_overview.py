"""All trackers in one table, and the targets on which they disagree."""

import numpy as np
import pytest
from made_archive import NAMES, archive

from trackerlib.eval.archived import collect_archive
from trackerlib.eval.overview import disagreement, finished, on_shared, overview, tracks
from trackerlib.eval.published import published_by_sequence, published_scores


@pytest.fixture
def report():
    runs = {
        "near": [{"off": 0.0, "seconds": 0.1}, {"off": 1.0, "seconds": 0.1}],
        "far": [{"off": 9.0, "seconds": 0.01}],
        "lost": [{"off": 30.0, "names": NAMES[:2]}],
    }
    return collect_archive(archive(runs), "otb")


def test_a_row_has_accuracy_scale_and_speed_with_its_machine(report):
    table = overview(report)
    assert table.loc["near", ["seeds", "scale"]].to_list() == [2, 1]
    assert table.loc["far", "fps"] == pytest.approx(100)
    assert table.loc["far", "machine"] == "a processor"
    assert table.loc["lost", "sequences"] == "2/10"
    assert table["AUC"].is_monotonic_decreasing


def test_published_rows_are_on_the_same_targets(report):
    row = overview(report).loc["KCF (published)"]
    assert (row["AUC"], row["P(20 px)"]) == published_scores(NAMES)["KCF"][:2]
    assert np.isnan(row["fps"]) and np.isnan(row["seeds"])


def test_targets_of_most_disagreement_are_first(report):
    table = disagreement(report, ["near", "lost"], "KCF MDNet")
    assert list(table.columns) == [
        "near",
        "lost",
        "KCF (published)",
        "MDNet (published)",
        "spread",
    ]
    assert set(table.index[:2]) == set(NAMES[:2])
    assert table.loc["Man", "KCF (published)"] == published_by_sequence(["Man"])["KCF"]["Man"][0]
    pair = table.loc["Couple", ["near", "lost"]]
    assert table.loc["Couple", "spread"] == pytest.approx(pair.std())


def test_trackers_without_all_targets_stand_on_the_shared_ones():
    runs = {"all": [{}], "eight": [{"names": NAMES[:8]}], "two": [{"names": NAMES[:2]}]}
    report = collect_archive(archive(runs), "otb")
    assert finished(report) == ["all"]
    shared = on_shared(report)
    assert [one.name for one in shared.dataset.sequences] == NAMES[:8]
    table = overview(shared)
    assert table.loc[["all", "eight", "two"], "sequences"].to_list() == ["8/8", "8/8", "2/8"]
    assert table.loc["KCF (published)", "AUC"] == published_scores(NAMES[:8])["KCF"][0]
    assert set(shared.missing["sequence"]) == set(NAMES[2:8])


def test_tracks_are_of_the_first_seed_and_of_trackers_that_were_run():
    made = archive({"near": [{"off": 1.0}, {"off": 9.0}], "far": [{"names": NAMES[1:]}]})
    found = tracks(made, "otb", NAMES[0], ["far", "near"])
    assert list(found) == ["near"]
    boxes, iou = found["near"]
    assert boxes[1].tolist() == [11, 10, 20, 20] and iou[1] == pytest.approx(19 / 21)
    assert tracks(made, "other", NAMES[0], ["near"]) == {}
