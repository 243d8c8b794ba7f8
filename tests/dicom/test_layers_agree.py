"""Walk, memo and templates give the same of every file, whatever was read before."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from random import Random

import pytest
from at_hand import read
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from layers import ALL_LIMITS, check_layers
from made_up_series import SeriesBuilder, make_series

from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    IMPLICIT_LITTLE,
)
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.testing.samples import (
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
FRAGMENTS = item() + item(b"abcd") + SEQUENCE_END


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
    files = make_series(random, 3, 8)
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
        lambda: list(_raw_float_pixels(FRAGMENTS)),
        DEFAULT_LIMITS,
    ),
    "float pixels of noise": (lambda: list(_raw_float_pixels(b"x" * 32)), DEFAULT_LIMITS),
    "fragments of an unknown VR": (
        lambda: _series(element(0x7FE00010, "UN", FRAGMENTS, length=UNDEFINED)),
        DEFAULT_LIMITS,
    ),
    "pixel data of an unknown VR": (
        lambda: _series(element(0x7FE00010, "UN", bytes(8))),
        DEFAULT_LIMITS,
    ),
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
    held = {
        "sequence": sequence(0x00080000, item(FIRST)),
        "bulk": element(0x00080000, "OB", bytes(2000)),
        "fragments": element(0x00080000, "OB", FRAGMENTS, length=UNDEFINED),
    }
    header = read(make_file(held[kind], FIRST))
    assert list(json.loads(header.metadata)) == ["00080060", "00083002"]
