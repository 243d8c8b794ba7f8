"""The batches of a stream, as files of a folder that outlives its driver."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FILES_SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("version", pa.string(), nullable=False),
    ]
)
"""What tells one version of a file from another."""

_NAME = re.compile(r"(\d{10})-(\d{10})\.parquet")
_MERGED = 100


class BatchLog:
    """Number batches of files from 1 on and keep them, as Parquet.

    One stream writes to it at a time. A file appears under its name when it is whole, so a
    driver that dies leaves a log that holds a batch or does not.

    Parameters
    ----------
    location
        A folder, by path or URL; it is made if it is not there.
    storage_options
        What fsspec needs to reach the files of the stream, and used if `location` is of the
        same protocol.
    paths
        The paths of the stream.
    """

    def __init__(
        self, location: str, storage_options: Mapping[str, Any], paths: Sequence[str]
    ) -> None:
        protocol = fsspec.utils.get_protocol(location)
        options = storage_options.get(protocol)
        if not isinstance(options, Mapping):
            is_same = any(fsspec.utils.get_protocol(path) == protocol for path in paths)
            options = storage_options if is_same else {}
        self._fs, root = fsspec.core.url_to_fs(location, **options)
        self._root = root.rstrip("/")
        self._fs.makedirs(self._root, exist_ok=True)
        self._parts = self._find_parts()
        self.name = self._find_name()

    @property
    def last(self) -> int:
        """The number of the last batch; 0 without one."""
        return self._parts[-1][1] if self._parts else 0

    def append(self, files: list[dict[str, Any]]) -> int:
        """Write the next batch; return its number."""
        number = self.last + 1
        table = pa.Table.from_pylist(files, FILES_SCHEMA)
        batch = pa.array([number] * len(table), pa.int64())
        self._write(number, number, table.append_column("batch", batch))
        if number % _MERGED == 0:
            self._merge(number - _MERGED + 1, number)
        return number

    def read(self, first: int, last: int) -> pa.Table:
        """Return the files of some batches, both ends included, with their numbers."""
        tables = [
            self._read(*part).filter((pc.field("batch") >= first) & (pc.field("batch") <= last))
            for part in self._parts
            if part[0] <= last and part[1] >= first
        ]
        return pa.concat_tables(tables)

    def all_files(self) -> Iterator[pa.Table]:
        """Yield the files of all batches."""
        return (self._read(*part) for part in self._parts)

    def _find_parts(self) -> list[tuple[int, int]]:
        """Return the first and last number of each file; what was merged counts once."""
        self._fs.invalidate_cache(self._root)
        names = (path.rpartition("/")[2] for path in self._fs.ls(self._root, detail=False))
        matches = filter(None, map(_NAME.fullmatch, names))
        parts: list[tuple[int, int]] = []
        found = ((int(match[1]), int(match[2])) for match in matches)
        for first, last in sorted(found, key=lambda part: (part[0], -part[1])):
            if not parts or first > parts[-1][1]:
                parts.append((first, last))
        return parts

    def _find_name(self) -> str:
        path = f"{self._root}/name"
        try:
            return str(self._fs.cat_file(path), "ascii")
        except FileNotFoundError:
            name = uuid.uuid4().hex
            self._put(path, name.encode("ascii"))
            return name

    def _merge(self, first: int, last: int) -> None:
        """Put some batches into one file: a stream of a year has many."""
        merged = [part for part in self._parts if part[0] >= first]
        self._write(first, last, pa.concat_tables(self._read(*part) for part in merged))
        for part in merged:
            self._fs.rm_file(self._path(*part))

    def _write(self, first: int, last: int, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self._put(self._path(first, last), sink.getvalue().to_pybytes())
        self._parts = [*(part for part in self._parts if part[0] < first), (first, last)]

    def _read(self, first: int, last: int) -> pa.Table:
        return pq.read_table(pa.BufferReader(self._fs.cat_file(self._path(first, last))))

    def _put(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
        self._fs.pipe_file(temporary, data)
        self._fs.mv(temporary, path)

    def _path(self, first: int, last: int) -> str:
        return f"{self._root}/{first:010}-{last:010}.parquet"
