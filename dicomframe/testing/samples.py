"""Build DICOM files byte by byte, sound and broken ones, and find real ones."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pydicom

from dicomframe.dicom.dictionary import LONG_VRS
from dicomframe.dicom.encodings import (
    EXPLICIT_LITTLE,
    EXPLICIT_LITTLE_UID,
    Encoding,
)

UNDEFINED = 0xFFFFFFFF
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"

CT_UID = "1.2.840.10008.5.1.4.1.1.2"
DEFLATED_UID = "1.2.840.10008.1.2.1.99"
JPEG_UID = "1.2.840.10008.1.2.4.50"
_ROOT_UID = "1.2.826.0.1.3680043.8.498"


def real_files(name: str = "") -> Path:
    """Return the folder of the real DICOM files that pydicom ships, or one file in it.

    Examples
    --------
    >>> real_files("CT_small.dcm").is_file()
    True
    """
    return Path(pydicom.__file__).parent / "data" / "test_files" / name


def element(
    tag: int,
    vr: str,
    value: bytes | str | int = b"",
    *,
    encoding: Encoding = EXPLICIT_LITTLE,
    length: int | None = None,
) -> bytes:
    r"""Return one data element (PS3.5 section 7.1).

    Parameters
    ----------
    tag : int
        Group and element, such as ``0x00100010``.
    vr : str
        Any two letters; whether the length is long is taken from the VR.
    value : bytes, str or int
        The value field; text is padded to even length, a number is written as US, SS, UL or SL.
    encoding : Encoding
        How to write it.
    length : int, optional
        Another length than the true one.

    Examples
    --------
    >>> element(0x00100040, "CS", "F")
    b'\x10\x00@\x00CS\x02\x00F '
    """
    explicit, order = encoding.explicit, encoding.order
    if isinstance(value, int):
        value = value.to_bytes(2 if vr in ("US", "SS") else 4, order, signed=vr[0] == "S")
    if isinstance(value, str):
        value = value.encode("utf-8")
        value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    length = len(value) if length is None else length
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    if not explicit:
        return head + length.to_bytes(4, order) + value
    if vr.encode() in LONG_VRS:
        return head + vr.encode() + b"\0\0" + length.to_bytes(4, order) + value
    return head + vr.encode() + length.to_bytes(2, order) + value


def item(*elements: bytes, delimited: bool = False, encoding: Encoding = EXPLICIT_LITTLE) -> bytes:
    """Return an item of a sequence or of fragments, of defined or undefined length."""
    body = b"".join(elements)
    mark = _marker(0xE000, UNDEFINED if delimited else len(body), encoding)
    return mark + body + (_marker(0xE00D, 0, encoding) if delimited else b"")


def _marker(number: int, length: int, encoding: Encoding) -> bytes:
    order = encoding.order
    return b"".join(
        part.to_bytes(size, order) for part, size in ((0xFFFE, 2), (number, 2), (length, 4))
    )


def sequence(
    tag: int, *items: bytes, delimited: bool = False, encoding: Encoding = EXPLICIT_LITTLE
) -> bytes:
    """Return a sequence element, of defined or undefined length (PS3.5 section 7.5)."""
    body = b"".join(items)
    if delimited:
        body += _marker(0xE0DD, 0, encoding)
        return element(tag, "SQ", body, encoding=encoding, length=UNDEFINED)
    return element(tag, "SQ", body, encoding=encoding)


def encapsulated(*fragments: bytes, offset_table: bytes = b"", tag: int = 0x7FE00010) -> bytes:
    """Return an encapsulated Pixel Data element (PS3.5 section A.4)."""
    body = item(offset_table) + b"".join(item(fragment) for fragment in fragments)
    return element(tag, "OB", body + SEQUENCE_END, length=UNDEFINED)


def file_meta(transfer_syntax: str = EXPLICIT_LITTLE_UID, *extra: bytes) -> bytes:
    """Return group 0002 with its length (PS3.10 section 7.1)."""
    group = b"".join(
        [
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", CT_UID),
            element(0x00020003, "UI", f"{_ROOT_UID}.1"),
            element(0x00020010, "UI", transfer_syntax) if transfer_syntax else b"",
            *extra,
        ]
    )
    return element(0x00020000, "UL", len(group)) + group


def make_file(
    *elements: bytes, transfer_syntax: str = EXPLICIT_LITTLE_UID, meta: bytes | None = None
) -> bytes:
    """Return a file: preamble, group 0002, data set; deflated if the syntax says so."""
    body = b"".join(elements)
    if transfer_syntax == DEFLATED_UID:
        body = deflate(body)
    return bytes(128) + b"DICM" + (file_meta(transfer_syntax) if meta is None else meta) + body


def deflate(data_set: bytes) -> bytes:
    """Return a data set as a deflated file holds it, of even length (PS3.5 section A.5)."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = stream.compress(data_set) + stream.flush()
    return body + b"\0" * (len(body) % 2)


def deflate_bomb(*elements: bytes, block: bytes, blocks: int) -> bytes:
    """Return a deflated file whose data set ends with the same block again and again."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = stream.compress(b"".join(elements)) + stream.flush(zlib.Z_FULL_FLUSH)
    deflated = stream.compress(block) + stream.flush(zlib.Z_FULL_FLUSH)
    return make_file(meta=file_meta(DEFLATED_UID)) + body + deflated * blocks + stream.flush()


def make_ct(
    instance: int = 1,
    series: int = 1,
    *,
    rows: int = 16,
    columns: int = 16,
    encoding: Encoding = EXPLICIT_LITTLE,
    transfer_syntax: str = EXPLICIT_LITTLE_UID,
) -> bytes:
    """Return a CT slice with the elements of a common scanner, some 120 of them.

    Slices of one `series` differ in what differs between real ones: UIDs, number, position,
    time of content and pixels. The content is made up and the same every time.
    """

    def put(tag: int, vr: str, value: bytes | str | int = b"") -> bytes:
        return element(tag, vr, value, encoding=encoding)

    study_uid, position = f"{_ROOT_UID}.2.{series}", f"{-120.5 + 1.25 * instance:g}"
    elements = [
        put(0x00080005, "CS", "ISO_IR 100"),
        put(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        put(0x00080012, "DA", "20240311"),
        put(0x00080013, "TM", f"1021{instance % 60:02d}"),
        put(0x00080016, "UI", CT_UID),
        put(0x00080018, "UI", f"{study_uid}.1.{instance}"),
        put(0x00080020, "DA", "20240311"),
        put(0x00080021, "DA", "20240311"),
        put(0x00080022, "DA", "20240311"),
        put(0x00080023, "DA", "20240311"),
        put(0x00080030, "TM", "101500"),
        put(0x00080031, "TM", "101733.250000"),
        put(0x00080032, "TM", f"1018{instance % 60:02d}.500000"),
        put(0x00080033, "TM", f"1018{instance % 60:02d}.750000"),
        put(0x00080050, "SH", f"A{series:07d}"),
        put(0x00080060, "CS", "CT"),
        put(0x00080070, "LO", "Sample Medical Systems"),
        put(0x00080080, "LO", "Sample University Hospital"),
        put(0x00080081, "ST", "1 Sample Street, Sample Town"),
        put(0x00080090, "PN", "Referring^Robin^^Dr."),
        put(0x00081010, "SH", "CTWS01"),
        put(0x00081030, "LO", "CT Abdomen with contrast"),
        put(0x0008103E, "LO", "Abdomen 1.25 mm"),
        put(0x00081040, "LO", "Radiology"),
        put(0x00081070, "PN", "Operator^Olga"),
        put(0x00081090, "LO", "Tomograph 64"),
        sequence(
            0x00081140,
            item(
                put(0x00081150, "UI", CT_UID),
                put(0x00081155, "UI", f"{study_uid}.9.1"),
                encoding=encoding,
            ),
            encoding=encoding,
        ),
        put(0x00090010, "LO", "SAMPLE_IDEN_01"),
        put(0x00091001, "LO", "SAMPLE_SCANNER"),
        put(0x00091002, "SH", "CT01"),
        put(0x00091004, "SH", "TOMO64"),
        put(0x00091027, "SL", 1710152253),
        put(0x000910E3, "UI", f"{_ROOT_UID}.77.{series}"),
        put(0x00100010, "PN", "Sample^Sam^Q"),
        put(0x00100020, "LO", f"PAT{series:06d}"),
        put(0x00100030, "DA", "19800704"),
        put(0x00100040, "CS", "F" if series % 2 else "M"),
        put(0x00101010, "AS", f"{20 + series % 60:03d}Y"),
        put(0x00101030, "DS", "71.5"),
        put(0x001021B0, "LT", "No relevant history, made up for tests"),
        put(0x00180010, "LO", "Iodine 300"),
        put(0x00180015, "CS", "ABDOMEN"),
        put(0x00180022, "CS", "HELICAL MODE"),
        put(0x00180050, "DS", "1.250000"),
        put(0x00180060, "DS", "120"),
        put(0x00180088, "DS", "1.250000"),
        put(0x00180090, "DS", "500.000000"),
        put(0x00181020, "LO", "07MW18.4"),
        put(0x00181030, "LO", "5.1 ABDOMEN ROUTINE"),
        put(0x00181100, "DS", "360.000000"),
        put(0x00181110, "DS", "949.075012"),
        put(0x00181111, "DS", "541.000000"),
        put(0x00181120, "DS", "0.000000"),
        put(0x00181130, "DS", "142.500000"),
        put(0x00181140, "CS", "CW"),
        put(0x00181150, "IS", "500"),
        put(0x00181151, "IS", "320"),
        put(0x00181152, "IS", "160"),
        put(0x00181160, "SH", "BODY FILTER"),
        put(0x00181170, "IS", "38400"),
        put(0x00181190, "DS", "0.700000"),
        put(0x00181210, "SH", "STANDARD"),
        put(0x00185100, "CS", "FFS"),
        put(0x00189306, "FD", struct.pack("<d" if encoding.order == "little" else ">d", 0.625)),
        put(0x00190010, "LO", "SAMPLE_ACQU_01"),
        *(put(0x00191000 + number, "DS", f"{number * 1.5:.6f}") for number in range(2, 22)),
        *(put(0x00191040 + number, "SS", number) for number in range(16)),
        put(0x0020000D, "UI", study_uid),
        put(0x0020000E, "UI", f"{study_uid}.1"),
        put(0x00200010, "SH", f"{series}"),
        put(0x00200011, "IS", "2"),
        put(0x00200012, "IS", "1"),
        put(0x00200013, "IS", f"{instance}"),
        put(0x00200032, "DS", f"-250.000000\\-250.000000\\{position}"),
        put(0x00200037, "DS", "1.000000\\0.000000\\0.000000\\0.000000\\1.000000\\0.000000"),
        put(0x00200052, "UI", f"{study_uid}.5"),
        put(0x00201040, "LO", "SN"),
        put(0x00201041, "DS", position),
        put(0x00270010, "LO", "SAMPLE_IMAG_01"),
        *(put(0x00271000 + number, "SL", number * 1000) for number in range(6, 20)),
        put(0x00280002, "US", 1),
        put(0x00280004, "CS", "MONOCHROME2"),
        put(0x00280010, "US", rows),
        put(0x00280011, "US", columns),
        put(0x00280030, "DS", "0.976562\\0.976562"),
        put(0x00280100, "US", 16),
        put(0x00280101, "US", 16),
        put(0x00280102, "US", 15),
        put(0x00280103, "US", 1),
        put(0x00280120, "SS", -2000),
        put(0x00281050, "DS", "40"),
        put(0x00281051, "DS", "400"),
        put(0x00281052, "DS", "-1024"),
        put(0x00281053, "DS", "1"),
        put(0x00281054, "LO", "HU"),
        put(0x00400244, "DA", "20240311"),
        put(0x00400245, "TM", "101500"),
        put(0x00400253, "SH", f"PPS{series}"),
        sequence(
            0x00400275,
            item(
                put(0x00400007, "LO", "CT Abdomen"),
                put(0x00400009, "SH", f"STEP{series}"),
                put(0x00401001, "SH", f"REQ{series}"),
                encoding=encoding,
            ),
            encoding=encoding,
        ),
        put(
            0x7FE00010,
            "OW",
            bytes((instance + at) % 251 for at in range(256)) * (rows * columns // 128),
        ),
    ]
    return make_file(*elements, transfer_syntax=transfer_syntax)
