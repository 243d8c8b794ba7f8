"""Engines of the tests that write down all they do: fixtures for a conftest to import."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["dask_processes", "logs", "spark"]


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
