"""The Spark backend: a plan as two lazy Spark DataFrames."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, functions, types

from dicomframe.plugin import Backend, DicomFrames, EngineStartError, ReadPlan, hookimpl
from dicomframe_spark.java import WAYS_OUT, find_java_home
from dicomframe_spark.task import make_task


class SparkBackend(Backend):
    """Build Spark DataFrames, on classic sessions as well as on Spark Connect."""

    def build(self, plan: ReadPlan, *, session: SparkSession | None = None) -> DicomFrames:
        """Return the frames, of `session`, else of the active session, else of a new local one.

        Each frame reads by itself. Corrupt files are looked for without reading pixels.

        Raises
        ------
        EngineStartError
            There is no session and a local one cannot start.
        """
        session = session or _active_session() or start_local_session()
        dicom = _read(session, plan, [*plan.dicom_schema.names, "reason"])
        corrupt = _read(session, plan, plan.corrupt_schema.names)
        reason = functions.col("reason")
        return DicomFrames(
            dicom=dicom.where(reason.isNull()).drop("reason"),
            corrupt=corrupt.where(reason.isNotNull()),
        )

    def to_arrow(self, frame: Any) -> pa.Table:
        """Collect `frame` on the driver, in the types of the plan where Spark has others."""
        table: pa.Table = frame.toArrow()
        fields = [pa.field(f.name, _plan_type(f.name, f.type)) for f in table.schema]
        return table.cast(pa.schema(fields))


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


def _read(session: SparkSession, plan: ReadPlan, columns: list[str]) -> DataFrame:
    count = len(plan.partitions)
    schema = types.StructType(
        [types.StructField(name, _spark_type(plan.schema.field(name).type)) for name in columns]
    )
    # One row in each partition: no shuffle, and the same on Spark Connect.
    return session.range(0, count, 1, count).mapInArrow(make_task(plan, columns), schema)


def _spark_type(arrow: pa.DataType) -> types.DataType:
    if pa.types.is_list(arrow):
        return types.ArrayType(_spark_type(arrow.value_type))
    if pa.types.is_decimal(arrow):
        return types.DecimalType(arrow.precision, arrow.scale)
    return _SPARK_TYPES[arrow]


_SPARK_TYPES: dict[pa.DataType, types.DataType] = {
    pa.string(): types.StringType(),
    pa.int64(): types.LongType(),
    pa.float64(): types.DoubleType(),
    pa.bool_(): types.BooleanType(),
    pa.date32(): types.DateType(),
    pa.timestamp("us"): types.TimestampNTZType(),  # no time zone of any machine can change it
    pa.binary(): types.BinaryType(),
    pa.large_binary(): types.BinaryType(),
}


def _plan_type(name: str, arrow: pa.DataType) -> pa.DataType:
    """Return the type that the plan has for a column that Spark returns as `arrow`."""
    if pa.types.is_list(arrow):
        return pa.list_(_plan_type("", arrow.value_type))
    if name == "pixel_data":
        return pa.large_binary()
    if pa.types.is_large_string(arrow):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(arrow) else arrow


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
