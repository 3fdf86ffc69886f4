"""Boxes that were made elsewhere: aligned as asked, or refused by file and row."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import raw_results
from fake_tracker import BOX, sequence
from numpy.testing import assert_allclose
from scipy.io import savemat

from trackerlib.boxes import xywh_to_otb
from trackerlib.data import Dataset
from trackerlib.data.sequence import ImageFiles, Sequence
from trackerlib.eval import places, report
from trackerlib.eval.archive import Archive, Row, measured
from trackerlib.eval.archived import collect_archive
from trackerlib.eval.found import NOT_IMPORTED, OTHER_FRAMES
from trackerlib.eval.imports import Alignment, Elsewhere, import_runs, imported_jobs
from trackerlib.eval.layouts import read_runs
from trackerlib.eval.store import Failure, Result, Store
from trackerlib.paths import shipped

ROWS = xywh_to_otb(np.tile(BOX, (5, 1))) + np.linspace(0, 2, 5)[:, None]


def write(folder, rows=ROWS, name="Dark", tracker="KCF"):
    (folder / tracker).mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / tracker / f"{name}.txt", rows, "%.6g", ",")
    return folder


def imported(folder, dataset, layout="otb", **options):
    return import_runs(
        list(read_runs(folder, layout, ["dark", "bright"])), dataset, Alignment(layout, **options)
    )


def refusal(folder, dataset, layout="otb", **options):
    ((failure,), _) = imported(folder, dataset, layout, **options)
    assert isinstance(failure, Failure)
    return failure.reason


def with_rows(change):
    rows = ROWS.copy()
    change(rows)
    return rows


def edit(row, values):
    return with_rows(lambda rows: rows.__setitem__(row, values))


BAD = [
    (ROWS[:4], "Dark.txt: expected 5 rows, one for each .*, got 4; .* --align Dark=1:4"),
    (np.tile(ROWS, (2, 1)), "expected 5 rows, .* got 10"),
    (ROWS - [1, 1, 0, 0], "row 1: expected 11,9,20,16, .* got 10,8,20,16, .* from 0: --base 0"),
    (edit(3, np.nan), r"row 4: expected four finite .*, got nan,.* \(1 such rows\); .* --lost"),
    (edit(2, [5, 5, 0, 9]), "row 3: expected four finite numbers with a positive width"),
    (edit(slice(None), [11, 9, 31, 25]), "row 1: .* got 11,9,31,25, whose last two numbers"),
    (edit(0, [11, 9, 30, 24]), "whose last two numbers are a corner's; write x,y,w,h"),
    (ROWS + 30, "row 1: .* may be of another sequence or start elsewhere"),
    (ROWS[:, :3], "Dark.txt, row 1: expected 4 numbers, got '11,9,20'"),
]


@pytest.mark.parametrize(("rows", "message"), BAD)
def test_bad_files_are_refused(rows, message, dataset, tmp_path):
    reason = refusal(write(tmp_path, rows), dataset)
    assert re.search(message, reason), reason


def test_an_inf_or_a_word_is_named_by_row(dataset, tmp_path):
    folder = write(tmp_path)
    path = folder / "KCF" / "Dark.txt"
    for word in ("inf", "x"):
        lines = path.read_text().splitlines()
        lines[1] = f"11,9,20,{word}"
        path.write_text("\n".join(lines))
        assert f"Dark.txt, row 2: expected 4 numbers, got '11,9,20,{word}'" in refusal(
            folder, dataset
        )


def test_a_good_file_is_a_result(dataset, tmp_path):
    ((result,), notes) = imported(write(tmp_path), dataset)
    assert isinstance(result, Result) and not notes
    assert_allclose(result.track.boxes, ROWS - [1, 1, 0, 0], atol=1e-5)
    unit = result.unit
    assert unit.label == "KCF (imported)" and unit.settings == {"imported": "otb", "base": 1}
    assert (unit.start, unit.frames, unit.segment, unit.seed) == (0, 5, "ope", 0)
    assert np.isnan(result.track.seconds).all() and result.environment["imported"] == "Dark.txt"


def test_a_base_that_is_given_is_trusted(dataset, tmp_path):
    folder = write(tmp_path, ROWS - [1, 1, 0, 0])
    ((result,), _) = imported(folder, dataset, base=0)
    assert_allclose(result.track.boxes, ROWS - [1, 1, 0, 0], atol=1e-5)
    ((result,), (note,)) = imported(folder, dataset, base=1)
    assert isinstance(result, Result) and "differs from the ground truth in 1 of 1" in note


def test_one_file_of_several_that_is_a_pixel_off_is_no_other_base(dataset, tmp_path):
    write(tmp_path, ROWS - [1, 1, 0, 0])
    outcomes, _ = imported(write(tmp_path, ROWS, "Bright"), dataset)
    assert [type(one) for one in outcomes] == [Result, Result]


def test_lost_rows_are_kept_where_that_is_asked_for(dataset, tmp_path):
    ((result,), _) = imported(write(tmp_path, edit(3, np.nan)), dataset, lost=True)
    assert np.isnan(result.track.boxes[3]).all()


def test_shorter_files_are_aligned_as_asked(dataset, tmp_path):
    ((result,), _) = imported(write(tmp_path, ROWS[:3]), dataset, align={"Dark": (3, 5)})
    assert (result.unit.start, result.unit.frames) == (2, 3)
    assert result.track.warnings == ("Dark: rows are of frames 3 to 5 alone, of 1 to 5",)
    ((whole,), _) = imported(write(tmp_path), dataset, align={"Dark": (3, 5)})
    assert whole.unit.frames == 5  # a file of all frames needs no alignment
    assert "expected 5 rows" in refusal(write(tmp_path, ROWS[:4]), dataset, align={"Dark": (3, 5)})


def test_names_as_toolkits_spell_them(tmp_path):
    jogging = sequence(tmp_path / "Jogging-1")
    for name in ("Jogging_1", "jogging.1", "JOGGING-1"):
        ((result,), _) = imported(write(tmp_path / name, ROWS, name), Dataset("x", (jogging,)))
        assert result.unit.sequence == "Jogging-1"


def test_files_of_other_sequences_are_counted(dataset, tmp_path):
    _, (note,) = imported(write(write(tmp_path), ROWS, "Elsewhere"), dataset)
    assert note == "1 files of sequences that are not in the data are left out"


def test_vots_codes_are_refused(dataset, tmp_path):
    folder = tmp_path / "KCF" / "baseline" / "Dark"
    folder.mkdir(parents=True)
    (folder / "Dark_001.txt").write_text("1\n10,8,20,16\n2\n0\n0\n")
    reason = refusal(tmp_path, dataset, "vot")
    assert "Dark_001.txt, row 3: expected 4 numbers, got '2'; the codes 0, 1 and 2" in reason


def test_seconds_of_another_length_are_refused(dataset, tmp_path):
    times = write(tmp_path) / "KCF" / "times"
    times.mkdir()
    (times / "Dark_time.txt").write_text("0.1\n" * 4)
    assert "Dark_time.txt: expected 5 rows" in refusal(tmp_path, dataset, "got10k")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"type": "ivtAff", "res": np.zeros((5, 6))}, "expected type rect .* got type ivtAff"),
        ({"type": "rect", "res": np.zeros((5, 6))}, r"got res \(5, 6\)"),
        ({"type": "rect", "res": ROWS[:4]}, "expected 5 rows"),
        ({"type": "rect", "res": ROWS[:4], "startFrame": 3.0, "annoBegin": 1.0}, "got 4"),
    ],
)
def test_bad_mat_files_are_refused(cell, message, dataset, tmp_path):
    savemat(tmp_path / "dark_KCF.mat", {"results": np.array([cell], dtype=object)})
    assert re.search(message, refusal(tmp_path, dataset, "otb-mat"))


def test_no_mat_file(dataset, tmp_path):
    (tmp_path / "dark_KCF.mat").write_bytes(b"MATLAB 7.3 MAT-file, or anything")
    assert "expected a file of OTB's toolkit" in refusal(tmp_path, dataset, "otb-mat")


def test_a_mat_file_says_where_it_starts(dataset, tmp_path):
    cell = {"type": "rect", "res": ROWS[:4], "startFrame": 301.0, "annoBegin": 300.0}
    savemat(tmp_path / "dark_KCF.mat", {"results": np.array([cell], dtype=object)})
    ((result,), _) = imported(tmp_path, dataset, "otb-mat")
    assert (result.unit.start, result.unit.frames) == (1, 4)
    assert "frames 2 to 5 alone" in result.track.warnings[0]


def stored(folder, dataset, store, **options):
    outcomes, _ = imported(folder, dataset, **options)
    rows = tuple(map(Row, outcomes))
    places.put([Archive(places.dataset_facts(dataset), rows)], store.root)


def test_a_report_has_them_and_what_was_refused(dataset, tmp_path):
    store = Store(tmp_path / "store")
    write(tmp_path / "raw", ROWS[:4], "Bright")
    stored(write(tmp_path / "raw"), dataset, store)
    jobs = imported_jobs(store, dataset, "ope")
    assert len(jobs) == 2 and imported_jobs(store, dataset, "tre") == []
    found = report.collect(jobs, dataset, store)
    assert found.trackers == ["KCF (imported)"] and len(found.scores) == 1
    assert "expected 5 rows" in found.missing["reason"].item()
    assert report.table(found)["sequences"].item() == "1/2"
    assert report.speed(found).empty


def test_a_report_takes_no_boxes_of_other_frames(dataset, tmp_path):
    store = Store(tmp_path / "store")
    stored(write(tmp_path / "raw"), dataset, store)
    bright, dark = dataset.sequences
    changed = dataclasses.replace(dark, frames=bright.frames)
    other = Dataset("made", (bright, changed))
    found = report.collect(imported_jobs(store, other, "ope"), other, store)
    assert found.missing["reason"].tolist() == [NOT_IMPORTED, OTHER_FRAMES]


def test_shorter_files_are_scored_on_their_frames(dataset, tmp_path):
    store = Store(tmp_path / "store")
    stored(write(tmp_path / "raw", ROWS[:3]), dataset, store, align={"Dark": (3, 5)})
    found = report.collect(imported_jobs(store, dataset, "ope"), dataset, store)
    assert found.frames == {("KCF (imported)", "Dark", 0): (3, 3)}
    assert any("rows are of frames 3 to 5 alone" in line for line in found.warnings)


def test_another_import_of_the_same_is_refused_where_it_differs(dataset, tmp_path):
    store = Store(tmp_path / "store")
    stored(write(tmp_path / "raw"), dataset, store)
    stored(tmp_path / "raw", dataset, store)
    with pytest.raises(ValueError, match="Dark, ope, seed 0: expected one result"):
        stored(write(tmp_path / "raw", ROWS + 0.1), dataset, store)


def test_a_file_that_was_refused_can_be_replaced(dataset, tmp_path):
    store = Store(tmp_path / "store")
    stored(write(tmp_path / "raw", ROWS[:4]), dataset, store)
    stored(write(tmp_path / "raw"), dataset, store)
    found = report.collect(imported_jobs(store, dataset, "ope"), dataset, store)
    assert len(found.scores) == 1


def test_imported_trackers_cannot_be_run():
    spec = Elsewhere("KCF (imported)", (("imported", "otb"), ("base", 1)))
    assert spec.settings() == {"imported": "otb", "base": 1} and spec.code() == "elsewhere"
    with pytest.raises(ValueError, match="expected a tracker of the library, got imported boxes"):
        spec.build("cpu", 0)


def published(shared):
    """OTB's 100 targets with ground truth, without frames."""
    truth = raw_results.read_truth(shared)
    none = ImageFiles(())
    sequences = [
        NoFrames(name, none, boxes, np.arange(1, len(boxes) + 1)) for name, boxes in truth.items()
    ]
    return Dataset("otb", tuple(sequences))


class NoFrames(Sequence):
    def __len__(self):
        return len(self.boxes)


def test_published_boxes_give_their_published_scores(shared, tmp_path):
    dataset, trackers = published(shared), ("KCF", "MDNet", "Struck")
    for tracker in trackers:
        shutil.copytree(shared / "results" / "OPE" / tracker, tmp_path / tracker)
    align = {"Tiger1": (6, 354), "Board": (1, 697), "Twinnings": (1, 471)}
    outcomes, _ = imported(tmp_path, dataset, align=align)
    assert len(outcomes) == 300
    (refused,) = (one for one in outcomes if isinstance(one, Failure))
    assert "ClifBar.txt: expected 472 rows, one for each" in refused.reason
    rows = [measured(one, dataset, {}) for one in outcomes]
    archive = Archive(places.dataset_facts(dataset), tuple(rows))
    found = collect_archive(archive, "otb")
    table = json.loads(shipped("published_otb.json").read_text())["results"]
    for tracker in trackers:
        scores = found.of(f"{tracker} (imported)")
        assert raw_results.rounded({n: s for (n, _), s in scores.items()}) == table[tracker]
