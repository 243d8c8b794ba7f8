"""Run a task over the rows of a Dask DataFrame."""

from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

from dicomframe.plugin import BatchTask
from dicomframe_dask.rows import to_pandas


def find_schema(frame: Any) -> pa.Schema | None:
    """Return the columns of a Dask DataFrame, None for anything else.

    A column of Python objects is taken for text, for its meta does not tell.
    """
    if not isinstance(frame, dd.DataFrame):
        return None
    found = pa.Schema.from_pandas(frame._meta, preserve_index=False)
    fields = [
        pa.field(each.name, pa.string() if pa.types.is_null(each.type) else each.type)
        for each in found
    ]
    return pa.schema(fields)


def map_batches(frame: dd.DataFrame, task: BatchTask) -> dd.DataFrame:
    """Return the rows that `task` yields for the partitions of `frame`."""
    wanted = frame[list(task.columns)]
    meta = to_pandas(task.schema.empty_table())
    return wanted.map_partitions(_RunTask(task), meta=meta, enforce_metadata=False)


class _RunTask:
    """What Dask calls for a partition; its name is all that a graph shows."""

    def __init__(self, task: BatchTask) -> None:
        self._task = task

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        table = pa.Table.from_pandas(rows, preserve_index=False)
        return to_pandas(
            pa.Table.from_batches(self._task(iter(table.to_batches())), self._task.schema)
        )

    def __repr__(self) -> str:
        return repr(self._task)
