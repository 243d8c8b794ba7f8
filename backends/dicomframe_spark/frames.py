"""Build the DataFrames of a plan."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, functions

from dicomframe.plugin import (
    InvalidOptionError,
    PartitionTask,
    PixelFinder,
    PixelReader,
    ReadPlan,
)
from dicomframe_spark.schema import make_spark_schema
from dicomframe_spark.task import (
    OriginFinder,
    make_pandas_pixel_task,
    make_partition_task,
    make_pixel_task,
    make_task,
)

_PIXEL_PLACE = pa.field("pixel_place", pa.string())


def make_dicom_frame(session: SparkSession, plan: ReadPlan, *, late_pixels: bool) -> DataFrame:
    """Return the frame of the sound files.

    Parameters
    ----------
    session
        A session, classic or of Spark Connect.
    plan
        What to read.
    late_pixels
        Whether Pixel Data is read in a step of its own, which Spark leaves out where the column
        is not used and puts behind filters and limits.
    """
    names = plan.dicom_schema.names
    is_late = late_pixels and "pixel_data" in names
    fields = [plan.schema.field(name) for name in names if not (is_late and name == "pixel_data")]
    if not is_late:
        return _read(session, plan, fields, "dicom")
    frame = _read(session, plan, [*fields, _PIXEL_PLACE], "dicom")
    frame = frame.withColumn("pixel_data", _read_pixels(plan.pixel_reader, "pixel_place"))
    return _select(frame, names)


def make_corrupt_frame(session: SparkSession, plan: ReadPlan) -> DataFrame:
    """Return the frame of the other files; it reads no Pixel Data."""
    return _read(session, plan, list(plan.corrupt_schema), "corrupt")


def make_kept_frames(session: SparkSession, plan: ReadPlan) -> tuple[DataFrame, DataFrame]:
    """Read all files once, now, into what Spark keeps; return both frames over it."""
    both = _read(session, plan, list(plan.schema)).persist()
    both.count()
    return (
        _select(both.where("reason IS NULL"), plan.dicom_schema.names),
        _select(both.where("reason IS NOT NULL"), plan.corrupt_schema.names),
    )


def add_pixels(frame: DataFrame, finder: PixelFinder) -> DataFrame:
    """Return `frame` with Pixel Data as a late column behind its others.

    Raises
    ------
    InvalidOptionError
        It has no ``origin``, or has ``pixel_data``.
    """
    if "origin" not in frame.columns or "pixel_data" in frame.columns:
        raise InvalidOptionError(
            "with_pixels needs a frame with the column 'origin' and without 'pixel_data', "
            f"found {', '.join(map(repr, frame.columns))}"
        )
    if "metadata" in frame.columns:
        return frame.withColumn("pixel_data", _read_pixels(finder, "metadata"))
    return frame.withColumn("pixel_data", _read_pixels(OriginFinder(finder), "origin"))


def run_task(session: SparkSession, plan: ReadPlan, task: PartitionTask) -> pa.Table:
    """Return the rows of a task for all partitions; of a repeated one, those that came through."""
    count = len(plan.partitions)
    frame = session.range(0, count, 1, count).mapInArrow(
        make_partition_task(plan, task), make_spark_schema(task.schema)
    )
    return frame.toArrow().cast(task.schema)


def _read(
    session: SparkSession, plan: ReadPlan, fields: list[pa.Field], frame: str | None = None
) -> DataFrame:
    count = len(plan.partitions)
    task = make_task(plan, [field.name for field in fields], frame)
    # One row in each partition: no shuffle, and the same on Spark Connect.
    return session.range(0, count, 1, count).mapInArrow(task, make_spark_schema(fields))


def _read_pixels(read: PixelReader | PixelFinder | OriginFinder, column: str) -> Column:
    """Return a late column, of ``origin`` and another one.

    It is deterministic as far as Spark is told, or no filter would pass below it; and it takes
    an iterator, for a whole batch of Spark's rows is more than one array can hold.
    """
    if hasattr(functions, "arrow_udf"):  # from Spark 4.1
        udf = functions.arrow_udf(make_pixel_task(read), "binary")
    else:
        udf = functions.pandas_udf(make_pandas_pixel_task(read), "binary")
    return udf("origin", column)


def _select(frame: DataFrame, names: list[str]) -> DataFrame:
    quoted = ("`" + name.replace("`", "``") + "`" for name in names)
    return frame.selectExpr(*quoted)
