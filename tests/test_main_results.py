"""The command line's `results`: export, import, merge, verify, and reports of what they give."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from small_otb import write_otb

from trackerlib.__main__ import main
from trackerlib.data import open_dataset
from trackerlib.eval.runner import plan
from trackerlib.eval.store import Store, Track
from trackerlib.trackers import parse
from trackerlib.weights.registry import registry

ENVIRONMENT = {"device_name": "a processor", "threads": 1, "workers": 1}


@pytest.fixture
def otb(tmp_path):
    return write_otb(tmp_path / "otb")


def store_of(otb, folder, labels=("identity", "rtmdnet:preset=paper")):
    """A store whose boxes no tracker made: the truth, a third of a pixel off."""
    store, specs = Store(folder), [parse(label) for label in labels]
    for job in plan(specs, open_dataset(otb), device="cpu"):
        boxes = job.sequence.boxes + 1 / 3
        boxes[0] = job.segment.box
        store.write(job.unit, Track(boxes, np.full(len(boxes), 0.01)), ENVIRONMENT)
    return str(folder)


@pytest.fixture
def store(otb, tmp_path):
    return store_of(otb, tmp_path / "store")


@pytest.fixture
def file(store, otb, tmp_path):
    path = str(tmp_path / "all.npz")
    assert main(["results", "export", store, path, "--to", "compact", "--data", str(otb)]) == 0
    return path


def table(text):
    return text[text.index("conventions: otb") : text.index("speed, from runs")]


def test_a_report_of_a_compact_file_is_that_of_the_store(store, file, otb, capsys):
    trackers = ["--trackers", "identity", "rtmdnet:preset=paper", "--device", "cpu"]
    assert main(["report", "--data", str(otb), *trackers, "--store", store]) == 0
    stored = table(capsys.readouterr().out)
    assert main(["report", "--store", file, "--against", "identity"]) == 0
    printed = capsys.readouterr().out
    assert "otb, protocol ope" in printed and "AUC above that of identity" in printed
    assert stored.splitlines()[:4] == table(printed).splitlines()[:4]


def test_a_row_has_preset_and_weights_with_their_hashes(file):
    with zipfile.ZipFile(file) as members:
        records = [json.loads(members.read(n)) for n in members.namelist() if "seed0.json" in n]
    origins = {record["unit"]["label"]: record["origin"] for record in records}
    assert origins["identity"] == {"preset": "default", "weights": {}}
    paper = origins["rtmdnet:preset=paper"]
    assert paper["preset"] == "paper"
    head = paper["weights"]["head"]
    assert head["hash"] == registry()[head["name"]].sha256


def test_weights_of_another_version_have_no_hash(otb, tmp_path):
    store = Store(store_of(otb, tmp_path / "store", ["rtmdnet"]))
    for result in list(store.results()):
        older = dataclasses.replace(result.unit, code="older")
        store.write(older, result.track, result.environment)
    path = str(tmp_path / "x.npz")
    options = ["--to", "compact", "--data", str(otb)]
    assert main(["results", "export", str(store.root), path, *options]) == 0
    with zipfile.ZipFile(path) as members:
        name = next(name for name in members.namelist() if "seed0.json" in name)
        head = json.loads(members.read(name))["origin"]["weights"]["head"]
    assert head["hash"] is None and head["name"] in registry()


@pytest.mark.parametrize("layout", ["otb", "otb-mat", "got10k", "pysot", "pytracking", "vot"])
def test_out_and_in_again(layout, store, otb, tmp_path, capsys):
    out, back = str(tmp_path / "out"), str(tmp_path / "back")
    assert main(["results", "export", store, "--to", layout, out, "--tracker", "identity"]) == 0
    assert "2 results, 2 files in" in capsys.readouterr().out
    options = ["--from", layout, "--data", str(otb)]
    assert main(["results", "import", out, *options, back]) == 0
    assert "2 results imported, 0 files refused" in capsys.readouterr().out
    there = {one.unit.sequence: one for one in Store(back).results()}
    for one in Store(store).results():
        assert np.array_equal(there[one.unit.sequence].track.boxes, one.track.boxes)
    assert main(["report", "--data", str(otb), "--store", back]) == 0
    assert "identity (imported)" in capsys.readouterr().out


def test_imported_boxes_stand_beside_ours(store, otb, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["results", "export", store, "--to", "otb", out, "--tracker", "identity"]) == 0
    (tmp_path / "out" / "identity").rename(tmp_path / "out" / "ATOM")
    options = ["--from", "otb", "--data", str(otb)]
    assert main(["results", "import", out, *options, store]) == 0
    options = ["--data", str(otb), "--trackers", "identity", "--store", store, "--device", "cpu"]
    assert main(["report", *options, "--against", "ATOM (imported)"]) == 0
    printed = capsys.readouterr().out
    scores = table(printed)
    assert "\nidentity " in scores and "\nATOM (imported) " in scores
    assert "AUC above that of ATOM (imported)" in printed


def test_refused_files_are_printed_and_missing(otb, tmp_path, capsys):
    raw = tmp_path / "raw" / "KCF"
    raw.mkdir(parents=True)
    rows = (otb / "Left" / "groundtruth_rect.txt").read_text()
    (raw / "Left.txt").write_text(rows)
    (raw / "Right.txt").write_text("".join(rows.splitlines(keepends=True)[:-1]))
    back = str(tmp_path / "back")
    options = ["--from", "otb", "--data", str(otb)]
    assert main(["results", "import", str(raw.parent), *options, back]) == 1
    printed = capsys.readouterr()
    assert "1 results imported, 1 files refused" in printed.out
    assert "refused: " in printed.err and "Right.txt: expected 8 rows" in printed.err
    assert main(["report", "--data", str(otb), "--store", back]) == 0
    printed = capsys.readouterr().out
    assert "1/2" in printed and "Right.txt: expected 8 rows" in printed
    options += ["--align", "Right=1:7"]
    assert main(["results", "import", str(raw.parent), *options, back]) == 0
    assert main(["report", "--data", str(otb), "--store", back]) == 0
    assert "frames 1 to 7 alone, of 1 to 8" in capsys.readouterr().err


def test_a_folder_of_another_form_is_named(otb, store, tmp_path, capsys):
    options = ["--from", "vot", "--data", str(otb)]
    assert main(["results", "import", store, *options, str(tmp_path / "back")]) == 2
    assert "expected files laid out as vot has them" in capsys.readouterr().err


def test_merge(store, otb, tmp_path, capsys):
    one = store_of(otb, tmp_path / "one", ["identity"])
    two = store_of(otb, tmp_path / "two", ["kcf"])
    target = tmp_path / "merged.npz"
    assert main(["results", "merge", one, two, str(target), "--data", str(otb)]) == 0
    assert f"4 rows: {target}" in capsys.readouterr().out
    assert main(["results", "merge", one, str(target), str(tmp_path / "merged")]) == 0
    assert len(list(Store(tmp_path / "merged").results())) == 4
    assert main(["results", "merge", one, str(target)]) == 2
    assert "expected the name of something new" in capsys.readouterr().err
    assert main(["results", "merge", one, two, str(tmp_path / "x.npz")]) == 2
    assert "got boxes alone; give the data set" in capsys.readouterr().err
    assert main(["results", "merge", one]) == 2
    assert "got one place" in capsys.readouterr().err


def test_merge_refuses_what_conflicts_by_name(otb, tmp_path, capsys):
    one = store_of(otb, tmp_path / "one", ["identity"])
    other = Store(store_of(otb, tmp_path / "other", ["identity"]))
    result = next(other.results())
    former = dataclasses.replace(result.unit, code="former")
    other.write(former, result.track, result.environment)
    assert main(["results", "merge", one, str(other.root), str(tmp_path / "m")]) == 2
    assert "otb, identity, Left, ope, seed 0: expected one result" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert main(["results", "export", str(other.root), "--to", "otb", str(tmp_path / "m")]) == 2
    assert "expected the version of identity that" in capsys.readouterr().err


def test_verify(store, file, capsys):
    assert main(["results", "verify", store, file]) == 0
    assert "8 rows are whole, 0 are damaged" in capsys.readouterr().out
    path = next(Store(store).root.glob("*/identity-*/ope/Left*.txt"))
    path.write_text(path.read_text().replace("21", "22", 1))
    assert main(["results", "verify", store, file]) == 1
    printed = capsys.readouterr().out
    assert f"{path}: damaged" in printed and "7 rows are whole, 1 are damaged" in printed
    assert main(["results", "export", store, "--to", "otb", f"{store}-out"]) == 2
    assert "`results verify` lists all" in capsys.readouterr().err


def test_a_compact_file_goes_into_a_store_over_the_same_frames(file, otb, tmp_path, capsys):
    copy = otb.rename(tmp_path / "copy")
    back = str(tmp_path / "back")
    options = ["--from", "compact", "--data", str(copy)]
    assert main(["results", "import", file, *options, back]) == 0
    options = ["--data", str(copy), "--trackers", "identity", "--store", back, "--device", "cpu"]
    assert main(["report", *options]) == 0
    assert "2/2" in capsys.readouterr().out
    rows = (copy / "Left" / "groundtruth_rect.txt").read_text()
    (copy / "Left" / "groundtruth_rect.txt").write_text(rows.replace("24,15", "25,15"))
    options = ["--from", "compact", "--data", str(copy)]
    assert main(["results", "import", file, *options, f"{back}2"]) == 2
    assert "other ground truth in 1 rows, the first of them row 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "nowhere", "out", "--to", "otb"], "expected a store or a compact file"),
        (["export", "{store}", "{tmp}/no/x.npz", "--to", "compact"], "in a folder that exists"),
        (["export", "{store}", "{tmp}/x", "--to", "otb", "--tracker", "x"], "among identity, "),
        (["export", "{store}", "{tmp}/x", "--to", "otb", "--protocol", "tre"], "found none"),
        (["verify", "{tmp}/none.npz"], "expected a compact file of results, found none"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, message, store, tmp_path, capsys):
    given = [text.format(store=store, tmp=tmp_path) for text in arguments]
    assert main(["results", *given]) == 2
    assert message in capsys.readouterr().err


def test_ill_formed_alignment(capsys):
    with pytest.raises(SystemExit):
        main(["results", "import", "a", "b", "--from", "otb", "--align", "Tiger1"])
    assert "expected NAME=FIRST:LAST, got 'Tiger1'" in capsys.readouterr().err
