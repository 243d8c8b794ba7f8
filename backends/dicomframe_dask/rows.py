"""Split the rows of both frames, without a copy of their bytes where that can be."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask.dataframe.dask_expr._expr import (
    Blockwise,
    Expr,
    Index,
    Projection,
    determine_column_projection,
)


def select_rows(both: dd.DataFrame, frame: str, columns: list[str]) -> dd.DataFrame:
    """Return one frame of the source of both.

    Parameters
    ----------
    both
        The source, with the column ``reason``.
    frame
        ``"dicom"`` or ``"corrupt"``.
    columns
        The columns wanted, in their order.
    """
    return dd.DataFrame(_Rows(both.expr, frame, columns))


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame of Arrow types over the same bytes."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def split_rows(frame: pd.DataFrame, kind: str, wanted: list[str]) -> pd.DataFrame:
    """Filter by the batches that were read; pandas would copy all bytes, and some of them twice."""
    kept = frame["reason"].isna().to_numpy(bool)
    if kind == "corrupt":
        kept = ~kept
    found = frame[wanted]
    if kept.all():
        return found
    index = frame.index[kept]
    if not wanted:
        return pd.DataFrame(index=index)
    table = pa.Table.from_pandas(found, preserve_index=False)
    batches = list(_filter(table, kept))
    result = to_pandas(pa.Table.from_batches(batches, table.schema.remove_metadata()))
    return result.set_axis(index, axis=0)


class _Rows(Blockwise):  # type: ignore[misc]
    """A filter and a projection of the source in one step."""

    _parameters = ["frame", "kind", "wanted"]  # noqa: RUF012
    operation = staticmethod(split_rows)

    @functools.cached_property
    def _meta(self) -> pd.DataFrame:
        return self.frame._meta[self.wanted]

    def _simplify_down(self) -> Expr | None:
        used = [name for name in self.frame.columns if name in {*self.wanted, "reason"}]
        if used != list(self.frame.columns):
            return _Rows(self.frame[used], self.kind, self.wanted)
        return None

    def _simplify_up(self, parent: Expr, dependents: Any) -> Expr | None:
        if isinstance(parent, Index):
            return Index(_Rows(self.frame, self.kind, [])) if self.wanted else None
        if not isinstance(parent, Projection):
            return None
        used = determine_column_projection(self, parent, dependents)
        names = set(used) if isinstance(used, list) else {used}
        wanted = [name for name in self.wanted if name in names]
        if wanted == self.wanted:
            return None
        return Projection(_Rows(self.frame, self.kind, wanted), parent.operand("columns"))


def _filter(table: pa.Table, kept: Any) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in table.to_batches():
        mask = kept[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.all():
            yield batch
        elif mask.any():
            yield batch.filter(pa.array(mask))
