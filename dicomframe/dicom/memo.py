"""The memo: what the bytes of an element became, since neighbours share most of theirs.

A member depends on the bytes of its element, on the encoding and on the character set in force;
each of these is part of the key under which it is kept. What depends on more (private elements in
implicit VR, ambiguous VRs, UN) is left to the walk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from dicomframe.dicom.elements import Kind, table_of
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import Encoder, get_encoder

LONGEST_VALUE_BYTES = 256
_MOST_BYTES = 16 << 20
_MOST_HEADERS = 16384
_OVERHEAD_BYTES = 300


_Known: TypeAlias = tuple[int, int, int, bytes, Encoder, dict[bytes, bytes]]
"""What 8 bytes at the beginning of an element decide: its length, kind, tag, the beginning of its
JSON, its encoder, and its members by value. A plain tuple is the fastest to take apart."""

_NOT_PLAIN: _Known = (0, 0, -1, b"", get_encoder("UN", "little"), {})
"""For an element that takes more to tell: no tag comes after the last one."""


class Headers(dict[bytes, _Known]):
    """Look up what the first 8 bytes of an element decide, if its value follows and is short."""

    def __init__(self, encoding: Encoding, memo: Memo | None = None) -> None:
        super().__init__()
        self._encoding, self._memo = encoding, memo

    def __missing__(self, key: bytes) -> _Known:
        entry = table_of(self._encoding)[key[: 6 if self._encoding.explicit else 4]]
        if entry.kind > Kind.LAST_NOTED or entry.header_bytes != 8:
            return _NOT_PLAIN
        (length,) = entry.unpack_length(key, entry.length_at)
        if length > LONGEST_VALUE_BYTES:
            return _NOT_PLAIN
        if self._memo is not None:
            self._memo.spend(len(entry.prefix))
        elif len(self) >= _MOST_HEADERS:
            self.clear()
        return self.setdefault(key, (length, entry.kind, entry.tag, entry.prefix, entry.encode, {}))


headers_of = cache(Headers)
"""Returns the table that all walks in one encoding share that have no memo."""


class Memo(dict[tuple[Encoding, Charset], Headers]):
    """Keep members by the bytes of their elements, within a budget of bytes.

    One memo serves all files that a process reads. When the budget is spent it is forgotten
    whole and begins anew; of one tag and length at the most 32 values are kept, the last ones.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self._bytes = self._turn = 0
        self.forgets: list[Callable[[], None]] = []

    def __missing__(self, key: tuple[Encoding, Charset]) -> Headers:
        self.spend(_OVERHEAD_BYTES)
        return self.setdefault(key, Headers(key[0], self))

    def remember(self, known: dict[bytes, bytes], raw: bytes, told: bytes) -> None:
        """Keep what a value became; among 32 others every fourth time only.

        So a value that comes again and again is soon kept, and one that never does costs little.
        """
        if len(known) >= 32:
            self._turn = self._turn + 1 & 3
            if self._turn:
                return
            del known[next(iter(known))]
        self.spend(len(raw) + len(told))
        known[raw] = told

    def spend(self, count: int) -> None:
        """Count bytes that are about to be kept; forget all others if they are too many."""
        self._bytes += count + _OVERHEAD_BYTES
        if self._bytes > self._most_bytes:
            for table in self.values():
                table.clear()
            self.clear()
            for forget in self.forgets:
                forget()
            self._bytes = count + _OVERHEAD_BYTES
