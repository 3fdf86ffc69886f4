"""Where units are computed: a local cluster of processes, or a running dask scheduler's workers.

Workers may go and come back. As long as there is none, a line says so every ABSENCE seconds; after
MAX_ABSENCE the run ends with an error. Where bokeh is installed, which draws it, the address of
dask's dashboard is printed.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["GONE", "connected", "dask_setup", "finished"]

ABSENCE = 10.0  # seconds
MAX_ABSENCE = 300.0  # seconds
GONE = "run: the dask scheduler went away; what was computed is kept, run again to go on"
TLS = "distributed.comm.tls"  # of dask's configuration, which every client reads
UNDISTURBED = {  # dask samples its workers' stacks and has them return freed memory at once
    "distributed.worker.profile.enabled": False,
    # Where a machine slept or its clock jumped, workers seem silent; the dead are noticed anyway.
    "distributed.scheduler.worker-ttl": None,
    "distributed.worker.preload": ["trackerlib.eval.cluster"],  # calls dask_setup
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1},
}


def dask_setup(_worker: object) -> None:
    """Have a worker's process leave Ctrl-C, and what there is to say, to the caller.

    A terminal sends Ctrl-C to all processes, and each of them would print where it was; dask
    logs the traceback of a unit that fails, which the caller keeps, and connections that end
    with the run.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        logging.getLogger("distributed").handlers = [logging.NullHandler()]


@contextmanager
def connected(workers: int, scheduler: str | None) -> Iterator["Client"]:
    """Yield a client of a running scheduler, or of a local cluster of so many processes.

    A scheduler has no authentication, and its workers run what any client sends them: tls://
    takes those clients alone whose certificate it knows.

    Raises OSError where the scheduler is out of reach, or no worker comes; ValueError for tls://
    without certificates.
    """
    import dask
    from distributed import Client, LocalCluster

    if scheduler:
        _check_certificates(scheduler)
        with Client(scheduler) as client:
            _await_worker(client)
            _say_dashboard(client)
            yield client
        return
    with (
        dask.config.set(UNDISTURBED),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",  # any free port
            silence_logs=logging.CRITICAL,  # what goes wrong comes as an error or a failed unit
        ) as cluster,
        Client(cluster) as client,
    ):
        _say_dashboard(client)
        yield client


def _say_dashboard(client: "Client") -> None:
    from tqdm.auto import tqdm

    if find_spec("bokeh"):
        tqdm.write(f"run: the dashboard is at {client.dashboard_link}", file=sys.stderr)


def _check_certificates(scheduler: str) -> None:
    import dask

    settings = ("ca-file", "client.cert", "client.key")
    lacking = [name for name in settings if not dask.config.get(f"{TLS}.{name}", None)]
    if scheduler.startswith("tls://") and lacking:
        names = [f"DASK_{TLS}.{name}".replace(".", "__").replace("-", "_") for name in lacking]
        raise ValueError(
            f"run: expected certificates for {scheduler}, got no {', '.join(lacking)}: set "
            f"{', '.join(name.upper() for name in names)} to their files, or the same in dask's "
            f"configuration, as the scheduler and its workers have them ({TLS})"
        )


def _await_worker(client: "Client") -> None:
    """Wait until the scheduler has a worker. Raises ConnectionError where none comes."""
    absent = 0.0
    while not client.nthreads():
        try:
            client.wait_for_workers(1, timeout=ABSENCE)
        except TimeoutError:
            absent += ABSENCE
            _say_absent(client, absent)


def finished(client: "Client", futures: "list[Future]") -> "Iterable[Future]":
    """Return what has finished, when something has; say so where no worker is there to go on.

    Raises ConnectionError where none comes back, and where the scheduler is gone.
    """
    from distributed import wait

    absent = 0.0
    while True:
        try:
            return wait(futures, timeout=ABSENCE, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            absent = 0.0 if client.nthreads() else absent + ABSENCE
        except CancelledError as error:
            raise ConnectionError(GONE) from error
        if absent:
            _say_absent(client, absent)


def _say_absent(client: "Client", seconds: float) -> None:
    from tqdm.auto import tqdm

    address = client.scheduler.address
    if seconds >= MAX_ABSENCE:
        raise ConnectionError(
            f"run: expected workers at {address}, there have been none for {seconds:g} s; start "
            f"some (dask worker {address}) and run again: what was computed is kept"
        )
    tqdm.write(
        f"run: no worker at {address} for {seconds:g} s, waiting up to {MAX_ABSENCE} s; "
        f"start one: dask worker {address}",
        file=sys.stderr,
    )
