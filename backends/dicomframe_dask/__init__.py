"""The Dask backend: a plan as two lazy Dask DataFrames of Arrow types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

from dicomframe.plugin import (
    Backend,
    BatchTask,
    DicomFrames,
    LiveRows,
    Partition,
    PartitionTask,
    PixelFinder,
    ReadPlan,
    hookimpl,
)
from dicomframe_dask.batches import find_schema, map_batches
from dicomframe_dask.catalog import read_rows
from dicomframe_dask.late import add_pixels
from dicomframe_dask.rows import RowReader, select_rows, to_pandas


class DaskBackend(Backend):
    """Build Dask DataFrames in which every column keeps its Arrow type."""

    def build(self, plan: ReadPlan) -> DicomFrames:
        """Return the frames; a column that is not used later is never read.

        Both come from one source, so ``dask.compute(dicom, corrupt)`` reads each file once.
        """
        return _split(_read(plan), plan)

    def to_arrow(self, frame: Any) -> pa.Table:
        """Compute `frame` on the scheduler that Dask is set to, without its index."""
        table = pa.Table.from_pandas(frame.compute(), preserve_index=False)
        return table.replace_schema_metadata(None)

    def collect(self, frames: DicomFrames, plan: ReadPlan, task: PartitionTask) -> pa.Table:  # noqa: ARG002
        """Run `task` on the workers of the scheduler that Dask is set to."""
        return self.to_arrow(_map(_RunTask(task), plan, task.schema, repr(task)))

    def persist(self, frames: DicomFrames, plan: ReadPlan) -> DicomFrames:  # noqa: ARG002
        """Keep the source of both frames, so what a dying worker loses is lost to both."""
        return _split(_read(plan).persist(), plan)

    def with_pixels(self, frame: Any, finder: PixelFinder) -> Any:
        """Read the pixels of each partition; a column that is not used later is not read."""
        return add_pixels(frame, finder)

    def read_parquet(self, rows: LiveRows) -> dd.DataFrame:
        """Read each part of a catalogue in a task."""
        return read_rows(rows)

    def schema_of(self, frame: Any) -> pa.Schema | None:
        """Return the columns of a Dask DataFrame, as far as its meta tells their types."""
        return find_schema(frame)

    def map_batches(self, frame: Any, task: BatchTask) -> pa.Table:
        """Run `task` on the workers of the scheduler that Dask is set to."""
        return self.to_arrow(map_batches(frame, task))


@hookimpl
def dicomframe_register_backend() -> Backend:
    """Return the backend of the engine ``dask``."""
    return DaskBackend()


# Dask would turn Arrow strings into another string type otherwise.
_KEEP_TYPES = {"dataframe.convert-string": False}


def _read(plan: ReadPlan) -> dd.DataFrame:
    """Return both frames side by side."""
    return _map(RowReader(plan.reader), plan, plan.schema, "read_dicom")


def _map(function: Any, plan: ReadPlan, schema: pa.Schema, label: str) -> dd.DataFrame:
    # Dask cuts the names of fused tasks at the first hyphen: what it shows begins with `label`.
    with dask.config.set(_KEEP_TYPES):
        meta = to_pandas(schema.empty_table())
        return dd.from_map(function, _Partitions(plan.partitions), meta=meta, label=label)


def _split(both: dd.DataFrame, plan: ReadPlan) -> DicomFrames:
    with dask.config.set(_KEEP_TYPES):
        return DicomFrames(
            dicom=select_rows(both, "dicom", plan.dicom_schema.names),
            corrupt=select_rows(both, "corrupt", plan.corrupt_schema.names),
        )


class _Partitions(tuple[Partition, ...]):
    """What Dask prints into the plan of every frame that derives from these."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} partitions, {sum(map(len, self))} files>"


@dataclass(frozen=True)
class _RunTask:
    task: PartitionTask

    def __call__(self, partition: Partition) -> pd.DataFrame:
        return to_pandas(pa.Table.from_batches([self.task(partition)]))

    def __repr__(self) -> str:
        return repr(self.task)
