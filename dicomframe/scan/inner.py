"""A file within a file: what an archive tells of it, and its bytes as those of any file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dicomframe.dicom.damage import Damage
from dicomframe.pieces import Pieces
from dicomframe.scan.ranges import Closing, FileReader, StorageFault

__all__ = ["Forward", "Member", "MemberReader", "Names", "Slice", "Unpacked", "check_member_size"]

FREE_BYTES = 64 << 20
"""What may be unpacked whatever the ratio."""

MOST_MEMBERS = 10_000_000
"""How many members one archive may have: the names of all are kept, by their hashes."""

_PIECE_BYTES = 1 << 20
_KEPT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """Tell of one file in an archive; it pickles small, and is enough to open the file.

    Attributes
    ----------
    name
        As the archive has it, absolute or with ``..`` too; undecodable bytes as lone
        surrogates. The second member of a name gets ``#2`` behind it, so no two are the same.
    size
        Bytes when unpacked, as the archive declares.
    start, packed_size
        Where in the archive it begins (in a zip with its own header), and its bytes there.
    method
        How it is compressed, by the numbers of zip; 0 for not at all.
    crc
        The CRC-32 that the directory of a zip declares.
    trouble
        Why it cannot be read, None if it can.
    """

    name: str
    size: int
    start: int
    packed_size: int
    method: int = 0
    crc: int = 0
    trouble: str | None = None


class MemberReader(FileReader, Protocol):
    """Read a member like any file; closing it leaves the archive open."""

    def count_from(self, bytes_read: int, requests: int) -> None:
        """Count what was read of the archive since it had read so much."""

    archive: FileReader
    """The file that it lies in."""

    archive_offset: int | None
    """Where its first byte lies there; None if it is compressed."""

    def finish(self) -> None:
        """Check what has not been read of a compressed member.

        Call it once its header is read and before its pixels are: so a member is judged the
        same whether its pixels are wanted or not.

        Raises
        ------
        Damage, StorageFault
            The rest cannot be had, or its checksum or length is wrong.
        """


class Names:
    """Make the names of an archive's members unique, in the order of the archive."""

    __slots__ = ("_repeats", "_seen")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._repeats: dict[str, int] = {}

    def make_unique(self, name: str) -> str:
        """Return `name`, or with a number behind it if there was one before."""
        if len(self._seen) >= MOST_MEMBERS:
            raise Damage("too_large", f"the archive holds more than {MOST_MEMBERS} members")
        unique, number = name, self._repeats.get(name, 1)
        while hash(unique) in self._seen:
            number += 1
            unique = f"{name}#{number}"
        if number > 1:
            self._repeats[name] = number
        self._seen.add(hash(unique))
        return unique


class _Inner(Closing):
    """Count for a member what was read of its archive while it was open."""

    __slots__ = ("_before", "archive", "archive_offset", "bytes_read", "requests")

    def __init__(self, archive: FileReader, archive_offset: int | None) -> None:
        self.archive = archive
        self.archive_offset = archive_offset
        self._before = archive.bytes_read, archive.requests
        self.bytes_read = 0
        self.requests = 0

    def count_from(self, bytes_read: int, requests: int) -> None:
        """Count what was read of the archive since it had read so much, its directory too."""
        self._before = bytes_read, requests
        self._count()

    def _count(self) -> None:
        self.bytes_read = self.archive.bytes_read - self._before[0]
        self.requests = self.archive.requests - self._before[1]


class Slice(_Inner):
    """Read a member that is stored as it is: a range of the archive, and no copy of it."""

    __slots__ = ("_begin", "size")

    def __init__(self, reader: FileReader, begin: int, size: int) -> None:
        if begin + size > reader.size:
            raise Damage("truncated", "the archive ends inside this member", reader.size - begin)
        super().__init__(reader, begin)
        self._begin = begin
        self.size = size

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes from `start` to `stop`."""
        _check_range(start, stop, self.size)
        data = self.archive.read(self._begin + start, self._begin + stop)
        self._count()
        return data

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `start` on."""
        _check_range(start, start + len(buffer), self.size)
        self.archive.read_into(self._begin + start, buffer)
        self._count()

    def finish(self) -> None:
        """Do nothing: to check the checksum would be to read what is not asked for."""


class Forward(Pieces):
    """Read what only comes piece after piece out of an archive.

    Parameters
    ----------
    archive
        The file that the pieces come from.
    open_pieces
        As for `Pieces`; what it raises is a `Damage` or a `StorageFault`.
    """

    __slots__ = ("archive",)

    def __init__(self, archive: FileReader, open_pieces: Callable[[], Iterator[bytes]]) -> None:
        super().__init__(open_pieces)
        self.archive = archive


class Unpacked(_Inner):
    """Read a compressed member, or one of a compressed archive, in any order.

    Its first 32 MiB are kept as they pass; going back behind them begins anew.

    Parameters
    ----------
    forward
        The bytes.
    begin
        Where in them the member begins.
    size
        Its length; None to find it, for a member that ends with `forward`.
    keep
        Whether all of it is kept, as is quicker where its pixels will be read.
    is_last
        Whether nothing but the end may follow in `forward`.
    most_bytes
        The limit for a length that is not known.
    """

    __slots__ = ("_begin", "_forward", "_is_last", "_keep", "_kept", "size")

    def __init__(
        self,
        forward: Forward,
        begin: int,
        size: int | None,
        *,
        keep: bool,
        is_last: bool = True,
        most_bytes: int = 0,
    ) -> None:
        super().__init__(forward.archive, None)
        self._forward = forward
        self._begin = begin
        self._keep = keep
        self._is_last = is_last
        self._kept = bytearray()
        self.size = self._measure(most_bytes) if size is None else size
        self._count()

    def close(self) -> None:
        """Release what was kept."""
        self._kept = bytearray()

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes from `start` to `stop`."""
        _check_range(start, stop, self.size)
        self._keep_to(stop)
        if stop <= len(self._kept):
            self._count()
            return bytes(memoryview(self._kept)[start:stop])
        found = self._forward.read(self._begin + start, self._begin + stop)
        if len(found) < stop - start:
            raise _cut_short(start + len(found))
        self._count()
        return found

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `start` on."""
        stop = start + len(buffer)
        _check_range(start, stop, self.size)
        self._keep_to(stop)
        near = memoryview(self._kept)[start:stop]
        buffer[: len(near)] = near
        done = len(near)
        done += self._forward.read_into(self._begin + start + done, buffer[done:])
        if done < len(buffer):
            raise _cut_short(start + done)
        self._count()

    def finish(self) -> None:
        """Pass over what was not read, up to the end."""
        self._keep_to(self.size if self._keep else len(self._kept))
        # Beyond the end, where a checksum stands.
        stop = self.size + 1 if self._is_last else self.size
        reached = self._forward.pass_to(self._begin + stop) - self._begin
        if reached < self.size:
            raise _cut_short(reached)
        self._count()

    def _keep_to(self, stop: int) -> None:
        stop = stop if self._keep else min(stop, _KEPT_BYTES)
        while len(self._kept) < stop:
            at = len(self._kept)
            piece = self._forward.read(self._begin + at, self._begin + min(stop, at + _PIECE_BYTES))
            if not piece:
                raise _cut_short(at)
            self._kept += piece

    def _measure(self, most_bytes: int) -> int:
        size = 0
        while True:
            if self._keep or size < _KEPT_BYTES:
                piece = self._forward.read(self._begin + size, self._begin + size + _PIECE_BYTES)
                self._kept += piece
                reached = size + len(piece)
            else:
                reached = self._forward.pass_to(self._begin + size + _PIECE_BYTES) - self._begin
            if reached > most_bytes:
                raise Damage(
                    "too_large", f"the member passes the limit inflated_bytes of {most_bytes}"
                )
            if reached < size + _PIECE_BYTES:
                return reached
            size = reached


def check_member_size(size: int, packed_size: int, inflated_bytes: int, ratio: int) -> None:
    """Refuse a member that declares more than the limits of the same names allow.

    Raises
    ------
    Damage
        ``too_large``.
    """
    if size > inflated_bytes:
        raise Damage("too_large", f"the member passes the limit inflated_bytes of {inflated_bytes}")
    if size > max(FREE_BYTES, ratio * packed_size):
        raise Damage("too_large", f"the member passes the limit inflated_ratio of {ratio}")


def _check_range(start: int, stop: int, size: int) -> None:
    if not 0 <= start <= stop <= size:
        raise StorageFault(
            f"asked for the {stop - start} bytes from {start} on, the member has {size}"
        )


def _cut_short(at: int) -> Damage:
    return Damage("truncated", "the archive ends inside this member", at)
