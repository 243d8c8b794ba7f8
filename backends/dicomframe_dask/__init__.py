"""The Dask backend: a plan as two lazy Dask DataFrames of Arrow types."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask.dataframe.dask_expr._expr import Expr, Index
from dask.dataframe.dask_expr.io import FromMapProjectable

from dicomframe.plugin import Backend, DicomFrames, Partition, PartitionReader, ReadPlan, hookimpl


class DaskBackend(Backend):
    """Build Dask DataFrames in which every column keeps its Arrow type."""

    def build(self, plan: ReadPlan) -> DicomFrames:
        """Return the frames; a column that is not used later is never read.

        Both come from one source, so ``dask.compute(dicom, corrupt)`` reads each file once.
        """
        # Dask would turn Arrow strings into another string type otherwise.
        with dask.config.set({"dataframe.convert-string": False}):
            source = dd.from_map(
                _ReadPartition(plan.reader),
                plan.partitions,
                meta=_to_pandas(plan.schema.empty_table()),
                label="dicom",
            )
            both = dd.DataFrame(_ReadDicom(*source.expr.operands))
            sound = both["reason"].isna()
            return DicomFrames(
                dicom=both[sound][plan.dicom_schema.names],
                corrupt=both[~sound][plan.corrupt_schema.names],
            )

    def to_arrow(self, frame: Any) -> pa.Table:
        """Compute `frame` on the scheduler that Dask is set to, without its index."""
        table = pa.Table.from_pandas(frame.compute(), preserve_index=False)
        return table.replace_schema_metadata(None)


@hookimpl
def dicomframe_register_backend() -> Backend:
    """Return the backend of the engine ``dask``."""
    return DaskBackend()


@dataclass(frozen=True)
class _ReadPartition:
    """What a task calls; Dask hands `columns` down once it knows which are used."""

    reader: PartitionReader

    def __call__(self, partition: Partition, columns: Sequence[str] | None = None) -> pd.DataFrame:
        return _to_pandas(pa.Table.from_batches(self.reader(partition, columns)))

    def __repr__(self) -> str:
        # Dask prints it into the name and the plan of every frame that derives from this one.
        return "read_dicom"


class _ReadDicom(FromMapProjectable):  # type: ignore[misc]
    """What `from_map` makes, which reads all columns, pixels too, for ``len(frame)``.

    Dask asks for the index then, and hands that wish down to Parquet alone.
    """

    @functools.cached_property
    def _name(self) -> str:
        return f"read-{super()._name}"  # Dask takes two expressions of one name for the same

    def _simplify_up(self, parent: Expr, dependents: Any) -> Expr | None:
        if isinstance(parent, Index) and self.operand("columns") is None:
            return Index(self.substitute_parameters({"columns": ["reason"]}))
        return super()._simplify_up(parent, dependents)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=pd.ArrowDtype)
