"""The files of one task, as they travel to a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dicomframe.scan.packing import FILES_SCHEMA, unpack_files
from dicomframe.scan.storage import Store


class ListedFile(NamedTuple):
    """What the listing knows of one file.

    Attributes
    ----------
    store
        The number of its store in `Partition.stores`.
    path
        Its path in that store; bytes that are not UTF-8 come as lone surrogates.
    size
        Its length in bytes, None if the store did not tell.
    trouble
        Why there is no file to be opened, None if there is one.
    version
        What `version_of` made of its ETag, None if the store told none.
    """

    store: int
    path: str
    size: int | None
    trouble: str | None
    version: int | None


@dataclass(frozen=True, slots=True, repr=False)
class Partition:
    """Name the files that one task reads; it pickles to some bytes per file.

    Attributes
    ----------
    index
        Its place in the plan.
    file_count
        The number of its files.
    stores
        Where these files lie; no store of other files is among them.
    data
        Its slice of the listing, as `pack_files` makes it; a store is a number in `stores`.
    """

    index: int
    file_count: int
    stores: tuple[Store, ...]
    data: bytes

    def __repr__(self) -> str:
        return f"Partition({self.index}, files={self.file_count})"

    def __len__(self) -> int:
        return self.file_count

    def __dask_tokenize__(self) -> tuple[str, int, tuple[Store, ...], str]:
        """Return what tells this partition from any other, the same in any process.

        It covers the names, sizes and versions of the files, and where they lie.
        """
        digest = hashlib.sha256(self.data).hexdigest()[:32]
        return "dicomframe.Partition", self.index, self.stores, digest

    def files(self) -> Iterator[ListedFile]:
        """Yield the files in the order of the listing."""
        files = unpack_files(self.data)
        stores, paths, sizes, versions, troubles = (
            files[name].to_pylist() for name in FILES_SCHEMA.names
        )
        names = [path.decode("utf-8", "surrogateescape") for path in paths]
        return map(ListedFile, stores, names, sizes, troubles, versions)
