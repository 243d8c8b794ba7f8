"""Read a catalogue, a partition for each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

from dicomframe.plugin import LiveRows
from dicomframe_dask.rows import to_pandas


def read_rows(rows: LiveRows) -> dd.DataFrame:
    """Return the live rows; a column that is not used later is never read."""
    # Dask would turn Arrow strings into another string type otherwise.
    with dask.config.set({"dataframe.convert-string": False}):
        meta = to_pandas(rows.schema.empty_table())
        if not rows.parts:
            return dd.from_pandas(meta, npartitions=1)
        return dd.from_map(_ReadPart(rows), list(rows.parts), meta=meta, label="read_catalog")


@dataclass(frozen=True)
class _ReadPart:
    """What a task calls; Dask hands `columns` down once it knows which are used."""

    rows: LiveRows

    def __call__(self, part: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        names = self.rows.schema.names if columns is None else columns
        schema = pa.schema([self.rows.schema.field(name) for name in names])
        return to_pandas(pa.Table.from_batches(self.rows(part, columns), schema))

    def __repr__(self) -> str:
        return "read_catalog"
