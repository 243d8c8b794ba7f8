"""Find the files within an archive, and read each like any other file.

Nothing is unpacked to disk. What an archive is, its first bytes tell, never its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.scan.inner import (
    Forward,
    Member,
    MemberReader,
    Slice,
    Unpacked,
    check_member_size,
)
from dicomframe.scan.ranges import FileReader, StorageFault
from dicomframe.scan.streams import unpack_stream
from dicomframe.scan.tar_archive import BLOCK_BYTES, ahead_of, is_header, list_tar
from dicomframe.scan.urls import escape_name
from dicomframe.scan.zip_archive import list_zip, open_zip_member

__all__ = [
    "ARCHIVE_PROTOCOLS",
    "MOST_LISTED_MEMBERS",
    "SNIFF_BYTES",
    "Found",
    "Kind",
    "Member",
    "MemberReader",
    "expand",
    "list_members",
    "looks_like_archive",
    "member_origin",
    "nested",
    "open_member",
    "read_members",
    "sniff",
]

Kind = Literal["zip", "tar", "gzip", "zstd"]
"""What a file is, by its outermost layer: a ``tar.gz`` is ``gzip``."""

ARCHIVE_PROTOCOLS = frozenset({"zip", "tar", "gzip", "zstd"})
"""What the origin of a member may begin with."""

SNIFF_BYTES = BLOCK_BYTES
"""How much of a file `sniff` wants."""

MOST_LISTED_MEMBERS = 200_000
"""Of an archive with more, the directory is never kept: it is read as one file, by one task."""

_Header = TypeVar("_Header")

_SUFFIXES = {".gz": "", ".zst": "", ".tgz": ".tar", ".tzst": ".tar"}
_TAR_AT = 257


def sniff(head: bytes) -> Kind | None:
    r"""Tell which archive a file is from its first 512 bytes, None if it is none.

    A file with ``DICM`` at byte 128 is a DICOM file, whatever its preamble holds.

    >>> sniff(b"PK\x03\x04"), sniff(b"PK\x03\x04".ljust(128) + b"DICM")
    ('zip', None)
    """
    if head[128:132] == b"DICM":
        return None
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or head[:8] == b"PK\x07\x08PK\x03\x04":
        return "zip"
    if head[:3] == b"\x1f\x8b\x08" and not head[3:4] > b"\x1f":
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return "zstd"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar" or is_header(head[:BLOCK_BYTES]):
        return "tar"
    return None


def looks_like_archive(name: str) -> bool:
    """Tell whether a name is that of an archive: a hint for where to look early."""
    return name.lower().endswith((".zip", ".tar", *_SUFFIXES))


def member_origin(protocol: str, name: str, archive_origin: str) -> str:
    """Return the origin of a member.

    >>> member_origin("zip", "../a::b.dcm", "s3://bucket/a.zip")
    'zip://../a:%3Ab.dcm::s3://bucket/a.zip'
    """
    return f"{protocol}://{escape_name(name, chained=True)}::{archive_origin}"


def list_members(reader: FileReader, kind: Kind, *, ahead_bytes: int = 0) -> Iterator[Member]:
    """Yield the files of a zip or a plain tar, without reading any of them.

    Parameters
    ----------
    reader
        The archive.
    kind
        ``"zip"`` or ``"tar"``.
    ahead_bytes
        How much more is read with each header of a tar: for a remote file as much as the
        header of a member needs, so that one request has both.

    Raises
    ------
    Damage, StorageFault
        At the end: the members that were not yielded are lost.
    """
    return list_zip(reader) if kind == "zip" else list_tar(ahead_of(reader, ahead_bytes))


def open_member(
    reader: FileReader,
    kind: Kind,
    member: Member,
    *,
    limits: Limits = DEFAULT_LIMITS,
    keep: bool = False,
    ahead_bytes: int = 0,
) -> MemberReader:
    """Open a member that `list_members` yielded, on any machine.

    Parameters
    ----------
    reader, kind
        The archive; it is not closed with the member.
    member
        The member.
    limits
        How far a compressed one is followed.
    keep
        Whether its pixels will be read: then all that was unpacked is kept, else 32 MiB. It
        changes no result.
    ahead_bytes
        As for `list_members`, for the header of a member of a zip; all of a small compressed
        one is then read with it.

    Raises
    ------
    Damage
        The member is damaged, or larger than `limits` allow.
    StorageFault
        It cannot be read: encrypted, a link, its bytes cannot be had.
    """
    if kind == "zip":
        return open_zip_member(reader, member, limits, keep=keep, ahead_bytes=ahead_bytes)
    if member.trouble is not None:
        raise StorageFault(member.trouble)
    return Slice(reader, member.start, member.size)


@dataclass(frozen=True, slots=True)
class Found:
    """Name one file of an archive.

    Attributes
    ----------
    protocol, name
        What `member_origin` wants.
    open
        Open it, as `open_member`; before the next one is asked for.
    """

    protocol: str
    name: str
    open: Callable[[], MemberReader]


def expand(
    reader: FileReader,
    kind: Kind,
    path: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    keep: bool = False,
    ahead_bytes: int = 0,
) -> Iterator[Found]:
    """Yield every file of an archive once, in order.

    Parameters
    ----------
    reader, kind
        The archive.
    path
        Its own path, which names what a gzip or zstd file without a name holds.
    limits, keep, ahead_bytes
        As for `open_member` and `list_members`.

    Raises
    ------
    Damage, StorageFault
        At the end: this is the row of the archive itself. Members are lost, or it has none.
    """
    is_empty = True
    if kind == "gzip" or kind == "zstd":
        found = _expand_stream(reader, kind, path, limits, keep=keep)
    else:
        opener = partial(open_member, limits=limits, keep=keep, ahead_bytes=ahead_bytes)
        found = (
            Found(kind, member.name, partial(opener, reader, kind, member))
            for member in list_members(reader, kind, ahead_bytes=ahead_bytes)
        )
    for each in found:
        is_empty = False
        yield each
    if is_empty:
        raise Damage("empty", "the archive holds no files")


def read_members(
    reader: FileReader,
    kind: Kind,
    path: str,
    origin: str,
    read_header: Callable[[str, FileReader], _Header],
    *,
    limits: Limits = DEFAULT_LIMITS,
    keep: bool = False,
    ahead_bytes: int = 0,
) -> Iterator[tuple[str, FileReader | None, _Header | Exception]]:
    """Yield the rows of an archive: an origin, the open file, and its header or failure.

    The pixels of a member may be read until the next one is asked for. The last row is that
    of the archive itself, if members are lost or it has none.

    Parameters
    ----------
    reader, kind, path, limits, keep, ahead_bytes
        As for `expand`.
    origin
        The origin of the archive.
    read_header
        Read the header of the open file with an origin.
    """
    counted = 0, 0
    try:
        for found in expand(reader, kind, path, limits=limits, keep=keep, ahead_bytes=ahead_bytes):
            own_origin = member_origin(found.protocol, found.name, origin)
            file = None
            try:
                with found.open() as file:
                    file.count_from(*counted)
                    yield own_origin, file, _judge(own_origin, file, read_header)
                    counted = reader.bytes_read, reader.requests
                    continue
            except Exception as error:
                failure = error.with_traceback(None)  # which would keep what was unpacked
            yield own_origin, file, failure
    except Exception as error:
        yield origin, reader, error.with_traceback(None)


def nested(kind: Kind) -> Damage:
    """Return what becomes of an archive that is a member of another."""
    return Damage("not_dicom", f"is a {kind} archive inside an archive, which is not opened", 0)


def _judge(
    origin: str, file: MemberReader, read_header: Callable[[str, FileReader], _Header]
) -> _Header:
    try:
        header = read_header(origin, file)
    except Damage as damage:
        if damage.reason == "not_dicom":
            kind = sniff(file.read(0, min(SNIFF_BYTES, file.size)))
            if kind is not None:
                raise nested(kind) from None
        raise
    file.finish()
    return header


def _expand_stream(
    reader: FileReader, kind: Kind, path: str, limits: Limits, *, keep: bool
) -> Iterator[Found]:
    forward = Forward(reader, partial(unpack_stream, kind, reader, limits))
    if sniff(forward.read(0, SNIFF_BYTES)) != "tar":
        name = _own_name(reader, kind) or _outer_name(path)
        most_bytes = limits.inflated_bytes
        yield Found(
            kind, name, partial(Unpacked, forward, 0, None, keep=keep, most_bytes=most_bytes)
        )
        return
    for member in list_tar(forward.read):
        opener = partial(_open_in_stream, forward, member, reader.size, limits, keep=keep)
        yield Found("tar", member.name, opener)
    # The checksum stands behind all of it.
    forward.pass_to(1 << 62)


def _open_in_stream(
    forward: Forward, member: Member, archive_bytes: int, limits: Limits, *, keep: bool
) -> MemberReader:
    if member.trouble is not None:
        raise StorageFault(member.trouble)
    check_member_size(member.size, archive_bytes, limits.inflated_bytes, limits.inflated_ratio)
    return Unpacked(forward, member.start, member.size, keep=keep, is_last=False)


def _own_name(reader: FileReader, kind: Kind) -> str:
    """Return the name that a gzip header holds (RFC 1952), if it does within 4 KiB."""
    head = reader.read(0, min(4096, reader.size))
    if kind != "gzip" or not head[3] & 8:
        return ""
    at = 10
    if head[3] & 4:
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    name, end, _ = head[at:].partition(b"\0")
    return name.decode("utf-8", "surrogateescape") if end else ""


def _outer_name(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return stem + _SUFFIXES.get(suffix.lower(), suffix)
