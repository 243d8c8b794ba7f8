"""Read the files of one partition into record batches; this runs on the workers."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Learned, read_header
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.tags import typed_values
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.partition import Partition
from dicomframe.scan.schema import make_corrupt_schema, make_dicom_schema, make_scan_schema
from dicomframe.scan.storage import FileReader, StorageFault, Store

_BATCH_ROWS = 1024


@dataclass(frozen=True)
class PartitionReader:
    """Read a partition: a picklable callable that backends ship to their workers.

    Attributes
    ----------
    stores : tuple of Store
        Where the files lie; a file names its store by number.
    options : ReadOptions
        What the read asks for.
    """

    stores: tuple[Store, ...]
    options: ReadOptions

    @property
    def schema(self) -> pa.Schema:
        """Both frames side by side; `reason` is null for a sound file."""
        return make_scan_schema(self.options)

    @property
    def dicom_schema(self) -> pa.Schema:
        """The dicom frame."""
        return make_dicom_schema(self.options)

    @property
    def corrupt_schema(self) -> pa.Schema:
        """The corrupt frame."""
        return make_corrupt_schema(self.options)

    def __call__(
        self, partition: Partition, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield one row for each file of `partition`, in its order.

        Parameters
        ----------
        partition : Partition
            The files.
        columns : sequence of str, optional
            Columns of `schema`, in the order wanted; all of them by default. Pixel Data is read
            only if ``pixel_data`` is among them. No choice changes which files are corrupt.

        Yields
        ------
        pyarrow.RecordBatch
            At least one, perhaps without rows; 1024 rows or ``batch_bytes`` of Pixel Data at the
            most, unless one value alone is larger.

        Raises
        ------
        KeyError
            A column is not in `schema`.
        """
        schema = self.schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        batch = _Batch(schema, self.options)
        learned = _learned_here()
        learned.begin()
        is_first = True
        files = list(partition.files())
        unread_bytes = sum(
            self.options.batch_bytes if file[2] is None else file[2] for file in files
        )
        for store_number, path, size, trouble in files:
            batch.expect(unread_bytes)
            unread_bytes -= self.options.batch_bytes if size is None else size
            store = self.stores[store_number]
            origin = store.origin(path)
            file = None
            try:
                if trouble is not None:
                    raise StorageFault(trouble)
                with store.open(path, size) as opened:
                    file = _CountedFile(opened)
                    header = read_file_header(
                        file,
                        origin,
                        warnings=self.options.warnings,
                        limits=self.options.limits,
                        learned=learned,
                    )
                    if not batch.has_room_for(header):
                        yield batch.finish()
                        is_first = False
                    batch.append(origin, header, file)
                    continue
            except StorageFault as fault:
                damage = Damage("unreadable", fault.detail)
            except Damage as found:
                damage = found
            except Exception as error:  # a file must never cost the job
                detail = f"dicomframe failed on this file with {type(error).__name__}"
                damage = Damage("malformed", detail)
            batch.append_corrupt(origin, damage, 0 if file is None else file.bytes_read)
        if len(batch) or is_first:
            yield batch.finish()


def read_file_header(
    file: FileReader | _CountedFile,
    origin: str,
    *,
    warnings: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    learned: Learned | None = None,
) -> Header:
    """Read the header of an open file; `learned` is as for `read_header`.

    Raises
    ------
    Damage
        The file is no sound DICOM file.
    StorageFault
        Its bytes cannot be had.
    """
    reading = read_header(file.size, origin, warnings=warnings, limits=limits, learned=learned)
    try:
        start, stop = next(reading)
        while True:
            start, stop = reading.send(file.read(start, stop))
    except StopIteration as end:
        header: Header = end.value
        return header


def _learned_here() -> Learned:
    """Return what this thread has learned; a process keeps it from task to task."""
    learned: Learned | None = getattr(_threads, "learned", None)
    if learned is None:
        learned = _threads.learned = Learned()
    return learned


_threads = threading.local()


class _CountedFile:
    """Count the bytes that are read of a file."""

    __slots__ = ("_file", "bytes_read", "size")

    def __init__(self, file: FileReader) -> None:
        self._file = file
        self.size = file.size
        self.bytes_read = 0

    def read(self, start: int, stop: int) -> bytes:
        self.bytes_read += stop - start
        return self._file.read(start, stop)

    def read_into(self, start: int, buffer: memoryview) -> None:
        self.bytes_read += len(buffer)
        self._file.read_into(start, buffer)


class _Batch:
    """Collect rows, and their Pixel Data in one Arrow buffer that ships as it is."""

    def __init__(self, schema: pa.Schema, options: ReadOptions) -> None:
        self._schema = schema
        self._batch_bytes = options.batch_bytes
        self._unread_bytes = 0
        self._tags = [column for column in options.tags if column.name in schema.names]
        self._wants = frozenset(schema.names)
        self._clear()

    def _clear(self) -> None:
        self._rows: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._count = 0
        self._arena: pa.Buffer | None = None
        self._used = 0
        self._ends = array("q", [0])
        self._has_pixels: list[bool] = []

    def __len__(self) -> int:
        return self._count

    def expect(self, unread_bytes: int) -> None:
        """Be told how large the files are that are still to come, this one included."""
        self._unread_bytes = unread_bytes

    def has_room_for(self, header: Header) -> bool:
        if self._count >= _BATCH_ROWS:
            return False
        length = header.pixel_length if "pixel_data" in self._wants else None
        return not length or self._arena is None or self._used + length <= self._arena.size

    def append(self, origin: str, header: Header, file: _CountedFile) -> None:
        if "pixel_data" in self._wants:
            self._read_pixels(header, file)
        is_inflated = header.inflated is not None
        row: dict[str, Any] = {
            "origin": origin,
            "pixel_offset": None if is_inflated else header.pixel_offset,
            "pixel_length": None if is_inflated else header.pixel_length,
            "warnings": header.warnings,
            "bytes_read": file.bytes_read,
        }
        if "metadata" in self._wants:
            row["metadata"] = header.metadata
        values = typed_values(header, self._tags)
        row |= {tag.name: value for tag, value in zip(self._tags, values, strict=True)}
        self._append_row(row, has_pixels=header.pixel_length is not None)

    def append_corrupt(self, origin: str, damage: Damage, bytes_read: int) -> None:
        row = {"reason": damage.reason, "detail": damage.detail, "offset": damage.offset}
        self._append_row({"origin": origin, **row, "bytes_read": bytes_read}, has_pixels=False)

    def _append_row(self, row: dict[str, Any], *, has_pixels: bool) -> None:
        for name, values in self._rows.items():
            values.append(row.get(name))
        self._count += 1
        self._has_pixels.append(has_pixels)
        self._ends.append(self._used)

    def _read_pixels(self, header: Header, file: _CountedFile) -> None:
        """Read the value straight into the buffer that ships, behind those before it."""
        offset, length = header.pixel_offset, header.pixel_length
        if not length or offset is None:
            return
        if self._arena is None:
            usual = min(self._batch_bytes, self._unread_bytes)
            self._arena = pa.allocate_buffer(max(usual, length))
        place = memoryview(self._arena).cast("B")[self._used : self._used + length]
        if header.inflated is not None:
            place[:] = header.inflated.read(offset, offset + length)
        else:
            file.read_into(offset, place)
        self._used += length

    def finish(self) -> pa.RecordBatch:
        arrays = [
            self._pixel_array() if field.name == "pixel_data" else self._array(field)
            for field in self._schema
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._clear()
        return batch

    def _array(self, field: pa.Field) -> pa.Array:
        return pa.array(self._rows[field.name], field.type)

    def _pixel_array(self) -> pa.Array:
        validity = pa.array(self._has_pixels, pa.bool_()).buffers()[1]
        data = pa.py_buffer(b"") if self._arena is None else self._arena.slice(0, self._used)
        buffers = [validity, pa.py_buffer(self._ends), data]
        return pa.Array.from_buffers(pa.large_binary(), self._count, buffers)
