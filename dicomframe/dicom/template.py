"""Templates: what many data sets share is compared, and only the rest is encoded.

A template is a net of links. A link is a run of bytes that stays, its JSON, and the value behind it
that varies; then the links follow that are known to come next. Every byte that decides anything
stands in a run, so that a data set that goes along links from the beginning to an end is read as
the walk reads it, whatever it was learned from.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable
from typing import Protocol

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.fragments import SEQUENCE_ENDS
from dicomframe.dicom.links import PIXELS, SAME_LENGTH, SEQUENCE, SILENT, VALUE, Link, Part, Slot
from dicomframe.dicom.values import (
    EMPTY,
    UnfitValue,
    are_plain,
    encode_number_text,
    get_plain_form,
    write_numbers,
)

_MOST_LINKS = 16
_MOST_BYTES = 4 << 20
_PART_BYTES = 200
_STRIDE_BYTES = 256


class Source(Protocol):
    """What a template asks for that the bytes at hand alone cannot tell."""

    @property
    def bulk(self) -> BulkWriter:
        """How values are told of that stay in the file."""

    def take_sequence(self, at: int, slot: Slot) -> tuple[bytes, int] | None:
        """Return the member of the sequence whose length field is at `at`, and where it ends."""


class Trail:
    """Hold how far a data set has gone along the links of a template.

    Attributes
    ----------
    position : int
        Where it stands, in the buffer; -1 if it cannot go on, whatever is learned.
    links : list of Link
        What is known to come next.
    passed : list of Link
        What it came along.
    pieces : list of bytes
        The JSON so far: the text of each link passed, and what followed it.
    source : Source or None
        The file, unless items are compared: all of a sequence that begin before `stop`.
    """

    __slots__ = (
        "_first",
        "_numbers",
        "_stop",
        "_texts",
        "links",
        "passed",
        "pieces",
        "position",
        "source",
    )

    def __init__(
        self, links: list[Link], position: int, source: Source | None = None, stop: int = -1
    ) -> None:
        self.links = self._first = links
        self.position = position
        self.source = source
        self._stop = stop
        self.passed: list[Link] = []
        self.pieces: list[bytes] = []
        self._texts: list[bytes] = []
        self._numbers: list[bytes] = []

    def follow(self, buffer: bytes) -> bool:
        """Go on as far as links are known; tell whether the last one ends the data set.

        `position` is then behind the run of that link. Text and numbers are taken for plain as
        they are met, and looked at all together in the end.
        """
        links, position, source = self.links, self.position, self.source
        append, passed = self.pieces.append, self.passed.append
        texts, numbers = self._texts, self._numbers
        try:
            while links:
                link = links[0]
                (
                    run, run_bytes, text, mode, length_bytes, unpack_length, encode, form, charset,
                    longest, after, slot,
                ) = link.at_hand  # fmt: skip
                begin = position + run_bytes
                if buffer[position:begin] != run:
                    if _bring_forward(links, buffer, position):
                        continue
                    break
                passed(link)
                append(text)
                if mode <= SAME_LENGTH:
                    if mode == VALUE:
                        (length,) = unpack_length(buffer, begin)
                        begin += length_bytes
                        position = begin + length
                    else:
                        position = begin + (length := longest)
                    if length > longest:
                        if source is not None:
                            append(source.bulk.rest(begin, length))
                    elif form:
                        raw = buffer[begin:position].rstrip(b" \0")
                        if raw:
                            texts.append(raw)
                            append(form % raw)
                        else:
                            append(EMPTY)
                    elif encode is encode_number_text:
                        raw = buffer[begin:position].rstrip(b" \0")
                        if raw:
                            numbers.append(raw)
                            append(write_numbers(raw))
                        else:
                            append(EMPTY)
                    else:
                        append(encode(buffer[begin:position], charset))
                elif mode == SEQUENCE and source is not None:
                    taken = source.take_sequence(begin, slot)
                    if taken is None:
                        position = -1
                        break
                    append(taken[0])
                    position = taken[1]
                elif mode == SILENT:
                    position = begin + length_bytes + unpack_length(buffer, begin)[0]
                    append(b"")
                elif begin < self._stop and not buffer.startswith(SEQUENCE_ENDS, begin):
                    append(b",")
                    position, after = begin, self._first
                elif begin > len(buffer):
                    break
                else:
                    self.position = begin
                    if not are_plain(texts, numbers):
                        self._encode_again()
                    return True
                links = after
        except (UnfitValue, struct.error):
            position = -1
        self.links, self.position = links, position
        return False

    def _encode_again(self) -> None:
        """Encode one by one what was taken for plain."""
        texts, numbers, pieces = iter(self._texts), iter(self._numbers), self.pieces
        for number, link in enumerate(self.passed[:-1]):
            encode, charset = link.slot.entry.encode, link.slot.around.charset
            is_number = encode is encode_number_text
            is_held = is_number or get_plain_form(encode)
            if is_held and pieces[2 * number + 1].startswith(b',"Value"'):
                raw = next(numbers if is_number else texts)
                pieces[2 * number + 1] = encode(raw, charset)

    def has_fragments(self, buffer: bytes) -> bool:
        """Tell whether it ends before Pixel Data that is a chain of fragments."""
        slot = self.passed[-1].slot
        return (
            slot.mode == PIXELS
            and slot.entry.vr in ("OB", "OW")
            and buffer.startswith(b"\xff\xff\xff\xff", self.position)
        )

    def find(self, tag: int) -> bytes | None:
        """Return the member of `tag`, None if there is none."""
        for number, link in enumerate(self.passed):
            if tag > link.parts[-1].tag:
                continue
            if not link.members:
                stop = 0
                for part in link.parts:
                    start = stop
                    stop += part.text + part.json
                    link.members.setdefault(part.tag, (start + 1, stop))
            start, stop = link.members.get(tag, (0, 0))
            if tag == link.parts[-1].tag:
                return link.text[start:] + self.pieces[2 * number + 1] or None
            return link.text[start:stop] or None
        return None


def _bring_forward(links: list[Link], buffer: bytes, position: int) -> bool:
    for number, link in enumerate(links):
        if buffer.startswith(link.run, position):
            links.insert(0, links.pop(number))
            return True
    return False


class Template:
    """The links that data sets of one kind go along, from the beginning to an end.

    Attributes
    ----------
    links : list of Link
        What a data set may begin with.
    places : dict
        The links that are known to follow at a place.
    bytes : int
        What it keeps, about.
    """

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.places: dict[Hashable, list[Link]] = {}
        self.bytes = _PART_BYTES

    @property
    def is_full(self) -> bool:
        """Whether it has all that one template may keep."""
        return self.bytes > _MOST_BYTES

    def at(self, place: Hashable | None) -> list[Link]:
        """Return the links that follow at a place, to be added to."""
        if place is None:
            return []
        return self.places.setdefault(place, [])

    def add(self, links: list[Link], link: Link) -> None:
        """Let `link` be the first of `links`; of many the last ones are forgotten."""
        if any(other.run == link.run and other.slot.mode == link.slot.mode for other in links):
            return
        links.insert(0, link)
        self.bytes += _weigh(link) - sum(map(_weigh, links[_MOST_LINKS:]))
        del links[_MOST_LINKS:]

    def split(self, trail: Trail, buffer: bytes) -> bool:
        """Let the values vary that a data set and the link most like it differ in.

        Return whether the data set can go on then: not where it differs in more than a value, or
        in one that decides how others are read.
        """
        position, links = trail.position, trail.links
        if position < 0 or self.is_full:
            return False
        counts = [_count_shared(link.run, buffer, position) for link in links]
        shared = max(counts, default=0)
        if not counts or position + shared >= len(buffer):
            return False
        number = counts.index(shared)
        link = links[number]
        run, text, parts = link.run, link.text, link.parts
        found = _find_part(parts, shared)
        if found is None:
            return False
        del links[number]
        self.bytes -= _weigh(link)
        while found is not None:
            at, cut, text_cut, slot = found
            known, links = links, self.at(slot.place)
            known.insert(0, Link(run[:cut], text[:text_cut], parts[: at + 1], slot, links))
            self.bytes += _weigh(known[0])
            run, text = run[cut + parts[at].field :], text[text_cut + parts[at].json :]
            parts = parts[at + 1 :]
            position = -1 if links else _skip(slot, buffer, position + cut)
            if position < 0:
                break
            shared = _count_shared(run, buffer, position)
            found = None if position + shared >= len(buffer) else _find_part(parts, shared)
        self.add(links, Link(run, text, parts, link.slot, link.after))
        return True


def _weigh(link: Link) -> int:
    return len(link.run) + len(link.text) + _PART_BYTES * (1 + len(link.parts))


def _find_part(parts: list[Part], offset: int) -> tuple[int, int, int, Slot] | None:
    """Return which part is at an offset of a run, where it varies in run and text, and how.

    None if it must not vary, differs before what varies, or is the last one, which varies already.
    """
    start = text_start = 0
    for number, part in enumerate(parts[:-1]):
        cut, text_cut = start + part.head, text_start + part.text
        start, text_start = cut + part.field, text_cut + part.json
        if offset < start:
            return (number, cut, text_cut, part.slot) if part.slot and cut <= offset else None
    return None


def _skip(slot: Slot, buffer: bytes, begin: int) -> int:
    """Return where the value that begins with its length field ends; -1 if that is not at hand."""
    if slot.mode == SAME_LENGTH:
        return begin + slot.longest
    start = begin + slot.entry.length_bytes
    if start > len(buffer):
        return -1
    stop = start + slot.entry.unpack_length(buffer, begin)[0]
    return stop if stop < len(buffer) else -1


def _count_shared(run: bytes, buffer: bytes, position: int) -> int:
    """Return how many of the first bytes are the same."""
    start = 0
    while buffer.startswith(run[start : start + _STRIDE_BYTES], position + start):
        start += _STRIDE_BYTES
        if start >= len(run):
            return len(run)
    other = buffer[position + start : position + start + _STRIDE_BYTES]
    count = min(len(other), len(run) - start)
    difference = int.from_bytes(run[start : start + count], "little") ^ int.from_bytes(
        other[:count], "little"
    )
    if not difference:
        return start + count
    return start + (((difference & -difference).bit_length() - 1) >> 3)
