"""The memo: a walk that remembers what bytes became, since neighbours share most of theirs.

A member depends on the bytes of its element, on the encoding and on the character set in force;
each of these is part of the key under which it is kept. What depends on more (private elements in
implicit VR, ambiguous VRs, UN) is left to the plain walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from dicomframe.dicom.elements import Context, Kind, table_of
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.scopes import DataSet, Job
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import Encoder, UnfitValue, get_encoder
from dicomframe.dicom.walk import Walk

_LONGEST_VALUE_BYTES = 256
_MOST_BYTES = 16 << 20
_OVERHEAD_BYTES = 300


_Known: TypeAlias = tuple[int, int, int, bytes, Encoder, dict[bytes, bytes]]
"""What 8 bytes at the beginning of an element decide: its length, kind, tag, the beginning of its
JSON, its encoder, and its members by value. A plain tuple is the fastest to take apart."""

_NOT_PLAIN: _Known = (0, 0, -1, b"", get_encoder("UN", "little"), {})
"""For the plain walk: no tag comes after the last one."""


class Memo(dict[tuple[Encoding, Charset], "_Table"]):
    """Keep members by the bytes of their elements, within a budget of bytes.

    One memo serves all files that a process reads. When the budget is spent it is forgotten
    whole and begins anew; of one tag and length at the most 32 values are kept, the last ones.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._turn = 0
        self.forgets: list[Callable[[], None]] = []

    def __missing__(self, key: tuple[Encoding, Charset]) -> _Table:
        self.spend(_OVERHEAD_BYTES)
        table = self[key] = _Table(self, key[0])
        return table

    def remember(self, known: dict[bytes, bytes], raw: bytes, told: bytes, most: int = 32) -> None:
        """Keep what a value became; among `most` others every fourth time only.

        So a value that comes again and again is soon kept, and one that never does costs little.
        """
        if len(known) >= most:
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


class _Table(dict[bytes, _Known]):
    def __init__(self, memo: Memo, encoding: Encoding) -> None:
        super().__init__()
        self._memo, self._encoding = memo, encoding

    def __missing__(self, key: bytes) -> _Known:
        entry = table_of(self._encoding)[key[: 6 if self._encoding.explicit else 4]]
        if entry.kind > Kind.LAST_NOTED or entry.header_bytes != 8:
            return _NOT_PLAIN
        (length,) = entry.unpack_length(key, entry.length_at)
        if length > _LONGEST_VALUE_BYTES:
            return _NOT_PLAIN
        self._memo.spend(len(entry.prefix))
        known = self[key] = (length, entry.kind, entry.tag, entry.prefix, entry.encode, {})
        return known


class MemoWalk(Walk):
    """Walk one data set with the help of a memo; the result is that of the plain walk."""

    def __init__(self, memo: Memo, job: Job, position: int, context: Context) -> None:
        super().__init__(job, position, context)
        self._memo = memo

    def _run_plain(self, data_set: DataSet) -> None:
        if self._limits.most_inline_bytes_of_any < _LONGEST_VALUE_BYTES:
            super()._run_plain(data_set)
            return
        buffer, base = self._window.buffer, self._window.base
        context, last_tag, append = data_set.context, data_set.last_tag, data_set.members.append
        encoding, charset = context.encoding, context.charset
        table, order = self._memo[encoding, charset], encoding.order
        position = self.position - base
        limit = min(data_set.bound - base, len(buffer))
        last_start = limit - 12
        try:
            while position <= last_start:
                start = position + 8
                length, kind, tag, prefix, encode, members = table[buffer[position:start]]
                stop = start + length
                if tag <= last_tag or stop > limit:
                    break
                value = buffer[start:stop]
                member = members.get(value)
                if member is None:
                    member = prefix + encode(value, charset)
                    self._memo.remember(members, value, member)
                append(member)
                if kind:
                    context.note(kind, tag, value, order)
                last_tag = tag
                position = stop
        except UnfitValue:
            pass
        self.position = base + position
        data_set.last_tag = last_tag
