"""Real servers for the tests of remote stores, one of each for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from servers.hdfs import HdfsServer, start_hdfs
from servers.processes import read_tail
from servers.proxy import Proxy, start_proxy
from servers.s3 import BUCKET, S3Server, start_s3
from written_down import dask_processes, logs, spark

from dicomframe.testing.store import Store

__all__ = ["dask_processes", "logs", "spark"]  # fixtures of all these tests

_logs: list[Path] = []


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server."""
    with start_s3() as server:
        _logs.append(server.log)
        yield server


@pytest.fixture(scope="session")
def hdfs() -> Iterator[HdfsServer]:
    """A real NameNode with a real DataNode."""
    with start_hdfs() as server:
        _logs.extend(server.logs)
        yield server


@pytest.fixture(scope="session")
def _s3_proxy(s3: S3Server) -> Iterator[Proxy]:
    with start_proxy(s3.endpoint) as proxy:
        yield proxy


@pytest.fixture
def s3_proxy(_s3_proxy: Proxy) -> Iterator[Proxy]:
    """A proxy before the S3 server that does nothing yet and has counted nothing."""
    yield from _as_new(_s3_proxy)


@pytest.fixture(scope="session")
def _hdfs_proxy(hdfs: HdfsServer) -> Iterator[Proxy]:
    with start_proxy(hdfs.http_endpoint) as proxy:
        yield proxy


@pytest.fixture
def hdfs_proxy(_hdfs_proxy: Proxy) -> Iterator[Proxy]:
    """A proxy before the web servers of HDFS that does nothing yet and has counted nothing."""
    yield from _as_new(_hdfs_proxy)


def _as_new(proxy: Proxy) -> Iterator[Proxy]:
    proxy.reset()
    yield proxy
    proxy.reset()


class BucketStore(Store):
    """A folder of a bucket: what is empty there does not exist, but an empty bucket does."""

    def make_empty(self) -> str:
        """Make a bucket without any key."""
        import s3fs

        name = f"empty-{uuid4().hex}"
        s3fs.S3FileSystem(**self.options).call_s3("create_bucket", Bucket=name)
        return f"s3://{name}"


@pytest.fixture
def s3_store(s3: S3Server) -> Store:
    """A new folder on the S3 server."""
    return BucketStore(f"s3://{BUCKET}/{uuid4().hex}", s3.storage_options)


@pytest.fixture
def hdfs_store(hdfs: HdfsServer) -> Store:
    """A new folder in HDFS."""
    return Store(f"{hdfs.url}/{uuid4().hex}")


@pytest.fixture
def memory_store() -> Store:
    """A new folder in the memory of this process."""
    return Store(f"memory://{uuid4().hex}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the servers said last beside a test that failed."""
    report = yield
    if report.failed:
        report.sections += [(log.name, read_tail(log)) for log in _logs if log.exists()]
    return report
