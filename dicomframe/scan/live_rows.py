"""Read rows of Parquet files, but for those that other files tell dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dicomframe.scan.storage import Store, open_file_system

__all__ = ["KEY_COLUMNS", "LiveRows", "drop_dead", "gone_keys", "open_parquet"]

KEY_COLUMNS = ("origin", "run")
"""What tells a row from all others."""

_BATCH_ROWS = 8192


@dataclass(frozen=True, slots=True, repr=False)
class LiveRows:
    """Name the rows of one frame of a catalogue; a picklable callable that reads them.

    An engine with a reader of its own for Parquet reads `urls` and leaves out what has its
    origin and run in `gone_urls`. Any other calls this once for each of `parts`.

    Attributes
    ----------
    store
        The file system of all files.
    parts
        Their paths there.
    gone
        The paths of the files that tell dead rows, with the columns `KEY_COLUMNS`.
    dirty
        Those of `parts` in which there are dead rows.
    schema
        The columns.
    """

    store: Store
    parts: tuple[str, ...]
    gone: tuple[str, ...]
    dirty: frozenset[str]
    schema: pa.Schema

    def __repr__(self) -> str:
        return f"LiveRows(parts={len(self.parts)})"

    @property
    def urls(self) -> list[str]:
        """The parts as local paths or URLs."""
        return [_to_url(self.store, path) for path in self.parts]

    @property
    def gone_urls(self) -> list[str]:
        """The files of dead rows likewise."""
        return [_to_url(self.store, path) for path in self.gone]

    @property
    def storage_options(self) -> dict[str, Any]:
        """What fsspec needs to connect; not to be shown."""
        return dict(self.store.options)

    def __call__(self, part: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the live rows of one of `parts`, of some columns if not of all.

        Raises
        ------
        FileNotFoundError, pyarrow.ArrowInvalid
            The file is not there any more, or damaged.
        """
        names = list(self.schema.names if columns is None else columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        keys = _read_gone(self) if part in self.dirty else None
        wanted = names if keys is None else list(dict.fromkeys([*names, *KEY_COLUMNS]))
        with open_parquet(self.store, part) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
                live = batch if keys is None else drop_dead(batch, keys)
                yield live.select(names).cast(schema)


def open_parquet(store: Store, path: str) -> pq.ParquetFile:
    """Open one Parquet file, by its path as it is: never by a glob."""
    source = path if store.protocol == "file" else open_file_system(store).open(path, "rb")
    return pq.ParquetFile(source, pre_buffer=True)


def gone_keys(rows: pa.Table | pa.RecordBatch) -> pa.ChunkedArray | pa.Array:
    """Return one text for each row that tells its origin and run."""
    return pc.binary_join_element_wise(pc.cast(rows["run"], pa.string()), rows["origin"], " ")


def drop_dead(
    rows: pa.Table | pa.RecordBatch, keys: pa.ChunkedArray | pa.Array
) -> pa.Table | pa.RecordBatch:
    """Return the rows that are not among `keys`."""
    return rows.filter(pc.invert(pc.is_in(gone_keys(rows), value_set=keys)))


@lru_cache(maxsize=4)
def _read_gone(rows: LiveRows) -> pa.Array:
    """Return the keys of dead rows; a process keeps them from part to part."""
    keys = []
    for path in rows.gone:
        with open_parquet(rows.store, path) as file:
            keys.append(gone_keys(file.read(columns=list(KEY_COLUMNS))))
    chunks = [chunk for each in keys for chunk in each.chunks]
    return pa.concat_arrays([pa.array([], pa.string()), *chunks])


def _to_url(store: Store, path: str) -> str:
    return path if store.protocol == "file" else f"{store.prefix}{path}"
