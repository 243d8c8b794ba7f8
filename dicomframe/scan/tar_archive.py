"""The members of a tar archive, by its headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dicomframe.dicom.damage import Damage
from dicomframe.scan.inner import Member, Names
from dicomframe.scan.ranges import FileReader

__all__ = ["BLOCK_BYTES", "ahead_of", "is_header", "list_tar"]

BLOCK_BYTES = 512

_MOST_EXTENDED_BYTES = 1 << 20
_MOST_PADDING_BYTES = 1 << 20
_MOST_DIGITS = 20
_PADDING_LOAD_BYTES = 16 << 10
_ZEROS = bytes(BLOCK_BYTES)
_Read = Callable[[int, int], bytes]

_TROUBLES = {
    b"1": "is a hard link to another member, which is not followed",
    b"2": "is a link, which is not followed",
    b"3": "is a character device, not a regular file",
    b"4": "is a block device, not a regular file",
    b"6": "is a FIFO, not a regular file",
    b"M": "is the rest of a member of another volume",
    b"S": "is stored as a sparse file, which is not supported",
}
_WITHOUT_DATA = frozenset(b"123456")
_IS_NO_FILE = frozenset(b"5DVN")


def is_header(block: bytes) -> bool:
    """Tell whether a block has the checksum of a header."""
    if len(block) < BLOCK_BYTES or block == _ZEROS:
        return False
    try:
        wanted = _number(block[148:156])
    except ValueError:
        return False
    summed = block[:148] + b" " * 8 + block[156:BLOCK_BYTES]
    # Some old ones summed signed characters.
    return wanted == (found := sum(summed)) or wanted == found - 256 * sum(c > 0x7F for c in summed)


def ahead_of(reader: FileReader, ahead_bytes: int) -> _Read:
    """Return a function that reads `reader` for `list_tar`, with as much ahead in each read."""
    kept, kept_at = b"", 0

    def read(start: int, stop: int) -> bytes:
        nonlocal kept, kept_at
        stop = min(stop, reader.size)
        if start >= stop:
            return b""
        if start < kept_at or stop > kept_at + len(kept):
            kept = reader.read(start, min(max(stop, start + ahead_bytes), reader.size))
            kept_at = start
        return kept[start - kept_at : stop - kept_at]

    return read


def list_tar(read: _Read) -> Iterator[Member]:
    """Yield the files of a tar, in their order; archives put behind one another are one.

    Parameters
    ----------
    read
        Return the bytes from a start to a stop, fewer only at the end. It is asked for the
        headers only, from the first to the last.

    Raises
    ------
    Damage
        A header is damaged, or the end is missing: what was not yielded is lost.
    """
    names, at = Names(), 0
    extended = _Extended()
    while True:
        block = read(at, at + BLOCK_BYTES)
        if block == _ZEROS:
            following = _find_next(read, at + BLOCK_BYTES)
            if following is None:
                return
            at = following
            continue
        if len(block) < BLOCK_BYTES:
            raise Damage("truncated", "the tar archive ends without its end mark", at + len(block))
        if not is_header(block):
            raise Damage(
                "malformed", "a header of the tar archive is damaged; the rest is lost", at
            )
        kind = block[156:157]
        start = at + BLOCK_BYTES
        try:
            size = _number(block[124:136])
            if kind in b"LKxXg" and kind:
                if size > _MOST_EXTENDED_BYTES:
                    raise ValueError("too long")
                body = read(start, start + size)
                if len(body) < size:
                    raise Damage("truncated", "the tar archive ends inside a header", start)
                extended.note(kind, body)
                at = start + _padded(size)
                continue
            size = extended.size if extended.size is not None else size
        except ValueError:
            detail = "a header of the tar archive is damaged; the rest is lost"
            raise Damage("malformed", detail, at) from None
        if kind == b"S":
            start = _pass_sparse_map(read, block, start)
        name = extended.name if extended.name is not None else _short_name(block)
        trouble = _TROUBLES[b"S"] if extended.is_sparse else _TROUBLES.get(kind)
        extended = _Extended()
        stored = 0 if kind and kind[0] in _WITHOUT_DATA else size
        is_folder = name.endswith("/") and not stored
        if not is_folder and not (kind and kind[0] in _IS_NO_FILE):
            yield Member(names.make_unique(name), stored, start, stored, trouble=trouble)
        at = start + _padded(stored)


@dataclass(slots=True)
class _Extended:
    """What the headers before a header say of its member."""

    name: str | None = None
    size: int | None = None
    is_sparse: bool = False

    def note(self, kind: bytes, body: bytes) -> None:
        if kind == b"L":
            self.name = _text(body)
        if kind not in (b"x", b"X"):
            return
        at = 0
        while at < len(body) and body[at]:
            space = body.index(b" ", at, at + _MOST_DIGITS)
            stop = at + int(body[at:space])
            if stop <= space or stop > len(body) or body[stop - 1 : stop] != b"\n":
                raise ValueError("no PAX record")
            key, _, value = body[space + 1 : stop - 1].partition(b"=")
            if key == b"path":
                self.name = value.decode("utf-8", "surrogateescape")
            elif key == b"size":
                self.size = int(value)
                if self.size < 0:
                    raise ValueError("a negative length")
            elif key.startswith(b"GNU.sparse."):
                self.is_sparse = True
                if key == b"GNU.sparse.name":
                    self.name = value.decode("utf-8", "surrogateescape")
            at = stop


def _find_next(read: _Read, at: int) -> int | None:
    """Return where another archive begins behind the end mark, None if none does."""
    stop = at + _MOST_PADDING_BYTES
    while at < stop:
        piece = read(at, at + _PADDING_LOAD_BYTES)
        for near in range(0, len(piece), BLOCK_BYTES):
            block = piece[near : near + BLOCK_BYTES]
            if block.strip(b"\0"):
                return at + near if is_header(block) else None
        if len(piece) < _PADDING_LOAD_BYTES:
            return None
        at += len(piece)
    return None


def _pass_sparse_map(read: _Read, block: bytes, start: int) -> int:
    is_extended = block[482]
    while is_extended:
        block = read(start, start + BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            raise Damage("truncated", "the tar archive ends inside a header", start)
        is_extended = block[504]
        start += BLOCK_BYTES
    return start


def _short_name(block: bytes) -> str:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        return f"{_text(block[345:500])}/{name}"
    return name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Read a number: octal digits, or bytes in the way of GNU."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if not digits.isdigit() and digits:
        raise ValueError("no octal number")
    return int(digits or b"0", 8)


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES
