"""The benchmark of backbones in a tracker makes its table of what the store holds."""

import json

import pytest

from benchmarks import detection
from trackerlib.data import open_dataset
from trackerlib.eval import runner
from trackerlib.eval.store import Store, Track

SHIFT = {"vggm.conv3": 0.0, "random.conv3": 1e3}  # pixels off the truth


@pytest.fixture
def store(tmp_path):
    """Tracks of two trackers over two seeds: the truth, and none of it after the first frame."""
    store = Store(tmp_path / "store")
    data = open_dataset("embedded", "Harbour")
    for backbone, shift in SHIFT.items():
        specs = [detection.specification(backbone)]
        for job in runner.plan(specs, data, seeds=[0, 1]):
            boxes = job.sequence.boxes.copy()
            boxes[1:, 0] += shift
            store.write(job.unit, Track(boxes, 0 * boxes[:, 0]), {"workers": 1})
    return store


def test_means_and_differences(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(detection, "REFERENCE", "vggm.conv3")
    words = ["--split", "Harbour", "--seeds", "0", "1", "--store", str(store.root)]
    file = tmp_path / "table.json"
    detection.main([*words, "--backbones", *SHIFT, "--json", str(file)])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[1:3]] == [
        ["vggm.conv3", "auc"],
        ["vggm.conv3", "precision20"],
    ]
    right, wrong = json.loads(file.read_text())["rows"]
    assert right["precision20"] == {"seeds": [1.0, 1.0], "sequences": {"Harbour": 1.0}}
    assert wrong["auc"]["seeds"][0] == wrong["auc"]["sequences"]["Harbour"] < 0.02


def test_a_backbone_that_is_not_there_is_left_out(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "empty"))
    words = ["--split", "Harbour", "--seeds", "0", "1", "--store", str(store.root)]
    detection.main([*words, "--backbones", "vggm.conv3", "squeezenet.fire5"])
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("squeezenet.fire5 is left out: load: ") and len(others) == 3
