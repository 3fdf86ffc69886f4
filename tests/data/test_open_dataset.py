"""trackerlib/data/__init__.py: data sets by name, and what is wrong with them."""

import sys
from types import SimpleNamespace

import pytest
from made import write_sequence

from trackerlib import data
from trackerlib.data import manifest, open_dataset

ROWS = "1,2,20,10\n" * 3


def names(dataset):
    return [sequence.name for sequence in dataset.sequences]


@pytest.fixture
def root(tmp_path, tiny_manifest):
    root = tmp_path / "OTB"
    write_sequence(root / "Long", tiny_manifest["Long"], start=3)
    write_sequence(root / "Pair", tiny_manifest["Pair-1"], name="groundtruth_rect.1.txt")
    write_sequence(root / "Mine", ROWS)
    (root / "__MACOSX").mkdir()
    return root


def test_all_is_whatever_is_there(root):
    dataset = open_dataset(root)
    assert dataset.name == "OTB"
    assert names(dataset) == ["Long", "Mine", "Pair-1"]
    (problem,) = dataset.problems
    assert problem.startswith("Pair-2: left out: ") and "groundtruth_rect" in problem


def test_a_split_reports_what_is_missing(root):
    (root / "Long").rename(root / "Short")
    dataset = open_dataset(root, "otb100")
    assert names(dataset) == ["Pair-1"]
    assert dataset.problems[0] == f"Long: left out: no folder {root / 'Long'}"
    assert dataset.problems[1].startswith("Pair-2: left out: ")
    assert list(dataset.missing) == ["Long", "Pair-2"]
    assert dataset.missing["Long"] == f"no folder {root / 'Long'}"
    with pytest.raises(FileNotFoundError, match=r"split 'otb50'.*Long: left out"):
        open_dataset(root, "otb50")


def test_names_and_what_differs_only_for_them(root):
    (root / "Long" / "img" / "0004.jpg").unlink()
    assert open_dataset(root, "pair.1, Mine").problems == ()
    assert open_dataset(root, "pair.1, Mine").missing == {}
    assert names(open_dataset(root, "pair.1, Mine")) == ["Pair-1", "Mine"]
    (problem,) = open_dataset(root, "long").problems
    assert "1 of 45 images missing: 0004.jpg" in problem
    with pytest.raises(ValueError, match="got 'Yours'"):
        open_dataset(root, "Mine,Yours")


def test_a_broken_sequence_does_not_take_the_others_with_it(root):
    (root / "Mine" / "groundtruth_rect.txt").write_text("1,2,20,10\n")
    dataset = open_dataset(root, "Long,Mine")
    assert names(dataset) == ["Long"]
    assert "Mine: left out: " in dataset.problems[0]
    assert "expected 3 rows" in dataset.problems[0]


def test_folders_with_nothing_to_open(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder with groundtruth_rect"):
        open_dataset(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_dataset(tmp_path / "nowhere")


def test_the_embedded_benchmark_is_the_one_that_is_rendered(root, monkeypatch):
    rendered = SimpleNamespace(ensure=lambda: root)
    monkeypatch.setitem(sys.modules, "trackerlib.data.synthetic", rendered)
    monkeypatch.setattr(data, "synthetic", rendered, raising=False)
    dataset = open_dataset("embedded", "Mine")
    assert (dataset.name, names(dataset)) == ("embedded", ["Mine"])


def test_splits_of_the_real_sequences(shared):
    dataset = open_dataset(shared / "otb", "OTB2013")
    assert names(dataset) == [
        "Couple",
        "Crossing",
        "David",
        "Deer",
        "Football1",
        "Girl",
        "Jogging-1",
        "Jogging-2",
        "MotorRolling",
        "MountainBike",
        "Skiing",
        "Subway",
    ]
    assert len(dataset.problems) == 51 - 12
    assert open_dataset(shared / "otb").problems == ()
    assert not set(names(dataset)) - set(manifest.load())
