"""Write rows as parts of a catalogue, sorted and in small row groups."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from dicomframe.catalog.columns import sort_rows
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.state import Part

__all__ = ["write_part"]

_ROW_GROUP_ROWS = 1024
# No two rows have the same value of these.
_UNIQUE = frozenset({"origin", "metadata", "SOPInstanceUID"})


def write_part(place: CatalogPlace, frame: str, run: int, table: pa.Table) -> Part:
    """Write rows, in whatever order they come, as a part of `run`; return it.

    Raises
    ------
    OSError
        It cannot be written.
    """
    name = f"{frame}/part-{run:08d}-{uuid.uuid4().hex[:12]}.parquet"
    names = table.column_names
    sink = pa.BufferOutputStream()
    pq.write_table(
        sort_rows(table),
        sink,
        row_group_size=_ROW_GROUP_ROWS,
        compression="zstd",
        use_dictionary=[each for each in names if each not in _UNIQUE],
        write_statistics=[each for each in names if each != "metadata"],
    )
    data = sink.getvalue()
    place.write(name, data)
    return Part(name, table.num_rows, data.size)
