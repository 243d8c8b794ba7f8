"""A whole file: its beginning, deflated data sets, the transfer syntax, Pixel Data's place."""

from __future__ import annotations

import json
import random
from typing import Any

import pydicom
import pytest

from dicomframe.dicom.damage import REASONS, Damage
from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
)
from dicomframe.dicom.header import Learned, Parser
from dicomframe.dicom.limits import Limits
from dicomframe.scan.places import BulkURI
from dicomframe.testing.samples import (
    element,
    file_meta,
    item,
    make_ct,
    make_file,
    real_files,
    sequence,
)

DEFLATED_UID = "1.2.840.10008.1.2.1.99"
FIRST = element(0x00080060, "CS", "MR")
NAME = element(0x00100010, "PN", "Doe^Jane")


def reason_of(read: Any, data: bytes, **options: Any) -> str:
    with pytest.raises(Damage) as caught:
        read(data, **options)
    assert caught.value.reason in REASONS
    return str(caught.value.reason)


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
def test_data_set_alone_is_a_file(encoding: Any, read: Any) -> None:
    data = b"".join(
        element(tag, vr, value, encoding=encoding)
        for tag, vr, value in [
            (0x00080005, "CS", "ISO_IR 100"),
            (0x00080060, "CS", "MR"),
            (0x00100010, "PN", "Doe^Jane"),
        ]
    )
    header = read(data, warnings=True)
    assert list(json.loads(header.metadata))[:2] == ["00080005", "00080060"]
    assert header.warnings == ["no_preamble:0", "no_file_meta:0"]


def test_group_0002_without_preamble_is_a_file(read: Any) -> None:
    assert len(json.loads(read(file_meta() + FIRST + NAME).metadata)) == 3


def test_preamble_without_group_0002_is_a_file(read: Any) -> None:
    header = read(make_file(FIRST, NAME, meta=b""), warnings=True)
    assert len(json.loads(header.metadata)) == 3
    assert header.warnings == ["no_file_meta:0"]


def test_preamble_may_hold_anything(read: Any) -> None:
    data = make_ct()
    tiff = b"II*\0" + b"\1" * 124 + data[128:]
    assert read(tiff).metadata == read(data).metadata


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"just a text, and a long one at that; " * 20,
        b"\xff\xd8\xff\xe0" + bytes(400),
        b"%PDF-1.7 " * 40,
        bytes(1000),
        b"\xff" * 1000,
        b'{"00080060": {}}' * 30,
        b"(0008,0005) CS SpecificCharacterSet 1-n DICOM\n" * 30,
        b"\x08\0",
    ],
)
def test_other_files_are_not_dicom(data: bytes, read: Any) -> None:
    assert reason_of(read, data) == "not_dicom"


def test_likeness_to_another_format_is_told(read: Any) -> None:
    with pytest.raises(Damage, match="JPEG"):
        read(b"\xff\xd8\xff\xe0" + bytes(400))


def test_empty_file_is_empty(read: Any) -> None:
    assert reason_of(read, b"") == "empty"


def test_magic_word_alone_and_group_0002_alone_are_truncated(read: Any) -> None:
    assert reason_of(read, bytes(128) + b"DICM") == "truncated"
    assert reason_of(read, make_file()) == "truncated"


def test_group_0002_may_be_longer_than_the_first_read(read: Any) -> None:
    extra = element(0x00020102, "OB", bytes(200_000))
    header = read(make_file(FIRST, meta=file_meta("1.2.840.10008.1.2.1", extra)))
    assert "BulkDataURI" not in str(header.find(0x00020102))
    assert len(header.find(0x00020102)) > 200_000
    assert len(json.loads(header.metadata)) == 2


@pytest.mark.parametrize("encoding", [IMPLICIT_LITTLE, EXPLICIT_BIG])
def test_group_0002_written_wrongly_is_read(encoding: Any, read: Any) -> None:
    group = element(0x00020010, "UI", IMPLICIT_LITTLE_UID, encoding=encoding)
    name = element(0x00100010, "PN", "Doe^Jane", encoding=IMPLICIT_LITTLE)
    header = read(make_file(name, meta=group))
    assert IMPLICIT_LITTLE_UID.encode() in header.find(0x00020010)
    assert b"Doe^Jane" in header.metadata


def test_wrong_group_length_is_only_strange(read: Any) -> None:
    meta = bytearray(file_meta())
    meta[8] -= 6
    header = read(make_file(FIRST, meta=bytes(meta)), warnings=True)
    assert header.warnings == ["group_length:00020000"]


def test_deflated_file_equals_the_plain_one(read: Any) -> None:
    plain, deflated = read(make_ct()), read(make_ct(transfer_syntax=DEFLATED_UID))
    ours, theirs = json.loads(deflated.metadata), json.loads(plain.metadata)
    place = BulkURI.parse(ours.pop("7FE00010")["BulkDataURI"])
    assert place is not None
    assert place.inflated
    assert ours.pop("00083002") != theirs.pop("00083002")
    theirs.pop("7FE00010")
    assert ours == theirs
    pixels = deflated.inflated.read(place.offset, place.offset + place.length)
    assert pixels == make_ct()[plain.pixel_offset :]


def test_deflated_file_that_is_at_hand_is_not_read_again() -> None:
    data = make_ct(transfer_syntax=DEFLATED_UID)
    reading = Parser().read(len(data), "file:///x.dcm")
    assert next(reading) == (0, len(data))
    with pytest.raises(StopIteration):
        reading.send(data)


def test_deflated_frames_are_no_deflated_data_set(read: Any) -> None:
    from dicomframe.testing.samples import encapsulated

    data = make_file(FIRST, encapsulated(b"abcd"), transfer_syntax="1.2.840.10008.1.2.8.1")
    assert read(data).inflated is None


def test_damaged_deflate_stream_is_malformed(read: Any) -> None:
    data = make_ct(transfer_syntax=DEFLATED_UID)
    start = data.index(b"1.2.840.10008.1.2.1.99") + 22
    assert reason_of(read, data[:start] + b"\xff" * 50) == "malformed"


def test_inflating_bomb_is_too_large(read: Any) -> None:
    bomb = make_file(
        FIRST, element(0x7FE00010, "OB", bytes(90 << 20)), transfer_syntax=DEFLATED_UID
    )
    assert len(bomb) < 100_000
    assert reason_of(read, bomb) == "too_large"
    small = make_file(
        FIRST, element(0x7FE00010, "OB", bytes(1 << 20)), transfer_syntax=DEFLATED_UID
    )
    assert reason_of(read, small, limits=Limits(inflated_bytes=1 << 19)) == "too_large"
    assert read(small).pixel_length == 1 << 20


def test_deflated_file_may_be_longer_than_a_header(read: Any) -> None:
    noise = random.Random(1).randbytes(300_000)
    data = make_file(FIRST, element(0x7FE00010, "OB", noise), transfer_syntax=DEFLATED_UID)
    assert len(data) > 200_000
    assert read(data, limits=Limits(header_bytes=100_000)).pixel_length == 300_000


def test_transfer_syntax_stands_in_the_metadata(read: Any) -> None:
    for name in ("CT_small.dcm", "JPEG2000.dcm", "MR_small_implicit.dcm"):
        found = json.loads(read(real_files(name).read_bytes()).metadata)["00083002"]
        uid = pydicom.dcmread(real_files(name)).file_meta.TransferSyntaxUID
        assert found == {"vr": "UI", "Value": [uid]}


def test_transfer_syntax_of_the_file_replaces_an_element_of_that_tag(read: Any) -> None:
    header = read(make_file(FIRST, element(0x00083002, "UI", "1.2.3"), NAME))
    assert json.loads(header.metadata)["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
    assert len(json.loads(header.metadata)) == 3


def test_metadata_and_pixels_are_enough_to_decode_an_image(read: Any) -> None:
    data = real_files("CT_small.dcm").read_bytes()
    header = read(data)
    data_set = pydicom.Dataset.from_json(header.metadata.decode(), lambda _: b"")
    data_set.PixelData = data[header.pixel_offset :][: header.pixel_length]
    data_set.file_meta = pydicom.dataset.FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = data_set["00083002"].value
    assert (data_set.pixel_array == pydicom.dcmread(real_files("CT_small.dcm")).pixel_array).all()


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_every_kind_of_pixel_data_is_found(tag: int, read: Any) -> None:
    vr = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}[tag]
    data = make_file(FIRST, element(tag, vr, b"12345678"))
    header = read(data)
    assert data[header.pixel_offset :][: header.pixel_length] == b"12345678"


def test_icon_image_is_not_the_pixel_data(read: Any) -> None:
    icon = sequence(0x00880200, item(element(0x7FE00010, "OW", b"icon")))
    data = make_file(FIRST, icon, element(0x7FE00010, "OW", b"real pixels!"))
    header = read(data)
    assert data[header.pixel_offset :][: header.pixel_length] == b"real pixels!"
    without = read(make_file(FIRST, icon))
    assert (without.pixel_offset, without.pixel_length) == (None, None)


def test_empty_pixel_data_is_not_missing(read: Any) -> None:
    header = read(make_file(FIRST, element(0x7FE00010, "OW")))
    assert header.pixel_length == 0
    assert b'"7FE00010":{"vr":"OW"}' in header.metadata


def test_long_values_become_bulk_data(data_set_of: Any) -> None:
    def uri_of(*elements: bytes, tag: str, uid: str = "1.2.840.10008.1.2.1") -> BulkURI | None:
        data = make_file(*elements, transfer_syntax=uid)
        found = data_set_of(data)[tag].get("BulkDataURI")
        return BulkURI.parse(found) if found else None

    assert uri_of(FIRST, element(0x00420011, "OB", bytes(1024)), tag="00420011") is None
    place = uri_of(FIRST, element(0x00420011, "OB", bytes(1026)), tag="00420011")
    assert place is not None
    assert (place.origin, place.length, place.swap) == ("file:///x.dcm", 1026, 1)
    assert uri_of(FIRST, element(0x0040A160, "UT", "x" * 262144), tag="0040A160") is None
    assert uri_of(FIRST, element(0x0040A160, "UT", "x" * 262146), tag="0040A160") is not None
    big = element(0x00420011, "OW", bytes(2000), encoding=EXPLICIT_BIG)
    first = element(0x00080060, "CS", "MR", encoding=EXPLICIT_BIG)
    place = uri_of(first, big, tag="00420011", uid=EXPLICIT_BIG_UID)
    assert place is not None
    assert place.swap == 2
    assert place.to_little_endian(b"\1\2\3\4") == b"\2\1\4\3"


def test_origin_is_escaped_in_a_bulk_uri() -> None:
    data = make_ct()
    reading = Parser().read(len(data), 'file:///a "b"\\é#c.dcm')
    start, stop = next(reading)
    with pytest.raises(StopIteration) as end:
        reading.send(data[start:stop])
    uri = json.loads(end.value.value.metadata)["7FE00010"]["BulkDataURI"]
    place = BulkURI.parse(uri)
    assert place is not None
    assert place.origin == 'file:///a "b"\\é#c.dcm'


@pytest.mark.parametrize("uri", ["", "file:///x", "file:///x#offset=1", "#offset=1&length=2"])
def test_other_uris_are_no_bulk_data(uri: str) -> None:
    assert BulkURI.parse(uri) is None


def test_real_deflated_file_has_its_pixels(read: Any) -> None:
    header = read(real_files("image_dfl.dcm").read_bytes())
    expected = pydicom.dcmread(real_files("image_dfl.dcm")).PixelData
    assert (
        header.inflated.read(header.pixel_offset, header.inflated.size)[: len(expected)] == expected
    )


def test_no_repr_holds_a_value(read: Any) -> None:
    header = read(make_ct(), learned=Learned())
    assert b"Sample^Sam^Q" in header.metadata
    assert "Sample^Sam" not in repr((header, Parser(learned=Learned())))
