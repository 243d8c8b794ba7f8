"""Every clause of the conformance suite where files really lie: in memory, in S3 and in HDFS.

The local disk is what the tests of the backends themselves run on. The memory of this process is
a store for Dask's threads only: Spark's workers, local ones too, are processes of their own and
find their own memory empty, so ``memory://`` cannot be read with Spark by its nature.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import dask.dataframe as dd
import pyarrow as pa
import pytest
from on_spark import OnSpark
from pyspark.sql import DataFrame
from servers.s3 import S3Server

from dicomframe.plugin import DicomFrames
from dicomframe.testing import BackendConformance
from dicomframe.testing.store import Store


class OnDask(BackendConformance):
    engine = "dask"

    def count_partitions(self, frame: dd.DataFrame) -> int:
        return int(frame.npartitions)

    def show(self, frame: dd.DataFrame) -> str:
        return f"{frame!r} {frame.expr!r} {frame.dask!r} {frame.optimize().dask!r}"


class ShownOnSpark(OnSpark):
    def show(self, frame: DataFrame) -> str:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            frame.explain("extended")
        return f"{shown.getvalue()} {frame!r} {frame.schema!r}"


class InS3(BackendConformance):
    """Keep the secret of the server out of all that can be seen."""

    @pytest.fixture
    def store(self, s3: S3Server, s3_store: Store, logs: object) -> Store:
        self.secret = s3.secret
        return s3_store

    def read(self, path: str, **options: Any) -> DicomFrames:
        frames = super().read(path, **options)
        for frame in frames:
            shown = self.show(frame)
            assert "origin" in shown
            assert self.secret not in shown
        return frames

    def to_arrow(self, frame: Any) -> pa.Table:
        table = super().to_arrow(frame)
        assert self.secret not in repr(table.to_pydict())
        return table


class InHdfs(BackendConformance):
    @pytest.fixture
    def store(self, hdfs_store: Store) -> Store:
        return hdfs_store


class TestDaskThreadsInMemory(OnDask):
    @pytest.fixture
    def store(self, memory_store: Store) -> Store:
        return memory_store


@pytest.mark.usefixtures("dask_processes")
class TestDaskProcessesInS3(InS3, OnDask):
    pass


@pytest.mark.usefixtures("dask_processes")
class TestDaskProcessesInHdfs(InHdfs, OnDask):
    pass


class TestSparkInS3(InS3, ShownOnSpark):
    pass


class TestSparkInHdfs(InHdfs, ShownOnSpark):
    pass
