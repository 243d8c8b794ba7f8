"""Layouts: a file whose values are as long as those of one before is taken apart at once."""

from __future__ import annotations

import struct
from operator import itemgetter
from typing import TypeAlias

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.links import Mode, find_told
from dicomframe.dicom.template import Template, Trail
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import NUMBERS_TO_JSON, Encoder, are_plain

_LONGEST_BYTES = 16 << 10  # what is longer is copied more dearly than followed
_MOST_LAYOUTS = 8
_LEAST_GAIN = -32


class Layout:
    """Where everything lies in a file that went along links, none of them a sequence.

    Parameters
    ----------
    trail : Trail
        How it went, from the first link to an end.
    buffer : bytes
        Its first bytes.

    Attributes
    ----------
    pixels : tuple of int or None
        Where the value of Pixel Data lies, and its length; None without one, and in fragments.
    stop : int
        Where its data set ends; -1 if fragments are to tell.
    weight : int
        What it keeps, about, in bytes.
    """

    def __init__(self, trail: Trail, buffer: bytes) -> None:
        self._start, self._position, self._links = trail.start, trail.position, trail.links
        self._passed, self._outline = trail.passed, trail.outline()
        self.pixels, self.stop = trail.pixels, trail.stop
        self._runs: tuple[bytes, ...] = ()
        self._pieces: list[bytes] = []
        self._numbers: list[int] = []
        self._lists: list[int] = []
        self._others: list[tuple[int, Encoder, Charset]] = []
        self._bulk: list[tuple[int, int, int, bytes]] = []
        form, begin, self._silent = "<", trail.start, 0
        for at, link in enumerate(trail.passed):
            _, head_bytes, unpack, mode, opened, closing, longest, _ = link.at_hand
            length = longest if unpack is None else unpack(buffer, begin)[1]
            cut = begin + head_bytes
            self._runs += (buffer[begin:cut],)
            begin = cut + length
            if length > longest:  # it stays in the file, and is passed over
                self._bulk.append((3 * at + 2, cut, length, b""))
                mode, opened = Mode.SILENT, link.text
            elif mode == Mode.NUMBERS:
                self._numbers.append(at)
                self._lists += [at] if b"\\" in buffer[cut:begin] else []
            elif mode == Mode.VALUE:
                self._others.append((at, link.slot.entry.encode, link.slot.around.charset))
            self._silent += mode >= Mode.VALUE
            form += f"{head_bytes}s" + (f"0s{length}x" if mode > Mode.VALUE else f"{length}s")
            self._pieces += opened, b"", closing
        if trail.pixels is not None:
            place, length = trail.pixels
            self._runs += (buffer[begin:place],)
            form, begin = form + f"{place - begin}s", place
            self._bulk.append((len(self._pieces) - 1, place, length, link.slot.entry.prefix))
            self._pieces.append(b"}")
        self._pick = itemgetter(*self._numbers, -1)  # an end has no value
        self._unpack, self._needed = struct.Struct(form).unpack_from, begin
        self.weight = 2 * sum(map(len, self._pieces))

    def take(self, buffer: bytes, bulk: BulkWriter) -> list[bytes] | None:
        """Return the JSON of a file that begins with `buffer`, in pieces as those of a `Trail`.

        None if it is laid out otherwise, or has values that must be encoded one by one.
        """
        parts = self._unpack(buffer, self._start) if self._needed <= len(buffer) else ()
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
        for piece, at, length, prefix in self._bulk:
            pieces[piece] = prefix + bulk.rest(at, length)
        return pieces

    def find(self, pieces: list[bytes], tag: int) -> bytes | None:
        """Return the member of `tag` in a file that became `pieces`, None if there is none."""
        return find_told(self._passed, pieces, self._outline, tag)

    def lead(self, pieces: list[bytes], bulk: BulkWriter) -> Trail:
        """Return the way of a file that became `pieces`."""
        trail = Trail(self._links, self._start, bulk)
        trail.passed, trail.pieces, trail.position = self._passed, pieces, self._position
        trail.pixels, trail.stop = self.pixels, self.stop
        return trail


Told: TypeAlias = tuple[Layout, list[bytes]]
"""How a file is laid out, and its JSON in pieces."""


class FileTemplate(Template):
    """A template of files: it also keeps how some of the last ones were laid out."""

    def __init__(self) -> None:
        super().__init__()
        self._layouts: list[Layout] = []
        self._gain = 0

    def match(self, trail: Trail, buffer: bytes) -> bool:
        """Go along to an end, and now and then keep how the file is laid out."""
        is_known = super().match(trail, buffer)
        self._gain -= 1
        is_plain = is_known and trail.stop and not trail.sequences and not self.hits & 3
        if is_plain and self._gain > _LEAST_GAIN and sum(map(len, trail.pieces)) <= _LONGEST_BYTES:
            self._layouts.insert(0, Layout(trail, buffer))
            self.bytes += self._layouts[0].weight
        while len(self._layouts) > (_MOST_LAYOUTS if self._gain > _LEAST_GAIN else 0):
            self.bytes -= self._layouts.pop().weight
        return is_known

    def take_at_once(self, buffer: bytes, size: int, bulk: BulkWriter) -> Told | None:
        """Take a file of `size` bytes that is laid out like one before."""
        for at, layout in enumerate(self._layouts):
            if layout.stop in (size, -1) and (pieces := layout.take(buffer, bulk)):
                if at:
                    self._layouts.insert(0, self._layouts.pop(at))
                self._gain += 1
                self.hits += 1
                return layout, pieces
        return None
