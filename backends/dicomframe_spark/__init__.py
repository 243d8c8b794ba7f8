"""The Spark backend: a plan as two lazy Spark DataFrames."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from dicomframe.plugin import (
    Backend,
    BatchTask,
    DicomFrames,
    EngineStartError,
    InvalidOptionError,
    LiveRows,
    PartitionTask,
    PixelFinder,
    ReadPlan,
    hookimpl,
)
from dicomframe_spark.batches import find_schema, map_batches
from dicomframe_spark.catalog import read_rows
from dicomframe_spark.frames import (
    add_pixels,
    make_corrupt_frame,
    make_dicom_frame,
    make_kept_frames,
    run_task,
)
from dicomframe_spark.java import WAYS_OUT, find_java_home
from dicomframe_spark.schema import restore_types
from dicomframe_spark.sockets import choose_sockets


class SparkBackend(Backend):
    """Build Spark DataFrames, on classic sessions as well as on Spark Connect."""

    def build(
        self, plan: ReadPlan, *, session: SparkSession | None = None, late_pixels: bool = True
    ) -> DicomFrames:
        """Return the frames, of `session`, else of the active session, else of a new local one.

        Each frame reads by itself. Corrupt files are looked for without reading pixels.

        Parameters
        ----------
        plan
            What to read.
        session
            A session, classic or of Spark Connect.
        late_pixels
            Read ``pixel_data`` in a step of its own, for the rows that are left after filters
            and limits and only where the column is used; False to read it with the header, in
            one pass over the files.

        Raises
        ------
        EngineStartError
            There is no session and a local one cannot start.
        InvalidOptionError
            `late_pixels` is no bool.
        """
        if not isinstance(late_pixels, bool):
            raise InvalidOptionError(f"late_pixels must be True or False, found {late_pixels!r}")
        session = session or _active_session() or start_local_session()
        return DicomFrames(
            dicom=make_dicom_frame(session, plan, late_pixels=late_pixels),
            corrupt=make_corrupt_frame(session, plan),
        )

    def to_arrow(self, frame: Any) -> pa.Table:
        """Collect `frame` on the driver, in the types of the plan where Spark has others."""
        return restore_types(frame.toArrow())

    def collect(self, frames: DicomFrames, plan: ReadPlan, task: PartitionTask) -> pa.Table:
        """Run `task` on the workers of the session of `frames`."""
        return run_task(frames.dicom.sparkSession, plan, task)

    def persist(self, frames: DicomFrames, plan: ReadPlan) -> DicomFrames:
        """Read all files now, into memory and, where that is full, the disks of the executors."""
        return DicomFrames(*make_kept_frames(frames.dicom.sparkSession, plan))

    def with_pixels(self, frame: Any, finder: PixelFinder) -> Any:
        """Add a late column: it is read where it is used, for the rows that are left."""
        return add_pixels(frame, finder)

    def read_parquet(self, rows: LiveRows, *, session: SparkSession | None = None) -> DataFrame:
        """Have Spark itself read the parts of a catalogue, in `session` as for `build`."""
        return read_rows(session or _active_session() or start_local_session(), rows)

    def schema_of(self, frame: Any) -> pa.Schema | None:
        """Return the columns of a DataFrame, classic or of Spark Connect."""
        return find_schema(frame)

    def map_batches(self, frame: Any, task: BatchTask) -> pa.Table:
        """Run `task` on the workers of the session of `frame`."""
        return map_batches(frame, task)


@hookimpl
def dicomframe_register_backend() -> Backend:
    """Return the backend of the engine ``spark``."""
    return SparkBackend()


def start_local_session() -> SparkSession:
    """Start the session that is used when there is none: all cores, loopback only, no web page.

    Under ``spark-submit``, or where SPARK_REMOTE names a server, it is the one of those.

    Raises
    ------
    EngineStartError
        It cannot start; the message tells the ways out.
    """
    builder = SparkSession.builder
    if "PYSPARK_GATEWAY_PORT" in os.environ or "SPARK_REMOTE" in os.environ:
        return builder.getOrCreate()
    environment = {
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON") or sys.executable,
        "SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP") or "127.0.0.1",
    }
    java_home = find_java_home()
    if java_home:
        environment["JAVA_HOME"] = java_home
    builder = builder.master("local[*]").appName("dicomframe").config("spark.ui.enabled", "false")
    for name, value in choose_sockets().items():
        builder = builder.config(name, value)
    try:
        with _environment(environment):
            return builder.getOrCreate()
    except Exception as error:  # of Spark, of Py4J, of the operating system
        raise EngineStartError(
            f"a local Spark session did not start ({type(error).__name__}), "
            f"what Java printed tells why, its version may not fit this Spark; {WAYS_OUT}"
        ) from error


def _active_session() -> SparkSession | None:
    try:
        return SparkSession.active()
    except PySparkException:
        return None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the Java process that starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
