"""Run a task over the rows of a Spark DataFrame."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, functions, types

from dicomframe.plugin import BatchTask
from dicomframe_spark.schema import make_spark_schema
from dicomframe_spark.task import make_batch_task


def find_schema(frame: Any) -> pa.Schema | None:
    """Return the columns of a DataFrame, classic or of Spark Connect; None for anything else.

    Maps, structures, variants and intervals are left out.
    """
    if not isinstance(frame, DataFrame):
        return None
    fields = ((field.name, _arrow_type(field.dataType)) for field in frame.schema.fields)
    return pa.schema([pa.field(name, found) for name, found in fields if found is not None])


def map_batches(frame: DataFrame, task: BatchTask) -> pa.Table:
    """Return the rows that `task` yields for the partitions of `frame`."""
    # By other names: mapInArrow takes no column whose name has a dot or a backtick.
    wanted = frame.select(
        *(
            functions.col("`" + name.replace("`", "``") + "`").alias(f"column{number}")
            for number, name in enumerate(task.columns)
        )
    )
    rows = wanted.mapInArrow(make_batch_task(task), make_spark_schema(task.schema))
    return rows.toArrow().cast(task.schema)


def _arrow_type(spark: types.DataType) -> pa.DataType | None:
    if isinstance(spark, types.ArrayType):
        element = _arrow_type(spark.elementType)
        return None if element is None else pa.list_(element)
    if isinstance(spark, types.DecimalType):
        return pa.decimal128(spark.precision, spark.scale)
    return next((arrow for kinds, arrow in _ARROW_TYPES if isinstance(spark, kinds)), None)


_ARROW_TYPES: list[tuple[tuple[type[types.DataType], ...], pa.DataType]] = [
    ((types.StringType, types.CharType, types.VarcharType), pa.string()),
    ((types.ByteType, types.ShortType, types.IntegerType, types.LongType), pa.int64()),
    ((types.FloatType, types.DoubleType), pa.float64()),
    ((types.DateType,), pa.date32()),
    ((types.TimestampNTZType,), pa.timestamp("us")),
    ((types.TimestampType,), pa.timestamp("us", "UTC")),
    ((types.BooleanType,), pa.bool_()),
    ((types.BinaryType,), pa.binary()),
]
