"""Workers that go away: a line while they are gone, an error when they stay away."""

import shutil
import subprocess
import threading

import dask
import pytest
from distributed import Client, LocalCluster, Security
from fake_tracker import Fake

from trackerlib.eval import cluster
from trackerlib.eval.runner import plan, run
from trackerlib.eval.store import Store


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(cluster, "ABSENCE", 0.2)
    monkeypatch.setattr(cluster, "MAX_ABSENCE", 0.6)


@pytest.fixture
def empty():
    """A scheduler without workers."""
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as made:
        yield made


def test_no_worker_is_told_and_then_an_error(quick, empty, dataset, tmp_path, capsys):
    address = empty.scheduler_address
    jobs, store = plan([Fake()], dataset, device="cpu"), Store(tmp_path / "store")
    said = rf"expected workers at {address}, there have been none for 0\.6 s; start some \(dask wo"
    with pytest.raises(ConnectionError, match=said):
        run(jobs, store, scheduler=address)
    assert f"run: no worker at {address} for 0.2 s, waiting" in capsys.readouterr().err
    assert not any(store.complete(job.unit) for job in jobs)


def test_a_worker_that_comes_late_is_waited_for(monkeypatch, empty, dataset, tmp_path, capsys):
    say = cluster._say_absent
    monkeypatch.setattr(cluster, "ABSENCE", 0.2)
    monkeypatch.setattr(cluster, "_say_absent", lambda *a: (say(*a), empty.scale(1)))
    jobs, store = plan([Fake()], dataset, device="cpu"), Store(tmp_path / "store")
    assert run(jobs, store, scheduler=empty.scheduler_address).done == 2
    assert "no worker at" in capsys.readouterr().err


@pytest.mark.parametrize(("there", "count"), [(True, 1), (None, 0)])
def test_the_dashboard_is_told_where_bokeh_draws_it(monkeypatch, empty, capsys, there, count):
    empty.scale(1)
    monkeypatch.setattr(cluster, "find_spec", {"bokeh": there}.get)
    with cluster.connected(1, empty.scheduler_address):
        pass
    link = f"the dashboard is at {empty.dashboard_link}"
    assert capsys.readouterr().err.count(link) == count


def test_the_death_of_the_last_worker_is_told_and_then_an_error(quick, empty, capsys):
    with Client(empty) as client:
        future = client.submit(len, "a job that no worker can take")
        with pytest.raises(ConnectionError, match="what was computed is kept"):
            cluster.finished(client, [future])
        assert capsys.readouterr().err.count("no worker at") == 2


def test_a_scheduler_that_goes_away_is_told(empty):
    with Client(empty) as client:
        future = client.submit(len, "a job")
        threading.Timer(0.2, future.cancel).start()
        with pytest.raises(ConnectionError, match="the dask scheduler went away; what was"):
            cluster.finished(client, [future])


@pytest.fixture
def certificate(tmp_path):
    """A certificate and its key, the same for scheduler, workers and client."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, to make a certificate")
    key, made = str(tmp_path / "key.pem"), str(tmp_path / "made.pem")
    kind = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=here"]
    command = ["openssl", *kind, "-keyout", key, "-out", made]
    subprocess.run(command, check=True, capture_output=True)
    return {"ca-file": made, "client.cert": made, "client.key": key}


def test_tls_takes_its_certificates_from_dasks_configuration(certificate):
    made, key = certificate["client.cert"], certificate["client.key"]
    sides = {f"tls_{side}_cert": made for side in ("scheduler", "worker", "client")}
    sides |= {f"tls_{side}_key": key for side in ("scheduler", "worker", "client")}
    security = Security(tls_ca_file=made, require_encryption=True, **sides)
    with LocalCluster(
        n_workers=1, processes=False, protocol="tls://", security=security, dashboard_address=None
    ) as secure:
        address = secure.scheduler_address
        assert address.startswith("tls://")
        settings = {f"{cluster.TLS}.{name}": file for name, file in certificate.items()}
        with dask.config.set(settings), cluster.connected(1, address) as client:
            assert client.submit(len, "abc").result() == 3


def test_tls_without_certificates_says_where_they_go():
    said = r"no ca-file, client.cert, client.key: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
    with (
        pytest.raises(ValueError, match=f"for tls://127.0.0.1:9, got {said}"),
        cluster.connected(1, "tls://127.0.0.1:9"),
    ):
        pass
