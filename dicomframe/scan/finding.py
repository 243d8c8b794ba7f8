"""Open the members of an archive by their names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.scan.archives import (
    MOST_LISTED_MEMBERS,
    SNIFF_BYTES,
    Found,
    Kind,
    MemberReader,
    expand,
    sniff,
)
from dicomframe.scan.ranges import FileReader, StorageFault

__all__ = ["MemberFinder"]


class MemberFinder:
    """Open the members of one archive by their names.

    Those of a zip or tar in any order, if it has no more than `MOST_LISTED_MEMBERS`; those of
    others quickly in the order of the archive only.

    Parameters
    ----------
    reader
        The archive.
    limits, ahead_bytes
        As for `open_member`.
    """

    def __init__(
        self, reader: FileReader, limits: Limits = DEFAULT_LIMITS, *, ahead_bytes: int = 0
    ) -> None:
        self._reader = reader
        self._limits = limits
        self._ahead_bytes = ahead_bytes
        self._directory: dict[str, Found] | None = None
        self._ahead: Iterator[Found] = iter(())

    def open(self, name: str) -> MemberReader:
        """Open a member by the name in its origin, before the next one is asked for.

        Raises
        ------
        Damage
            The archive or the member is damaged.
        StorageFault
            There is no such member, or it cannot be read.
        """
        if self._directory is None:
            self._directory = self._read_directory()
        found = self._directory.get(name)
        if found is None:
            with contextlib.suppress(Damage, StorageFault):  # it may stand before what is damaged
                found = self._look_for(name)
        if found is None:
            self._ahead = self._begin()
            found = self._look_for(name)
        if found is None:
            raise StorageFault("the archive has no member of this name")
        return found.open()

    def close(self) -> None:
        """Release the archive."""
        self._reader.close()

    def _read_directory(self) -> dict[str, Found]:
        if self._kind() not in ("zip", "tar"):
            return {}
        directory: dict[str, Found] = {}
        with contextlib.suppress(Damage, StorageFault):
            for found in self._begin():
                directory[found.name] = found
                if len(directory) > MOST_LISTED_MEMBERS:
                    return {}
        return directory

    def _look_for(self, name: str) -> Found | None:
        for found in self._ahead:
            if found.name == name or found.protocol in ("gzip", "zstd"):
                return found
        return None

    def _begin(self) -> Iterator[Found]:
        return expand(
            self._reader, self._kind(), "", limits=self._limits, ahead_bytes=self._ahead_bytes
        )

    def _kind(self) -> Kind:
        kind = sniff(self._reader.read(0, min(SNIFF_BYTES, self._reader.size)))
        if kind is None:
            raise StorageFault("is no archive")
        return kind
