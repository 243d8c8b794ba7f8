"""Walk, memo and templates give the same of every file, whatever was read before."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import pytest
from at_hand import read
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from layers import check_layers

from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Encoding,
)
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.testing.samples import (
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    element,
    file_meta,
    item,
    make_ct,
    make_file,
    real_files,
    sequence,
)

FIRST = element(0x00080060, "CS", "MR")
SERIES = element(0x0020000E, "UI", "1.2.3")


class Slot(NamedTuple):
    """An element that a series may have, the VRs it may be written with, and its values."""

    tag: int
    vrs: tuple[str, ...]
    values: tuple[bytes, ...]


SLOTS = (
    Slot(0x00080000, ("UL",), (b"\4\0\0\0", b"\x40\0\0\0")),
    Slot(0x00080005, ("CS",), (b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87 ", b"KLINGON ")),
    Slot(0x00080008, ("CS",), (b"ORIGINAL\\PRIMARY", b"DERIVED\\PRIMARY ", b"")),
    Slot(0x00080018, ("UI", "UN"), (b"1.2.3.4\0", b"1.2.3.5\0", b"1.2.3.46")),
    Slot(0x00080060, ("CS", "UN", "ZZ"), (b"MR", b"CT", b"PT")),
    Slot(0x00081030, ("LO", "UN", "ST"), (b"Gr\xf6\xdfe ", "Größe ".encode(), b"\x1b$B;3ED\x1b(B")),
    Slot(0x00083002, ("UI",), (b"1.2.3\0", b"1.2.4\0")),
    Slot(0x00090010, ("LO", "UN"), (b"GEMS_IDEN_01", b"NOBODY", b"SIEMENS CT VA0 COAD ")),
    Slot(0x00091001, ("UN", "LO"), (b"abcd", b"\1\0\2\0", b"ab")),
    Slot(0x00091027, ("UN", "SL"), (b"\1\0\0\0", b"\xff\xff\xff\xff", b"\1\0")),
    Slot(0x00100010, ("PN", "UN"), (b"Doe^Jane", b"Buc^J\xe9r\xf4me", b"a=b=c ", b"")),
    Slot(0x00180050, ("DS", "UN"), (b"1.5 ", b"1.25", b"1.50\\2", b"abc ", b"")),
    Slot(
        0x00189306, ("FD",), (bytes(8), b"\0\0\0\0\0\0\xf0\x3f", b"\0\0\0\0\0\0\xf0\x7f", b"abcd")
    ),
    Slot(0x00200013, ("IS",), (b"1 ", b"12", b"123 ", b"1A")),
    Slot(0x00280009, ("AT", "UN"), (b"\x18\0\x63\x10", b"\x18\0\x65\x10", b"abc ")),
    Slot(0x00280103, ("US", "UN"), (b"\0\0", b"\1\0", b"\0\1")),
    Slot(0x00280106, ("US", "SS", "UN"), (b"\xff\xff", b"\1\0", b"\xff\xff\xff\xff", b"\1\0\1")),
    Slot(0x00283002, ("US", "UN"), (b"\1\0\0\0\x08\0", b"\0\1\0\0\x08\0")),
    Slot(0x00283006, ("OW", "US", "UN"), (b"\1\2", b"\3\4", b"\1\2\3\4")),
    Slot(0x0040A160, ("UT", "UN"), (b"a long text ", b"b" * 60, b"c" * 300)),
    Slot(0x00420011, ("OB", "OW", "UN"), (bytes(20), bytes(1024), bytes(1026), b"x" * 2000)),
)
BEFORE_META = Slot(0x00010010, ("LO",), (b"NOBODY", b"SOMEBODY"))
META_SLOTS = (
    Slot(0x00020001, ("OB",), (b"\0\1", b"\0\2")),
    Slot(0x00020002, ("UI",), (b"1.2.840.10008.5.1.4.1.1.7\0", b"1.2.840.10008.5.1.4.1.1.2\0")),
    Slot(0x00020003, ("UI",), (b"1.2.3.4\0", b"1.2.3.5\0", b"1.2.3.46")),
    Slot(0x00020012, ("UI",), (b"1.2.276.0\0", b"1.2.276.1\0", b"1.2.276.10")),
    Slot(0x00020013, ("SH",), (b"WRITER_1", b"WRITER_2", b"WRITER_10 ")),
    Slot(0x00020016, ("AE",), (b"SCP ", b"STORE ", b"")),
)
PLACES_OF_SEQUENCES = (0x00081140, 0x00091140, 0x00280000 | 0x9110, 0x52009229)
PIXELS = (0x7FE00008, 0x7FE00010)
FAULTS = ("drop", "twice", "swap", "swap", "stray", "zeros", "padding")


class SeriesBuilder:
    """Build the files of one made-up series: what they share is drawn once."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._encoding = random.choice(
            (EXPLICIT_LITTLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)
        )
        self._uid = random.choice((b"1.2.3\0", b"1.2.4\0"))
        self._meta = self._draw_meta()
        self._own_fault = random.choice((*[""] * 14, *FAULTS)), random.random()
        self._slots = self._draw_slots(random.randint(2, 10))
        if random.random() < 0.05:
            self._slots.append((BEFORE_META, "LO"))
        self._sequences = {
            tag: self._draw_shape(1)
            for tag in random.sample(PLACES_OF_SEQUENCES, random.randint(0, 2))
        }
        self._pixels = random.choice(("none", "native", "native", "fragments", "float"))
        self._most_values = random.choice((1, 2, 3))

    def _draw_meta(self) -> list[Slot]:
        """Return what group 0002 holds; a writer that errs does so in all its files."""
        random = self._random
        syntax = Slot(0x00020010, ("UI",), (self._encoding.uid.encode(),))
        slots = [*META_SLOTS[:3], syntax, *META_SLOTS[3:]]
        slots = [slot for slot in slots if random.random() < 0.95]
        if random.random() < 0.15 and len(slots) > 1:
            at = random.randrange(1, len(slots))
            slots[at - 1], slots[at] = slots[at], slots[at - 1]
        if random.random() < 0.05 and slots:
            slots.insert(random.randint(0, len(slots)), random.choice(slots))
        return slots

    def _draw_slots(self, count: int) -> list[tuple[Slot, str]]:
        random = self._random
        chosen = sorted(random.sample(range(len(SLOTS)), count))
        return [
            (SLOTS[at], SLOTS[at].vrs[0] if random.random() < 0.7 else random.choice(SLOTS[at].vrs))
            for at in chosen
        ]

    def _draw_shape(self, depth: int) -> dict[str, Any]:
        random = self._random
        inner = self._draw_shape(depth + 1) if depth < 3 and random.random() < 0.4 else None
        return {
            "slots": self._draw_slots(random.randint(1, 4)),
            "delimited": random.random() < 0.5,
            "items_delimited": random.random() < 0.5,
            "inner": inner,
            "unknown": random.random() < 0.15,
        }

    def _put(self, slot: Slot, vr: str) -> bytes:
        value = self._random.choice(slot.values[: self._most_values])
        if (
            self._encoding.order == "big"
            and vr in ("US", "SS", "UL", "SL")
            and len(value) in (2, 4)
        ):
            value = value[::-1]
        return element(slot.tag, vr, value, encoding=self._encoding)

    def _sequence(self, tag: int, shape: dict[str, Any], encoding: Encoding) -> bytes:
        random = self._random
        kept, self._encoding = self._encoding, encoding
        if shape["unknown"] and encoding.explicit:
            self._encoding = IMPLICIT_LITTLE
        items = []
        for _ in range(random.choice((0, 1, 2, 2, 3, 5))):
            body = [self._put(slot, vr) for slot, vr in shape["slots"]]
            if shape["inner"] is not None and random.random() < 0.9:
                body.append(self._sequence(0x00400275, shape["inner"], self._encoding))
            if random.random() < 0.1:
                random.shuffle(body)
            items.append(item(*body, delimited=shape["items_delimited"], encoding=self._encoding))
        whole = sequence(tag, *items, delimited=shape["delimited"], encoding=self._encoding)
        if self._encoding != encoding:
            body, length = whole[8:], UNDEFINED if shape["delimited"] else None
            whole = element(tag, "UN", body, encoding=encoding, length=length)
        self._encoding = kept
        return whole

    def _pixel_data(self) -> bytes:
        random, encoding = self._random, self._encoding
        if self._pixels == "native":
            return element(0x7FE00010, "OW", bytes(random.choice((8, 8, 10))), encoding=encoding)
        if self._pixels == "float":
            return element(0x7FE00008, "OF", bytes(random.choice((8, 16))), encoding=encoding)
        if self._pixels == "fragments":
            fragments = [item(b"abcd") for _ in range(random.randint(1, 3))]
            body = b"".join((item(), *fragments, SEQUENCE_END))
            return element(0x7FE00010, "OB", body, encoding=encoding, length=UNDEFINED)
        return b""

    def _group_0002(self) -> bytes:
        random = self._random
        if random.random() < 0.05:
            return random.choice((b"", file_meta(""), file_meta(EXPLICIT_BIG_UID)))
        values = [(slot, random.choice(slot.values[: self._most_values])) for slot in self._meta]
        group = b"".join([element(slot.tag, slot.vrs[0], value) for slot, value in values])
        return element(0x00020000, "UL", len(group)) + group

    def _break(self, elements: list[bytes], fault: str, place: float) -> None:
        """Put a fault into the elements of a file, so far from the first one to the last."""
        random, at = self._random, int(place * len(elements))
        if fault == "drop":
            del elements[at]
        elif fault == "twice":
            elements.insert(random.randint(at, len(elements)), elements[at])
        elif fault == "swap":
            elements[at - 1], elements[at] = elements[at], elements[at - 1]
        elif fault == "stray":
            elements.insert(at, random.choice((ITEM_END, SEQUENCE_END)))
        elif fault == "zeros":
            elements.append(bytes(random.choice((1, 4, 7, 8, 200))))
        elif fault == "padding":
            elements.append(element(0xFFFCFFFC, "OB", bytes(4), encoding=self._encoding))

    def build(self) -> bytes:
        """Return the next file: one of the series, or one with a fault of its own."""
        random, encoding = self._random, self._encoding
        parts = {slot.tag: self._put(slot, vr) for slot, vr in self._slots}
        parts[0x0020000E] = element(0x0020000E, "UI", self._uid, encoding=encoding)
        for tag, shape in self._sequences.items():
            parts[tag] = self._sequence(tag, shape, encoding)
        elements = [parts[tag] for tag in sorted(parts)] + [self._pixel_data()]
        self._break(elements, *self._own_fault)
        if random.random() < 0.3:
            self._break(elements, random.choice(FAULTS), random.random())
        data = make_file(*elements, meta=self._group_0002())
        if random.random() < 0.08:
            data = data[: random.randint(1, len(data))]
        return data


ALL_LIMITS = (
    DEFAULT_LIMITS,
    Limits(inline_binary_bytes=12, inline_text_bytes=6),
    Limits(nesting_depth=1, elements=30),
    Limits(inline_binary_bytes=2, inline_text_bytes=1, nesting_depth=2),
)


@pytest.mark.parametrize("limits", ALL_LIMITS, ids=["default", "inline", "nesting", "tiny"])
@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # to shrink a whole series takes minutes and tells little
    suppress_health_check=list(HealthCheck),
)
@given(random=st.randoms(use_true_random=False))
def test_layers_agree_on_made_up_series(limits: Limits, random: Random) -> None:
    files = []
    for _ in range(random.choice((1, 1, 2, 3))):
        builder = SeriesBuilder(random)
        files += [builder.build() for _ in range(random.randint(3, 8))]
    random.shuffle(files)
    check_layers(files, limits)


def test_templates_are_used_in_made_up_series() -> None:
    """The check above would be empty if templates were given up at once."""
    random, used, count = Random(5), 0, 0
    for _ in range(60):
        builder = SeriesBuilder(random)
        files = [builder.build() for _ in range(8)]
        used += check_layers(files)
        count += len(files)
    assert used > count // 4


def test_layers_agree_on_real_files_in_any_order() -> None:
    files = [path.read_bytes() for path in sorted(real_files().rglob("*")) if path.is_file()]
    files = [data for data in files if len(data) < 200_000]
    for seed in (1, 2):
        Random(seed).shuffle(files)
        assert check_layers(files) > len(files) // 3


def _named(number: int) -> bytes:
    return element(0x00081030, "LO", f"value{number}")


def _series(*elements: bytes) -> list[bytes]:
    return [make_file(FIRST, _named(number), SERIES, *elements) for number in range(3)]


def _raw_float_pixels(body: bytes) -> Iterator[bytes]:
    yield from _series(element(0x7FE00008, "OF", bytes(8)))
    pixels = element(0x7FE00008, "OF", body, length=UNDEFINED)
    yield make_file(FIRST, _named(9), SERIES, pixels)


def _group_lengths(group_length: bytes) -> Iterator[bytes]:
    for number in range(3):
        yield make_file(group_length, FIRST, _named(number), SERIES)


def _growing_sequence(*counts: int) -> Iterator[bytes]:
    for number, count in enumerate(counts):
        yield make_file(FIRST, _named(number), sequence(0x00081140, *[item()] * count), SERIES)


def _header_near_limit() -> Iterator[bytes]:
    for count in (4, 4, 4, 5):
        texts = [element(0x00091000 + at, "LO", b"x" * 60000) for at in range(count)]
        yield make_file(FIRST, *texts, SERIES)


def _header_just_past_limit() -> Iterator[bytes]:
    for size in (59_700, 59_700, 59_700, 60_200):
        texts = [element(0x00091000 + at, "LO", b"x" * size) for at in range(4)]
        yield make_file(FIRST, *texts, SERIES)


def _unknown_behind_pixels(pixel_bytes: int) -> Iterator[bytes]:
    """An element behind Pixel Data that is at hand in one layer and not in another."""
    unknown = element(0xFFFC7AFC, "OB", bytes(8))
    pixels = element(0x7FE00010, "OW", bytes(pixel_bytes))
    strange = make_file(FIRST, SERIES, pixels, unknown)
    large = [make_file(FIRST, SERIES, element(0x00204000, "LT", "z" * 60000)) for _ in range(2)]
    yield from (strange, *large, strange)


def _noted_sequences() -> Iterator[bytes]:
    """Sequences with the tags of what other elements depend on, before more elements."""
    behind = element(0x00331010, "LO", "x" * 20)
    for tag in (0x00280103, 0x00283002, 0x00290010):
        yield make_file(FIRST, SERIES, sequence(tag, item(FIRST)), behind)


def _invalid_vr_past_window() -> Iterator[bytes]:
    """A VR that is none and a length of 20000, which the bytes behind it belie."""
    large = [make_file(FIRST, SERIES, element(0x00204000, "LT", "z" * 60000)) for _ in range(2)]
    odd = struct.pack("<HH2sH", 0x0020, 0x4001, b"ZZ", 0) + element(0x4E200000, "UL", 0)
    text = element(0x4E211001, "UT", b"y" * 30000)
    strange = make_file(FIRST, SERIES, odd, element(0x4E210010, "LO", "x"), text)
    yield from (strange, *large, strange)


def _palindromes() -> Iterator[bytes]:
    """Big endian, with lengths that are the same in little endian: 0 and 257."""

    def make(*elements: tuple[int, bytes]) -> bytes:
        hint = element(0x00020016, "AE", SERIES)
        body = [element(tag, "LO", value, encoding=EXPLICIT_BIG) for tag, value in elements]
        return make_file(*body, meta=file_meta(EXPLICIT_BIG_UID, hint))

    first, last = (0x00080050, b""), (0x00204000, b"")
    yield make(first, (0x00081030, b""), last)
    yield make(first, (0x00081030, b"a" * 257), last)
    yield make(first, (0x00081030, b""), last)
    yield make(first, (0x00081030, b"ab"), (0x00081040, b"c" * 502), last)


def _length_like_a_vr() -> Iterator[bytes]:
    """Declared explicit, written implicit; the first length is 0x5343, which reads as CS."""
    yield make_file(FIRST, SERIES, element(0x00204000, "LT", "z" * 60000))
    for count in (2, 4, 6, 0x5343):
        tags = (0x00080060, b"M" * count), (0x00081030, b"abc "), (0x0020000E, b"1.2.3\0")
        body = [element(tag, "", value, encoding=IMPLICIT_LITTLE) for tag, value in tags]
        yield make_file(*body)


def _poisoned_creators() -> Iterator[bytes]:
    def make(creator: str, value: bytes) -> bytes:
        private = (
            element(0x00190010, "LO", creator, encoding=IMPLICIT_LITTLE),
            element(0x0019100C, "", value, encoding=IMPLICIT_LITTLE),
        )
        first = element(0x00080060, "", b"MR", encoding=IMPLICIT_LITTLE)
        series = element(0x0020000E, "", b"1.2.3\0", encoding=IMPLICIT_LITTLE)
        nested = sequence(
            0x00400275, item(*private, encoding=IMPLICIT_LITTLE), encoding=IMPLICIT_LITTLE
        )
        return make_file(first, *private, series, nested, meta=file_meta("1.2.840.10008.1.2"))

    for number in (b"1000", b"1001", b"1002"):
        yield make("SIEMENS MR HEADER ", number)
        yield make("SIEMENS MR HEADEX ", number)


def _cut_sequences(*, delimited: bool) -> Iterator[bytes]:
    def make(number: int) -> bytes:
        items = [item(_named(number + at), delimited=delimited) for at in range(3)]
        return make_file(FIRST, SERIES, sequence(0x00400275, *items, delimited=delimited))

    for number in (1, 2, 3, 4):
        yield make(number)
    whole = make(5)
    for count in range(1, len(item(_named(5), delimited=True)) + 9):
        yield whole[:-count]


def _values_of_all_sorts() -> Iterator[bytes]:
    names = ("A^B", "A=B=C", "A\\B", 'A"B', "\xc4^B", " A ", "", "  ", "=", "A\0\0", "A\t")
    numbers = ("1", "-1.5", "1\\2", " 1\\ 2 ", "+1", "01", "1e5", "", " ", "\\", "1\\", "x", "1 2")
    for turn in range(2):
        for number in range(40):
            name, measure = names[number * 7 % 11], numbers[number * (turn + 3) % 13]
            yield make_file(
                element(0x00080005, "CS", "ISO_IR 100"),
                FIRST,
                element(0x00081030, "LO", name),
                element(0x00100010, "PN", name),
                element(0x00104000, "LT", name),
                element(0x00180050, "DS", measure),
                SERIES,
                element(0x00200013, "IS", measure),
                sequence(0x00400275, item(element(0x00101030, "DS", measure), _named(number))),
            )


CASES: dict[str, tuple[Callable[[], list[bytes]], Limits]] = {
    "float pixels of fragments": (
        lambda: list(_raw_float_pixels(item() + item(b"abcd") + SEQUENCE_END)),
        DEFAULT_LIMITS,
    ),
    "float pixels of noise": (lambda: list(_raw_float_pixels(b"x" * 32)), DEFAULT_LIMITS),
    "pixel data that is a sequence": (
        lambda: _series(sequence(0x7FE00010, item(FIRST))),
        DEFAULT_LIMITS,
    ),
    "pixel data that is a sequence of undefined length": (
        lambda: _series(sequence(0x7FE00010, item(FIRST), delimited=True)),
        DEFAULT_LIMITS,
    ),
    "a group length that is a sequence": (
        lambda: list(_group_lengths(sequence(0x00080000, item(FIRST)))),
        DEFAULT_LIMITS,
    ),
    "a group length that is bulk data": (
        lambda: list(_group_lengths(element(0x00080000, "OB", bytes(2000)))),
        DEFAULT_LIMITS,
    ),
    "more elements than the limit": (
        lambda: list(_growing_sequence(10, 12, 11, 27)),
        Limits(elements=30),
    ),
    "a header near the limit": (lambda: list(_header_near_limit()), Limits(header_bytes=240_000)),
    "a header just past the limit": (
        lambda: list(_header_just_past_limit()),
        Limits(header_bytes=240_000),
    ),
    "the last element twice": (
        lambda: [make_file(FIRST, _named(number), SERIES, SERIES) for number in range(3)],
        DEFAULT_LIMITS,
    ),
    "an unknown element behind pixels": (lambda: list(_unknown_behind_pixels(8)), DEFAULT_LIMITS),
    "an unknown element behind many pixels": (
        lambda: list(_unknown_behind_pixels(20_000)),
        DEFAULT_LIMITS,
    ),
    "an invalid VR past the window": (lambda: list(_invalid_vr_past_window()), DEFAULT_LIMITS),
    "big endian palindromes": (lambda: list(_palindromes()), DEFAULT_LIMITS),
    "a length like a VR": (lambda: list(_length_like_a_vr()), DEFAULT_LIMITS),
    "a sequence that is cut": (lambda: list(_cut_sequences(delimited=False)), DEFAULT_LIMITS),
    "a delimited sequence that is cut": (
        lambda: list(_cut_sequences(delimited=True)),
        DEFAULT_LIMITS,
    ),
    "values of all sorts": (lambda: list(_values_of_all_sorts()), DEFAULT_LIMITS),
    "sequences where others are noted": (lambda: list(_noted_sequences()), DEFAULT_LIMITS),
    "another creator": (lambda: list(_poisoned_creators()), DEFAULT_LIMITS),
    "one series of CT": (lambda: [make_ct(number) for number in range(12)], DEFAULT_LIMITS),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_agree_where_they_once_did_not(name: str) -> None:
    build, limits = CASES[name]
    check_layers(build(), limits)


@pytest.mark.parametrize("kind", ["sequence", "bulk", "fragments"])
def test_group_length_is_left_out_whatever_it_holds(kind: str) -> None:
    fragments = item() + item(b"abcd") + SEQUENCE_END
    held = {
        "sequence": sequence(0x00080000, item(FIRST)),
        "bulk": element(0x00080000, "OB", bytes(2000)),
        "fragments": element(0x00080000, "OB", fragments, length=UNDEFINED),
    }
    header = read(make_file(held[kind], FIRST))
    assert list(json.loads(header.metadata)) == ["00080060", "00083002"]
