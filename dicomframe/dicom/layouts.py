"""Layouts: a data set whose values are as long as those of one before is taken apart at once."""

from __future__ import annotations

import struct

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.links import Link, Mode
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import NUMBERS_TO_JSON, Encoder, are_plain


class Layout:
    """Where everything lies in a data set that went along links, none of them a sequence.

    Parameters
    ----------
    links : list of Link
        All of them, from the first to an end.
    buffer : bytes
        Holds the data set.
    start : int
        Where it begins there.

    Attributes
    ----------
    links : list of Link
        As given.
    length : int
        Bytes up to the end of the last run.
    weight : int
        What it keeps, about, in bytes.
    """

    __slots__ = ("_bulk", "_others", "_pieces", "_runs", "_unpack", "length", "links", "weight")

    def __init__(self, links: list[Link], buffer: bytes, start: int) -> None:
        self.links = links
        self._runs: tuple[bytes, ...] = ()
        self._pieces: list[bytes] = []
        self._others: list[tuple[int, int, Encoder, Charset]] = []
        self._bulk: list[tuple[int, int, int]] = []
        form, begin = "<", start
        for number, link in enumerate(links):
            slot = link.slot
            _, head_bytes, unpack, mode, opened, closing, longest, _ = link.at_hand
            length = longest if unpack is None else unpack(buffer, begin)[1]
            cut = begin + head_bytes
            self._runs += (buffer[begin:cut],)
            begin = cut + length
            is_bulk = length > longest  # it stays in the file, and is passed over
            form += f"{head_bytes}s0s{length}x" if is_bulk else f"{head_bytes}s{length}s"
            self._pieces += link.text if is_bulk else opened, b"", closing
            if is_bulk:
                self._bulk.append((number, cut - start, length))
            elif mode != Mode.TEXT:
                self._others.append((number, mode, slot.entry.encode, slot.around.charset))
        self._unpack, self.length = struct.Struct(form).unpack_from, begin - start
        self.weight = 2 * sum(map(len, self._pieces))

    def take(self, buffer: bytes, start: int, bulk: BulkWriter) -> list[bytes] | None:
        """Return the JSON of a data set that begins at `start`, in pieces as those of a `Trail`.

        None if it is laid out otherwise, or has values that must be encoded one by one.
        """
        parts = self._unpack(buffer, start) if start + self.length <= len(buffer) else ()
        if parts[::2] != self._runs:
            return None
        pieces, numbers, blanks = self._pieces.copy(), [], len(self._bulk)
        values = [value.rstrip(b" \0") for value in parts[1::2]]
        for number, mode, encode, charset in self._others:
            if mode == Mode.NUMBERS:
                numbers.append(values[number])
                values[number] = values[number].translate(*NUMBERS_TO_JSON)
                continue
            values[number], blanks = b"", blanks + 1
            if mode == Mode.VALUE:
                pieces[3 * number + 2] = encode(parts[2 * number + 1], charset)
        if values.count(b"") > blanks or not are_plain(values, numbers):
            return None
        pieces[1::3] = values
        for number, at, length in self._bulk:
            pieces[3 * number + 2] = bulk.rest(start + at, length)
        return pieces
