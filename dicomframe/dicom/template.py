"""Templates: what many data sets share is compared, and only the rest is encoded.

A template is a net of links. A link is a run of bytes that stays, its JSON, and the value behind it
that varies; then the links follow that are known to come next. Every byte that decides anything
stands in a run, so that a data set that goes along links from the beginning to an end is read as
the walk reads it, whatever it was learned from.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from dicomframe.dicom.bulk import NO_BULK, BulkWriter
from dicomframe.dicom.elements import Around, Entry
from dicomframe.dicom.fragments import SEQUENCE_ENDS, UNDEFINED
from dicomframe.dicom.links import Lesson, Link, Links, Mode, Part, Place, Slot, find_told
from dicomframe.dicom.values import EMPTY, NUMBERS_TO_JSON, UnfitValue, are_plain

_MOST_LINKS = 16
_MOST_BYTES = 4 << 20
_FREE_MISSES = 16


class Nested(NamedTuple):
    """Hold what is known of the data sets that are nested in that of a file.

    Attributes
    ----------
    items : Mapping
        Templates of their items, by the tag and what is around them.
    walk : Callable
        Returns the member of the sequence whose first item begins at a place in the buffer, and
        where it ends; nothing if it holds fragments. Raises `NotAtHand`.
    """

    items: Mapping[tuple[int, Around], Template]
    walk: Callable[[int, Slot], tuple[bytes, int]]


class Trail:
    """Hold how far a data set has gone along the links of a template.

    Attributes
    ----------
    start, position : int
        Where it began and where it stands, in the buffer; -1 if it cannot go on, whatever is
        learned.
    links : Links
        What is known to come next.
    passed : list of Link
        What it came along, in items too.
    pieces : list of bytes
        The JSON so far, three for each link passed: its text, plain text, and what comes behind.
    sequences : list of tuple of int
        Which links are those of items, sequence by sequence: the first, and the first behind
        them; and where the sequence ended.
    pixels : tuple of int or None
        Where the value of Pixel Data lies in the buffer, and its length; None without one, and
        where it is a chain of fragments.
    stop : int
        Where the data set ends, Pixel Data included; -1 if fragments are to tell, 0 if more is to
        be read for it.
    bulk : BulkWriter
        Tells of values that stay in the file.
    """

    __slots__ = ("_known", "_numbers", "_outline", "bulk", "links", "passed", "pieces", "pixels",
                 "position", "sequences", "start", "stop")  # fmt: skip

    def __init__(
        self, links: Links, position: int, bulk: BulkWriter = NO_BULK, known: Nested | None = None
    ) -> None:
        self.links = links
        self.start = self.position = position
        self.bulk = bulk
        self._known = known
        self.passed: list[Link] = []
        self.pieces: list[bytes] = []
        self.sequences: list[tuple[int, int, int]] = []
        self.pixels: tuple[int, int] | None = None
        self.stop = 0
        self._numbers: list[bytes] = []
        self._outline: list[int] = []

    def follow(self, buffer: bytes) -> bool:
        """Go on as far as links are known; tell whether the last one ends the data set.

        `position` is then behind the run of that link. Text and numbers are taken for plain as
        they are met, and looked at all together in the end.
        """
        while (is_over := self._follow(buffer)) is None:
            pass  # a sequence was walked
        return is_over

    def _follow(self, buffer: bytes) -> bool | None:
        """Go on up to a sequence whose items differ from those known, and walk it: None then."""
        links, position, stop, sequence = self.links, self.position, -1, None
        passed, pieces, numbers = self.passed.append, self.pieces, self._numbers.append
        (to_commas, spaces), as_value = NUMBERS_TO_JSON, Mode.VALUE
        try:
            while True:
                run, head_bytes, unpack, mode, opened, closing, longest, after = links.at_hand
                begin = position + head_bytes
                if unpack is None:
                    found, length = buffer[position:begin], longest
                else:
                    try:
                        found, length = unpack(buffer, position)
                    except struct.error:
                        found = None
                if found != run:
                    if links.bring_forward(buffer, position):
                        continue
                    break
                passed(link := links.first)
                position, links = begin + length, after
                if length > longest:
                    pieces += link.text, b"", self.bulk.rest(begin, length)
                elif mode < as_value:
                    if raw := buffer[begin:position].rstrip(b" \0"):
                        if mode:
                            numbers(raw)
                            raw = raw.translate(to_commas, spaces)
                        pieces += opened, raw, closing
                    else:
                        pieces += link.text, b"", EMPTY
                elif mode == as_value:
                    slot = link.slot
                    rest = slot.entry.encode(buffer[begin:position], slot.around.charset)
                    pieces += opened, b"", rest
                elif mode == Mode.SILENT:
                    pieces += opened, b"", b""
                elif mode == Mode.SEQUENCE and self._known is not None:
                    pieces += opened, b"", b',"Value":['
                    sequence = len(self.passed), len(self._numbers), begin, link
                    first = self._known.items[link.slot.entry.tag, link.slot.around].links
                    stop, position, links = position, begin, first
                elif position > len(buffer):
                    break
                elif position < stop and not buffer.startswith(SEQUENCE_ENDS, position):
                    pieces += opened, b"", b","  # another item
                    links = first
                elif sequence is None:
                    self.position = self.stop = position
                    pieces += opened, b"", b""
                    if mode == Mode.PIXELS:
                        self._end_with_pixels(link.slot, buffer)
                    if not are_plain(pieces[1::3], b"\\".join(self._numbers)):
                        self._encode_again()
                    return True
                elif position == stop or stop - sequence[2] == UNDEFINED:
                    pieces += opened, b"", b"]}"
                    position += 0 if position == stop else 8  # its delimiter
                    self.sequences.append((sequence[0], len(self.passed), position))
                    links, stop, sequence = sequence[-1].at_hand[-1], -1, None
                else:
                    break
        except UnfitValue:
            position = -1
        if sequence is None or self._known is None:
            self.links, self.position = links, position
            return False
        number, count, begin, link = sequence
        del self.passed[number:], pieces[3 * number - 3 :], self._numbers[count:]
        told, self.position = self._known.walk(begin, link.slot)
        pieces += link.text, b"", told[len(link.slot.entry.prefix) :]
        self.links = link.at_hand[-1]
        self.sequences.append((number, number, self.position))
        return None if told else False

    def end_with(self, entry: Entry, place: int, length: int, stop: int) -> None:
        """Tell of Pixel Data whose value lies at `place`, behind which the data set ends."""
        self.pixels, self.stop = (place, length), stop
        self.pieces[-1:] = entry.prefix + self.bulk.rest(place, length), b"}"

    def _end_with_pixels(self, slot: Slot, buffer: bytes) -> None:
        """Tell of Pixel Data behind the last run, if it is no chain of fragments."""
        place = self.position + slot.length_bytes
        field = buffer[self.position : place]
        self.stop = -1 if field == b"\xff\xff\xff\xff" else 0
        if not self.stop and len(field) == slot.length_bytes:
            length = int.from_bytes(field, "little")
            self.end_with(slot.entry, place, length, place + length)

    def _encode_again(self) -> None:
        """Encode one by one what was taken for plain."""
        numbers, pieces = iter(self._numbers), self.pieces
        for number, link in enumerate(self.passed):
            at, slot = 3 * number, link.slot
            if raw := pieces[at + 1]:
                raw = raw if slot.mode == Mode.TEXT else next(numbers)
                rest = slot.entry.encode(raw, slot.around.charset)
                pieces[at : at + 3] = link.text, b"", rest

    def has_fragments(self, buffer: bytes) -> bool:
        """Tell whether it ends before Pixel Data that is a chain of fragments."""
        slot = self.passed[-1].slot
        can_hold_them = slot.mode == Mode.PIXELS and slot.entry.vr in ("OB", "OW")
        return can_hold_them and buffer.startswith(b"\xff\xff\xff\xff", self.position)

    def is_cut(self, buffer: bytes) -> bool:
        """Tell whether it stands where the bytes at hand end, and all of them fit a link."""
        rest = buffer[self.position :]
        fit = [rest.startswith(link.run) or link.run.startswith(rest) for link in self.links]
        return self.position >= 0 and any(fit)

    def outline(self) -> list[int]:
        """Return which of the links passed are not those of items, and how many there are."""
        numbers = list(range(len(self.passed) + 1))
        for first, behind, _ in reversed(self.sequences):
            del numbers[first:behind]
        return numbers

    def find(self, tag: int) -> bytes | None:
        """Return the member of `tag` in a data set that came to its end, None if there is none."""
        self._outline = self._outline or self.outline()  # asked for each column
        return find_told(self.passed, self.pieces, self._outline, tag)


class Template:
    """The links that data sets of one kind go along, from the beginning to an end.

    Attributes
    ----------
    links : Links
        What a data set may begin with.
    places : dict
        The links that are known to follow at a place.
    bytes : int
        What it keeps, about.
    hits, misses : int
        Data sets that went along it, and those that differed in more than values.
    """

    def __init__(self) -> None:
        self.links = Links()
        self.places: dict[Place | None, Links] = {}
        self.bytes = self.hits = self.misses = 0

    @property
    def pays(self) -> bool:
        """Whether data sets fit often enough."""
        return self.misses <= _FREE_MISSES + self.hits

    def match(self, trail: Trail, buffer: bytes) -> bool:
        """Go along to an end; where only values differ from those known, let them vary."""
        while not (is_known := trail.follow(buffer)) and self.pays and self._split(trail, buffer):
            pass  # one value more may vary
        self.hits += is_known
        self.misses += not is_known
        return is_known

    def learn(self, trail: Trail, buffer: bytes, lessons: Iterator[Lesson]) -> bool:
        """Add links from where a data set left the known ones; tell whether it comes to an end.

        `lessons` are its elements from there on; no more of them are asked for than are new.
        """
        while self._split(trail, buffer) or self._add(trail, buffer, lessons):
            if trail.follow(buffer):
                return True
        return False

    def _add(self, trail: Trail, buffer: bytes, lessons: Iterator[Lesson]) -> bool:
        """Add links for the elements from where `trail` stands to one behind which it is known."""
        if trail.position < 0 or self.bytes > _MOST_BYTES:
            return False
        links, run_at, at = trail.links, trail.position, trail.position
        parts: list[Part] = []
        for start, stop, elements in lessons:
            if start < at:
                continue
            if start > at:
                return False  # what lies between is not for templates
            at = stop
            parts += elements
            _, _, field, _, json, slot = parts[-1]
            tells_place = b'"BulkDataURI":' in json
            if slot is not None and (
                tells_place or slot.mode >= Mode.PIXELS or self.places.get(slot.place)
            ):
                after = self._at(slot.place)
                self._put(links, Link(buffer[run_at : stop - field], parts, slot, after))
                if after or slot.mode >= Mode.PIXELS:
                    return True
                links, run_at, parts = after, stop, []
            elif tells_place:
                return False
        return False

    def _at(self, place: Place | None) -> Links:
        """Return the links that follow at a place, to be added to."""
        return Links() if place is None else self.places.setdefault(place, Links())

    def _put(self, links: Links, link: Link) -> None:
        """Let `link` be the first of `links`; of many the last ones are forgotten."""
        if any(other.run == link.run and other.slot.mode == link.slot.mode for other in links):
            return
        links.put_first(link)
        self.bytes += link.weight - sum(other.weight for other in links[_MOST_LINKS:])
        del links[_MOST_LINKS:]

    def _split(self, trail: Trail, buffer: bytes) -> bool:
        """Let the values vary that a data set and the link most like it differ in.

        Return whether the data set can go on then: not where it differs in more than a value, or
        in one that decides how others are read.
        """
        position, links = trail.position, trail.links
        if not links or position < 0 or self.bytes > _MOST_BYTES:
            return False
        link = max(links, key=lambda each: _count_shared(each.run, buffer, position))
        run, parts = link.run, link.parts
        begin = stop = first = 0
        for at, (_, head, field, _, _, slot) in enumerate(parts[:-1]):
            start, cut = stop, stop + head
            stop = cut + field
            if buffer[position : position + head] != run[start:cut]:
                break
            position += head
            value = buffer[position : position + field]
            if run.startswith(value, cut):
                if len(value) < field:
                    break
                position += field
                continue
            if slot is None:
                break
            if not first:
                links.remove(link)
                self.bytes -= link.weight
            known, links = links, self._at(slot.place)
            known.put_first(Link(run[begin:cut], parts[first : at + 1], slot, links))
            self.bytes += known.first.weight
            begin, first = stop, at + 1
            position = -1 if links else _skip(slot, buffer, position)
            if position < 0:
                break
        if first:
            self._put(links, Link(run[begin:], parts[first:], link.slot, link.at_hand[-1]))
        return bool(first)


def _skip(slot: Slot, buffer: bytes, begin: int) -> int:
    """Return where the value that begins with its length field ends; -1 if that is not at hand."""
    if not slot.length_bytes:
        return begin + slot.longest
    start = begin + slot.length_bytes
    stop = start + int.from_bytes(buffer[begin:start], "little")
    return stop if stop < len(buffer) else -1


def _count_shared(run: bytes, buffer: bytes, position: int) -> int:
    """Return how many of the first bytes are the same."""
    for at in range(0, len(run), 32):
        ours, other = run[at : at + 32], buffer[position + at : position + at + 32]
        if ours != other:
            near = int.from_bytes(ours[: len(other)], "little") ^ int.from_bytes(other, "little")
            return at + (((near & -near).bit_length() - 1) >> 3 if near else len(other))
    return len(run)
