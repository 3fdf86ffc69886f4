"""Toolkits' forms of raw results: what is written reads back, box for box."""

import dataclasses

import numpy as np
import pytest
from faults import FAULTS, disturbed
from made_results import made
from numpy.testing import assert_array_equal
from scipy.io import loadmat

from trackerlib.boxes import xywh_to_otb
from trackerlib.data import Dataset
from trackerlib.eval.imports import Alignment, import_runs
from trackerlib.eval.layouts import FORMATS, IMPORTED, read_runs, write_runs
from trackerlib.eval.store import Result

PATHS = {  # of Dark's run with seed 1
    "otb": "fake-behaviour=one.seed1/Dark.txt",
    "otb-mat": "Dark_fake-behaviour=one.mat",
    "got10k": "fake-behaviour=one.seed1/times/Dark_time.txt",
    "pysot": "fake-behaviour=one.seed1/Dark.txt",
    "pytracking": "fake-behaviour=one/default_001/Dark_time.txt",
    "vot": "fake-behaviour=one/baseline/Dark/Dark_002_time.value",
}


@pytest.fixture
def results(dataset):
    return made(dataset, ["one"])[1]


def renamed(dataset, name):
    sequence = dataclasses.replace(dataset.sequences[0], name=name)
    return Dataset("made", (sequence,))


@pytest.mark.parametrize("layout", FORMATS)
def test_a_round_trip(layout, results, dataset, tmp_path):
    if layout == "otb-mat":  # whose file is of all segments of one run
        results = results[:2]
    assert write_runs(results, layout, tmp_path / "out", None) == len(results)
    assert (tmp_path / "out" / PATHS[layout]).is_file()
    runs = list(read_runs(tmp_path / "out", layout, ["dark", "bright"]))
    back, notes = import_runs(runs, dataset, Alignment(layout))
    assert all(isinstance(one, Result) for one in back), back
    by_run = {(one.unit.sequence, one.unit.seed): one for one in back}
    assert len(by_run) == len(back) == len(results) and not notes
    for result in results:
        one = by_run[result.unit.sequence, result.unit.seed]
        # Numbers that count from 1 are rounded to what a float64 holds there, as in a store.
        expected = result.track.boxes if layout == "vot" else stored(result.track.boxes)
        assert_array_equal(one.track.boxes, expected)
        assert one.unit.label == "fake-behaviour=one" + IMPORTED
        has_times = layout in ("got10k", "pytracking", "vot")
        assert_array_equal(one.track.seconds, result.track.seconds if has_times else np.nan)


def stored(boxes):
    return np.concatenate((xywh_to_otb(boxes)[:, :2] - 1, boxes[:, 2:]), 1)


@pytest.mark.parametrize("layout", ["got10k", "pysot"])
def test_a_round_trip_on_got10k(layout, dataset, tmp_path):
    val = renamed(dataset, "GOT-10k_Val_000001")
    _, results = made(val, ["one"])
    write_runs(results, layout, tmp_path / "out", None)
    folder = tmp_path / "out" / "fake-behaviour=one" / "GOT-10k_Val_000001"
    assert sorted(path.name for path in folder.iterdir()) == [
        "GOT-10k_Val_000001_001.txt",
        "GOT-10k_Val_000001_002.txt",
        "GOT-10k_Val_000001_time.txt",
    ]
    first = (folder / "GOT-10k_Val_000001_001.txt").read_text().splitlines()[0]
    assert first == "10,8,20,16"  # counted from 0
    back, _ = import_runs(read_runs(tmp_path / "out", layout), val, Alignment(layout))
    for one, result in zip(back, results, strict=True):
        assert_array_equal(one.track.boxes, result.track.boxes)
        assert_array_equal(one.track.seconds, result.track.seconds)


def test_what_the_files_hold(results, tmp_path):
    boxes = results[0].track.boxes
    for layout in FORMATS:
        write_runs(results[:1], layout, tmp_path / layout, None)
    text = (tmp_path / "otb" / "fake-behaviour=one" / "Bright.txt").read_text()
    assert text.splitlines()[0] == "11,9,20,16"
    loaded = np.loadtxt(tmp_path / "got10k" / "fake-behaviour=one" / "Bright.txt", delimiter=",")
    assert_array_equal(loaded, xywh_to_otb(boxes))
    folder = tmp_path / "pytracking" / "fake-behaviour=one" / "default_000"
    assert_array_equal(np.loadtxt(folder / "Bright.txt", delimiter="\t"), xywh_to_otb(boxes))
    vot = tmp_path / "vot" / "fake-behaviour=one" / "baseline" / "Bright" / "Bright_001.txt"
    lines = vot.read_text().splitlines()
    assert lines[0] == "1" and lines[1].split(",") == [repr(float(v)) for v in boxes[1]]
    mat = loadmat(tmp_path / "otb-mat" / "Bright_fake-behaviour=one.mat", simplify_cells=True)
    cell = mat["results"]
    cell = cell if isinstance(cell, dict) else cell[0]
    assert cell["type"] == "rect" and cell["len"] == 5 and cell["startFrame"] == 1
    assert_array_equal(cell["res"], xywh_to_otb(boxes))


@pytest.mark.parametrize("protocol", ["tre", "sre"])
def test_segments_of_otbs_toolkit(protocol, dataset, tmp_path):
    from fake_tracker import sequence

    whole = Dataset("made", (sequence(tmp_path / "Long", length=25),))
    jobs, results = made(whole, ["one"], [0], protocol)
    assert write_runs(results, "otb-mat", tmp_path / "mat", None) == 1
    back, _ = import_runs(
        read_runs(tmp_path / "mat", "otb-mat", ["long"]), whole, Alignment("otb-mat", protocol)
    )
    assert [one.unit.segment for one in back] == [job.segment.name for job in jobs]
    for one, result in zip(back, results, strict=True):
        assert isinstance(one, Result), one
        assert (one.unit.start, one.unit.frames) == (result.unit.start, result.unit.frames)
        assert_array_equal(one.track.boxes, stored(result.track.boxes))


def test_several_segments_have_no_place_in_a_text_file(results, tmp_path):
    twice = [dataclasses.replace(one.unit, segment="tre02") for one in results[:1]]
    more = [dataclasses.replace(results[0], unit=unit) for unit in twice]
    with pytest.raises(ValueError, match=r"Bright.txt: expected one result .* got 2: made, fake"):
        write_runs([results[0], *more], "otb", tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def test_files_are_not_written_over_others(results, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match="expected a new or empty folder; give another"):
        write_runs(results, "otb", tmp_path, None)


def test_pytrackings_parameters_are_in_the_name(tmp_path):
    folder = tmp_path / "dimp" / "dimp50_003"
    folder.mkdir(parents=True)
    (folder / "Dark.txt").write_text("11\t9\t20\t16\n" * 5)
    (folder / "Dark_object_presence_scores.txt").write_text("1\n" * 5)
    (run,) = read_runs(tmp_path, "pytracking")
    assert (run.tracker, run.sequence, run.seed, run.boxes.shape) == (
        "dimp-dimp50",
        "Dark",
        3,
        (5, 4),
    )


@pytest.mark.parametrize("kind", FAULTS)
def test_whatever_stops_it_on_the_disk_the_folder_is_whole_or_absent(kind, results, tmp_path):
    def export(root):
        if not (root / "raw").exists():
            write_runs(results, "got10k", root / "raw", None)

    assert disturbed(kind, tmp_path, export) > 4
