"""Templates: what many data sets share is compared, and only the rest is encoded.

A template is a net of links. A link is a run of bytes that stays, its JSON, and the value behind it
that varies; then the links follow that are known to come next. Every byte that decides anything
stands in a run, so that a data set that goes along links from the beginning to an end is read as
the walk reads it, whatever it was learned from.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.elements import Context, Entry
from dicomframe.dicom.encodings import Encoding
from dicomframe.dicom.text import Charset
from dicomframe.dicom.values import Encoder, UnfitValue

VALUE, SAME_LENGTH, SILENT, SEQUENCE, PIXELS, END = range(6)
"""How what varies is taken: encoded, also if its length may not vary; passed over; item by item.

The last two end a data set.
"""

_MOST_LINKS = 16
_MOST_BYTES = 4 << 20
_PART_BYTES = 200


class Around(NamedTuple):
    """What the items of a sequence take from around it."""

    tag: int
    encoding: Encoding
    charset: Charset
    signed: bool

    def context(self) -> Context:
        """Return the context with which an item begins."""
        return Context(self.charset, signed=self.signed)


class Slot(NamedTuple):
    """How an element is taken whose value varies.

    Attributes
    ----------
    mode : int
        `VALUE`, `SILENT`, `SEQUENCE`, `PIXELS` or `END`.
    entry : Entry
        What its tag and VR decide.
    length_bytes : int
        Bytes of its length field; 0 where the length must stay too.
    unpack_length : callable
        Reads that field.
    longest : int
        A longer value stays in the file; where the length stays, the length.
    around : Around
        What the value depends on besides its bytes.
    place : object
        Where the data set stands behind it: links learned at equal places serve each other.
        None if they must not.
    elements, depth : int
        At an `END`: what the whole item counts against these limits.
    """

    mode: int
    entry: Entry
    length_bytes: int
    unpack_length: Callable[[bytes, int], tuple[int]]
    longest: int
    around: Around
    place: Hashable | None = None
    elements: int = 0
    depth: int = 0


class Part(NamedTuple):
    """One element within a link, in bytes of the data set and of the JSON.

    Attributes
    ----------
    tag : int
        The element.
    head, field : int
        Bytes before what varies if anything does, and of that.
    text, json : int
        The same for the JSON.
    slot : Slot or None
        How it varies; None if it must not.
    """

    tag: int
    head: int
    field: int
    text: int
    json: int
    slot: Slot | None


class Link(NamedTuple):
    """A run that stays, its JSON, and what varies behind it; then `after` comes.

    `parts` tells of the elements in the run; it ends with the head of the last one, which varies
    as its `slot` tells. `members` tells where in the text members are, once one was asked for. The
    other fields are what `follow` needs at hand.
    """

    run: bytes
    run_bytes: int
    text: bytes
    mode: int
    length_bytes: int
    unpack_length: Callable[[bytes, int], tuple[int]]
    encode: Encoder
    charset: Charset
    longest: int
    after: list[Link]
    slot: Slot
    parts: list[Part]
    members: dict[int, tuple[int, int]]


def make_link(run: bytes, text: bytes, parts: list[Part], slot: Slot, after: list[Link]) -> Link:
    """Return a link that ends before what varies of the last of `parts`."""
    mode, entry, length_bytes, unpack_length, longest, around = slot[:6]
    encode, charset = entry.encode, around.charset
    how = mode, length_bytes, unpack_length, encode, charset, longest
    return Link(run, len(run), text, *how, after, slot, parts, {})


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
        The file, unless it is an item that is compared.
    """

    __slots__ = ("links", "passed", "pieces", "position", "source")

    def __init__(self, links: list[Link], position: int, source: Source | None = None) -> None:
        self.links = links
        self.position = position
        self.source = source
        self.passed: list[Link] = []
        self.pieces: list[bytes] = []

    def follow(self, buffer: bytes) -> bool:
        """Go on as far as links are known; tell whether the last one ends the data set.

        `position` is then behind the run of that link.
        """
        links, position, source = self.links, self.position, self.source
        append, passed = self.pieces.append, self.passed.append
        try:
            while links:
                link = links[0]
                (
                    run, run_bytes, text, mode, length_bytes, unpack_length, encode, charset,
                    longest, after, slot, _, _,
                ) = link  # fmt: skip
                if not buffer.startswith(run, position):
                    if _bring_forward(links, buffer, position):
                        continue
                    break
                passed(link)
                append(text)
                begin = position + run_bytes
                if mode == VALUE:
                    start = begin + length_bytes
                    (length,) = unpack_length(buffer, begin)
                    position = start + length
                    if length <= longest:
                        append(encode(buffer[start:position], charset))
                    elif source is not None:
                        append(source.bulk.rest(start, length))
                elif mode == SAME_LENGTH:
                    position = begin + longest
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
                else:
                    self.position = begin
                    return True
                links = after
        except (UnfitValue, struct.error):
            position = -1
        self.links, self.position = links, position
        return False

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
        if any(other.run == link.run and other.mode == link.mode for other in links):
            return
        links.insert(0, link)
        self.bytes += _weigh(link) - sum(map(_weigh, links[_MOST_LINKS:]))
        del links[_MOST_LINKS:]

    def split(self, trail: Trail, buffer: bytes) -> bool:
        """Let the value vary that a data set and the link most like it differ in first.

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
        at, cut, text_cut = _find_part(link, shared)
        part = link.parts[at]
        if part.slot is None or shared < cut:
            return False
        after = self.at(part.slot.place)
        run, text = link.run[cut + part.field :], link.text[text_cut + part.json :]
        self.add(after, make_link(run, text, link.parts[at + 1 :], link.slot, link.after))
        first = link.run[:cut], link.text[:text_cut]
        links[number] = make_link(*first, link.parts[: at + 1], part.slot, after)
        self.bytes += _weigh(links[number]) - _weigh(link)
        return True


def _weigh(link: Link) -> int:
    return len(link.run) + len(link.text) + _PART_BYTES * (1 + len(link.parts))


def _find_part(link: Link, offset: int) -> tuple[int, int, int]:
    """Return which part is at an offset of the run, and where it may vary in run and text."""
    start = text_start = 0
    for number, part in enumerate(link.parts):
        cut, text_cut = start + part.head, text_start + part.text
        start, text_start = cut + part.field, text_cut + part.json
        if offset < start or part is link.parts[-1]:
            return number, cut, text_cut
    raise ValueError(offset)


def _count_shared(run: bytes, buffer: bytes, position: int) -> int:
    """Return how many of the first bytes are the same."""
    other = buffer[position : position + len(run)]
    count = len(other)
    difference = int.from_bytes(run[:count], "little") ^ int.from_bytes(other, "little")
    if not difference:
        return count
    return ((difference & -difference).bit_length() - 1) >> 3
