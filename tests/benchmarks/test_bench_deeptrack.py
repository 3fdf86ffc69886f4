"""What the benchmark says of a sequence that was followed."""

import pytest

from benchmarks import deeptrack
from trackerlib.data import synthetic
from trackerlib.trackers import parse


@pytest.fixture
def small(monkeypatch):
    light = "deeptrack:particles=100,first_steps=5,steps=2,batch_positives=4,batch_negatives=8"
    monkeypatch.setitem(deeptrack.ROWS, "small", light)
    monkeypatch.setitem(deeptrack.ROWS, "eager", light + ",lazy=false")


def test_it_counts_frames_that_learn_and_their_time(small):
    row = deeptrack.followed("eager", synthetic.render("Harbour"), 5)
    assert row["row"] == "eager, Harbour" and row["learned"] == 1.0 and row["steps"] == 2.0
    assert 0 < row["kept"] <= 1
    stages = row["stages"]
    assert sum(stages.values()) == pytest.approx(row["frame"], rel=0.05, abs=1)
    assert row["step"] == pytest.approx(stages["fine-tuning"] / 2, rel=0.05, abs=0.1)


def test_every_row_is_a_configuration():
    configs = {name: parse(text).config for name, text in deeptrack.ROWS.items()}
    assert len(set(configs.values())) == len(configs)
