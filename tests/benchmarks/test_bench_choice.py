"""The table of trackers says what the files of data/ say."""

import json

import numpy as np
import pytest

from benchmarks import choice
from trackerlib.paths import shipped


def test_the_file_is_what_the_other_files_give():
    rows = {
        row["tracker"]: row for row in json.loads(shipped("trackers.json").read_text())["rows"]
    }
    found = {name: choice.stored(name) for name in choice.MEASURED}
    common = set.intersection(*(set(one["auc"]["sequences"]) for one in found.values()))
    assert set(rows) == {*choice.MEASURED, *choice.TRACKED} and len(common) >= 8
    for name, one in found.items():
        mean = np.mean([one["auc"]["sequences"][sequence] for sequence in common])
        assert rows[name]["auc"] == pytest.approx(mean, abs=6e-4)
    for name, fps in choice.speeds().items():
        if name in rows:
            assert rows[name]["fps"] == pytest.approx(fps, abs=6e-3)
