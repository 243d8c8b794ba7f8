"""The Dask backend on a cluster of processes."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import pyarrow.parquet as pq
import pytest

from dicomframe import read_dicom
from dicomframe.testing import BackendConformance
from dicomframe.testing.conformance import assert_same_rows, read_oracle
from dicomframe.testing.trees import make_tree


@contextlib.contextmanager
def start_cluster() -> Iterator[Any]:
    """Give a client of two workers, each a process of one thread."""
    settings = {"distributed.worker.daemon": True, "distributed.comm.timeouts.connect": "60s"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with start_cluster() as client:
        yield client


@pytest.fixture
def doomed(client: Any) -> Iterator[Any]:
    """A cluster whose workers may be killed: no other test meets it."""
    with start_cluster() as doomed:
        yield doomed


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    make_tree(folder)
    return folder


@pytest.mark.usefixtures("client")
class TestConformance(BackendConformance):
    engine = "dask"

    def count_partitions(self, frame: dd.DataFrame) -> int:
        return int(frame.npartitions)


def test_frames_are_written_once_by_the_workers(client: Any, tree: Path, tmp_path: Path) -> None:
    frames = read_dicom(tree, engine="dask", tags=["Rows"], npartitions=4)
    report = frames.write_parquet(tmp_path / "out")
    assert (report.files, report.dicom) == (13, 8)
    expected = read_oracle(tree, tags=["Rows"])
    for frame, rows in zip(("dicom", "corrupt"), expected, strict=True):
        table = pq.read_table(tmp_path / "out" / f"frame={frame}", partitioning=None)
        assert_same_rows(table.sort_by("origin"), rows)


def test_dashboard_shows_what_each_task_does(client: Any, tree: Path, tmp_path: Path) -> None:
    frames = read_dicom(tree, engine="dask", pixels="none", npartitions=4)
    kept = frames.persist()
    distributed.wait(kept.dicom)
    kept.with_pixels(kept.dicom).compute()
    frames.write_parquet(tmp_path / "out")

    def prefixes(dask_scheduler: Any) -> list[str]:
        return list(dask_scheduler.task_prefixes)

    shown = set(client.run_on_scheduler(prefixes))
    assert {"read_dicom", "write_dicom"} <= {prefix.partition("-")[0] for prefix in shown}
    if hasattr(dask.base, "collections_to_expr"):  # Dask 2025.1 fuses it with the step before
        assert "with_pixels" in shown


def test_progress_is_that_of_dask(client: Any, tree: Path) -> None:
    kept = read_dicom(tree, engine="dask", pixels="none", npartitions=4).persist()
    with contextlib.redirect_stdout(io.StringIO()) as out:
        distributed.progress(kept.dicom, notebook=False)
        distributed.wait(kept.dicom)
    assert "Completed" in out.getvalue()
    assert len(kept.dicom) == 8


def test_worker_that_dies_once_costs_no_row(doomed: Any, tree: Path, tmp_path: Path) -> None:
    mark = tmp_path / "died"
    frames = read_dicom(tree, engine="dask", npartitions=4)
    real = frames._origin.backend

    class Dying(type(real)):  # type: ignore[misc]
        def collect(self, frames: Any, plan: Any, task: Any) -> Any:
            return super().collect(frames, plan, dying_once(task, mark))

    report = frames._bind(Dying(), frames._origin.plan).write_parquet(tmp_path / "out")
    assert mark.exists()
    assert (report.files, report.dicom) == (13, 8)
    for frame, rows in zip(("dicom", "corrupt"), read_oracle(tree), strict=True):
        table = pq.read_table(tmp_path / "out" / f"frame={frame}", partitioning=None)
        assert_same_rows(table.sort_by("origin"), rows)


def test_kept_frames_stay_of_one_read_when_a_worker_dies(doomed: Any, tree: Path) -> None:
    kept = read_dicom(tree, engine="dask", pixels="none", npartitions=4).persist()
    distributed.wait(kept.dicom)
    (tree / "CT_small.dcm").unlink()
    pids = doomed.run(os.getpid)
    os.kill(next(iter(pids.values())), signal.SIGKILL)
    dicom, corrupt = kept.dicom["origin"].compute(), kept.corrupt["origin"].compute()
    found = [*dicom, *corrupt]
    assert len(found) == len(set(found)) == 13


def dying_once(task: Any, mark: Path) -> Any:
    """Return a task that kills its worker behind the first partition that it has written.

    Its class is a local one, since workers cannot import this module: it travels by value.
    """

    class DyingOnce:
        """A task that kills its worker behind the first partition that it has written."""

        def __init__(self, task: Any, mark: Path) -> None:
            self.task = task
            self.mark = mark
            self.schema = task.schema

        def __repr__(self) -> str:
            return "write_dicom"

        def __dask_tokenize__(self) -> Any:
            return repr(self), self.task, str(self.mark)

        def __call__(self, partition: Any) -> Any:
            told = self.task(partition)
            if partition.index == 2 and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return told

    return DyingOnce(task, mark)
