"""The files of one task, as they travel to a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, repr=False)
class Partition:
    """Name the files that one task reads; it pickles to some bytes per file.

    Attributes
    ----------
    index
        Its place in the plan.
    file_count
        The number of its files.
    data
        Its slice of the listing: a compressed Arrow IPC stream.
    """

    index: int
    file_count: int
    data: bytes

    def __repr__(self) -> str:
        return f"Partition({self.index}, files={self.file_count})"

    def __len__(self) -> int:
        return self.file_count

    def __dask_tokenize__(self) -> tuple[str, int, str]:
        """Return what tells this partition from any other, short and the same in any process."""
        return "dicomframe.Partition", self.index, hashlib.sha256(self.data).hexdigest()[:32]

    def files(self) -> Iterator[tuple[int, str, int | None, str | None]]:
        """Yield the store index, path, size in bytes and trouble of each file, in order.

        Bytes of a path that are not UTF-8 come as lone surrogates.
        """
        with pa.ipc.open_stream(self.data) as stream:
            for batch in stream:
                stores, paths, sizes, troubles = (column.to_pylist() for column in batch.columns)
                for store, path, size, trouble in zip(stores, paths, sizes, troubles, strict=True):
                    yield store, path.decode("utf-8", "surrogateescape"), size, trouble
