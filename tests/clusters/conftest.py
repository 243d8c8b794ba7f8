"""What the tests on clusters share: the clusters, and their logs where a test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clusters.crowd import TAGS, write_crowd

if TYPE_CHECKING:
    from distributed import Client

LOGS = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=2, help="how often each process is killed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "turn" in metafunc.fixturenames:
        turns = metafunc.config.getoption("--kills", default=2)
        metafunc.parametrize("turn", range(turns))


@pytest.fixture(scope="session")
def logs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the logs, which pytest keeps for some runs."""
    folder = tmp_path_factory.mktemp("clusters")
    request.config.stash[LOGS] = folder
    return folder


@pytest.fixture(scope="session")
def spark_master(logs: Path) -> Iterator[str]:
    """Start a master and two workers."""
    from servers.spark_cluster import start_spark_cluster

    with start_spark_cluster(logs) as master:
        yield master


@pytest.fixture(scope="module")
def dask_client(tmp_path_factory: pytest.TempPathFactory, logs: Path) -> Iterator[Client]:
    """Start a scheduler and two workers."""
    from servers.dask_cluster import start_dask_cluster

    with start_dask_cluster(logs) as client:
        yield client


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of many files."""
    folder = tmp_path_factory.mktemp("crowd")
    write_crowd(folder)
    return folder


@pytest.fixture(scope="module")
def expected(crowd: Path) -> tuple[Any, Any]:
    """Return what the frames of the crowd must hold."""
    from dicomframe.testing.conformance import read_oracle

    return read_oracle(crowd, tags=TAGS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report: pytest.TestReport = yield
    folder = item.config.stash.get(LOGS, None)
    if report.failed and folder:
        for log in sorted([*folder.glob("*.log"), *folder.glob("worker*/*/*/stderr")]):
            lines = log.read_text(errors="replace").splitlines()
            report.sections.append((str(log), "\n".join(lines[-30:])))
    return report
