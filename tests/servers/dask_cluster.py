"""Run a real Dask cluster: a scheduler and its worker processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distributed import Client
from servers.processes import find_free_port, is_listening, run_server

WORKERS = 2


@contextmanager
def start_dask_cluster(folder: Path) -> Iterator[Client]:
    """Run a scheduler and two workers until the context ends; their logs are in `folder`.

    Each worker is a process of one thread, and another one that starts it anew when it dies.

    Yields
    ------
    distributed.Client
        On which Dask computes from now on.
    """
    port = find_free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    with ExitStack() as stack:
        command = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        stack.enter_context(
            run_server(command, folder / "scheduler.log", lambda: is_listening(port))
        )
        client = stack.enter_context(Client(address))
        command = [*dask, "worker", address, "--host", "127.0.0.1", "--nthreads", "1"]
        command += ["--no-dashboard", "--local-directory", str(folder), "--memory-limit", "2GiB"]
        for number in range(1, WORKERS + 1):
            log = folder / f"worker{number}.log"
            stack.enter_context(
                run_server(command, log, lambda number=number: count_workers(client) >= number)
            )
        yield client


def count_workers(client: Client) -> int:
    """Return how many workers the scheduler knows."""
    return len(client.scheduler_info(n_workers=-1)["workers"])
