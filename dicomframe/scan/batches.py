"""Collect rows into record batches, Pixel Data in the buffer that ships."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import Any

import pyarrow as pa

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.places import PixelPlace
from dicomframe.scan.ranges import FileReader
from dicomframe.scan.tags import typed_values

__all__ = ["Batch"]

_BATCH_ROWS = 1024


class Batch:
    """Collect rows, and their Pixel Data in one Arrow buffer that ships as it is.

    Attributes
    ----------
    wants_pixels : bool
        Whether Pixel Data is wanted.
    rows : int
        How many there are since the last batch was finished.
    """

    def __init__(self, schema: pa.Schema, options: ReadOptions) -> None:
        self._schema = schema
        self._batch_bytes = options.batch_bytes
        self._tags = [column for column in options.tags if column.name in schema.names]
        self._wants = frozenset(schema.names)
        self.wants_pixels = "pixel_data" in self._wants
        self._clear()

    def _clear(self) -> None:
        self.rows = 0
        # By column, not by row: rows would long have left the processor's caches in the end.
        self._columns: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._arena: pa.Buffer | None = None
        self._places = memoryview(b"")
        self._used = self._told = 0
        self._ends = array("q", [0])

    def lacks_memory_for(self, header: Header) -> bool:
        """Tell whether `allocate` is to come first."""
        return self.wants_pixels and self._arena is None and bool(header.pixel_length)

    def allocate(self, header: Header, unread_bytes: int) -> None:
        """Get memory for the Pixel Data of a file and of others; all have so many bytes."""
        usual = min(self._batch_bytes, unread_bytes)
        self._arena = pa.allocate_buffer(max(usual, header.pixel_length or 0))
        self._places = memoryview(self._arena).cast("B")

    def has_room_for(self, header: Header) -> bool:
        """Tell whether one more row fits; if not, `finish` first."""
        has_told_much = self._told and self._told + len(header.metadata) > self._batch_bytes
        if has_told_much or self.rows >= _BATCH_ROWS:
            return False
        length = header.pixel_length if self.wants_pixels else None
        return not length or self._arena is None or self._used + length <= len(self._places)

    def append(self, origin: str, header: Header, file: FileReader) -> None:
        """Add a sound file; nothing is added if its Pixel Data cannot be read.

        Raises
        ------
        StorageFault, Damage
            It cannot.
        """
        if self.wants_pixels:
            self._read_pixels(header, file)
        row: dict[str, Any] = {
            "origin": origin,
            "metadata": header.metadata,
            "warnings": header.warnings,
        }
        if "metadata" in self._wants:
            self._told += len(header.metadata)
        if header.inflated is None:
            row["pixel_offset"], row["pixel_length"] = header.pixel_offset, header.pixel_length
        if "pixel_place" in self._wants and header.pixel_offset is not None:
            row["pixel_place"] = str(
                PixelPlace(
                    header.pixel_offset,
                    header.pixel_length or 0,
                    header.inflated is not None,
                    file.size,
                    file.version,
                )
            )
        if self._tags:
            values = typed_values(header, self._tags)
            row |= {tag.name: value for tag, value in zip(self._tags, values, strict=True)}
        self._append_row(row, file, has_pixels=header.pixel_length is not None)

    def append_corrupt(self, origin: str, damage: Damage, file: FileReader | None) -> None:
        """Add any other file; `file` is None if it was not opened."""
        row = {"reason": damage.reason, "detail": damage.detail, "offset": damage.offset}
        self._append_row({"origin": origin, **row}, file, has_pixels=False)

    def _append_row(
        self, row: dict[str, Any], file: FileReader | None, *, has_pixels: bool
    ) -> None:
        if file is not None:
            row["bytes_read"], row["requests"] = file.bytes_read, file.requests
        if self.wants_pixels:
            row["pixel_data"] = has_pixels or None
            self._ends.append(self._used)
        for name, column in self._columns.items():
            column.append(row.get(name))
        self.rows += 1

    def _read_pixels(self, header: Header, file: FileReader) -> None:
        """Read the value straight into the buffer that ships, behind those before it."""
        offset, length = header.pixel_offset, header.pixel_length
        if not length or offset is None:
            return
        place = self._places[self._used : self._used + length]
        if header.inflated is not None:
            place[:] = header.inflated.read(offset, offset + length)
        else:
            file.read_into(offset, place)
        self._used += length

    def finish(self) -> pa.RecordBatch:
        """Return the rows as a record batch, and begin another."""
        pairs = zip(self._schema, self._columns.values(), strict=True)
        arrays = [self._array(field, column) for field, column in pairs]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._clear()
        return batch

    def _array(self, field: pa.Field, column: list[Any]) -> pa.Array:
        if field.name == "metadata":
            return _metadata_array(column)
        if field.name == "pixel_data":
            return self._pixel_array(column)
        return pa.array(column, field.type)

    def _pixel_array(self, has_pixels: list[bool | None]) -> pa.Array:
        data = pa.py_buffer(b"") if self._arena is None else self._arena.slice(0, self._used)
        buffers = [_validity(has_pixels), pa.py_buffer(self._ends), data]
        return pa.Array.from_buffers(pa.large_binary(), self.rows, buffers)


def _metadata_array(told: list[bytes | None]) -> pa.Array:
    """Return what the parser told, which is UTF-8: it is copied once and not looked at again."""
    pieces = [each or b"" for each in told]
    ends = array("i", accumulate(map(len, pieces), initial=0))
    buffers = [_validity(told), pa.py_buffer(ends), pa.py_buffer(b"".join(pieces))]
    return pa.Array.from_buffers(pa.string(), len(told), buffers)


def _validity(values: list[Any]) -> pa.Buffer | None:
    """Return the bitmap that tells which of them are not None; None if all are."""
    return pa.array([None if each is None else True for each in values], pa.bool_()).buffers()[0]
