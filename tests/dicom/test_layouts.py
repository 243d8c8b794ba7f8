"""Layouts: files whose values are as long as those of others, and that nobody can tell."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from layers import check_layers, outcome

from dicomframe.dicom.bulk import BulkWriter
from dicomframe.dicom.encodings import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicomframe.dicom.header import Header, Learned, Parser
from dicomframe.dicom.layouts import Layout
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.dicom.window import feed
from dicomframe.testing.samples import element, encapsulated, item, make_ct, make_file, sequence

LIMITS = (
    DEFAULT_LIMITS,
    Limits(inline_binary_bytes=2, inline_text_bytes=1),
    Limits(inline_binary_bytes=0, inline_text_bytes=3),
    Limits(inline_text_bytes=0, nesting_depth=2),
    Limits(inline_text_bytes=12),
)
SLOTS = (
    (0x00080000, "UL", 4),
    (0x00080005, "CS", 10),
    (0x00080008, "CS", 16),
    (0x00080018, "UI", 12),
    (0x00080030, "TM", 6),
    (0x00080054, "AE", 8),
    (0x00080090, "PN", 10),
    (0x00100040, "CS", 2),
    (0x00181030, "LO", 12),
    (0x00189074, "FD", 8),
    (0x00200013, "IS", 4),
    (0x00200032, "DS", 18),
    (0x00204000, "LT", 8),
    (0x00280100, "US", 2),
    (0x00280103, "US", 2),
    (0x00280106, "US", 2),
    (0x00281050, "DS", 6),
    (0x00420011, "OB", 6),
)
USUAL = {"UI": b"0123456789", "IS": b"0123456789", "DS": b"123456789"}
ODD = (b" \0", b"0123456789.\\-+ ", b'ABC ^=\\"', b"-+eE01", bytes(range(256)))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What became of each layout that was tried: whether it took the data set."""
    results: list[bool] = []
    take = Layout.take

    def note(layout: Layout, buffer: bytes, bulk: BulkWriter) -> list[bytes] | None:
        pieces = take(layout, buffer, bulk)
        results.append(pieces is not None)
        return pieces

    monkeypatch.setattr(Layout, "take", note)
    return results


def fill(random: Random, vr: str, length: int) -> bytes:
    """Return a value of a VR: most are plain text or numbers, some are blank, broken or odd."""
    letters = USUAL.get(vr, b"ABCDEFGH")
    if random.random() < 0.06:
        letters = random.choice(ODD)
    value = bytes(random.choice(letters) for _ in range(length))
    return value[:-1] + random.choice((value[-1:], value[-1:], b" ", b"\0"))


def series(random: Random, files: int = 24) -> Iterator[bytes]:
    """Yield files whose values nearly always have the same lengths."""
    encoding = random.choice((EXPLICIT_LITTLE, IMPLICIT_LITTLE))
    slots = [slot for slot in SLOTS if random.random() < 0.6]
    varying = {tag for tag, *_ in slots if random.random() < 0.6}
    first = {tag: fill(random, vr, length) for tag, vr, length in slots}
    pixels = random.choice((b"", element(0x7FE00010, "OW", bytes(8), encoding=encoding)))
    for _ in range(files):
        values = dict(first)
        for tag, vr, length in slots:
            if tag in varying:
                longer = 2 * (random.random() < 0.02 and vr not in ("US", "UL", "FD"))
                values[tag] = fill(random, vr, length + longer)
        values[0x0020000E] = b"1.2.3\0"
        elements = [
            element(tag, vr, values[tag], encoding=encoding)
            for tag, vr, _ in sorted((*slots, (0x0020000E, "UI", 6)))
        ]
        yield make_file(*elements, pixels, transfer_syntax=encoding.uid)


@pytest.mark.parametrize("limits", LIMITS, ids=["default", "2, 1", "0, 3", "nesting", "12"])
def test_layers_agree_on_values_of_equal_lengths(limits: Limits, taken: list[bool]) -> None:
    for seed in range(40):
        check_layers(list(series(Random(seed))), limits)
    assert sum(taken) > 100


def make_slice(number: int, *extra: bytes, name: bytes = b"Doe^Jane") -> bytes:
    """Return a file of one series; what varies has the same length up to number 99."""
    return make_file(
        element(0x00080018, "UI", f"1.2.3.{number:02}"),
        element(0x00080060, "CS", "MR"),
        element(0x00100010, "PN", name),
        element(0x0020000E, "UI", "1.2.3"),
        element(0x00200013, "IS", f"{number + 100}"),
        element(0x00280106, "US", struct.pack("<H", number)),
        *extra,
        element(0x7FE00010, "OW", bytes(8)),
    )


def test_files_of_a_series_that_are_laid_out_alike_are_taken_at_once(
    read: Callable[..., Header], taken: list[bool]
) -> None:
    learned = Learned()
    for number in range(20):
        data = make_ct(number + 100)
        header, plain = read(data, learned=learned), read(data)
        assert header.metadata == plain.metadata
        assert header.find(0x00080018) == plain.find(0x00080018)
        assert header.pixel_offset == plain.pixel_offset
    assert taken.count(True) >= 6


def test_files_of_two_series_that_differ_in_nothing_else_are_told_apart(taken: list[bool]) -> None:
    learned = Learned()
    for number in range(40):
        data = make_slice(number)
        for each in (data, data, data.replace(b"1.2.3\0", b"1.2.4\0")):
            assert outcome(each, learned=learned) == outcome(each)
    assert min(taken.count(True), taken.count(False)) > 40


@pytest.mark.parametrize(
    "name",
    [
        b"        ",
        b"\0" * 8,
        b'Do"e\\J\\e',
        b"D\xf6e^Jane",
        b"Doe=Jane",
        b"Doe^J\x1b\x07e",
        b" Doe^Ja ",
        b"Doe^Jan\0",
    ],
)
def test_a_value_as_long_as_others_is_told_as_the_walk_tells_it(
    name: bytes, read: Callable[..., Header], taken: list[bool]
) -> None:
    learned = Learned()
    for number in range(16):
        read(make_slice(number, name=b"Doe^Jan%d" % (number % 10)), learned=learned)
    assert taken[-1]
    odd = make_slice(20, name=name)
    assert outcome(odd, learned=learned) == outcome(odd)


@pytest.mark.parametrize("others", [(), (element(0x00201002, "IS", "24"),)], ids=["one", "two"])
@pytest.mark.parametrize("usual", [rb"1.50\-0.25", b"1234567.25"], ids=["list", "single"])
@pytest.mark.parametrize(
    "number",
    [
        rb"2.75\-1.25",
        rb"1\2\3\4\55",
        b"7654321.25",
        b"7654321   ",
        b" 54321.25 ",
        rb" 1.5\ 0.25",
        rb"1.5 \ 2.25",
        b"12 4567.25",
        b"12\n4567.25",
        rb"1.50\\-0.2",
        rb"\1.50\0.25",
        rb"1.50\0.25\\",
        b"0234567.25",
        rb"1.50\-0.2e",
        rb"abc\defghi",
        b"+123456.25",
        b"          ",
    ],
)
def test_a_number_as_long_as_others_is_told_as_the_walk_tells_it(
    usual: bytes, number: bytes, others: tuple[bytes, ...], read: Callable[..., Header]
) -> None:
    learned = Learned()
    for at in range(16):
        like = usual.replace(b"25", b"%02d" % (25 + at))
        read(make_slice(at, element(0x00200032, "DS", like), *others), learned=learned)
    odd = make_slice(20, element(0x00200032, "DS", number), *others)
    assert outcome(odd, learned=learned) == outcome(odd)
    again = make_slice(20, element(0x00200032, "DS", usual), *others)
    assert outcome(again, learned=learned) == outcome(again)


def test_binary_zero_is_a_value(read: Callable[..., Header], taken: list[bool]) -> None:
    learned = Learned()
    for number in (*range(1, 16), 0):
        header = read(make_slice(number), learned=learned)
    assert taken[-1]
    assert json.loads(header.metadata)["00280106"]["Value"] == [0]


def test_a_value_that_stays_in_its_file_is_laid_out_like_others(taken: list[bool]) -> None:
    learned, limits = Learned(), Limits(inline_text_bytes=400)
    for number in range(24):
        private = element(0x00290010, "LO", "NOBODY"), element(0x00291010, "OB", bytes(30_000))
        data = make_slice(number, *private, element(0x00420010, "UT", f"{number:05}" * 100))
        origin = f"file:///{number % 7}.dcm"

        def fetch(start: int, stop: int, data: bytes = data) -> bytes:
            return data[start:stop]

        told = []
        for each in (None, learned):
            header = feed(Parser(learned=each, limits=limits).read(len(data), origin), fetch)
            told.append([header.metadata, *map(header.find, (0x00291010, 0x00420010))])
        assert told[0] == told[1]
        assert f"{origin}#offset=".encode() in told[1][1]
    assert sum(taken) > 8
    assert sum(template.bytes for template in learned._templates.values()) < 60_000


def test_layouts_that_never_fit_are_soon_not_tried(
    read: Callable[..., Header], taken: list[bool]
) -> None:
    def make(number: int, length: int) -> bytes:
        """Make a file of one size, whatever the length."""
        texts = (
            element(0x00281056, "LO", "X" * length),
            element(0x00281057, "LO", "Y" * (62 - length)),
        )
        return make_slice(number, b"".join(texts))

    learned = Learned()
    for number in range(60):
        read(make(number, 2 * (number % 30 + 1)), learned=learned)
    assert 0 < len(taken) < 200
    tried = len(taken)
    for number in range(60, 90):
        read(make(number, 2), learned=learned)
    assert len(taken) == tried


def test_layouts_of_files_of_another_size_are_not_tried(
    read: Callable[..., Header], taken: list[bool]
) -> None:
    learned = Learned()
    for number in range(60):
        read(make_slice(number, element(0x00281056, "LO", "X" * 2 * (number + 1))), learned=learned)
    assert taken == []


def test_layouts_are_counted_in_what_is_kept(read: Callable[..., Header]) -> None:
    learned = Learned()
    for number in range(12):
        read(make_slice(number), learned=learned)
    for template in learned._templates.values():
        links = [link for place in (template.links, *template.places.values()) for link in place]
        kept = sum(link.weight for link in links)
        assert template.bytes == kept + sum(layout.weight for layout in template._layouts)
    assert any(template._layouts for template in learned._templates.values())


def test_files_with_sequences_or_long_headers_have_no_layout(
    read: Callable[..., Header], taken: list[bool]
) -> None:
    learned = Learned()
    for number in range(16):
        code = sequence(0x00400555, item(element(0x00080100, "SH", f"CODE{number:04}")))
        long = element(0x00420010, "ST", "X" * 17_000)
        read(make_slice(number, code), learned=learned)
        read(make_slice(number, long).replace(b"1.2.3\0", b"1.2.4\0"), learned=learned)
    assert not taken


def read_with(learned: Learned, files: list[bytes], **options: Any) -> list[Any]:
    return [outcome(data, learned=learned, **options) for data in files]


def test_limits_that_change_change_what_is_told() -> None:
    files = [make_slice(number, name=b"Doe^Jan%d" % (number % 10)) for number in range(16)]
    learned, small = Learned(), Limits(inline_text_bytes=4)
    assert read_with(learned, files) == [outcome(data) for data in files]
    expected = [outcome(data, limits=small) for data in files]
    assert read_with(learned, files, limits=small) == expected
    assert read_with(learned, files) == [outcome(data) for data in files]


def test_pixel_data_that_declares_another_length_is_told_as_the_walk_tells_it(
    taken: list[bool],
) -> None:
    def declare(number: int, length: int, behind: bytes) -> bytes:
        """Let a file as long as all others declare `length` bytes of Pixel Data."""
        data = make_slice(number)
        return data[:-12] + struct.pack("<I", length) + behind

    usual = bytes(8)
    lying = [(0, usual), (2, usual), (6, usual), (9, usual), (10, usual), (1 << 20, usual)]
    lying += [(0xFFFFFFFF, usual), (0xFFFFFFFF, b"\xfe\xff\xdd\xe0" + bytes(4))]
    lying += [(0, element(0xFFFCFFFC, "OB", b"")[:8]), (2, b"\xff\xff" + bytes(6))]
    files = [make_slice(number) for number in range(20)]
    for number, (length, behind) in enumerate(lying):
        files += [declare(20 + number, length, behind), make_slice(40 + number)]
    check_layers(files)
    assert taken.count(True) > 40
    for length in (0x108, 0x10008, 0x1000008):
        damaged = declare(0, length, usual)
        for stop in range(len(damaged) - 20, len(damaged) - 7):  # where the first read ends
            learned = Learned()
            for data in (*files[:6], damaged, files[6]):
                learned.first_read_bytes = stop
                assert outcome(data, learned=learned) == outcome(data)


def test_fragments_are_found_behind_a_layout(
    read: Callable[..., Header], taken: list[bool]
) -> None:
    def make(number: int, pixels: bytes) -> bytes:
        data = make_slice(number)[: -len(element(0x7FE00010, "OW", bytes(8)))]
        return data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0") + pixels

    files = []
    for number in range(24):
        pixels = encapsulated(bytes(2 * (number % 5 + 1)), bytes(4))
        if number % 6 == 5:  # what a chain must not be, nor such a file hold
            broken = pixels[:-8], pixels[:-12], pixels + bytes(8), pixels.replace(b"\xe0", b"\xe1")
            defined = element(0x7FE00010, "OB", bytes(8)), element(0x7FE00010, "OW", b"")
            pixels = (*broken, *defined)[number // 6]
        files.append(make(number, pixels))
    check_layers(files, rounds=3)
    taken.clear()
    learned = Learned()
    for _ in range(3):
        for data in files[:5]:
            read(data, learned=learned)
    assert taken[-1]
    cut = files[0].index(b"\xe0\x7f\x10\0")
    for stop in range(cut, cut + 14):  # the first read ends near the length field
        learned = Learned()
        for data in files[:5] * 3:
            learned.first_read_bytes = stop
            assert outcome(data, learned=learned) == outcome(data)
