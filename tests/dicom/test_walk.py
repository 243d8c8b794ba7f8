"""Structures: encodings, sequences, delimiters, private and unknown elements."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
)
from dicomframe.dicom.limits import Limits
from dicomframe.testing.samples import (
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    element,
    encapsulated,
    item,
    make_ct,
    make_file,
    sequence,
)

NAME = element(0x00100010, "PN", "Doe^Jane")
FIRST = element(0x00080060, "CS", "MR")


def reason_of(read: Any, data: bytes, **options: Any) -> tuple[str, int | None]:
    with pytest.raises(Damage) as caught:
        read(data, **options)
    assert "Doe" not in caught.value.detail
    return caught.value.reason, caught.value.offset


@pytest.mark.parametrize(
    ("uid", "encoding"),
    [(IMPLICIT_LITTLE_UID, IMPLICIT_LITTLE), (EXPLICIT_BIG_UID, EXPLICIT_BIG)],
)
def test_encodings_give_the_same_metadata(uid: str, encoding: Any, data_set_of: Any) -> None:
    explicit = data_set_of(make_ct())
    other = data_set_of(make_ct(encoding=encoding, transfer_syntax=uid))
    for tag in ("7FE00010", "00091027"):
        explicit.pop(tag), other.pop(tag)
    if not encoding.explicit:  # nobody's dictionary knows these private elements
        for data_set in (explicit, other):
            for tag in [tag for tag in data_set if int(tag[:4], 16) % 2 and tag[4:6] == "10"]:
                data_set.pop(tag)
    assert other == explicit


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_sequences_of_defined_and_undefined_length_are_the_same(
    outer: bool, inner: bool, data_set_of: Any
) -> None:
    nested = sequence(
        0x00081140, item(NAME, delimited=inner), item(delimited=inner), delimited=outer
    )
    data_set = data_set_of(
        make_file(sequence(0x00081115, item(nested, delimited=outer), delimited=inner), NAME)
    )
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}
    assert data_set["00081115"] == {
        "vr": "SQ",
        "Value": [{"00081140": {"vr": "SQ", "Value": [name, {}]}}],
    }
    assert data_set["00100010"] == name["00100010"]


def test_empty_sequence_is_vr_alone(data_set_of: Any) -> None:
    for delimited in (True, False):
        data_set = data_set_of(make_file(sequence(0x00081140, delimited=delimited)))
        assert data_set == {"00081140": {"vr": "SQ"}}


def test_nesting_of_64_is_walked_and_more_is_too_large(read: Any) -> None:
    def nest(depth: int) -> bytes:
        body = b""
        for _ in range(depth):
            body = sequence(0x00081140, item(body, delimited=True), delimited=True)
        return make_file(body, NAME)

    assert len(json.loads(read(nest(64)).metadata)) == 3
    assert reason_of(read, nest(65))[0] == "too_large"
    assert reason_of(read, nest(10_000))[0] == "too_large"


def test_more_elements_than_the_limit_are_too_large(read: Any) -> None:
    data = make_file(sequence(0x00081140, *[item()] * 50))
    assert len(json.loads(read(data, limits=Limits(elements=60)).metadata)) == 2
    assert reason_of(read, data, limits=Limits(elements=40))[0] == "too_large"
    assert reason_of(read, make_ct(), limits=Limits(elements=100))[0] == "too_large"


def test_header_past_the_limit_is_too_large(read: Any) -> None:
    data = make_file(*[element(0x00081140 + 2 * at, "LT", "x" * 9000) for at in range(20)])
    assert reason_of(read, data, limits=Limits(header_bytes=100_000))[0] == "too_large"
    assert len(json.loads(read(data).metadata)) == 21


def test_unknown_vr_of_undefined_length_is_an_implicit_sequence(data_set_of: Any) -> None:
    inner = element(0x00100010, "PN", "Doe^Jane", encoding=IMPLICIT_LITTLE)
    body = item(inner, delimited=True) + SEQUENCE_END
    data_set = data_set_of(
        make_file(FIRST, element(0x00081140, "UN", body, length=UNDEFINED), NAME)
    )
    assert data_set["00081140"]["Value"][0]["00100010"] == data_set["00100010"]


def test_unknown_vr_of_a_known_tag_is_resolved(data_set_of: Any) -> None:
    inner = element(0x00100010, "PN", "Doe^Jane", encoding=IMPLICIT_LITTLE)
    data_set = data_set_of(
        make_file(
            element(0x00080060, "UN", b"MR"),
            element(0x00081140, "UN", item(inner)),
            element(0x00280010, "UN", b"\2\0"),
            element(0x00280011, "UN", b"\2\0\2"),
            element(0x00990010, "LO", "NOBODY"),
            element(0x00991001, "UN", b"\1\2"),
        )
    )
    assert data_set["00080060"] == {"vr": "CS", "Value": ["MR"]}
    assert list(data_set["00081140"]["Value"][0]) == ["00100010"]
    assert data_set["00280010"] == {"vr": "US", "Value": [2]}
    assert data_set["00280011"] == {"vr": "UN", "InlineBinary": "AgAC"}
    assert data_set["00991001"] == {"vr": "UN", "InlineBinary": "AQI="}


def test_unknown_vr_that_holds_no_sequence_stays_binary(data_set_of: Any) -> None:
    data_set = data_set_of(make_file(element(0x00081140, "UN", b"not an item"), NAME))
    assert base64.b64decode(data_set["00081140"]["InlineBinary"]) == b"not an item"
    assert "00100010" in data_set


def test_private_elements_follow_their_creator(data_set_of: Any) -> None:
    def put(tag: int, value: bytes) -> bytes:
        return element(tag, "", value, encoding=IMPLICIT_LITTLE)

    data_set = data_set_of(
        make_file(
            put(0x00080060, b"MR"),
            put(0x00190010, b"SIEMENS MR HEADER "),
            put(0x0019100C, b"1000"),
            put(0x00190011, b"NOBODY"),
            put(0x0019110C, b"1000"),
            sequence(0x00400275, item(put(0x0019100C, b"1000")), encoding=IMPLICIT_LITTLE),
            transfer_syntax=IMPLICIT_LITTLE_UID,
        )
    )
    assert data_set["0019100C"] == {"vr": "IS", "Value": [1000]}
    assert data_set["0019110C"]["vr"] == "UN"
    item_of = data_set["00400275"]["Value"][0]
    assert item_of["0019100C"]["vr"] == "UN"  # a block is reserved within its own data set


@pytest.mark.parametrize(("signed", "value"), [(0, 65535), (1, -1)])
def test_ambiguous_vr_follows_pixel_representation(
    signed: int, value: int, data_set_of: Any
) -> None:
    def put(tag: int, raw: bytes) -> bytes:
        return element(tag, "", raw, encoding=IMPLICIT_LITTLE)

    lut = sequence(0x00283000, item(put(0x00283002, b"\xff\xff\0\0\1\0")), encoding=IMPLICIT_LITTLE)
    for _ in range(2):
        data_set = data_set_of(
            make_file(
                put(0x00080060, b"MR"),
                put(0x00280103, struct.pack("<H", signed)),
                put(0x00280106, b"\xff\xff"),
                lut,
                transfer_syntax=IMPLICIT_LITTLE_UID,
            )
        )
        assert data_set["00280106"] == {"vr": "SS" if signed else "US", "Value": [value]}
        assert data_set["00283000"]["Value"][0]["00283002"]["Value"][0] == value


@pytest.mark.parametrize("vr", ["ZZ", "??", "\0\0", "ox"])
@pytest.mark.parametrize("long", [True, False])
def test_invalid_vr_costs_its_element_and_not_the_file(
    vr: str, long: bool, data_set_of: Any
) -> None:
    head = struct.pack("<HH", 0x0008, 0x1010) + vr.encode()
    odd = head + (b"\0\0" + struct.pack("<I", 4) if long else struct.pack("<H", 4)) + b"abcd"
    data_set = data_set_of(make_file(FIRST, odd, NAME))
    assert data_set["00081010"] == {"vr": "SH", "Value": ["abcd"]}
    assert data_set["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


def test_elements_out_of_order_are_sorted_and_the_first_of_two_is_kept(data_set_of: Any) -> None:
    other = element(0x00100010, "PN", "Roe^Richard")
    data_set = data_set_of(make_file(FIRST, NAME, element(0x00080005, "CS", "ISO_IR 6"), other))
    assert list(data_set) == ["00080005", "00080060", "00100010"]
    assert data_set["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


def test_group_lengths_are_left_out(data_set_of: Any) -> None:
    data = make_file(element(0x00080000, "UL", 10), FIRST, element(0x00100000, "UL", 16), NAME)
    assert list(data_set_of(data)) == ["00080060", "00100010"]


def test_value_that_does_not_fit_its_vr_is_kept_as_unknown(data_set_of: Any) -> None:
    data_set = data_set_of(make_file(FIRST, element(0x00280010, "US", b"abc"), NAME))
    assert data_set["00280010"] == {"vr": "UN", "InlineBinary": "YWJj"}


def test_elements_after_pixel_data_are_in_the_metadata(data_set_of: Any, read: Any) -> None:
    padding = element(0xFFFCFFFC, "OB", b"\0\0")
    data = make_ct() + padding
    assert data_set_of(data)["FFFCFFFC"] == {"vr": "OB", "InlineBinary": "AAA="}
    for cut in range(1, len(padding)):
        assert reason_of(read, data[:-cut])[0] == "truncated"


@pytest.mark.parametrize("rest", [b"\0", bytes(700), b"JUNK" * 9])
def test_bytes_after_pixel_data_that_are_no_element_are_only_strange(
    rest: bytes, read: Any
) -> None:
    whole = read(make_ct())
    header = read(make_ct() + rest, warnings=True)
    assert header.metadata == whole.metadata
    assert header.warnings == [f"trailing_bytes:{len(rest)}"]


def test_two_files_in_one_are_malformed(read: Any) -> None:
    ct = make_ct()
    assert reason_of(read, ct + ct) == ("malformed", len(ct))
    start = ct.index(b"\x08\0\x05\0CS")
    assert reason_of(read, ct + ct[start:])[0] == "malformed"


def test_encapsulated_pixels_end_with_their_delimiter(read: Any) -> None:
    fragments = encapsulated(b"\xff\xd8ab", b"cdef", offset_table=b"\0\0\0\0")
    data = make_file(FIRST, fragments, transfer_syntax="1.2.840.10008.1.2.4.50")
    header = read(data)
    assert data[header.pixel_offset :][: header.pixel_length] == fragments[12:-8]
    for cut in range(1, len(fragments) - 12):
        assert reason_of(read, data[:-cut])[0] == "truncated"
    broken = data.replace(b"\xfe\xff\0\xe0\x04\0\0\0cdef", b"\xfe\xff\0\xe1\x04\0\0\0cdef")
    assert reason_of(read, broken) == ("malformed", data.index(b"cdef") - 8)


def test_fragments_are_stepped_over_and_not_read(data_set_of: Any) -> None:
    from dicomframe.dicom.header import Parser

    pixels = encapsulated(b"x" * 400_000, b"y" * 400_000)
    data = make_file(FIRST, pixels, transfer_syntax="1.2.840.10008.1.2.4.50")
    reading, asked = Parser().read(len(data), "file:///x"), 0
    start, stop = next(reading)
    try:
        while True:
            asked += stop - start
            start, stop = reading.send(data[start:stop])
    except StopIteration:
        assert asked < 20_000


def test_large_values_before_pixel_data_are_stepped_over(read: Any) -> None:
    from dicomframe.dicom.header import Parser

    data = make_file(
        FIRST, element(0x00420011, "OB", bytes(3_000_000)), element(0x00420012, "LO", "x")
    )
    reading, asked = Parser().read(len(data), "file:///x"), 0
    start, stop = next(reading)
    try:
        while True:
            asked += stop - start
            start, stop = reading.send(data[start:stop])
    except StopIteration as end:
        assert len(json.loads(end.value.metadata)) == 4
        assert asked < 40_000


def test_many_large_values_do_not_make_a_header_large(read: Any) -> None:
    values = [element(0x00420011 + at, "OB", bytes(30_000)) for at in range(60)]
    data = make_file(FIRST, *values)
    assert len(json.loads(read(data, limits=Limits(header_bytes=100_000)).metadata)) == 62


@pytest.mark.parametrize(
    ("what", "body", "reason"),
    [
        ("no item in a sequence", sequence(0x00081140, NAME), "malformed"),
        ("element leaves its item", sequence(0x00081140, item(NAME[:-2])) + NAME, "malformed"),
        (
            "item leaves its sequence",
            element(0x00081140, "SQ", item(NAME)[:-2] + b"xx", length=len(item(NAME)) - 2) + NAME,
            "malformed",
        ),
        (
            "missing item delimiter",
            element(
                0x00081140, "SQ", item(NAME, delimited=True)[:-8] + SEQUENCE_END, length=UNDEFINED
            ),
            "malformed",
        ),
        (
            "missing sequence delimiter",
            sequence(0x00081140, item(NAME, delimited=True), delimited=True)[:-8],
            "truncated",
        ),
        ("undefined length of text", element(0x00100010, "PN", length=0xFFFF), "truncated"),
        (
            "undefined length of UT",
            element(0x00100010, "UT", b"abc", length=UNDEFINED),
            "malformed",
        ),
        ("item among elements", FIRST + item(NAME), "malformed"),
        ("noise after the magic word", b"\xde\xad\xbe\xef" * 8, "malformed"),
        ("length past the end", element(0x00100010, "LT", b"abcd", length=5000), "truncated"),
    ],
)
def test_broken_structures_are_corrupt(what: str, body: bytes, reason: str, read: Any) -> None:
    data = make_file(body)
    found, offset = reason_of(read, data)
    assert (what, found) == (what, reason)
    assert offset is not None
    assert 0 < offset <= len(data)


@pytest.mark.parametrize("stray", [ITEM_END, SEQUENCE_END])
def test_stray_delimiters_are_only_strange(stray: bytes, read: Any) -> None:
    header = read(make_file(FIRST, stray, NAME), warnings=True)
    assert len(json.loads(header.metadata)) == 3
    assert header.warnings[0].startswith("stray_delimiter:FFFEE0")
    inside = sequence(0x00081140, item(NAME, ITEM_END), SEQUENCE_END)
    assert "stray_delimiter:FFFEE00D" in read(make_file(inside, NAME), warnings=True).warnings


def test_declared_explicit_and_written_implicit_is_read_as_written(read: Any) -> None:
    data = make_ct(encoding=IMPLICIT_LITTLE, transfer_syntax=EXPLICIT_LITTLE_UID)
    header = read(data, warnings=True)
    assert (
        header.metadata
        == read(make_ct(encoding=IMPLICIT_LITTLE, transfer_syntax=IMPLICIT_LITTLE_UID)).metadata
        or b"offset" in header.metadata
    )
    assert b'"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2"]}' in header.metadata
    assert "transfer_syntax_mismatch:00020010" in header.warnings


def test_declared_implicit_and_written_explicit_is_read_as_written(read: Any) -> None:
    header = read(make_ct(transfer_syntax=IMPLICIT_LITTLE_UID), warnings=True)
    assert b'"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2.1"]}' in header.metadata
    assert "transfer_syntax_mismatch:00020010" in header.warnings


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.7.1"])
def test_syntax_without_elements_is_unsupported(uid: str, read: Any) -> None:
    assert reason_of(read, make_file(NAME, transfer_syntax=uid))[0] == "unsupported"
    noise = make_file(b"\xde\xad\xbe\xef" * 9, transfer_syntax="1.9.9.9")
    assert reason_of(read, noise)[0] == "unsupported"


def test_unknown_syntax_that_can_be_walked_is_walked(read: Any) -> None:
    header = read(make_file(FIRST, NAME, transfer_syntax="1.9.9.9"))
    assert b'"Value":["1.9.9.9"]' in header.metadata
