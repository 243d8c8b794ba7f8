"""Specific Character Set (PS3.5 section 6.1, PS3.3 section C.12.1.1.2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dicomframe.dicom.text import charset_of
from dicomframe.testing.samples import element, item, make_file, sequence


@pytest.mark.parametrize(
    ("names", "raw", "text"),
    [
        (b"", b"plain", "plain"),
        (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (b"ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "山田^太郎"),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf", "김희중"),
        (b"ISO IR 100", b"\xe9", "é"),
        (b"ISO-2022-IR-100", b"\xe9", "é"),
        (b"utf-8", "é".encode(), "é"),
    ],
)
def test_text_is_decoded(names: bytes, raw: bytes, text: str) -> None:
    assert charset_of(names).decode(raw, is_name=True) == text


def test_unknown_set_falls_back_to_the_default() -> None:
    charset = charset_of(b"KLINGON")
    assert not charset.known
    assert charset.decode(b"abc\xe9") == "abcé"


@pytest.mark.parametrize("name", [b"hex", b"utf-16", b"rot13", b"base64", b"idna"])
def test_codecs_that_are_no_superset_of_ascii_are_not_taken(name: bytes) -> None:
    assert charset_of(name).decode(b"abc") == "abc"


def test_set_without_code_extensions_stands_alone() -> None:
    assert (
        charset_of(b"ISO_IR 192\\ISO 2022 IR 87").encodings == charset_of(b"ISO_IR 192").encodings
    )


def test_undecodable_bytes_become_replacement_characters() -> None:
    assert charset_of(b"ISO_IR 192").decode(b"a\xffb") == "a\ufffdb"
    with pytest.raises(UnicodeError):
        charset_of(b"ISO_IR 192").decode(b"a\xffb", errors="strict")


def test_backslash_inside_a_double_byte_character_does_not_split(data_set_of: Any) -> None:
    data = make_file(
        element(0x00080005, "CS", "GB18030"), element(0x00081030, "LO", b"\x81\x5c\\b" + b" ")
    )
    assert data_set_of(data)["00081030"]["Value"] == [b"\x81\x5c".decode("gb18030"), "b"]


def test_item_may_have_a_set_of_its_own_and_inherits_otherwise(data_set_of: Any) -> None:
    name = element(0x00100010, "PN", b"\xe9 ")
    data = make_file(
        element(0x00080005, "CS", "ISO_IR 100"),
        sequence(
            0x00081140,
            item(name),
            item(element(0x00080005, "CS", "ISO_IR 192"), element(0x00100010, "PN", "é")),
            item(name, delimited=True),
        ),
        element(0x00100010, "PN", b"\xe9 "),
    )
    data_set = data_set_of(data)
    names = [entry["00100010"]["Value"][0] for entry in data_set["00081140"]["Value"]]
    assert names == [{"Alphabetic": "é"}] * 3
    assert data_set["00100010"]["Value"] == [{"Alphabetic": "é"}]


def test_character_set_keeps_its_original_value(read: Any) -> None:
    data = make_file(element(0x00080005, "CS", "ISO_IR 100"), element(0x00100010, "PN", b"\xe9 "))
    metadata = read(data).metadata
    assert json.loads(metadata)["00080005"]["Value"] == ["ISO_IR 100"]
    assert "é".encode() in metadata
