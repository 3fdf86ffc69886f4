"""Two small sequences, and a cluster to track them on."""

import pytest
from distributed import LocalCluster
from fake_tracker import sequence

from trackerlib.data import Dataset


@pytest.fixture
def dark(tmp_path):
    return sequence(tmp_path / "Dark")


@pytest.fixture
def dataset(tmp_path, dark):
    return Dataset("made", (sequence(tmp_path / "Bright", shade=200), dark))


@pytest.fixture(scope="module")
def scheduler():
    """A cluster that is there already: no processes to start for every test."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address
