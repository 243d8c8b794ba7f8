"""Real servers for the tests of remote stores, one of each for the whole run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask
import pytest
from servers.hdfs import HdfsServer, start_hdfs
from servers.processes import read_tail
from servers.proxy import Proxy, start_proxy
from servers.s3 import BUCKET, S3Server, start_s3

from dicomframe.testing.store import Store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


@pytest.fixture(scope="session")
def dask_processes() -> Iterator[None]:
    """Have Dask compute in two other processes."""
    with (
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
        dask.config.set(scheduler="processes", pool=pool),
    ):
        yield


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which everything that can keep a log keeps one, at its finest level."""
    folder = tmp_path_factory.mktemp("logs")
    handler = logging.FileHandler(folder / "python.log")
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("py4j").setLevel(logging.INFO)  # pages for each call
    yield folder
    root.setLevel(level)
    root.removeHandler(handler)
    handler.close()


@pytest.fixture(scope="session")
def spark(logs: Path) -> Iterator[SparkSession]:
    """A local Spark session that writes down all it does."""
    from pyspark.sql import SparkSession

    from dicomframe_spark import start_local_session

    assert SparkSession.getActiveSession() is None
    (logs / "log4j2.properties").write_text(_LOG4J)
    (logs / "events").mkdir()
    options = f"-Dlog4j2.configurationFile={logs}/log4j2.properties -Ddicomframe.logs={logs}"
    arguments = [
        f'--driver-java-options "{options}"',
        f"--conf spark.eventLog.enabled=true --conf spark.eventLog.dir=file://{logs}/events",
        "--conf spark.eventLog.compress=false --conf spark.eventLog.rolling.enabled=false",
        "--conf spark.ui.showConsoleProgress=false --conf spark.sql.shuffle.partitions=2",
        "pyspark-shell",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", " ".join(arguments))
        session = start_local_session()
    yield session
    session.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the servers said last beside a test that failed."""
    report = yield
    if report.failed:
        report.sections += [(log.name, read_tail(log)) for log in _logs if log.exists()]
    return report


_LOG4J = """\
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:dicomframe.logs}/spark.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c: %m%n%ex
logger.planning.name = org.apache.spark.sql
logger.planning.level = debug
"""
