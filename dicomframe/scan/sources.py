"""Open the files that a manifest consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.listing import list_files
from dicomframe.scan.ranges import describe_error
from dicomframe.scan.storage import Store, open_file_system

__all__ = ["Source", "list_sources"]

_COMPRESSED = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """One file of a manifest."""

    store: Store
    path: str

    @property
    def name(self) -> str:
        """Its URL, without credentials."""
        return self.store.origin(self.path)

    @property
    def kind(self) -> str:
        """What its name ends with, in lower case, such as ``.csv``; that of compression aside."""
        name = self.path.lower()
        for suffix in _COMPRESSED:
            name = name.removesuffix(suffix)
        stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
        return dot + suffix if stem else ""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open it for reading, unpacked."""
        with self._open_raw() as raw:
            codec = _COMPRESSED.get(self.path.lower()[self.path.rfind(".") :])
            if codec is None:
                yield raw
            else:
                with pa.CompressedInputStream(raw, codec) as unpacked:
                    yield unpacked

    def exists(self) -> bool:
        """Tell whether it is there."""
        if self.store.protocol == "file":
            return Path(self.path).exists()
        return bool(open_file_system(self.store).exists(self.path))

    def _open_raw(self) -> Any:
        if self.store.protocol == "file":
            return Path(self.path).open("rb")
        return open_file_system(self.store).open(self.path, "rb")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell by its name what cannot be read in a block.

        Raises
        ------
        InvalidOptionError
            Whatever else the block raised.
        """
        try:
            yield
        except (InvalidOptionError, ImportError):
            raise
        except Exception as error:
            why = type(error).__name__
            if isinstance(error, OSError) and not isinstance(error, pa.ArrowException):
                why = describe_error(error)
            raise InvalidOptionError(
                f"the manifest {self.name!r} cannot be read ({why}); check its name and its format"
            ) from None


def list_sources(path: Any, storage_options: Mapping[str, Any] | None) -> list[Source]:
    """Return the files that a manifest consists of, in the order of their names.

    Of a folder these are the files whose names begin with neither ``_`` nor ``.``.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    InvalidOptionError
        One cannot be read.
    """
    listing = list_files(path, storage_options)
    sources = []
    for row in listing.files.to_pylist():
        source = Source(
            listing.stores[row["store"]], row["path"].decode("utf-8", "surrogateescape")
        )
        if listing.file_count > 1 and source.path.rpartition("/")[2].startswith(("_", ".")):
            continue
        if row["trouble"] is not None:
            raise InvalidOptionError(
                f"the manifest {source.name!r} cannot be read ({row['trouble']})"
            )
        sources.append(source)
    return sources
