"""The columns of a plan in Spark's types, and Spark's Arrow back in the plan's."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql import types


def make_spark_schema(fields: Iterable[pa.Field]) -> types.StructType:
    """Return Spark's schema of some columns of a plan; all of them can be null."""
    return types.StructType(
        [types.StructField(field.name, _spark_type(field.type)) for field in fields]
    )


def restore_types(table: pa.Table) -> pa.Table:
    """Return what Spark made of a frame of ours in the types of the plan."""
    fields = [pa.field(field.name, _plan_type(field.name, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields))


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
    pa.timestamp("us", "UTC"): types.TimestampType(),
    pa.binary(): types.BinaryType(),
    pa.large_binary(): types.BinaryType(),
}


def _plan_type(name: str, arrow: pa.DataType) -> pa.DataType:
    """Return the type that the plan has for a column that Spark returns as `arrow`."""
    if pa.types.is_list(arrow):
        return pa.list_(_plan_type("", arrow.value_type))
    if name == "pixel_data":
        return pa.large_binary()
    if pa.types.is_timestamp(arrow) and arrow.tz is not None:
        return pa.timestamp("us", "UTC")
    if pa.types.is_large_string(arrow):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(arrow) else arrow
