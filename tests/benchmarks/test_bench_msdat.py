"""The benchmark of MSDAT: rows are kept and replaced, stages add up to the frame."""

import json

import pytest

from benchmarks import msdat
from trackerlib.data import synthetic


def test_a_row_that_is_measured_again_takes_the_place_of_the_old(tmp_path):
    file = tmp_path / "msdat.json"
    msdat.keep(file, "about", speed=[{"row": "a", "fps": 1}, {"row": "b", "fps": 2}])
    msdat.keep(file, "about", speed=[{"row": "a", "fps": 3}], accuracy=[{"row": "a", "auc": 0.5}])
    found = json.loads(file.read_text())
    assert found["speed"] == [{"row": "b", "fps": 2}, {"row": "a", "fps": 3}]
    assert found["accuracy"] == [{"row": "a", "auc": 0.5}]


def test_passes_and_stages(monkeypatch):
    monkeypatch.setattr(msdat, "WARM_UP", 1)
    monkeypatch.setattr(msdat, "TIMED", 3)
    sequence = synthetic.render("Harbour")
    texts = ["hcf:mode=float32,levels=conv1", "msdat:mode=float32"]
    full, lazy = msdat.measured(texts, sequence, "cpu")
    assert full["passes"] == 2 and full["once"] == 0
    assert 1 <= lazy["passes"] <= 2
    assert lazy["once"] == pytest.approx(2 - lazy["passes"])
    assert min(lazy[part] for part in ("network", "adaptation", "filter")) > 0
