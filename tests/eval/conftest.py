"""Two small sequences, and a cluster to track them on."""

import pytest
from fake_tracker import sequence

from trackerlib.data import Dataset


@pytest.fixture
def dark(tmp_path):
    return sequence(tmp_path / "Dark")


@pytest.fixture
def dataset(tmp_path, dark):
    return Dataset("made", (sequence(tmp_path / "Bright", shade=200), dark))
