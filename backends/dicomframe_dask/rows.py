"""Split the rows of both frames, without a copy of their bytes where that can be."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from dask.dataframe.dask_expr._reductions import Len

from dicomframe.plugin import Partition, PartitionReader


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


@dataclass(frozen=True)
class RowReader:
    """What a task of the source calls; Dask hands `columns` down once it knows which are used.

    Attributes
    ----------
    reader
        What reads a partition.
    kind
        ``"dicom"`` or ``"corrupt"`` for the rows of that frame alone; None for all.
    """

    reader: PartitionReader
    kind: str | None = None

    def __call__(self, partition: Partition, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of a partition."""
        if self.kind is None:
            return to_pandas(pa.Table.from_batches(self.reader(partition, columns)))
        wanted = list(columns or ())  # Dask hands nothing down where only the rows count
        read = list(dict.fromkeys([*wanted, "reason"]))
        frame = to_pandas(pa.Table.from_batches(self.reader(partition, read)))
        return split_rows(frame, self.kind, wanted)

    def __repr__(self) -> str:
        return "read_dicom"


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
        if not isinstance(parent, Len) and self.wanted and self._is_alone(dependents):
            return parent.substitute(self, self._read_alone())
        if not isinstance(parent, Projection):
            return None
        used = determine_column_projection(self, parent, dependents)
        names = set(used) if isinstance(used, list) else {used}
        wanted = [name for name in self.wanted if name in names]
        if wanted == self.wanted:
            return None
        return Projection(_Rows(self.frame, self.kind, wanted), parent.operand("columns"))

    def _is_alone(self, dependents: Any) -> bool:
        """Tell whether nothing else needs the source, which is one that can be cut down."""
        users = (reference() for reference in dependents[self.frame._name])
        names = {user._name for user in users if user is not None}
        return names == {self._name} and isinstance(getattr(self.frame, "func", None), RowReader)

    def _read_alone(self) -> Expr:
        """Return a source that reads and splits in one task."""
        reader = replace(self.frame.func, kind=self.kind)
        return self.frame.substitute_parameters(
            {"func": reader, "columns": self.wanted, "user_meta": self._meta}
        )


def _filter(table: pa.Table, kept: Any) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in table.to_batches():
        mask = kept[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.all():
            yield batch
        elif mask.any():
            yield batch.filter(pa.array(mask))
