"""What a Spark task does: read its files into Arrow that Spark can take."""

from __future__ import annotations

import gc
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import cloudpickle

if TYPE_CHECKING:
    from dicomframe.plugin import BatchTask, PartitionTask, PixelFinder, PixelReader, ReadPlan

MAX_BINARY_BYTES = 2**31 - 2**27
"""The longest value that Spark is given; a longer one is null.

A whole row of Spark must stay under 2 GiB (the JVM's arrays end 16 bytes before), or the job
fails, or the executor with it: the other columns need their room.
"""

Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
PixelTask = Callable[[Iterator[tuple[pa.Array, pa.Array]]], Iterator[pa.Array]]
PandasPixelTask = Callable[[Iterator[Any]], Iterator[Any]]


def make_task(plan: ReadPlan, columns: list[str], frame: str | None = None) -> Task:
    """Return the function for ``mapInArrow`` over the numbers of the partitions of `plan`.

    Parameters
    ----------
    plan
        What to read.
    columns
        The columns to yield.
    frame
        ``"dicom"`` or ``"corrupt"`` for the rows of that frame, None for all.
    """
    payload = cloudpickle.dumps((plan, columns, frame))

    # Spark ships a nested function by value and no module of ours with it, so it can still
    # speak on a worker that has none. Its name is all that a query plan shows.
    def read_dicom(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from load_task().read_partitions(payload, batches)

    load_task = _make_loader()
    return read_dicom


def make_partition_task(plan: ReadPlan, task: PartitionTask) -> Task:
    """Return the function for ``mapInArrow`` that runs `task` for partitions of `plan`."""
    payload = cloudpickle.dumps((plan.partitions, task))

    def run_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from load_task().run_partitions(payload, batches)

    load_task = _make_loader()
    return run_task


def make_batch_task(task: BatchTask) -> Task:
    """Return the function for ``mapInArrow`` that runs `task` over the rows of a frame."""
    payload = cloudpickle.dumps(task)

    def run_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from load_task().run_batches(payload, batches)

    load_task = _make_loader()
    return run_task


def make_pixel_task(read: PixelReader | PixelFinder | OriginFinder) -> PixelTask:
    """Return the function of an iterator UDF over the two columns that `read` takes."""
    payload = cloudpickle.dumps(read)

    def read_pixels(rows: Iterator[tuple[pa.Array, pa.Array]]) -> Iterator[pa.Array]:
        yield from load_task().read_places(payload, rows)

    load_task = _make_loader()
    return read_pixels


def make_pandas_pixel_task(read: PixelReader | PixelFinder | OriginFinder) -> PandasPixelTask:
    """Return the function of `make_pixel_task` for a UDF over pandas series."""
    read_arrays = make_pixel_task(read)

    import pandas as pd  # noqa: PLC0415  (PySpark's own need for such a UDF)

    def read_pixels(rows: Iterator[Any]) -> Iterator[Any]:
        arrays = (tuple(pa.array(column, from_pandas=True) for column in row) for row in rows)
        for piece in read_arrays(arrays):
            yield piece.to_pandas()

    # PySpark tells the kind of a UDF by its types.
    read_pixels.__annotations__ = {
        "rows": Iterator[tuple[pd.Series, pd.Series]],
        "return": Iterator[pd.Series],
    }
    return read_pixels


@dataclass(frozen=True)
class OriginFinder:
    """Find pixels by their origins alone, given in both columns of a UDF.

    Attributes
    ----------
    finder
        What finds them.
    """

    finder: PixelFinder

    def __call__(self, origins: pa.Array, _: pa.Array) -> Iterator[pa.Array]:
        """Yield the values."""
        return self.finder(origins)


def read_partitions(payload: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the partitions whose numbers `batches` hold in their one column."""
    plan, columns, frame = pickle.loads(payload)  # noqa: S301  (ours, of make_task)
    reader = plan.reader if frame is None else partial(plan.reader.read_frame, frame)
    for numbers in batches:
        for number in numbers.column(0).to_pylist():
            for batch in reader(plan.partitions[number], columns):
                yield from fit_batch(batch)
    spare_collector()


def run_partitions(payload: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what a task returns for the partitions whose numbers `batches` hold."""
    partitions, task = pickle.loads(payload)  # noqa: S301  (ours, of make_partition_task)
    for numbers in batches:
        for number in numbers.column(0).to_pylist():
            yield task(partitions[number])
    spare_collector()


def run_batches(payload: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield what a task yields for the rows of a partition, whose columns are those of the task."""
    task = pickle.loads(payload)  # noqa: S301  (ours, of make_batch_task)
    names = list(task.columns)
    yield from task(pa.RecordBatch.from_arrays(batch.columns, names) for batch in batches)


def read_places(payload: bytes, rows: Iterator[tuple[pa.Array, pa.Array]]) -> Iterator[pa.Array]:
    """Yield the Pixel Data of the files that `rows` name, by origin and place or metadata.

    The pieces are smaller than the batches of `rows`, whose number of rows Spark chooses: only
    a piece is in memory at a time.
    """
    read = pickle.loads(payload)  # noqa: S301  (ours, of make_pixel_task)
    for columns in rows:
        for piece in read(*(column.cast(pa.string()) for column in columns)):
            yield from fit_array(piece)
    spare_collector()


def spare_collector() -> None:
    """Hide what is loaded by now from Python's collector, at the end of a task.

    PySpark's worker collects behind each task. The 100,000 objects of modules, which live as long
    as it does, cost it some 50 ms each time.
    """
    _hide_modules(len(sys.modules))


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


def fit_array(array: pa.Array, *, max_binary_bytes: int = MAX_BINARY_BYTES) -> Iterator[pa.Array]:
    """Yield the values of a large binary array as `fit_batch` does those of a batch."""
    for batch in fit_batch(
        pa.RecordBatch.from_arrays([array], ["values"]), max_binary_bytes=max_binary_bytes
    ):
        yield batch.column(0)


@cache
def _hide_modules(_count: int) -> None:
    gc.collect()
    gc.freeze()


def _make_loader() -> Callable[[], ModuleType]:
    """Return what imports this module on a worker, or tells how to make it importable."""

    def load_task() -> ModuleType:
        import importlib  # noqa: PLC0415
        import sys  # noqa: PLC0415

        try:
            return importlib.import_module("dicomframe_spark.task")
        except ImportError as error:
            raise ImportError(
                f"the Spark worker runs {sys.executable!r}, which cannot import dicomframe "
                f"({error}), install 'dicomframe[spark]' there, or set the environment variable "
                "PYSPARK_PYTHON to a Python that has it before the session starts"
            ) from error

    return load_task


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
