"""Workers that go away: a line while they are gone, an error when they stay away."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster, Security
from fake_tracker import Fake
from faults import contents

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


SCHEDULER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(1, processes=False, protocol="tcp://", dashboard_address=None) as made:
        print(made.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def mortal():
    """A scheduler and its worker in a process of their own."""
    settings = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])
    }
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", SCHEDULER], env=settings, stdin=pipe, stdout=pipe, text=True
    ) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_run_whose_scheduler_is_killed_goes_on_with_another(
    mortal, scheduler, dataset, tmp_path
):
    class Fatal(Store):
        def write(self, *result):
            super().write(*result)
            process.kill()

    process, address = mortal
    jobs, store = plan([Fake("slow")], dataset, device="cpu"), Store(tmp_path / "store")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ConnectionError, match="what was computed is kept, run again to go on"),
    ):
        run(jobs, Fatal(store.root), scheduler=address)
    assert not list(store.damages()) and len(list(store.results())) == 1
    assert run(jobs, store, scheduler=scheduler).done == 1
    run(jobs, Store(tmp_path / "undisturbed"), scheduler=scheduler)
    found, expected = (contents(tmp_path / name) for name in ("store", "undisturbed"))
    assert found.keys() == expected.keys() and not list(store.damages())
    assert all(found[name] == expected[name] for name in found if name.endswith(".txt"))


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals of Unix")
def test_a_worker_that_was_paused_while_the_clock_jumped_goes_on(monkeypatch):
    """As after a sleep of the machine: the unit in its hands is not begun again."""
    with (
        dask.config.set({"distributed.scheduler.worker-ttl": "100 ms"}),
        cluster.connected(1, None) as client,
    ):
        worker = client.submit(os.getpid, pure=False).result()
        unit = client.submit(time.sleep, 0.2)
        os.kill(worker, signal.SIGSTOP)
        try:
            monkeypatch.setattr("distributed.scheduler.time", lambda: time.time() + 3600)
            time.sleep(0.5)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert unit.result(timeout=300) is None
        assert client.submit(os.getpid, pure=False).result() == worker


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
