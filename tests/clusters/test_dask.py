"""A Dask cluster of processes: the clauses of every backend, and what dies during a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import psutil
import pytest
from clusters.crowd import PARTITIONS, TAGS
from clusters.killing import kill_one
from distributed import Client
from servers.dask_cluster import WORKERS

from dicomframe import read_dicom
from dicomframe.registry import get_backend
from dicomframe.testing import BackendConformance
from dicomframe.testing.conformance import assert_same_rows

pytestmark = pytest.mark.usefixtures("dask_client")


class TestConformance(BackendConformance):
    engine = "dask"

    def count_partitions(self, frame: dd.DataFrame) -> int:
        return int(frame.npartitions)


def test_work_is_done_by_the_workers(dask_client: Client) -> None:
    processes = dask_client.run(os.getpid)
    assert len(set(processes.values()) - {os.getpid()}) == WORKERS


class Work:
    """What the scheduler knows of one job."""

    def __init__(self, client: Client) -> None:
        client.wait_for_workers(WORKERS)
        self._client = client
        self._processes = {
            address: psutil.Process(number) for address, number in client.run(os.getpid).items()
        }
        self._deaths = len(self._find_deaths())

    def find_workers(self) -> list[psutil.Process]:
        """Return the workers that have a task now."""
        busy = {address for address, tasks in self._client.processing().items() if tasks}
        return [process for address, process in self._processes.items() if address in busy]

    def is_half_done(self) -> bool:
        """Tell whether results of tasks wait on a worker."""
        return any(self._client.has_what().values())

    def list_interrupted(self) -> list[int]:
        """Return how many tasks each worker had that has died since."""
        return [len(death["processing-tasks"]) for death in self._find_deaths()[self._deaths :]]

    def _find_deaths(self) -> list[dict[str, Any]]:
        events = [event for _, event in self._client.get_events("all")]
        return [event for event in events if event.get("action") == "remove-worker"]


def test_death_of_a_worker_in_the_middle_costs_no_row(
    dask_client: Client, crowd: Path, expected: tuple[Any, Any], turn: int
) -> None:
    frames = read_dicom(crowd, engine="dask", tags=TAGS, npartitions=PARTITIONS)
    which = turn % 2  # each frame in turn
    work = Work(dask_client)
    with kill_one(work.find_workers, work.is_half_done, crowd):
        rows = get_backend("dask").to_arrow(frames[which])
    (interrupted,) = work.list_interrupted()
    assert interrupted > 0
    assert_same_rows(rows.sort_by("origin"), expected[which])
