"""Each VR's value field to its DICOM JSON (PS3.18 section F.2)."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from dicomframe.dicom.text import DEFAULT_CHARSET, charset_of
from dicomframe.dicom.values import UnfitValue, get_encoder, swap_words


def encode(vr: str, raw: bytes, charset: bytes = b"", order: str = "little") -> Any:
    member = get_encoder(vr, order)(raw, charset_of(charset))  # type: ignore[arg-type]
    return json.loads(b'{"vr":"%b"%b' % (vr.encode(), member))


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"1.50", [1.5]),
        (b"-0", [0]),
        (b" 12 ", [12]),
        (b"+1.5", [1.5]),
        (b".5", [0.5]),
        (b"-.5", [-0.5]),
        (b"1.", [1]),
        (b"007", [7]),
        (b"1e3", [1000.0]),
        (b"1.5E-02", [0.015]),
        (b"1\\2\\\\4 ", [1, 2, None, 4]),
        (b"\\", [None, None]),
        (b"abc", ["abc"]),
        (b"1,5", ["1,5"]),
        (b"NaN", ["NaN"]),
        (b"1e999", ["1e999"]),
        (b".", ["."]),
        (b"-", ["-"]),
        (b"e5", ["e5"]),
        (b"1\\x", [1, "x"]),
        (b"99999999999999999999", ["99999999999999999999"]),
    ],
)
def test_number_text_is_a_number_or_stays_text(raw: bytes, values: list[Any]) -> None:
    assert encode("DS", raw)["Value"] == values
    assert encode("IS", raw)["Value"] == values


def test_number_text_keeps_its_digits() -> None:
    assert b"1.500000" in get_encoder("DS", "little")(b"1.500000", DEFAULT_CHARSET)


def test_zeros_in_front_are_numbers() -> None:
    assert encode("DS", b"000")["Value"] == [0]
    assert encode("DS", b"-00.50")["Value"] == [-0.5]
    assert encode("DS", b"0.")["Value"] == [0]


@pytest.mark.parametrize(
    "vr",
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SS ST SV TM UC UI UL UN UR US UT".split(),
)
def test_empty_value_is_vr_alone(vr: str) -> None:
    assert encode(vr, b"") == {"vr": vr}


@pytest.mark.parametrize("vr", "AE CS DS IS LO LT PN SH ST UC UI UR UT".split())
def test_padding_alone_is_empty(vr: str) -> None:
    assert encode(vr, b"  ") == {"vr": vr}


def test_empty_value_in_a_list_is_null() -> None:
    assert encode("CS", b"A\\\\B")["Value"] == ["A", None, "B"]
    assert encode("LO", b"A\\")["Value"] == ["A", None]
    assert encode("PN", b"A\\\\B")["Value"] == [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]


@pytest.mark.parametrize("vr", ["ST", "LT", "UT", "UR"])
def test_long_text_never_splits_on_a_backslash(vr: str) -> None:
    assert encode(vr, b"a\\b ")["Value"] == ["a\\b"]


def test_person_name_has_groups_and_leaves_out_empty_ones() -> None:
    value = encode("PN", b"Yamada^Tarou==x")["Value"]
    assert value == [{"Alphabetic": "Yamada^Tarou", "Phonetic": "x"}]
    assert encode("PN", b"=I")["Value"] == [{"Ideographic": "I"}]


def test_text_is_escaped_for_json() -> None:
    assert encode("LO", b'say "hi"\t')["Value"] == ['say "hi"\t']
    assert encode("ST", b"a\r\nb\x00\x01")["Value"] == ["a\r\nb\x00\x01"]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(
    ("vr", "format_", "value"),
    [
        ("US", "H", 65535),
        ("SS", "h", -2),
        ("UL", "I", 2**32 - 1),
        ("SL", "i", -5),
        ("FL", "f", 0.5),
        ("FD", "d", 1e-300),
        ("SV", "q", -7),
        ("UV", "Q", 7),
    ],
)
def test_numbers_of_either_byte_order(vr: str, format_: str, value: Any, order: str) -> None:
    sign = "<" if order == "little" else ">"
    for count in (1, 3):
        raw = struct.pack(f"{sign}{count}{format_}", *[value] * count)
        assert encode(vr, raw, order=order)["Value"] == [value] * count


def test_numbers_past_two_to_the_53_are_text() -> None:
    assert encode("UV", struct.pack("<2Q", 2**63, 1))["Value"] == [str(2**63), 1]
    assert encode("SV", struct.pack("<q", -(2**60)))["Value"] == [str(-(2**60))]


def test_not_finite_numbers_are_text_and_json_stays_valid() -> None:
    raw = struct.pack("<4d", float("nan"), float("inf"), float("-inf"), 1.0)
    member = get_encoder("FD", "little")(raw, DEFAULT_CHARSET)

    def refuse(_: str) -> None:
        raise AssertionError

    found = json.loads(b'{"vr":"FD"' + member, parse_constant=refuse)
    assert found["Value"] == ["NaN", "Infinity", "-Infinity", 1.0]


def test_tags_are_hexadecimal() -> None:
    assert encode("AT", b"\x28\0\x10\0\xe0\x7f\x10\0")["Value"] == ["00280010", "7FE00010"]


@pytest.mark.parametrize(("vr", "raw"), [("US", b"123"), ("FD", b"1234"), ("AT", b"12")])
def test_value_that_does_not_fit_is_refused(vr: str, raw: bytes) -> None:
    with pytest.raises(UnfitValue):
        encode(vr, raw)


def test_big_endian_words_are_turned_to_little_endian() -> None:
    assert encode("OW", b"\1\2\3\4", order="big") == encode("OW", b"\2\1\4\3")
    assert encode("OB", b"\1\2", order="big") == encode("OB", b"\1\2")
    assert swap_words(b"12345678", 8) == b"87654321"
