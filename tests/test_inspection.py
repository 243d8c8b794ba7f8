"""The column `warnings`: each code, on a file that shows it and on one that does not."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from at_hand import read

from dicomframe.dicom.encodings import IMPLICIT_LITTLE
from dicomframe.inspection import WARNINGS
from dicomframe.testing.samples import (
    SEQUENCE_END,
    element,
    encapsulated,
    file_meta,
    make_ct,
    make_file,
    real_files,
)

FIRST = element(0x00080060, "CS", "MR")
JPEG_UID = "1.2.840.10008.1.2.4.50"
CASES: dict[str, tuple[str, bytes]] = {
    "invalid_value": ("00100030", make_file(FIRST, element(0x00100030, "DA", "20241399"))),
    "invalid_vr": ("00081010", make_file(FIRST, struct.pack("<HH", 8, 0x1010) + b"ZZ\4\0abcd")),
    "vr_mismatch": ("00100020", make_file(FIRST, element(0x00100020, "SH", "1"))),
    "odd_length": ("00100020", make_file(FIRST, element(0x00100020, "LO", b"123"))),
    "undecodable_text": (
        "00100020",
        make_file(element(0x00080005, "CS", "ISO_IR 192"), element(0x00100020, "LO", b"\xff\xff")),
    ),
    "duplicate_tag": ("00080060", make_file(FIRST, FIRST)),
    "tag_order": ("00080060", make_file(element(0x00100020, "LO", "1"), FIRST)),
    "group_length": (
        "00080000",
        make_file(element(0x00080000, "UL", 99), FIRST, element(0x00100020, "LO", "1")),
    ),
    "no_preamble": ("0", (file_meta() + FIRST)),
    "no_file_meta": ("0", FIRST + element(0x00100020, "LO", "1")),
    "transfer_syntax_mismatch": (
        "00020010",
        make_file(element(0x00080060, "CS", "MR", encoding=IMPLICIT_LITTLE)),
    ),
    "missing_pixel_data": ("7FE00010", make_ct()[:-524]),
    "short_pixel_data": (
        "2",
        make_ct()[:-524] + element(0x7FE00010, "OW", bytes(510)),
    ),
    "long_pixel_data": ("4", make_ct()[:-524] + element(0x7FE00010, "OW", bytes(516))),
    "offset_table": (
        "7FE00010",
        make_file(
            FIRST,
            encapsulated(b"abcd", b"efgh", offset_table=struct.pack("<2I", 0, 99)),
            transfer_syntax=JPEG_UID,
        ),
    ),
    "stray_delimiter": ("FFFEE0DD", make_file(FIRST, SEQUENCE_END)),
    "trailing_bytes": ("100", make_ct() + bytes(100)),
}


@pytest.mark.parametrize("code", WARNINGS)
def test_each_warning_is_told(code: str) -> None:
    where, data = CASES[code]
    assert f"{code}:{where}" in read(data, warnings=True).warnings


def test_warnings_never_change_the_metadata() -> None:
    for _, data in CASES.values():
        assert read(data, warnings=True).metadata == read(data).metadata
        assert read(data).warnings == []


def test_sound_files_have_no_warnings() -> None:
    sound = [make_ct(), real_files("MR_small.dcm").read_bytes()]
    offsets = encapsulated(b"abcd", b"efgh", offset_table=struct.pack("<2I", 0, 12))
    sound.append(make_file(FIRST, offsets, transfer_syntax=JPEG_UID))
    for data in sound:
        assert read(data, warnings=True).warnings == []


def test_warnings_of_one_file_are_at_most_a_hundred() -> None:
    many = [element(0x00091000 + at, "DA", "x") for at in range(250)]
    assert len(read(make_file(FIRST, *many), warnings=True).warnings) == 100


@pytest.mark.parametrize(
    ("vr", "good", "bad"),
    [
        ("AE", "STORE SCP", "A" * 17),
        ("AS", "045Y", "45Y"),
        ("CS", "ORIGINAL\\PRIMARY", "lower"),
        ("DA", "20240229", "2024-02-29"),
        ("DS", "1.5\\-2E-3", "1,5"),
        ("DT", "20240229101500.5+0100", "2024x"),
        ("IS", "-12", "1.5"),
        ("LO", "x" * 64, "x" * 65),
        ("PN", "Doe^Jane=Q=R", "a=b=c=d"),
        ("TM", "101500.25", "25"),
        ("UI", "1.2.840.0.1", "1.02"),
        ("US", b"\1\0", b"\1\0\1"),
    ],
)
def test_values_are_judged_by_vr(vr: str, good: Any, bad: Any) -> None:
    def warned(value: Any) -> bool:
        data = make_file(FIRST, element(0x00091001, vr, value))
        return "invalid_value:00091001" in read(data, warnings=True).warnings

    assert not warned(good)
    assert warned(bad)
