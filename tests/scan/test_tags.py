"""Wanted attributes: how they are written, their types and values."""

from __future__ import annotations

import json
import struct
from datetime import date, datetime
from typing import Any

import pytest
from at_hand import read

from dicomframe.errors import UnknownTagError
from dicomframe.scan import tags
from dicomframe.scan.tags import parse_tags, typed_values
from dicomframe.testing.samples import CT_UID, element, item, make_ct, make_file, sequence

FIRST = element(0x00080060, "CS", "MR")


@pytest.fixture
def value_of() -> Any:
    def value_of(path: str, *elements: bytes, data: bytes | None = None) -> Any:
        header = read(make_file(FIRST, *elements) if data is None else data)
        return typed_values(header, parse_tags([path]))[0]

    return value_of


@pytest.mark.parametrize(
    ("path", "tag", "vr", "raw", "value"),
    [
        ("PatientAge", 0x00101010, "AS", "045Y", 45.0),
        ("PatientAge", 0x00101010, "AS", "006M", 0.5),
        ("PatientAge", 0x00101010, "AS", "010D", 10 / 365.25),
        ("PatientAge", 0x00101010, "AS", "002W", 14 / 365.25),
        ("PatientAge", 0x00101010, "AS", "45", None),
        ("StudyDate", 0x00080020, "DA", "20240229", date(2024, 2, 29)),
        ("StudyDate", 0x00080020, "DA", "2024.02.29", date(2024, 2, 29)),
        ("StudyDate", 0x00080020, "DA", "20240230", None),
        ("StudyDate", 0x00080020, "DA", "202402", None),
        ("StudyTime", 0x00080030, "TM", "101530.25", "10:15:30.250000"),
        ("StudyTime", 0x00080030, "TM", "10", "10:00:00.000000"),
        ("StudyTime", 0x00080030, "TM", "2515", None),
        (
            "AcquisitionDateTime",
            0x0008002A,
            "DT",
            "20240229101530",
            datetime(2024, 2, 29, 10, 15, 30),
        ),
        (
            "AcquisitionDateTime",
            0x0008002A,
            "DT",
            "20240229101530.5+0130",
            datetime(2024, 2, 29, 8, 45, 30, 500000),
        ),
        ("AcquisitionDateTime", 0x0008002A, "DT", "2024", datetime(2024, 1, 1)),
        ("AcquisitionDateTime", 0x0008002A, "DT", "20249999", None),
        ("SliceThickness", 0x00180050, "DS", "1.25", 1.25),
        ("SliceThickness", 0x00180050, "DS", "thin", None),
        ("SliceThickness", 0x00180050, "DS", "", None),
        ("SliceThickness", 0x00180050, "DS", "1_0", None),
        ("SliceThickness", 0x00180050, "DS", "nan", None),
        ("SliceThickness", 0x00180050, "DS", "Infinity", None),
        ("SeriesNumber", 0x00200011, "IS", "1_0", None),
        ("SeriesNumber", 0x00200011, "IS", "7", 7),
        ("SeriesNumber", 0x00200011, "IS", "7.0", 7),
        ("SeriesNumber", 0x00200011, "IS", "7.5", None),
        ("Rows", 0x00280010, "US", 512, 512),
        ("PatientName", 0x00100010, "PN", "Doe^Jane=Q", "Doe^Jane"),
        ("PatientName", 0x00100010, "PN", "=Q", None),
        ("StudyDescription", 0x00081030, "LO", "head", "head"),
        ("StudyDescription", 0x00081030, "LO", "two\\values", None),
        ("ImageType", 0x00080008, "CS", "ORIGINAL", ["ORIGINAL"]),
        ("ImageType", 0x00080008, "CS", "ORIGINAL\\\\AXIAL", ["ORIGINAL", None, "AXIAL"]),
        ("PixelSpacing", 0x00280030, "DS", "0.5\\x", [0.5, None]),
        ("FrameIncrementPointer", 0x00280009, "AT", b"\x18\0\x63\x10", ["00181063"]),
        ("00091001", 0x00091001, "LO", "private", '["private"]'),
    ],
)
def test_values_are_typed_by_vr(
    path: str, tag: int, vr: str, raw: Any, value: Any, value_of: Any
) -> None:
    found = value_of(path, element(tag, vr, raw))
    assert found == value
    assert type(found) is type(value)


def test_absent_attribute_is_null(value_of: Any) -> None:
    assert value_of("PatientID") is None
    assert value_of("RequestAttributesSequence[0].RequestedProcedureID") is None


def test_paths_reach_into_sequences(value_of: Any) -> None:
    ct = make_ct(series=3)
    assert value_of("RequestAttributesSequence[0].ScheduledProcedureStepID", data=ct) == "STEP3"
    assert value_of("00400275[0].00400009", data=ct) == "STEP3"
    assert value_of("RequestAttributesSequence[1].ScheduledProcedureStepID", data=ct) is None
    whole = value_of("RequestAttributesSequence", data=ct)
    assert json.loads(whole)[0]["00400009"]["Value"] == ["STEP3"]


def test_binary_attribute_is_bytes_and_null_when_it_is_bulk(value_of: Any) -> None:
    path = "EncapsulatedDocument"
    assert value_of(path, element(0x00420011, "OB", b"%PDF")) == b"%PDF"
    assert value_of(path, element(0x00420011, "OB", bytes(2000))) is None


def test_sixty_four_bits_are_kept(value_of: Any) -> None:
    raw = struct.pack("<Q", 2**64 - 1)
    column = parse_tags(["FileOffsetInContainer"])[0]
    assert column.kind == "unsigned"
    assert value_of("FileOffsetInContainer", element(column.path[0], "UV", raw)) == 2**64 - 1


def test_group_0002_is_within_reach(value_of: Any) -> None:
    assert value_of("TransferSyntaxUID", data=make_ct()) == "1.2.840.10008.1.2.1"
    assert value_of("MediaStorageSOPClassUID", data=make_ct()) == CT_UID


def test_tags_come_as_keywords_hexadecimal_or_a_dict_of_names() -> None:
    keyword, number = parse_tags(["PatientAge"])[0], parse_tags(["(0010,1010)"])[0]
    assert (keyword.path, keyword.kind) == (number.path, number.kind)
    assert parse_tags({"age": "PatientAge"})[0].name == "age"
    assert parse_tags("PatientAge")[0].name == "PatientAge"
    assert parse_tags(None) == ()


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["PatientAgee"], ["'PatientAgee'", "did you mean", "'PatientAge'"]),
        (["patientage"], ["'PatientAge'"]),
        (["00101011"], ["no tag of PS3.6"]),
        (["PixelData"], ["pixels='bytes'"]),
        (["PatientAge.Rows"], ["no sequence"]),
        (
            ["RequestAttributesSequence.PatientID"],
            ["needs an item", "'RequestAttributesSequence[0]'"],
        ),
        (["RequestAttributesSequence[0]"], ["ends with an item"]),
        (["RequestAttributesSequence[0].Nonsense"], ["'Nonsense'"]),
        (["a[b]"], ["no path"]),
        ([""], ["no path"]),
        ([7], ["must be strings"]),
        (["PatientAge", "PatientAge"], ["two columns", "'PatientAge'"]),
        ({"origin": "PatientAge"}, ["two columns", "'origin'"]),
        ({"Origin": "PatientAge"}, ["two columns", "'Origin'"]),
        ({"a": "PatientAge", "A": "PatientID"}, ["two columns", "'A'"]),
    ],
)
def test_wrong_tags_are_errors_that_help(tags: Any, words: list[str]) -> None:
    with pytest.raises(UnknownTagError) as caught:
        parse_tags(tags, reserved=["origin"])
    for word in words:
        assert word in str(caught.value)


def test_a_sequence_element_of_one_item_is_found_in_its_own_data_set(value_of: Any) -> None:
    nested = sequence(0x00400275, item(element(0x00100020, "LO", "inner")))
    assert value_of("PatientID", nested) is None


def test_path_into_an_element_that_is_no_sequence_in_the_file_is_null(value_of: Any) -> None:
    strange = element(0x00400275, "LO", "no sequence")
    assert value_of("RequestAttributesSequence[0].ScheduledProcedureStepID", strange) is None


@pytest.mark.parametrize("tag", [0x00101010, 0x00080020, 0x00100010, 0x0008002A, 0x00080030])
def test_attribute_of_another_vr_than_its_own_is_null(tag: int, value_of: Any) -> None:
    assert value_of(f"{tag:08X}", element(tag, "US", 7)) is None
    assert value_of(f"{tag:08X}", element(tag, "OB", b"12")) is None
    assert value_of(f"{tag:08X}", sequence(tag, item())) is None


def test_values_of_neighbours_are_not_mixed_up_and_not_kept_without_end(value_of: Any) -> None:
    for number in range(5000):
        assert value_of("PatientID", element(0x00100020, "LO", f"P{number}")) == f"P{number}"
        assert value_of("StudyID", element(0x00200010, "SH", f"P{number}")) == f"P{number}"
    assert value_of("PatientID", element(0x00100020, "LO", "P0")) == "P0"
    assert len(tags._kept) <= tags._MOST_KEPT
