"""Write the rows of one partition as Parquet files; this runs on the workers."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.spec import AbstractFileSystem

from dicomframe.scan.partition import Partition
from dicomframe.scan.ranges import describe_error
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.storage import Store, open_file_system

__all__ = ["FRAMES", "PARTS_SCHEMA", "PartWriter", "PartsTask", "call_target"]

FRAMES = ("dicom", "corrupt")

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

_ROW_GROUP_ROWS = 8192
_ROW_GROUP_BYTES = 64 << 20
_PART_BYTES = 512 << 20
_MOST_VALUE_BYTES = 2**31 - 1
_LARGE_COLUMNS = ("origin", "metadata", "pixel_data")

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
                for frame, table in _split(batch):
                    writers[frame].write(table)
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
    """Write rows of one frame as files of bounded size, with row groups of bounded size.

    Attributes
    ----------
    parts : list of (str, int, int)
        Of each file its path below the folder, its rows and its bytes; whole once it is closed.
    omitted : int
        Values that are null because they are too large.
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
        self.omitted = 0
        self._file_system = file_system
        self._store = store
        self._folder = folder
        self._stem = f"frame={frame}/part-{stem}"
        self._schema = schema
        self._plain = [name for name in schema.names if name not in _LARGE_COLUMNS]
        self._names: list[str] = []
        self._writer: pq.ParquetWriter | None = None
        self._sink: Any = None
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = self._part_rows = self._part_bytes = 0

    def write(self, table: pa.Table) -> None:
        """Append rows; further columns are left out."""
        for piece in _cut(self._fit(table.select(self._schema.names))):
            self._held.append(piece)
            self._held_rows += piece.num_rows
            self._held_bytes += piece.nbytes
            if self._held_rows >= _ROW_GROUP_ROWS or self._held_bytes >= _ROW_GROUP_BYTES:
                self._flush()

    def close(self, *, even_empty: bool = False) -> None:
        """Write what is held; a file without rows only where that is asked for."""
        if self._held or (even_empty and not self.parts):
            self._flush()
        self._close_part()

    def discard(self) -> None:
        """Remove what was written, as far as that can be done."""
        for sink in (self._writer, self._sink):
            if sink is not None:
                with suppress(Exception):
                    sink.close()
        for name in self._names:
            with suppress(Exception):
                self._file_system.rm_file(f"{self._folder}/{name}")

    def _flush(self) -> None:
        table = pa.concat_tables([self._schema.empty_table(), *self._held])
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        writer = self._writer or self._open_part()
        self._call(lambda: writer.write_table(table, row_group_size=max(1, table.num_rows)))
        self._part_rows += table.num_rows
        self._part_bytes += table.nbytes
        if self._part_bytes >= _PART_BYTES:
            self._close_part()

    def _open_part(self) -> pq.ParquetWriter:
        name = f"{self._stem}-{len(self._names)}.parquet"
        self._names.append(name)
        self._sink = _Sink(
            self._call(lambda: self._file_system.open(f"{self._folder}/{name}", "wb"))
        )
        self._writer = pq.ParquetWriter(
            self._sink, self._schema, compression="zstd", use_dictionary=self._plain
        )
        return self._writer

    def _close_part(self) -> None:
        writer, sink = self._writer, self._sink
        if writer is None:
            return
        self._call(writer.close)
        self._call(sink.close)
        self.parts.append((self._names[-1], self._part_rows, sink.size))
        self._writer = self._sink = None
        self._part_rows = self._part_bytes = 0

    def _fit(self, table: pa.Table) -> pa.Table:
        """Return `table` with the types of the schema and without values of 2 GiB."""
        if "pixel_data" in table.column_names:
            values = table["pixel_data"]
            is_huge = pc.fill_null(pc.greater(pc.binary_length(values), _MOST_VALUE_BYTES), False)
            count = pc.sum(is_huge).as_py() or 0
            if count:
                self.omitted += count
                kept = pc.if_else(is_huge, pa.scalar(None, values.type), values)
                index = table.column_names.index("pixel_data")
                table = table.set_column(index, table.schema.field(index), kept)
        return table.cast(self._schema)

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


def _split(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Table]]:
    table = pa.table(batch)
    is_sound = pc.is_null(table["reason"])
    count = pc.sum(is_sound).as_py() or 0
    for frame, mask, part in (
        ("dicom", is_sound, count),
        ("corrupt", pc.invert(is_sound), table.num_rows - count),
    ):
        if part:
            yield frame, table if part == table.num_rows else table.filter(mask)


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    if not table.num_rows:
        return
    rows = table.num_rows * _ROW_GROUP_BYTES // max(1, table.nbytes)
    rows = max(1, min(rows, _ROW_GROUP_ROWS))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)
