"""Unpack compressed bytes piece by piece: gzip, zstd, and the methods of zip."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.limits import Limits
from dicomframe.scan.inner import FREE_BYTES, Member
from dicomframe.scan.ranges import FileReader, StorageFault

__all__ = ["METHODS", "unpack_member", "unpack_stream"]

_PIECE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_FEED_BYTES = 64 << 10
"""zlib copies what it leaves of its input, so it is fed by the spoon."""
_GZIP_BITS = 16 + zlib.MAX_WBITS


def unpack_stream(kind: str, reader: FileReader, limits: Limits) -> Iterator[bytes]:
    """Yield a whole file of `kind` ``"gzip"`` or ``"zstd"``, unpacked, in pieces.

    Streams that follow one another are one. Checksums are checked by the decoders.

    Raises
    ------
    Damage
        ``truncated``, ``malformed``, or ``too_large`` by its ratio.
    StorageFault
        Its bytes cannot be had.
    """
    source = _Source(reader, 0, reader.size)
    count = 0
    for piece in _sound(kind, (_gunzip if kind == "gzip" else _unzstd)(source)):
        count += len(piece)
        if count > max(FREE_BYTES, limits.inflated_ratio * source.consumed):
            value = limits.inflated_ratio
            raise Damage("too_large", f"the archive passes the limit inflated_ratio of {value}")
        yield piece


def unpack_member(reader: FileReader, start: int, member: Member) -> Iterator[bytes]:
    """Yield a compressed member of a zip in pieces; its bytes begin at `start`.

    Raises
    ------
    Damage
        ``malformed``: no sound stream, or not of the length and checksum that it declares.
    StorageFault
        Its bytes cannot be had.
    """
    source = _Source(reader, start, start + member.packed_size)
    name, unpack = METHODS[member.method]
    count = crc = 0
    for piece in _sound(name, unpack(source, member.size)):
        count += len(piece)
        if count > member.size:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if count != member.size:
        more = "more" if count > member.size else "less"
        raise Damage(
            "malformed", f"the member unpacks to {more} than the {member.size} bytes declared"
        )
    if crc != member.crc:
        raise Damage("malformed", "the checksum of the member is wrong")


class _Source:
    """A range of a file, read from its begin to its end in large blocks."""

    closed = False

    def __init__(self, reader: FileReader, start: int, stop: int) -> None:
        self._reader = reader
        self._start = self._at = start
        self._stop = stop
        self._ahead = memoryview(b"")

    @property
    def consumed(self) -> int:
        return self._at - self._start

    def blocks(self) -> Iterator[bytes]:
        while self._at < self._stop:
            start, self._at = self._at, min(self._stop, self._at + _BLOCK_BYTES)
            yield self._reader.read(start, self._at)

    def read(self, count: int) -> bytes:
        """Read as Arrow does, which asks for 64 KiB at a time."""
        if not self._ahead:
            self._ahead = memoryview(next(self.blocks(), b""))
        found, self._ahead = self._ahead[:count], self._ahead[count:]
        return bytes(found)

    def rest(self) -> Iterator[bytes]:
        yield bytes(self._ahead)
        yield from self.blocks()

    def close(self) -> None:
        pass


def _sound(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make a damage of whatever a decoder raises."""
    try:
        yield from pieces
    except (Damage, StorageFault):
        raise
    except ImportError:
        raise StorageFault(
            f"is compressed by {name}, which this Python was built without"
        ) from None
    except Exception as error:
        words = str(error).lower()
        if isinstance(error, EOFError) or "truncated" in words:
            raise Damage("truncated", f"the file ends inside the {name} stream") from None
        if isinstance(error, MemoryError) or "too much memory" in words:
            detail = f"the {name} stream needs more memory than its decoder allows"
            raise Damage("too_large", detail) from None
        raise Damage("malformed", f"the {name} stream is damaged") from None


def _gunzip(source: _Source) -> Iterator[bytes]:
    stream = None
    for block in source.blocks():
        for at in range(0, len(block), _FEED_BYTES):
            rest = block[at : at + _FEED_BYTES]
            while rest:
                if stream is None:
                    rest = rest.lstrip(b"\0")  # tapes pad with zeros
                    if not rest:
                        break
                    stream = zlib.decompressobj(_GZIP_BITS)
                yield from _drain(stream, rest)
                rest = b""
                if stream.eof:
                    rest, stream = stream.unused_data, None
    if stream is not None:
        raise EOFError


def _inflate(source: _Source, _: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for block in source.blocks():
        for at in range(0, len(block), _FEED_BYTES):
            yield from _drain(stream, block[at : at + _FEED_BYTES])
            if stream.eof:
                return


def _drain(stream: Any, rest: bytes) -> Iterator[bytes]:
    piece = stream.decompress(rest, _PIECE_BYTES)
    while piece:
        yield piece
        piece = stream.decompress(stream.unconsumed_tail, _PIECE_BYTES)


def _unzstd(source: _Source, _: int = 0) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd") as stream:
        # Not read: it leaks what it has allocated where the stream is damaged.
        buffer = memoryview(bytearray(_PIECE_BYTES))
        while count := stream.readinto(buffer):
            yield bytes(buffer[:count])


def _unbzip2(source: _Source, _: int) -> Iterator[bytes]:
    import bz2  # noqa: PLC0415  # some builds of Python lack it

    yield from _decode(bz2.BZ2Decompressor(), source.blocks())


def _unlzma(source: _Source, size: int) -> Iterator[bytes]:
    import lzma  # noqa: PLC0415  # some builds of Python lack it

    head = source.read(9)
    if len(head) < 9 or head[2:4] != b"\x05\0":
        raise ValueError("no LZMA properties")
    settings, dictionary_bytes = head[4], int.from_bytes(head[5:], "little")
    filters = {
        "id": lzma.FILTER_LZMA1,
        "lc": settings % 9,
        "lp": settings // 9 % 5,
        "pb": settings // 45,
        # What is claimed is allocated; more than the member's own length is never of use.
        "dict_size": max(4096, min(dictionary_bytes, size)),
    }
    yield from _decode(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters]), source.rest())


def _decode(decoder: Any, blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        piece = decoder.decompress(block, _PIECE_BYTES)
        while piece or not (decoder.eof or decoder.needs_input):
            if piece:
                yield piece
            piece = b"" if decoder.eof else decoder.decompress(b"", _PIECE_BYTES)
        if decoder.eof:
            return


METHODS: dict[int, tuple[str, Callable[[_Source, int], Iterator[bytes]]]] = {
    8: ("deflate", _inflate),
    12: ("bzip2", _unbzip2),
    14: ("LZMA", _unlzma),
    93: ("zstd", _unzstd),
}
"""The methods of zip that can be read: the number to the name and the decoder."""
