"""Layouts: a data set whose values are as long as those of one before is taken apart at once."""

from __future__ import annotations

import struct
from operator import itemgetter

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

    __slots__ = ("_bulk", "_lists", "_numbers", "_others", "_pick", "_pieces", "_runs", "_silent",
                 "_unpack", "length", "links", "weight")  # fmt: skip

    def __init__(self, links: list[Link], buffer: bytes, start: int) -> None:
        self.links = links
        self._runs: tuple[bytes, ...] = ()
        self._pieces: list[bytes] = []
        self._numbers: list[int] = []
        self._lists: list[int] = []
        self._others: list[tuple[int, Encoder, Charset]] = []
        self._bulk: list[tuple[int, int, int]] = []
        form, begin, self._silent = "<", start, 0
        for at, link in enumerate(links):
            _, head_bytes, unpack, mode, opened, closing, longest, _ = link.at_hand
            length = longest if unpack is None else unpack(buffer, begin)[1]
            cut = begin + head_bytes
            self._runs += (buffer[begin:cut],)
            begin = cut + length
            if length > longest:  # it stays in the file, and is passed over
                self._bulk.append((3 * at + 2, cut - start, length))
                mode, opened = Mode.SILENT, link.text
            elif mode == Mode.NUMBERS:
                self._numbers.append(at)
                self._lists += [at] if b"\\" in buffer[cut:begin] else []
            elif mode == Mode.VALUE:
                self._others.append((at, link.slot.entry.encode, link.slot.around.charset))
            self._silent += mode >= Mode.VALUE
            form += f"{head_bytes}s" + (f"0s{length}x" if mode > Mode.VALUE else f"{length}s")
            self._pieces += opened, b"", closing
        self._pick = itemgetter(*self._numbers, -1)  # an end has no value
        self._unpack, self.length = struct.Struct(form).unpack_from, begin - start
        self.weight = 2 * sum(map(len, self._pieces))

    def take(self, buffer: bytes, start: int, bulk: BulkWriter) -> list[bytes] | None:
        """Return the JSON of a data set that begins at `start`, in pieces as those of a `Trail`.

        None if it is laid out otherwise, or has values that must be encoded one by one.
        """
        parts = self._unpack(buffer, start) if start + self.length <= len(buffer) else ()
        if parts[::2] != self._runs:
            return None
        values, pieces = [value.rstrip(b" \0") for value in parts[1::2]], self._pieces.copy()
        for at, encode, charset in self._others:
            values[at], pieces[3 * at + 2] = b"", encode(parts[2 * at + 1], charset)
        numbers = b"\\".join(self._pick(values))[:-1]
        for at in self._numbers if b" " in numbers else self._lists:
            values[at] = values[at].translate(*NUMBERS_TO_JSON)
        if values.count(b"") > self._silent or not are_plain(values, numbers):
            return None  # a backslash where there was none, too
        pieces[1::3] = values
        for piece, at, length in self._bulk:
            pieces[piece] = bulk.rest(start + at, length)
        return pieces
