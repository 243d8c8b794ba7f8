"""Tasks over the rows of any Dask DataFrame."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest

from dicomframe import read_dicom
from dicomframe.registry import find_backend, get_backend
from dicomframe.testing.samples import real_files

TAGS = ["Modality", "StudyDate", "PatientAge", "ImageType", "Rows"]


class Count:
    """Tell how many rows there are in a partition, and which columns."""

    columns = ("Rows", "origin")
    schema = pa.schema([("rows", pa.int64()), ("columns", pa.string())])

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            names = " ".join(batch.schema.names)
            yield pa.record_batch([[batch.num_rows], [names]], schema=self.schema)


def test_the_columns_of_a_frame_are_those_of_its_plan() -> None:
    frames = read_dicom(real_files(), "dask", tags=TAGS, pixels="none")
    found = find_backend(frames.dicom)
    assert found is not None
    backend, schema = found
    assert backend is get_backend("dask")
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        **dict.fromkeys(["origin", "metadata", "Modality"], pa.string()),
        "StudyDate": pa.date32(),
        "PatientAge": pa.float64(),
        "ImageType": pa.list_(pa.string()),
        "Rows": pa.int64(),
    }


@pytest.mark.parametrize("frame", [None, 1, "text", [1], pd.DataFrame({"a": [1]}), pa.table({})])
def test_what_is_no_frame_of_an_engine_has_no_owner(frame: object) -> None:
    assert get_backend("dask").schema_of(frame) is None


def test_a_task_sees_each_row_once_and_no_column_that_it_does_not_need() -> None:
    frames = read_dicom(real_files(), "dask", tags=TAGS, pixels="none", npartitions=3)
    few = frames.dicom[frames.dicom["Modality"] == "MR"]
    table = get_backend("dask").map_batches(few, Count())
    assert table.schema == Count.schema
    assert sum(table["rows"].to_pylist()) == len(few)
    assert set(table["columns"].to_pylist()) == {"Rows origin"}


def test_a_frame_of_other_types_is_taken() -> None:
    pandas = pd.DataFrame(
        {"origin": ["a", "b"], "Rows": [1.5, None], "day": [date(2004, 1, 1)] * 2}
    )
    frame = dd.from_pandas(pandas, npartitions=2)
    schema = get_backend("dask").schema_of(frame)
    assert schema is not None
    assert schema.names == ["origin", "Rows", "day"]
    assert schema.field("Rows").type == pa.float64()
    table = get_backend("dask").map_batches(frame, Count())
    assert table["rows"].to_pylist() == [1, 1]
