"""Files whose Pixel Data, or what follows it, is broken."""

from __future__ import annotations

import struct

from dicomframe.dicom.encodings import EXPLICIT_LITTLE_UID
from dicomframe.testing.bad_files.parts import (
    FIRST,
    NAME,
    PATIENT,
    BadFile,
    implicit,
    make_implicit,
    make_jpeg,
    make_secret_ct,
    undefined,
)
from dicomframe.testing.samples import (
    JPEG_UID,
    SEQUENCE_END,
    UNDEFINED,
    element,
    encapsulated,
    file_meta,
    item,
    make_file,
    sequence,
)

_CT = make_secret_ct()
_META_BYTES = 132 + len(file_meta())
_PIXELS_AT = _CT.index(b"\xe0\x7f\x10\0OW")
_NO_PIXELS = ("missing_pixel_data:7FE00010",)
_FRAGMENTS = encapsulated(b"\xff\xd8ab", b"cdef", offset_table=bytes(4))


def _raw_fragments(body: bytes, *, vr: str = "OB") -> bytes:
    return make_jpeg(undefined(body, 0x7FE00010, vr))


def _table(*offsets: int) -> bytes:
    return encapsulated(b"abcd", b"efgh", offset_table=struct.pack(f"<{len(offsets)}I", *offsets))


def _icon(*elements: bytes) -> bytes:
    return sequence(0x00880200, item(*elements))


def _image(
    pixels: bytes | None,
    *,
    rows: int = 4,
    columns: int = 4,
    bits: int = 16,
    frames: str = "",
    icon: bytes = b"",
    transfer_syntax: str = EXPLICIT_LITTLE_UID,
) -> bytes:
    """Return an image, of 32 bytes of Pixel Data if nothing else is said."""
    return make_file(
        FIRST,
        NAME,
        element(0x00280002, "US", 1),
        element(0x00280008, "IS", frames) if frames else b"",
        element(0x00280010, "US", rows),
        element(0x00280011, "US", columns),
        element(0x00280100, "US", bits),
        _icon(icon) if icon else b"",
        b"" if pixels is None else element(0x7FE00010, "OW", pixels),
        transfer_syntax=transfer_syntax,
    )


PIXELS = (
    BadFile(
        "fragments_then_noise",
        "noise where a fragment or the delimiter must begin",
        lambda: _raw_fragments(item() + item(b"abcd") + b"\xde\xad\xbe\xef" * 4),
        "malformed",
    ),
    BadFile(
        "fragment_undefined",
        "a fragment of undefined length",
        lambda: _raw_fragments(item() + item(b"abcd", delimited=True) + SEQUENCE_END),
        "malformed",
    ),
    BadFile(
        "fragments_end_with_length",
        "the delimiter of the fragments has a length",
        lambda: _raw_fragments(item() + item(b"abcd") + SEQUENCE_END[:4] + b"\4\0\0\0abcd"),
        "malformed",
    ),
    BadFile(
        "fragments_end_missing",
        "an element follows without a delimiter",
        lambda: make_jpeg(encapsulated(b"abcd")[:-8], element(0xFFFCFFFC, "OB", bytes(8))),
        "malformed",
    ),
    BadFile(
        "fragment_too_long",
        "a fragment reaches over the delimiter",
        lambda: _raw_fragments(item() + b"\xfe\xff\0\xe0\x0e\0\0\0abcdef" + SEQUENCE_END),
        "truncated",
    ),
    BadFile(
        "fragment_odd",
        "a fragment of odd length",
        lambda: make_jpeg(encapsulated(b"abcd", b"efg")),
        warnings=("odd_length:7FE00010",),
    ),
    BadFile("fragments_none", "an offset table and no fragment", lambda: make_jpeg(encapsulated())),
    BadFile(
        "fragments_without_items",
        "encapsulated Pixel Data without the offset table",
        lambda: _raw_fragments(SEQUENCE_END),
    ),
    BadFile(
        "fragments_1000001",
        "1,000,001 empty fragments",
        lambda: _raw_fragments(item() * 1_000_002 + SEQUENCE_END),
        "too_large",
    ),
    BadFile(
        "fragments_implicit",
        "fragments in an implicit file",
        lambda: make_implicit(
            implicit(0x00100010, PATIENT),
            implicit(0x7FE00010, item() + item(b"abcd") + SEQUENCE_END, UNDEFINED),
        ),
    ),
    BadFile(
        "fragments_in_unknown_vr",
        "fragments in Pixel Data with the VR UN",
        lambda: _raw_fragments(item() + item(b"abcd") + SEQUENCE_END, vr="UN"),
    ),
    BadFile(
        "offset_table_right",
        "an offset table that tells the truth",
        lambda: make_jpeg(_table(0, 12)),
    ),
    BadFile(
        "offset_table_lies",
        "an offset table that points between fragments",
        lambda: make_jpeg(_table(0, 10)),
        warnings=("offset_table:7FE00010",),
    ),
    BadFile(
        "offset_table_past_end",
        "an offset table that points behind the file",
        lambda: make_jpeg(_table(0, 0xFFFFFFF0)),
        warnings=("offset_table:7FE00010",),
    ),
    BadFile(
        "offset_table_odd",
        "an offset table of three bytes and a half entry",
        lambda: make_jpeg(encapsulated(b"abcd", offset_table=b"\0\0\0\0\0\0")),
        warnings=("offset_table:7FE00010",),
    ),
    BadFile("two_files", "two files, one behind the other", lambda: _CT + _CT, "malformed"),
    BadFile(
        "two_data_sets",
        "a second data set behind the first",
        lambda: _CT + _CT[_META_BYTES:],
        "malformed",
    ),
    BadFile(
        "pixels_twice", "Pixel Data a second time", lambda: _CT + _CT[_PIXELS_AT:], "malformed"
    ),
    BadFile(
        "text_behind_pixels",
        "text behind Pixel Data",
        lambda: _CT + PATIENT.encode() * 3,
        warnings=("trailing_bytes:36",),
    ),
    BadFile(
        "zeros_behind_pixels",
        "zeros behind Pixel Data, as a tape leaves them",
        lambda: _CT + bytes(2048),
        warnings=("trailing_bytes:2048",),
    ),
    BadFile(
        "zeros_behind_text",
        "zeros behind the last element of a file without pixels",
        lambda: make_file(FIRST, NAME, bytes(600)),
        warnings=("trailing_bytes:600",),
    ),
    BadFile(
        "zeros_between_elements",
        "a block of zeros, as a damaged disk leaves it, and elements behind it",
        lambda: make_file(FIRST, bytes(4096), NAME),
        "malformed",
    ),
    BadFile(
        "element_cut_behind_pixels",
        "an element behind Pixel Data is cut",
        lambda: _CT + element(0xFFFCFFFC, "OB", bytes(8))[:-1],
        "truncated",
    ),
    BadFile("pixels_right", "Pixel Data as long as it must be", lambda: _image(bytes(32))),
    BadFile(
        "pixels_short",
        "Pixel Data two bytes too short",
        lambda: _image(bytes(30)),
        warnings=("short_pixel_data:2",),
    ),
    BadFile(
        "pixels_long",
        "Pixel Data four bytes too long",
        lambda: _image(bytes(36)),
        warnings=("long_pixel_data:4",),
    ),
    BadFile(
        "pixels_empty",
        "Pixel Data of no bytes",
        lambda: _image(b""),
        warnings=("short_pixel_data:32",),
    ),
    BadFile(
        "pixels_missing",
        "Rows and Columns and no Pixel Data",
        lambda: _image(None),
        warnings=_NO_PIXELS,
    ),
    BadFile(
        "frames_missing",
        "three frames are declared, one is there",
        lambda: _image(bytes(32), frames="3"),
        warnings=("short_pixel_data:64",),
    ),
    BadFile(
        "frames_billions",
        "65535 x 65535 pixels and two billion frames are declared",
        lambda: _image(bytes(32), rows=65535, columns=65535, frames="2147483647"),
        warnings=(f"short_pixel_data:{65535**2 * 2147483647 * 2 - 32}",),
    ),
    BadFile(
        "frames_text",
        "a Number of Frames that is no number",
        lambda: _image(bytes(32), frames="many"),
        warnings=("invalid_value:00280008",),
    ),
    BadFile(
        "pixels_of_one_bit",
        "15 pixels of one bit",
        lambda: _image(bytes(2), rows=5, columns=3, bits=1),
    ),
    BadFile(
        "pixels_in_jpeg_syntax",
        "native Pixel Data where the syntax says fragments",
        lambda: _image(bytes(32), transfer_syntax=JPEG_UID),
    ),
    BadFile(
        "fragments_in_native_syntax",
        "fragments where the syntax says native",
        lambda: make_file(FIRST, NAME, _FRAGMENTS),
    ),
    BadFile(
        "pixels_as_us",
        "Pixel Data with the VR US",
        lambda: make_file(FIRST, NAME, element(0x7FE00010, "US", bytes(8))),
        warnings=("vr_mismatch:7FE00010",),
    ),
    BadFile(
        "pixels_as_un",
        "Pixel Data with the VR UN",
        lambda: make_file(FIRST, NAME, element(0x7FE00010, "UN", bytes(8))),
    ),
    BadFile(
        "element_behind_pixels",
        "a name behind Pixel Data",
        lambda: make_file(FIRST, element(0x7FE00010, "OW", bytes(8)), NAME),
        warnings=("tag_order:00100010",),
    ),
    BadFile(
        "padding_behind_pixels",
        "Data Set Trailing Padding",
        lambda: _CT + element(0xFFFCFFFC, "OB", bytes(64)),
    ),
    BadFile(
        "icon",
        "an icon image before Pixel Data",
        lambda: _image(bytes(32), icon=element(0x7FE00010, "OW", bytes(8))),
    ),
    BadFile(
        "icon_alone",
        "an icon image and no Pixel Data",
        lambda: _image(None, icon=element(0x7FE00010, "OW", bytes(8))),
        warnings=_NO_PIXELS,
    ),
    BadFile(
        "icon_of_fragments",
        "an icon image of fragments",
        lambda: _image(bytes(32), icon=encapsulated(b"abcd")),
    ),
    BadFile(
        "icons_in_icons",
        "an icon image of an icon image",
        lambda: _image(bytes(32), icon=_icon(_icon(element(0x7FE00010, "OW", bytes(8))))),
    ),
)
