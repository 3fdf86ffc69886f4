"""The benchmark of MSDAT: rows are kept and replaced, stages add up to the frame."""

import json

import bench_msdat
import pytest

from trackerlib.data import embedded


def test_a_row_that_is_measured_again_takes_the_place_of_the_old(tmp_path):
    file = tmp_path / "msdat.json"
    bench_msdat.keep(file, speed=[{"row": "a", "fps": 1}, {"row": "b", "fps": 2}])
    bench_msdat.keep(file, speed=[{"row": "a", "fps": 3}], accuracy=[{"row": "a", "auc": 0.5}])
    found = json.loads(file.read_text())
    assert found["speed"] == [{"row": "b", "fps": 2}, {"row": "a", "fps": 3}]
    assert found["accuracy"] == [{"row": "a", "auc": 0.5}]


def test_passes_and_stages(monkeypatch):
    monkeypatch.setattr(bench_msdat, "WARM_UP", 1)
    monkeypatch.setattr(bench_msdat, "TIMED", 3)
    sequence = embedded.render("Harbour")
    found = bench_msdat.measured("hcf:mode=float32,levels=conv1", sequence, "cpu")
    assert found["passes"] == 2 and found["once"] == 0
    found = bench_msdat.measured("msdat:mode=float32", sequence, "cpu")
    assert 1 <= found["passes"] <= 2
    assert found["once"] == pytest.approx(2 - found["passes"])
    assert min(found[part] for part in ("network", "adaptation", "filter")) > 0
