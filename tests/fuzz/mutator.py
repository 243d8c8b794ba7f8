"""Change files in ways that break them, and in ways that leave them whole."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
    Encoding,
)
from dicomframe.testing.samples import ITEM_END, SEQUENCE_END, UNDEFINED, element, item

VRS = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OF OW PN SH SL SQ SS ST TM UI UL UN US UT".split()
TOKENS = (
    *(b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\0\xe0", ITEM_END, SEQUENCE_END, item()),
    *(b"\xfe\xff\0\xe0\xff\xff\xff\xff", b"SQ\0\0\xff\xff\xff\xff", b"UN\0\0\xff\xff\xff\xff"),
    *(b"OB\0\0\xff\xff\xff\xff", b"\x28\0\x03\x01", b"\x09\0\x10\0LO", b"DICM", b"\\", b"\x1b$B"),
)
CHARSETS = (
    b"ISO_IR 192",
    b"ISO_IR 100",
    b"ISO_IR 13 ",
    b"GB18030 ",
    b"\\ISO 2022 IR 87 ",
    b"KLINGON ",
)
LONGEST_FILE_BYTES = 100_000


class Place(NamedTuple):
    """Where an element lies in a file, in a sequence or not."""

    at: int
    value_at: int
    stop: int
    length_at: int
    tag: int
    encoding: Encoding
    depth: int


def find_places(data: bytes) -> list[Place]:
    """Return the elements of a file as far as it is sound; a walk of its own, and a plain one."""
    at, encoding = (132, EXPLICIT_LITTLE) if data[128:132] == b"DICM" else (0, IMPLICIT_LITTLE)
    places: list[Place] = []
    _collect(data, at, len(data), encoding, 0, places)
    return places


def _collect(
    data: bytes, at: int, bound: int, encoding: Encoding, depth: int, places: list[Place]
) -> int:
    """Add the elements from `at` on; return where they end."""
    while at + 8 <= bound and len(places) < 3000:
        order = encoding.order
        tag = int.from_bytes(data[at : at + 2], order) << 16
        tag |= int.from_bytes(data[at + 2 : at + 4], order)
        if depth == 0 and tag >> 16 > 2 and data[128:132] == b"DICM" and not _is_body(places):
            encoding = _encoding_of(data)
            places.append(Place(at, at, at, at, 0, encoding, 0))  # marks the data set's beginning
            continue
        if tag >> 16 == 0xFFFE:
            return at + 8
        vr = data[at + 4 : at + 6] if encoding.explicit else b""
        is_long = vr in (
            b"OB",
            b"OD",
            b"OF",
            b"OL",
            b"OV",
            b"OW",
            b"SQ",
            b"UC",
            b"UN",
            b"UR",
            b"UT",
        )
        length_at = at + (8 if is_long else 6 if encoding.explicit else 4)
        value_at = at + (12 if is_long else 8)
        length = int.from_bytes(data[length_at:value_at], order)
        is_open = length == UNDEFINED
        stop = bound if is_open else value_at + length
        if stop > bound or (is_open and tag == 0x7FE00010):
            return bound
        number = len(places)
        places.append(Place(at, value_at, stop, length_at, tag, encoding, depth))
        if depth < 6 and (is_open or vr == b"SQ" or (not vr and _is_item(data, value_at, stop))):
            inner = IMPLICIT_LITTLE if vr == b"UN" else encoding
            stop = _collect_items(data, value_at, stop, inner, depth + 1, places)
            places[number] = places[number]._replace(stop=stop)
        at = stop
    return at


def _collect_items(
    data: bytes, at: int, bound: int, encoding: Encoding, depth: int, places: list[Place]
) -> int:
    while at + 8 <= bound:
        length = int.from_bytes(data[at + 4 : at + 8], encoding.order)
        if not _is_item(data, at, bound) and data[at : at + 4] != b"\xff\xfe\xe0\x00":
            return at + 8
        stop = bound if length == UNDEFINED else min(at + 8 + length, bound)
        end = _collect(data, at + 8, stop, encoding, depth, places)
        at = end if length == UNDEFINED else stop
    return at


def _is_body(places: list[Place]) -> bool:
    return any(place.tag == 0 for place in places)


def _is_item(data: bytes, at: int, stop: int) -> bool:
    return at + 8 <= stop and data[at : at + 4] == b"\xfe\xff\0\xe0"


def _encoding_of(data: bytes) -> Encoding:
    head = data[132:2000]
    at = head.find(b"\x02\0\x10\0UI")
    stop = at + 8 + int.from_bytes(head[at + 6 : at + 8], "little")  # head may end before
    uid = head[at + 8 : stop].rstrip(b"\0 ").decode("latin-1") if at >= 0 else ""
    known = {IMPLICIT_LITTLE_UID: IMPLICIT_LITTLE, EXPLICIT_BIG_UID: EXPLICIT_BIG}
    return known.get(uid, EXPLICIT_LITTLE)


class Mutator:
    """Change files in ways that break them, and in ways that leave them whole."""

    def __init__(self, random: Random, groups: list[list[bytes]]) -> None:
        self._random = random
        self._all_groups = self._groups = groups
        self._places: dict[int, list[Place]] = {}
        self._kinds: tuple[Callable[[bytes], bytes], ...] = (
            *(self._change_digit, self._change_digit, self._change_digit, self._change_text),
            *(self._change_value, self._change_value, self._resize_value, self._resize_value),
            *(self._change_bytes, self._flip_bit, self._put_token, self._insert, self._delete),
            *(self._cut, self._append, self._repeat, self._splice),
            *(self._swap, self._drop, self._double, self._move_in),
            *(self._change_length, self._change_vr, self._change_creator, self._change_charset),
            *(self._change_signedness, self._change_syntax, self._insert_delimiter),
            *(self._open_sequence, self._change_item_count),
        )

    def choose_neighbours(self) -> None:
        """Take the next files from a few groups alone, as a folder holds a few series."""
        self._groups = [list(group) for group in self._random.sample(self._all_groups, 12)]

    def next_file(self) -> bytes:
        """Return one file, whole or changed up to four times.

        Some of those changed become neighbours: one writer makes the same mistake in all its files.
        """
        random = self._random
        group = random.choice(self._groups)
        data = random.choice(group)
        if random.random() < 0.15:
            return data
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            if len(data) > 8:
                data = random.choice(self._kinds)(data)
        if random.random() < 0.2 and len(data) < LONGEST_FILE_BYTES:
            group.append(data)
        return data

    def _place(self, data: bytes, *, deep: bool = True) -> Place | None:
        key = hash(data)
        places = self._places.get(key)
        if places is None:
            if len(self._places) > 500:
                self._places.clear()
            places = self._places[key] = [place for place in find_places(data) if place.tag]
        if not deep:
            places = [place for place in places if place.depth == 0]
        return self._random.choice(places) if places else None

    def _find(self, data: bytes, wanted: Callable[[Place], bool]) -> Place | None:
        self._place(data)
        found = [place for place in self._places[hash(data)] if wanted(place)]
        return self._random.choice(found) if found else None

    def _spot(self, data: bytes) -> int:
        start = 128 if len(data) > 400 else 0
        return self._random.randrange(start, min(len(data), 12000))

    def _change_digit(self, data: bytes) -> bytes:
        return self._change_in_value(data, b"0123456789", b"0123456789")

    def _change_text(self, data: bytes) -> bytes:
        letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        return self._change_in_value(data, letters, letters + b'\\^="\0\x1b\x80\xe9\xff ')

    def _change_in_value(self, data: bytes, old: bytes, new: bytes) -> bytes:
        place = self._place(data)
        if place is None or place.stop <= place.value_at:
            return data
        for _ in range(8):
            at = self._random.randrange(place.value_at, place.stop)
            if data[at] in old:
                return data[:at] + bytes([self._random.choice(new)]) + data[at + 1 :]
        return data

    def _change_value(self, data: bytes) -> bytes:
        place = self._place(data)
        if place is None:
            return data
        value = self._value(place.stop - place.value_at)
        return data[: place.value_at] + value + data[place.stop :]

    def _value(self, length: int) -> bytes:
        random = self._random
        if length > 5000:
            return bytes(length)
        kind = random.choice((b"0123456789.", b"ABC abc\\^=", b"\0\1\xff", None))
        return random.randbytes(length) if kind is None else bytes(random.choices(kind, k=length))

    def _resize_value(self, data: bytes) -> bytes:
        """Give an element another length; what encloses it keeps its own, and so may break."""
        place = self._place(data, deep=self._random.random() < 0.3)
        if place is None:
            return data
        value = self._value(self._random.choice((0, 2, 4, 6, 8, 10, 12, 16, 30, 300, 1030)))
        return self._replace_value(data, place, value)

    def _replace_value(self, data: bytes, place: Place, value: bytes) -> bytes:
        size = place.value_at - place.length_at
        length = len(value).to_bytes(size, place.encoding.order)
        return data[: place.length_at] + length + value + data[place.stop :]

    def _change_bytes(self, data: bytes) -> bytes:
        at = self._spot(data)
        count = self._random.choice((1, 1, 2, 4, 8))
        return data[:at] + self._random.randbytes(count) + data[at + count :]

    def _flip_bit(self, data: bytes) -> bytes:
        at = self._spot(data)
        return data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]

    def _put_token(self, data: bytes) -> bytes:
        at, token = self._spot(data), self._random.choice(TOKENS)
        return data[:at] + token + data[at + len(token) :]

    def _insert(self, data: bytes) -> bytes:
        at = self._spot(data)
        return data[:at] + self._random.randbytes(self._random.randrange(1, 20)) + data[at:]

    def _delete(self, data: bytes) -> bytes:
        at = self._spot(data)
        return data[:at] + data[at + self._random.randrange(1, 20) :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._spot(data)] if self._random.random() < 0.5 else data[:-1]

    def _append(self, data: bytes) -> bytes:
        count = self._random.choice((1, 4, 8, 40, 300))
        return data + (
            bytes(count) if self._random.random() < 0.5 else self._random.randbytes(count)
        )

    def _repeat(self, data: bytes) -> bytes:
        start, at = self._spot(data), self._spot(data)
        return data[:at] + data[start : start + self._random.randrange(1, 200)] + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self._random.choice(self._random.choice(self._groups))
        mine, theirs = self._place(data, deep=False), self._place(other, deep=False)
        if mine is None or theirs is None:
            return data
        return data[: mine.at] + other[theirs.at :]

    def _swap(self, data: bytes) -> bytes:
        place = self._place(data)
        after = place and self._find(data, lambda other: other.at == place.stop)
        if not place or not after:
            return data
        one, other = data[place.at : place.stop], data[after.at : after.stop]
        return data[: place.at] + other + one + data[after.stop :]

    def _drop(self, data: bytes) -> bytes:
        place = self._place(data, deep=self._random.random() < 0.3)
        return data[: place.at] + data[place.stop :] if place else data

    def _double(self, data: bytes) -> bytes:
        place = self._place(data, deep=self._random.random() < 0.3)
        return (
            data[: place.stop] + data[place.at : place.stop] + data[place.stop :] if place else data
        )

    def _move_in(self, data: bytes) -> bytes:
        """Put an element of another file where it belongs by its tag."""
        other = self._random.choice(self._random.choice(self._groups))
        theirs = self._place(other)
        if theirs is None or theirs.stop - theirs.at > 4000:
            return data
        after = self._find(data, lambda mine: mine.depth == 0 and mine.tag > theirs.tag)
        at = after.at if after else len(data)
        return data[:at] + other[theirs.at : theirs.stop] + data[at:]

    def _change_length(self, data: bytes) -> bytes:
        place, random = self._place(data), self._random
        if place is None:
            return data
        size, order = place.value_at - place.length_at, place.encoding.order
        length = int.from_bytes(data[place.length_at : place.value_at], order)
        length += random.choice((-2, -1, 1, 2, 8, 256, 1 << 15, -length, 20, random.randrange(999)))
        raw = (length % (1 << 8 * size)).to_bytes(size, order)
        raw = b"\xff" * size if random.random() < 0.15 else raw
        return data[: place.length_at] + raw + data[place.value_at :]

    def _change_vr(self, data: bytes) -> bytes:
        place, random = self._place(data), self._random
        if place is None:
            return data
        vr = random.choice(VRS) if random.random() < 0.8 else random.randbytes(2)
        return data[: place.at + 4] + vr + data[place.at + 6 :]

    def _change_creator(self, data: bytes) -> bytes:
        place = self._find(data, lambda place: place.tag >> 16 & 1 == 1 and place.tag & 0xFF00 == 0)
        if place is None:
            return data
        creators = b"GEMS_IDEN_01", b"SIEMENS CT VA0  COAD", b"SIEMENS MR HEADER ", b"NOBODY"
        return self._replace_value(data, place, self._random.choice(creators))

    def _change_charset(self, data: bytes) -> bytes:
        charset = self._random.choice(CHARSETS)
        place = self._find(data, lambda place: place.tag == 0x00080005)
        if place is not None:
            return self._replace_value(data, place, charset)
        place = self._find(data, lambda place: place.tag > 0x00080005)
        if place is None:
            return data
        charset = element(0x00080005, "CS", charset, encoding=place.encoding)
        return data[: place.at] + charset + data[place.at :]

    def _change_signedness(self, data: bytes) -> bytes:
        place = self._find(data, lambda place: place.tag == 0x00280103)
        if place is None:
            return data
        return data[: place.value_at] + self._random.choice((b"\0\0", b"\1\0")) + data[place.stop :]

    def _change_syntax(self, data: bytes) -> bytes:
        place = self._find(data, lambda place: place.tag == 0x00020010)
        uids = (
            IMPLICIT_LITTLE_UID,
            "1.2.840.10008.1.2.1",
            EXPLICIT_BIG_UID,
            "1.2.840.10008.1.2.1.99",
        )
        if place is None:
            return data
        uid = self._random.choice((*uids, "1.2.840.10008.1.2.4.50", "1.9"))
        return self._replace_value(data, place, uid.encode() + b"\0" * (len(uid) % 2))

    def _insert_delimiter(self, data: bytes) -> bytes:
        place = self._place(data)
        at = place.stop if place else self._spot(data)
        return data[:at] + self._random.choice((ITEM_END, SEQUENCE_END, item())) + data[at:]

    def _open_sequence(self, data: bytes) -> bytes:
        """Write a sequence of defined length as one of undefined length."""
        place = self._find(
            data, lambda place: place.depth == 0 and _is_item(data, place.value_at, place.stop)
        )
        if place is None:
            return data
        end = b"" if data[place.stop - 8 : place.stop - 4] == SEQUENCE_END[:4] else SEQUENCE_END
        body = data[place.value_at : place.stop] + end
        return data[: place.length_at] + b"\xff\xff\xff\xff" + body + data[place.stop :]

    def _change_item_count(self, data: bytes) -> bytes:
        """Double or drop the first item of a sequence of the root."""
        place = self._find(
            data, lambda place: place.depth == 0 and _is_item(data, place.value_at, place.stop)
        )
        if place is None:
            return data
        length = int.from_bytes(data[place.value_at + 4 : place.value_at + 8], "little")
        stop = place.value_at + 8 + length
        if stop > place.stop:
            return data
        one, rest = data[place.value_at : stop], data[stop : place.stop]
        body = self._random.choice((one * 2, one * 3, b"")) + rest
        if data[place.length_at : place.value_at] == b"\xff\xff\xff\xff":
            return data[: place.value_at] + body + data[place.stop :]
        return self._replace_value(data, place, body)
