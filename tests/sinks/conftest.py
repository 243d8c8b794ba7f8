"""Real servers for the tests of sinks, one of each for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from servers.elasticsearch import start_elasticsearch
from servers.hbase import HBaseServer, start_hbase
from servers.nodes import SearchServer
from servers.opensearch import start_opensearch
from servers.processes import read_tail
from servers.solr import SolrServer, start_solr
from written_down import dask_processes, logs, spark

from dicomframe import scan_dicom
from dicomframe.testing.archive import write_archive

__all__ = ["dask_processes", "logs", "spark"]  # fixtures of all these tests

TAGS = [
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "PatientName"),
    *("PatientSex", "PatientAge", "PatientBirthDate", "Modality", "Manufacturer", "StudyDate"),
    *("SeriesDescription", "ImageType", "InstanceNumber", "Rows"),
]

_logs: list[Path] = []


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[SearchServer]:
    """A real Elasticsearch node."""
    with start_elasticsearch() as server:
        _logs.append(server.log)
        yield server


@pytest.fixture(scope="session")
def opensearch() -> Iterator[SearchServer]:
    """A real OpenSearch node, that bears few writes at once."""
    with start_opensearch() as server:
        _logs.append(server.log)
        yield server


@pytest.fixture(scope="session")
def solr() -> Iterator[SolrServer]:
    """A real Solr cloud of one node."""
    with start_solr(is_cloud=True) as server:
        _logs.append(server.log)
        yield server


@pytest.fixture(scope="session")
def solr_alone() -> Iterator[SolrServer]:
    """A real Solr node by itself, that asks for a password."""
    with start_solr(is_cloud=False) as server:
        _logs.append(server.log)
        yield server


@pytest.fixture(scope="session")
def hbase() -> Iterator[HBaseServer]:
    """A real HBase of one machine with its REST server."""
    with start_hbase() as server:
        _logs.extend(server.logs)
        yield server


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A made-up archive of 20,000 files, and the truth about each."""
    folder = tmp_path_factory.mktemp("archive")
    return folder, write_archive(folder)


@pytest.fixture(scope="session")
def frame(archive: tuple[Path, pa.Table]) -> pa.Table:
    """The sound files of the archive, as they were read: origin, metadata and typed tags."""
    folder, _ = archive
    table = pa.Table.from_batches(scan_dicom(str(folder), tags=TAGS, pixels="none"))
    return table.filter(pc.is_null(table["reason"])).select(["origin", "metadata", *TAGS])


@pytest.fixture(scope="session")
def cohort(archive: tuple[Path, pa.Table]) -> frozenset[str]:
    """The SOP Instance UIDs of all women of 20 to 25 years."""
    _, truth = archive
    is_woman = pc.equal(truth["PatientSex"], "F")
    is_of_age = pc.and_(
        pc.greater_equal(truth["PatientAge"], 20), pc.less_equal(truth["PatientAge"], 25)
    )
    return frozenset(truth.filter(pc.and_(is_woman, is_of_age))["SOPInstanceUID"].to_pylist())


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker also where pytest-xdist is not there."""
    config.addinivalue_line("markers", "xdist_group(name): what one process runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Divide the tests between two processes by their servers, so that none starts twice."""
    for item in items:
        is_other = item.path.stem in {"test_solr", "test_hbase"}
        item.add_marker(pytest.mark.xdist_group("others" if is_other else "search"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the servers said last beside a test that failed."""
    report = yield
    if report.failed:
        report.sections += [(log.name, read_tail(log)) for log in _logs if log.exists()]
    return report
