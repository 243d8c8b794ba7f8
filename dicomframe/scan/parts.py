"""Write the rows of one partition as Parquet files; this runs on the workers."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from fsspec.spec import AbstractFileSystem

from dicomframe.scan.parquet import PartedWriter
from dicomframe.scan.partition import Partition
from dicomframe.scan.ranges import describe_error
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.schema import FRAMES, select_rows
from dicomframe.scan.storage import Store, open_file_system

__all__ = ["PARTS_SCHEMA", "PartWriter", "PartsTask", "call_target"]

PARTS_SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int64()),
        pa.field("kind", pa.string()),
        pa.field("name", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("bytes", pa.int64()),
    ]
)
"""What a task returns: a row of the kind ``part`` for each file that it wrote; one of the kind
``read`` for each reason (and one without, for the sound files) with the bytes that were read; one
of the kind ``omitted``, with the number of all these rows instead of bytes."""

_T = TypeVar("_T")


@dataclass(frozen=True, repr=False)
class PartsTask:
    """Read a partition once and write the rows of both frames; a picklable callable.

    Every attempt at a partition writes files of other names, so only those count that the
    attempt which came through has returned.

    Attributes
    ----------
    reader
        The reader of the plan.
    store, folder
        Where the files go.
    """

    reader: PartitionReader
    store: Store
    folder: str

    def __repr__(self) -> str:
        return "write_dicom"

    @property
    def schema(self) -> pa.Schema:
        """What it returns."""
        return PARTS_SCHEMA

    def __call__(self, partition: Partition) -> pa.RecordBatch:
        """Write the files of `partition`; return what was written and read.

        Raises
        ------
        OSError
            A file cannot be written.
        """
        file_system = call_target(self.store, self.folder, lambda: open_file_system(self.store))
        attempt = f"{partition.index:05d}-{uuid.uuid4().hex[:12]}"
        schemas = dict(
            zip(FRAMES, (self.reader.dicom_schema, self.reader.corrupt_schema), strict=True)
        )
        writers = {
            frame: PartWriter(file_system, self.store, self.folder, frame, attempt, schema)
            for frame, schema in schemas.items()
        }
        rows: Counter[str] = Counter()
        bytes_read: Counter[str] = Counter()
        try:
            for batch in _counting(self.reader)(partition):
                _count(batch, rows, bytes_read)
                for frame, writer in writers.items():
                    rows_of_frame = select_rows(batch, frame)
                    if rows_of_frame.num_rows:
                        writer.write(pa.table(rows_of_frame))
            for writer in writers.values():
                writer.close()
        except BaseException:
            for writer in writers.values():
                writer.discard()
            raise
        told: list[tuple[str, str, int, int]] = []
        for writer in writers.values():
            told += (("part", *part) for part in writer.parts)
        told += (("read", reason, count, bytes_read[reason]) for reason, count in rows.items())
        omitted = sum(each.omitted for each in writers.values())
        told.append(("omitted", "", omitted, len(told) + 1))
        columns = [[partition.index] * len(told), *map(list, zip(*told, strict=True))]
        return pa.RecordBatch.from_arrays(
            [pa.array(each, field.type) for each, field in zip(columns, PARTS_SCHEMA, strict=True)],
            schema=PARTS_SCHEMA,
        )


class PartWriter:
    """Write rows of one frame as files below a folder of any file system.

    Attributes
    ----------
    parts : list of (str, int, int)
        Of each file its path below the folder, its rows and its bytes; whole once it is closed.
    """

    def __init__(
        self,
        file_system: AbstractFileSystem,
        store: Store,
        folder: str,
        frame: str,
        stem: str,
        schema: pa.Schema,
    ) -> None:
        self.parts: list[tuple[str, int, int]] = []
        self._file_system = file_system
        self._store = store
        self._folder = folder
        self._stem = f"frame={frame}/part-{stem}"
        self._names: list[str] = []
        self._sink: _Sink | None = None
        self._writer = PartedWriter(schema, self._open_part, self._end_part)

    @property
    def omitted(self) -> int:
        """Values that are null because they are too large."""
        return self._writer.omitted

    def write(self, table: pa.Table) -> None:
        """Append rows; further columns are left out."""
        self._call(lambda: self._writer.write(table))

    def close(self, *, even_empty: bool = False) -> None:
        """Write what is held; a file without rows only where that is asked for."""
        self._call(lambda: self._writer.close(even_empty=even_empty))

    def discard(self) -> None:
        """Remove what was written, as far as that can be done."""
        self._writer.abandon()
        if self._sink is not None:
            with suppress(Exception):
                self._sink.close()
        for name in self._names:
            with suppress(Exception):
                self._file_system.rm_file(f"{self._folder}/{name}")

    def _open_part(self, number: int) -> _Sink:
        name = f"{self._stem}-{number}.parquet"
        self._names.append(name)
        self._sink = _Sink(self._file_system.open(f"{self._folder}/{name}", "wb"))
        return self._sink

    def _end_part(self, rows: int) -> None:
        if self._sink is not None:
            self._sink.close()
            self.parts.append((self._names[-1], rows, self._sink.size))
            self._sink = None

    def _call(self, function: Callable[[], _T]) -> _T:
        return call_target(self._store, self._folder, function)


class _Sink:
    """Count the bytes of a file: not every file system tells where it stands."""

    def __init__(self, file: Any) -> None:
        self.size = 0
        self._file = file
        self._is_dropped = False

    @property
    def closed(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        if not self._is_dropped:
            self._file.write(data)
            self.size += memoryview(data).nbytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._is_dropped = True  # a Parquet writer that failed writes again when it is collected
        self._file.close()


def call_target(store: Store, path: str, function: Callable[[], _T]) -> _T:
    """Return what `function` does, with the errors of the file system told without credentials.

    Raises
    ------
    OSError
        The file system refused; the message says what to look at.
    """
    try:
        return function()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, MemoryError):
        raise
    except Exception as error:
        raise OSError(
            f"the dataset cannot be written below {store.origin(path)!r} "
            f"({describe_error(error)}); give a path that all workers can write to and "
            "this process can read"
        ) from None


def _counting(reader: PartitionReader) -> PartitionReader:
    return replace(reader, options=replace(reader.options, counts_bytes=True))


def _count(batch: pa.RecordBatch, rows: Counter[str], bytes_read: Counter[str]) -> None:
    counted = pa.table(
        {"reason": pc.fill_null(batch["reason"], ""), "bytes": batch["bytes_read"]}
    ).group_by("reason")
    for row in counted.aggregate([("bytes", "sum"), ([], "count_all")]).to_pylist():
        rows[row["reason"]] += row["count_all"]
        bytes_read[row["reason"]] += row["bytes_sum"] or 0
