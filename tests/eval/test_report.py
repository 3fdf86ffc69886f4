"""Reports over a made-up store: a tracker that finished, one that crashed on a sequence."""

import numpy as np
import pandas as pd
import pytest

from trackerlib import trackers
from trackerlib.data import Dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval import report, runner
from trackerlib.eval.metrics import CONVENTIONS, GOT10K, OTB, PYSOT, PYTRACKING, VOT, score
from trackerlib.eval.published import published_scores
from trackerlib.eval.store import Store, Track

BOXES = np.tile([20.0, 10.0, 8.0, 6.0], (5, 1)) + np.arange(5)[:, None] * [2, 1, 0, 0]
ENVIRONMENT = {"device": "cpu", "device_name": "a processor", "threads": 1, "workers": 1}


class Grey:
    """Five frames of nothing."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return np.full((60, 80, 3), 128, np.uint8)


def dataset(names, problems=(), missing=(), benchmark="OTB"):
    attributes = {names[0]: ("FM", "OCC"), names[1]: ("FM",)}
    return Dataset(
        "made",
        tuple(
            Sequence(
                name,
                Grey(),
                BOXES,
                np.arange(1, 6),
                attributes=attributes[name],
                benchmark=benchmark,
            )
            for name in names
        ),
        problems,
        dict(missing),
    )


@pytest.fixture
def evaluated(tmp_path):
    """`good` follows the target, `bad` stays behind on one sequence and crashes on the other."""
    made = dataset(["Girl", "David"], ("David: rows 1 to 20 differ",))
    specs = [trackers.parse("identity"), trackers.parse("kcf")]
    jobs, store = runner.plan(specs, made, device="cpu"), Store(tmp_path)
    for job in jobs:
        if job.unit.label == "kcf":
            store.write(job.unit, Track(BOXES, np.full(5, 0.01)), ENVIRONMENT)
        elif job.unit.sequence == "Girl":
            still = Track(BOXES[:1].repeat(5, 0), np.full(5, 0.02), ("Girl, frame 3: unreadable",))
            store.write(job.unit, still, ENVIRONMENT | {"workers": 2})
        else:
            store.write_failure(job.unit, "Traceback ...\nValueError: no such thing\n")
    return report.collect(jobs, made, store)


def test_means_are_over_what_was_finished_and_say_so(evaluated):
    table = report.table(evaluated)
    still = score(BOXES[:1].repeat(5, 0), BOXES)
    assert table.loc["kcf", "sequences"] == "2/2"
    assert table.loc["identity", "sequences"] == "1/2"
    np.testing.assert_allclose(table.loc["identity", "AUC"], still.auc)
    np.testing.assert_allclose(table.loc["kcf", "AUC"], 20 / 21)  # an IoU of 1 is not above 1
    assert table["AUC"].is_monotonic_decreasing


def test_a_crash_is_listed_with_its_reason(evaluated):
    (row,) = evaluated.missing.to_dict("records")
    assert row == {
        "tracker": "identity",
        "sequence": "David",
        "segment": "ope",
        "seed": 0,
        "reason": "ValueError: no such thing",
    }


def test_what_was_noticed_is_reported(evaluated):
    assert evaluated.warnings == (
        "David: rows 1 to 20 differ",
        "identity: Girl, frame 3: unreadable",
    )


def test_ones_own_girl_has_no_published_scores(tmp_path):
    made, store = dataset(["Girl", "David"], benchmark=None), Store(tmp_path)
    jobs = runner.plan([trackers.parse("kcf")], made, device="cpu")
    for job in jobs:
        store.write(job.unit, Track(BOXES, np.full(5, 0.01)), ENVIRONMENT)
    assert list(report.table(report.collect(jobs, made, store)).index) == ["kcf"]


def test_published_trackers_stand_beside_over_the_same_sequences(evaluated):
    auc, precision, covered = published_scores(["Girl", "David"])["KCF"]
    row = report.table(evaluated).loc["KCF (published)"]
    assert (row["AUC"], row["P(20 px)"], row["sequences"]) == (
        auc,
        precision,
        f"{covered}/2",
    )


def test_an_attribute_is_left_open_where_a_sequence_is_missing(evaluated):
    found = report.attributes(evaluated)
    assert list(found.columns) == ["FM (2)", "OCC (1)"]
    assert np.isnan(found.loc["identity", "FM (2)"])
    assert found.loc["identity", "OCC (1)"] == evaluated.by_sequence("identity")["Girl"]


def test_attributes_are_of_the_measure_that_is_asked_for(evaluated):
    found = report.attributes(evaluated, "success50").loc["identity", "OCC (1)"]
    assert found == evaluated.by_sequence("identity", "success50")["Girl"]


def test_a_sequence_is_left_open_where_a_tracker_crashed(evaluated):
    found = report.sequences(evaluated)
    assert np.isnan(found.loc["David", "identity"]) and found.loc["David", "kcf"] > 0.9


def test_speed_is_of_runs_with_one_worker_alone(evaluated):
    found = report.speed(evaluated)
    np.testing.assert_allclose(found.loc[("kcf", "a processor", 1), "fps"], 100)
    assert "identity" not in found.index.get_level_values("tracker")


def test_curves_are_means_over_sequences(evaluated):
    success = report.curves(evaluated, "success")
    np.testing.assert_allclose(success["kcf"], [1.0] * 20 + [0.0])


def test_nothing_run_is_an_empty_table_not_an_error(tmp_path):
    made = dataset(["A", "B"])
    jobs = runner.plan([trackers.parse("identity")], made, device="cpu")
    found = report.collect(jobs, made, Store(tmp_path))
    assert report.table(found).empty and report.attributes(found).empty
    assert list(found.missing["reason"]) == ["not run yet"] * 2


def test_a_sequence_that_was_not_there_is_missing_and_counts(tmp_path):
    made = dataset(["A", "B"], missing={"C": "no folder C"})
    jobs, store = runner.plan([trackers.parse("kcf")], made, device="cpu"), Store(tmp_path)
    for job in jobs:
        store.write(job.unit, Track(BOXES, np.full(5, 0.01)), ENVIRONMENT)
    found = report.collect(jobs, made, store)
    assert report.table(found).loc["kcf", "sequences"] == "2/3"
    assert list(found.missing["sequence"]) == ["C"]
    assert list(found.missing["reason"]) == ["no folder C"]


def test_a_sequence_counts_only_with_every_seed(tmp_path):
    made = dataset(["A", "B"])
    specs, store = [trackers.parse("kcf")], Store(tmp_path)
    jobs = runner.plan(specs, made, seeds=(0, 1), device="cpu")
    for job in jobs[:-1]:  # all but B with seed 1
        store.write(job.unit, Track(BOXES, np.full(5, 0.01)), ENVIRONMENT)
    found = report.collect(jobs, made, store)
    assert report.table(found).loc["kcf", "sequences"] == "1/2"
    assert set(found.by_sequence("kcf")) == {"A"}
    assert len(found.missing) == 1


def test_what_a_reader_noticed_is_reported(tmp_path):
    noticed = Sequence("A", Grey(), BOXES, np.arange(1, 6), warnings=("A: one image too many",))
    found = report.collect([], Dataset("made", (noticed,)), Store(tmp_path))
    assert found.warnings == ("A: one image too many",)


def scored(tmp_path, truth, boxes=BOXES, conventions=OTB, protocol="ope"):
    """The report on one sequence "lane" with this ground truth, run by `kcf`."""
    frames = [np.zeros((60, 80, 3), np.uint8)] * len(truth)
    lane = Sequence("lane", frames, np.array(truth, float), np.arange(1, len(truth) + 1))
    made, store = Dataset("made", (lane,)), Store(tmp_path)
    jobs = runner.plan([trackers.parse("kcf")], made, protocol, device="cpu")
    for job in jobs:
        rest = np.array(boxes, float)[job.segment.start :]
        store.write(job.unit, Track(rest, np.full(len(rest), 0.01)), ENVIRONMENT)
    return report.collect(jobs, made, store, conventions)


NOTHING = np.full(4, np.nan)


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_frames_without_ground_truth_are_not_scored_and_told(tmp_path, conventions):
    lost = BOXES + np.array([60, 0, 0, 0])
    truth = np.where(np.arange(5)[:, None] < 3, BOXES, NOTHING)
    found = scored(tmp_path, truth, lost, CONVENTIONS[conventions])
    row = report.table(found).loc["kcf"]
    first = {"pysot": 0, "vot": 0}.get(conventions, 1)
    frames = 2 if conventions == "vot" else 3
    assert row["frames"] == f"{frames}/5"
    assert row["P(20 px)"] == row["P(0.2), normalised"] == first / frames
    assert "lane: 2 of 5 frames have no ground truth: not scored" in found.warnings


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("last", [NOTHING, [0, 0, 0, 0], [-5, -5, -3, -3]])
def test_ground_truth_in_the_first_frame_alone_is_no_score(tmp_path, conventions, last):
    truth = np.where(np.arange(5)[:, None] < 1, BOXES, last)
    found = scored(tmp_path, truth, conventions=CONVENTIONS[conventions])
    if np.isfinite(last).all() and CONVENTIONS[conventions].valid == "all":
        assert report.table(found).loc["kcf", "P(20 px)"] < 0.5  # every row as it stands
        return
    table = report.table(found)
    assert not found.scores and found.results
    assert list(table.columns) == ["sequences", "frames"]
    assert table.loc["kcf"].tolist() == ["0/1", "0/5"]
    assert list(found.missing["reason"]) == [report.UNSCORED]
    assert report.curves(found, "success") == {}
    assert report.attributes(found).isna().all(axis=None)
    assert report.sequences(found).isna().all(axis=None)


def test_a_sequence_without_a_score_leaves_the_others_their_means(tmp_path):
    blind = np.where(np.arange(5)[:, None] < 1, BOXES, NOTHING)
    rows, store = {"Seen": BOXES, "Blind": blind}, Store(tmp_path)
    both = [Sequence(name, Grey(), truth, np.arange(1, 6)) for name, truth in rows.items()]
    made = Dataset("made", tuple(both))
    jobs = runner.plan([trackers.parse("kcf")], made, device="cpu")
    for job in jobs:
        store.write(job.unit, Track(BOXES, np.full(5, 0.01)), ENVIRONMENT)
    row = report.table(report.collect(jobs, made, store)).loc["kcf"]
    assert (row["AUC"], row["sequences"], row["frames"]) == (20 / 21, "1/2", "5/10")


@pytest.mark.parametrize(
    ("conventions", "fate"),
    [
        (OTB, "hits of precision, as in OTB's toolkit"),
        (PYTRACKING, "misses of success and"),
        (PYSOT, "hits of precision where the centre is not, as in pysot"),
    ],
)
def test_what_is_done_with_invalid_ground_truth_is_told(tmp_path, conventions, fate):
    truth = np.where(np.arange(5)[:, None] < 3, BOXES, 0)
    found = scored(tmp_path, truth, conventions=conventions)
    (line,) = found.warnings
    assert line.startswith(
        "lane: 2 of 5 frames have ground truth that the conventions call invalid"
    )
    assert fate in line
    assert "frames" not in report.table(found).columns  # all of them count


def test_nothing_is_told_of_ground_truth_that_is_whole(tmp_path):
    found = scored(tmp_path, BOXES)
    assert found.warnings == () and "frames" not in report.table(found).columns
    assert found.frames == {("kcf", "lane", 0): (5, 5)}


@pytest.mark.parametrize(("conventions", "fate"), [(OTB, "replaced"), (GOT10K, "misses")])
def test_boxes_that_are_replaced_are_told(tmp_path, conventions, fate):
    spoilt = BOXES.copy()
    spoilt[2], spoilt[4, 2] = np.nan, 0
    (line,) = scored(tmp_path, BOXES, spoilt, conventions).warnings
    assert line.startswith("kcf: lane, ope: 2 of 5 boxes are not finite or have no area: ")
    assert fate in line


def test_fewer_starts_in_time_are_told(tmp_path):
    truth = np.tile([20.0, 10, 8, 6], (25, 1))
    found = scored(tmp_path, truth, truth, protocol="tre")
    (line,) = found.warnings
    assert line.startswith("lane: 6 starts in time instead of 20")


def test_a_start_in_time_without_further_ground_truth_leaves_the_others(tmp_path):
    truth = np.tile([20.0, 10, 8, 6], (60, 1))
    truth[41:] = np.nan
    found = scored(tmp_path, truth, truth, protocol="tre")
    assert list(found.missing["segment"]) == ["tre20"]
    assert list(found.missing["reason"]) == [report.UNSCORED]
    assert report.table(found).loc["kcf", "AUC"] == pytest.approx(20 / 21)


def test_published_scores_beside_those_of_other_conventions_are_told(tmp_path):
    made, store = dataset(["Girl", "David"]), Store(tmp_path)
    jobs = runner.plan([trackers.parse("kcf")], made, device="cpu")
    (line,) = report.collect(jobs, made, store, VOT).warnings
    assert "published scores stay under OTB's conventions" in line
    assert report.collect(jobs, made, store).warnings == ()


def test_normalised_precision_is_at_a_fifth_and_its_mean_has_its_own_name(tmp_path):
    moved = BOXES + np.array([2, 0, 0, 0])  # a quarter of the width
    found = scored(tmp_path, BOXES, moved)
    row = report.table(found).loc["kcf"]
    assert row["P(0.2), normalised"] == 1 / 5  # the first frame
    assert row["mean P, normalised"] == pytest.approx(1 / 5 + 4 / 5 * 26 / 51)
    curve = report.curves(found, "normalised_precision")["kcf"]
    assert curve[20] == row["P(0.2), normalised"] and len(curve) == 51
    assert curve.tolist() == [1 / 5] * 25 + [1.0] * 26


def test_numbers_are_shown_with_three_decimals_and_gaps_are_empty():
    shown = report.rounded(pd.DataFrame({"AUC": [0.68, np.nan], "n": ["1/1", "0/1"]}))
    assert shown.to_dict("list") == {"AUC": ["0.680", ""], "n": ["1/1", "0/1"]}


def test_no_paper_prints_the_later_otb50():
    assert report.papers("otb50").empty


def test_papers_print_means_for_the_benchmarks_splits():
    found = report.papers("otb100")
    assert isinstance(found, pd.DataFrame) and "MSDAT" in set(found["tracker"])


def with_seeds(tmp_path, sizes, names=("A", "B")):
    """A report on `kcf`, whose boxes have these sides beside the true ones: sizes[name][seed]."""
    seeds = range(len(sizes[names[0]]))
    made, store = dataset(list(names), benchmark=None), Store(tmp_path)
    jobs = runner.plan([trackers.parse("kcf")], made, seeds=tuple(seeds), device="cpu")
    for job in jobs:
        boxes = BOXES * [1, 1, *[sizes[job.unit.sequence][job.unit.seed]] * 2]
        store.write(job.unit, Track(boxes, np.full(5, 0.01)), ENVIRONMENT)
    return report.collect(jobs, made, store)


def test_scale_is_a_mean_over_sequences_with_its_spread_over_seeds(tmp_path):
    """Means over seeds of 1 and 0.5; means over sequences of 0.65 and 0.85 for the seeds."""
    found = with_seeds(tmp_path, {"A": (0.9, 1.1), "B": (0.4, 0.6)})
    for group in report.SCALES.values():
        row = report.scales(found).loc["kcf", group]
        np.testing.assert_allclose(row[["mean", "95 % from", "to"]].tolist(), [0.75, 0.5, 1])
        np.testing.assert_allclose(row["seed spread"], 0.2 / np.sqrt(2))


def test_scale_shows_when_boxes_shrink(tmp_path):
    late = BOXES.copy()
    late[3:, 2:] /= 2  # of five frames, the last quarter is the last two
    row = report.scales(scored(tmp_path, BOXES, late)).loc["kcf"]
    assert (row["scale", "mean"], row["last quarter", "mean"]) == (1, 0.5)
    assert "seed spread" not in row["scale"]  # there is one seed


def test_scale_of_starts_in_time_is_over_all_their_frames(tmp_path):
    truth = np.tile([20.0, 10, 8, 6], (25, 1))
    late = truth.copy()
    late[18:, 2:] /= 2
    found = scored(tmp_path, truth, late, protocol="tre")  # from frames 0 to 5
    scored_once = found.scores["kcf", "lane", 0]
    assert len(scored_once.scales) == sum(range(20, 26)) == scored_once.frames
    assert report.scales(found).loc["kcf", ("scale", "mean")] == 1
    assert report.scales(found).loc["kcf", ("last quarter", "mean")] == 0.5


def test_scales_stand_in_the_order_of_the_table_and_leave_its_columns_alone(evaluated):
    scales, table = report.scales(evaluated), report.table(evaluated)
    assert list(scales.index) == [name for name in table.index if name in evaluated.trackers]
    assert not [name for name in table.columns if "scale" in name or "quarter" in name]


def test_other_measures_by_sequence(evaluated):
    found = report.sequences(evaluated, "late_scale")
    assert found.loc["Girl", "identity"] == 1 and np.isnan(found.loc["David", "identity"])
    assert report.attributes(evaluated, "scale").loc["kcf", "FM (2)"] == 1


def test_a_run_without_a_score_has_no_scale(tmp_path):
    found = scored(tmp_path, np.where(np.arange(5)[:, None] < 1, BOXES, NOTHING))
    assert found.trackers == ["kcf"] and report.scales(found).isna().all(axis=None)
