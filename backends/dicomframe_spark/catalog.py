"""Read a catalogue by Spark's own reader of Parquet, which skips what filters rule out."""

from __future__ import annotations

import re

from pyspark.sql import DataFrame, SparkSession

from dicomframe.plugin import LiveRows
from dicomframe_spark.schema import make_spark_schema

_MAGIC = re.compile(r"[*?\[\]{}]")
# What Hadoop calls a store that fsspec calls otherwise.
_SCHEMES = {"s3://": "s3a://", "gcs://": "gs://", "az://": "abfss://", "abfs://": "abfss://"}


def read_rows(session: SparkSession, rows: LiveRows) -> DataFrame:
    """Return the live rows; the Hadoop of `session` must know the store."""
    schema = make_spark_schema(rows.schema)
    if not rows.parts:
        return session.createDataFrame([], schema)
    found = session.read.schema(schema).parquet(*map(_to_hadoop, rows.urls))
    if not rows.dirty:
        return found
    gone = session.read.parquet(*map(_to_hadoop, rows.gone_urls))
    return found.join(gone, ["origin", "run"], "left_anti").select(*rows.schema.names)


def _to_hadoop(url: str) -> str:
    """Return the URL of a file as Hadoop has it, and takes for no glob."""
    url = _MAGIC.sub(r"\\\g<0>", url)
    if url.startswith("/"):
        return f"file://{url}"
    return next(
        (theirs + url[len(ours) :] for ours, theirs in _SCHEMES.items() if url.startswith(ours)),
        url,
    )
