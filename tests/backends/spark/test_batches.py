"""Tasks over the rows of any Spark DataFrame."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from dicomframe import read_dicom
from dicomframe.api import plan_read
from dicomframe.registry import find_backend, get_backend
from dicomframe.testing.conformance import TYPED_TAGS
from dicomframe.testing.samples import real_files


class Count:
    """Tell how many rows there are in a partition, and which columns."""

    columns = ("a.b`c", "origin")
    schema = pa.schema([("rows", pa.int64()), ("columns", pa.string())])

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            names = " ".join(batch.schema.names)
            yield pa.record_batch([[batch.num_rows], [names]], schema=self.schema)


def test_the_columns_of_a_frame_are_those_of_its_plan(spark: SparkSession) -> None:
    tags = list(TYPED_TAGS)
    frames = read_dicom(real_files(), "spark", tags=tags, pixels="none", session=spark)
    found = find_backend(frames.dicom)
    assert found is not None
    backend, schema = found
    assert backend is get_backend("spark")
    wanted = plan_read(real_files(), tags=tags, pixels="none").dicom_schema
    assert schema.names == wanted.names
    assert schema.types == wanted.types


def test_types_that_arrow_has_not_are_left_out(spark: SparkSession) -> None:
    frame = spark.sql(
        "SELECT 'x' AS origin, 1Y AS small, 1.5F AS f, true AS flag, timestamp'2004-01-01' AS t,"
        " map('a', 1) AS m, named_struct('a', 1) AS s, array(map('a', 1)) AS l,"
        " interval '1' day AS i, array(1.5BD) AS d"
    )
    schema = get_backend("spark").schema_of(frame)
    assert schema is not None
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "origin": pa.string(),
        "small": pa.int64(),
        "f": pa.float64(),
        "flag": pa.bool_(),
        "t": pa.timestamp("us", "UTC"),
        "d": pa.list_(pa.decimal128(2, 1)),
    }


@pytest.mark.parametrize("frame", [None, 1, "text", [1], pa.table({})])
def test_what_is_no_frame_of_an_engine_has_no_owner(frame: object) -> None:
    assert get_backend("spark").schema_of(frame) is None


def test_a_task_sees_each_row_once_and_no_column_that_it_does_not_need(
    spark: SparkSession,
) -> None:
    frames = read_dicom(
        real_files(), "spark", tags={"a.b`c": "Modality"}, session=spark, npartitions=3
    )
    few = frames.dicom.where("`a.b``c` = 'MR'")
    table = get_backend("spark").map_batches(few, Count())
    assert table.schema == Count.schema
    assert sum(table["rows"].to_pylist()) == few.count() > 10
    assert set(table["columns"].to_pylist()) == {"a.b`c origin"}
