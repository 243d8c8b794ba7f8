"""Write rows as Parquet files of bounded size, with row groups of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = ["PartedWriter"]

_ROW_GROUP_ROWS = 8192
_ROW_GROUP_BYTES = 64 << 20
_PART_BYTES = 512 << 20
_MOST_VALUE_BYTES = 2**31 - 1
_LARGE_COLUMNS = ("origin", "metadata", "pixel_data")


class PartedWriter:
    """Write tables, whatever their size, as one file after another.

    Parameters
    ----------
    schema
        The columns of the files.
    open_part
        Returns where part 0, 1, 2 and so on is written: a path or an open file.
    end_part
        Is told the number of rows of a part once it is written.

    Attributes
    ----------
    part_count
        The parts that were begun.
    omitted
        Values that are null because Parquet holds none of 2 GiB or more.
    """

    def __init__(
        self, schema: pa.Schema, open_part: Callable[[int], Any], end_part: Callable[[int], None]
    ) -> None:
        self.part_count = 0
        self.omitted = 0
        self._schema = schema
        self._open_part = open_part
        self._end_part = end_part
        self._plain = [name for name in schema.names if name not in _LARGE_COLUMNS]
        self._writer: pq.ParquetWriter | None = None
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
        """Write what is held; a part without rows only where that is asked for."""
        if self._held or (even_empty and not self.part_count):
            self._flush()
        self._close_part()

    def abandon(self) -> None:
        """Let go of a part that is not finished, as far as that can be done."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):
                writer.close()

    def _flush(self) -> None:
        table = pa.concat_tables([self._schema.empty_table(), *self._held])
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        if self._writer is None:
            place = self._open_part(self.part_count)
            self.part_count += 1
            self._writer = pq.ParquetWriter(
                place, self._schema, compression="zstd", use_dictionary=self._plain
            )
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._part_rows += table.num_rows
        self._part_bytes += table.nbytes
        if self._part_bytes >= _PART_BYTES:
            self._close_part()

    def _close_part(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._end_part(self._part_rows)
        self._writer = None
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


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    if not table.num_rows:
        return
    rows = table.num_rows * _ROW_GROUP_BYTES // max(1, table.nbytes)
    rows = max(1, min(rows, _ROW_GROUP_ROWS))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)
