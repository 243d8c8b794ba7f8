"""What a Spark task does: read its partitions into batches that Spark can take."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from dicomframe.plugin import ReadPlan

MAX_BINARY_BYTES = 2**31 - 2**27
"""The longest value that Spark is given; a longer one is null.

A whole row of Spark must stay under 2 GiB (the JVM's arrays end 16 bytes before), or the job
fails, or the executor with it: the other columns need their room.
"""

Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def make_task(plan: ReadPlan, columns: list[str]) -> Task:
    """Return the function for ``mapInArrow`` over the numbers of the partitions of `plan`."""
    payload = pickle.dumps((plan, columns))

    # Spark ships a nested function by value and no module of ours with it, so it can still
    # speak on a worker that has none. Its name is all that a query plan shows.
    def read_dicom(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import sys  # noqa: PLC0415

        try:
            from dicomframe_spark.task import read_partitions  # noqa: PLC0415
        except ImportError as error:
            raise ImportError(
                f"the Spark worker runs {sys.executable!r}, which cannot import dicomframe "
                f"({error}), install 'dicomframe[spark]' there, or set the environment variable "
                "PYSPARK_PYTHON to a Python that has it before the session starts"
            ) from error
        yield from read_partitions(payload, batches)

    return read_dicom


def read_partitions(payload: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the partitions whose numbers `batches` hold in their one column."""
    plan, columns = pickle.loads(payload)  # noqa: S301  (ours, of make_task)
    for numbers in batches:
        for number in numbers.column(0).to_pylist():
            for batch in plan.reader(plan.partitions[number], columns):
                yield from fit_batch(batch)


def fit_batch(
    batch: pa.RecordBatch, *, max_binary_bytes: int = MAX_BINARY_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batch` in batches of which every column has 32-bit offsets.

    The bytes of a batch that fits as a whole are not copied. A single value of more than
    `max_binary_bytes` becomes null.
    """
    columns = [_narrow(column, max_binary_bytes) for column in batch.columns]
    if not any(column is None for column in columns):
        yield pa.RecordBatch.from_arrays(columns, batch.schema.names)
        return
    middle = batch.num_rows // 2
    for half in (batch.slice(0, middle), batch.slice(middle)):
        # A slice keeps the offsets of the whole; what is taken starts at zero.
        yield from fit_batch(
            half.take(pa.array(range(half.num_rows))), max_binary_bytes=max_binary_bytes
        )


def _narrow(column: pa.Array, max_bytes: int) -> pa.Array | None:
    """Return `column` with 32-bit offsets over the same bytes, None if it is too long."""
    if not pa.types.is_large_binary(column.type):
        return column
    if column.nbytes > max_bytes:
        lengths = pc.binary_length(column)
        if (pc.max(lengths).as_py() or 0) > max_bytes:
            column = pc.if_else(pc.greater(lengths, max_bytes), None, column)
        if (pc.sum(pc.binary_length(column)).as_py() or 0) > max_bytes:
            return None
    return column.cast(pa.binary())
