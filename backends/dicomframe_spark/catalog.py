"""Read a catalogue by Spark's own reader of Parquet, which skips what filters rule out."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from dicomframe.plugin import LiveRows
from dicomframe_spark.schema import make_spark_schema

# What Hadoop calls a store that fsspec calls otherwise.
_SCHEMES = {"s3://": "s3a://", "gcs://": "gs://", "az://": "abfss://", "abfs://": "abfss://"}


def read_rows(session: SparkSession, rows: LiveRows) -> DataFrame:
    """Return the live rows; the Hadoop of `session` must know the store."""
    schema = make_spark_schema(rows.schema)
    if not rows.parts:
        return session.createDataFrame([], schema)
    # Names are taken as they are: no part of a path is a glob.
    plain = "__globPaths__", "false"
    found = session.read.option(*plain).schema(schema).parquet(*map(_to_hadoop, rows.urls))
    if not rows.dirty:
        return found
    gone = session.read.option(*plain).parquet(*map(_to_hadoop, rows.gone_urls))
    return found.join(gone, ["origin", "run"], "left_anti").select(*rows.schema.names)


def _to_hadoop(url: str) -> str:
    if url.startswith("/"):
        return f"file://{url}"
    return next(
        (theirs + url[len(ours) :] for ours, theirs in _SCHEMES.items() if url.startswith(ours)),
        url,
    )
