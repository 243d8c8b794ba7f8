"""The members of a zip archive, by its central directory."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.limits import Limits
from dicomframe.scan.inner import (
    Forward,
    Member,
    MemberReader,
    Names,
    Slice,
    Unpacked,
    check_member_size,
)
from dicomframe.scan.ranges import FileReader, StorageFault, words_for_mode
from dicomframe.scan.streams import METHODS, unpack_member

__all__ = ["list_zip", "open_zip_member"]

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_TAIL_BYTES = 0xFFFF + _END.size + _LOCATOR_64.size + _END_64.size
_LOAD_BYTES = 1 << 20
_MOST_AHEAD_BYTES = 1 << 20
_USUAL_NAME_BYTES = 1 << 10

_ZIP64, _UNICODE_PATH = 1, 0x7075
_ENCRYPTED, _LATER_SIZES, _UTF_8 = 1 << 0, 1 << 3, 1 << 11
_OTHER_METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 95: "xz", 96: "JPEG", 98: "PPMd"}


def list_zip(reader: FileReader) -> Iterator[Member]:
    """Yield the files of a zip, in the order of its central directory.

    The directory is read in pieces of 1 MiB, and nothing else is read.

    Raises
    ------
    Damage
        There is no directory, or it is damaged: what was not yielded is lost.
    StorageFault
        Its bytes cannot be had.
    """
    tail_at = max(0, reader.size - _TAIL_BYTES)
    tail = reader.read(tail_at, reader.size)
    begin, stop, moved, declared = _find_directory(reader, tail, tail_at)
    names, count, packed_bytes = Names(), 0, 0
    at_hand = tail[begin - tail_at : stop - tail_at] if begin >= tail_at else b""
    for member, is_file in _entries(reader, begin, stop, moved, at_hand):
        count += 1
        packed_bytes += _LOCAL.size + member.packed_size
        if packed_bytes > begin:
            raise Damage("malformed", "the members of the zip archive overlap", member.start)
        if is_file:
            name = names.make_unique(member.name)
            yield member if name == member.name else replace(member, name=name)
    if count != declared:
        raise Damage("malformed", f"the zip archive holds {count} members and declares {declared}")


def open_zip_member(
    reader: FileReader, member: Member, limits: Limits, *, keep: bool, ahead_bytes: int
) -> MemberReader:
    """Open a member that `list_zip` yielded; `keep` and `ahead_bytes` as for `open_member`.

    Raises
    ------
    Damage
        It is not where the directory says, or is larger than `limits` allow.
    StorageFault
        It cannot be read.
    """
    if member.trouble is not None:
        raise StorageFault(member.trouble)
    if member.start + _LOCAL.size > reader.size:
        raise Damage("malformed", "the zip archive has no header for this member", member.start)
    if ahead_bytes and member.method != 0 and member.packed_size < _MOST_AHEAD_BYTES:
        ahead_bytes = max(ahead_bytes, member.packed_size + _USUAL_NAME_BYTES)
    stop = min(member.start + _LOCAL.size + ahead_bytes, reader.size)
    head = reader.read(member.start, stop)[: _LOCAL.size]
    signature, _, flags, _, _, _, crc, _, _, name_bytes, extra_bytes = _LOCAL.unpack(head)
    if signature != b"PK\x03\x04":
        raise Damage("malformed", "the zip archive has no header for this member", member.start)
    if not flags & _LATER_SIZES and crc not in (0, member.crc):
        raise Damage("malformed", "the two headers of the member differ", member.start)
    begin = member.start + _LOCAL.size + name_bytes + extra_bytes
    if member.method == 0:
        if member.size != member.packed_size:
            raise Damage("malformed", "a stored member has two lengths", member.start)
        return Slice(reader, begin, member.size)
    if begin + member.packed_size > reader.size:
        raise Damage("truncated", "the archive ends inside this member", reader.size - begin)
    check_member_size(member.size, member.packed_size, limits.inflated_bytes, limits.inflated_ratio)
    forward = Forward(reader, partial(unpack_member, reader, begin, member))
    return Unpacked(forward, 0, member.size, keep=keep)


def _find_directory(reader: FileReader, tail: bytes, tail_at: int) -> tuple[int, int, int, int]:
    """Return where the directory begins and stops, what to add to offsets, and its entries."""
    at = _find_end(tail)
    if at is None:
        raise Damage("truncated", "the zip archive has no central directory", reader.size)
    _, disk, _, _, count, length, offset, _ = _END.unpack_from(tail, at)
    stop = tail_at + at
    locator_at = at - _LOCATOR_64.size
    if locator_at >= 0 and tail[locator_at:].startswith(b"PK\x06\x07"):
        _, _, end_64_at, _ = _LOCATOR_64.unpack_from(tail, locator_at)
        # Bytes put before the archive move what the locator tells.
        for place in (end_64_at, tail_at + locator_at - _END_64.size):
            if 0 <= place <= stop - _END_64.size:
                raw = reader.read(place, place + _END_64.size)
                if raw.startswith(b"PK\x06\x06"):
                    _, _, _, _, disk, _, _, count, length, offset = _END_64.unpack(raw)
                    stop = place
                    break
        else:
            raise Damage("malformed", "the zip archive has a damaged zip64 end", stop)
    if disk != 0:
        raise Damage("unreadable", "is one part of a split zip archive")
    begin = stop - length
    if begin < offset:
        raise Damage("malformed", "the central directory of the zip archive is damaged", stop)
    if length and offset < begin and reader.read(begin, begin + 4) != b"PK\x01\x02":
        # A signature of the directory stands behind it.
        return offset, offset + length, 0, count
    return begin, stop, begin - offset, count


def _find_end(tail: bytes) -> int | None:
    """Return where the end record stands: the last one whose comment ends with the file."""
    found, at = None, len(tail)
    while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
        behind = len(tail) - at - _END.size
        if behind >= 0:
            comment_bytes = int.from_bytes(tail[at + 20 : at + 22], "little")
            if comment_bytes == behind:
                return at
            if found is None and comment_bytes < behind:
                found = at
    return found


def _entries(
    reader: FileReader, begin: int, stop: int, moved: int, buffer: bytes
) -> Iterator[tuple[Member, bool]]:
    """Yield the entries of the directory, and whether each is a file."""
    at, near = begin, 0
    while at < stop:
        fixed = buffer[near : near + _ENTRY.size]
        entry_bytes = _ENTRY.size
        if len(fixed) == _ENTRY.size:
            if fixed[:4] != b"PK\x01\x02":
                raise Damage("malformed", "the central directory of the zip archive is damaged", at)
            fields = _ENTRY.unpack(fixed)
            entry_bytes += sum(fields[10:13])
        if near + entry_bytes > len(buffer):
            loaded = at + len(buffer) - near
            if loaded >= stop:
                raise Damage("malformed", "the central directory of the zip archive is damaged", at)
            more = reader.read(loaded, min(stop, loaded + _LOAD_BYTES))
            buffer, near = buffer[near:] + more, 0
            continue
        yield _read_entry(fields, buffer[near + _ENTRY.size : near + entry_bytes], moved)
        near += entry_bytes
        at += entry_bytes


def _read_entry(fields: tuple[int, ...], rest: bytes, moved: int) -> tuple[Member, bool]:
    _, made_by, _, flags, method, _, _, crc, packed_size, size = fields[:10]
    name_bytes, extra_bytes, _, _, _, attributes, start = fields[10:]
    raw, extra = rest[:name_bytes], rest[name_bytes : name_bytes + extra_bytes]
    if 0xFFFFFFFF in (size, packed_size, start):
        size, packed_size, start = _read_zip64(extra, size, packed_size, start)
    name = _read_name(raw, flags, extra)
    mode = attributes >> 16 if made_by >> 8 == 3 else 0
    trouble = None
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        is_link = stat.S_ISLNK(mode)
        trouble = "is a link, which is not followed" if is_link else words_for_mode(mode)
    elif flags & _ENCRYPTED:
        trouble = "is encrypted"
    elif method not in METHODS and method != 0:
        words = _OTHER_METHODS.get(method, f"method {method} of zip")
        trouble = f"is compressed by {words}, which is not supported"
    is_folder = name.endswith(("/", "\\")) and size == 0
    member = Member(name, size, start + moved, packed_size, method, crc, trouble)
    return member, not is_folder


def _read_name(raw: bytes, flags: int, extra: bytes) -> str:
    if raw.isascii() and not extra:
        return raw.decode("ascii")
    unicode_path = _find_extra(extra, _UNICODE_PATH)
    crc = zlib.crc32(raw).to_bytes(4, "little")
    if unicode_path.startswith(b"\x01" + crc) and len(unicode_path) > 5:
        raw, flags = unicode_path[5:], _UTF_8
    return raw.decode("utf-8", "surrogateescape") if flags & _UTF_8 else raw.decode("cp437")


def _read_zip64(extra: bytes, *values: int) -> tuple[int, ...]:
    wide = _find_extra(extra, _ZIP64)
    found = []
    for value in values:
        if value == 0xFFFFFFFF and len(wide) >= 8:
            found.append(int.from_bytes(wide[:8], "little"))
            wide = wide[8:]
        else:
            found.append(value)
    return tuple(found)


def _find_extra(extra: bytes, wanted: int) -> bytes:
    while len(extra) >= 4:
        number, length = struct.unpack_from("<2H", extra)
        if number == wanted:
            return extra[4 : 4 + length]
        extra = extra[4 + length :]
    return b""
