"""Files that are cut, at each structural place."""

from __future__ import annotations

from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
)
from dicomframe.testing.bad_files.parts import (
    NAME,
    PATIENT,
    BadFile,
    make_jpeg,
    make_secret_ct,
    undefined,
)
from dicomframe.testing.samples import (
    encapsulated,
    file_meta,
    item,
    make_file,
)

_CT = make_secret_ct()
_BIG_CT = make_secret_ct(encoding=EXPLICIT_BIG, transfer_syntax=EXPLICIT_BIG_UID)
_IMPLICIT_CT = make_secret_ct(encoding=IMPLICIT_LITTLE, transfer_syntax=IMPLICIT_LITTLE_UID)
_META_BYTES = 132 + len(file_meta())
_NAME_AT = _CT.index(b"\x10\0\x10\0PN")
_REQUEST_AT = _CT.index(b"\x40\0\x75\x02SQ")
_PIXELS_AT = _CT.index(b"\xe0\x7f\x10\0OW")
_NO_PIXELS = ("missing_pixel_data:7FE00010",)
_NAME_IN_ITEM = item(NAME, delimited=True)
_FRAGMENTS = encapsulated(b"\xff\xd8ab", b"cdef", offset_table=bytes(4))


CUTS = (
    BadFile("cut_in_preamble", "cut inside the preamble", lambda: _CT[:100], "not_dicom"),
    BadFile("cut_in_magic", "cut inside `DICM`", lambda: _CT[:130], "not_dicom"),
    BadFile(
        "cut_in_meta_header",
        "cut inside the first header of group 0002",
        lambda: _CT[:137],
        "truncated",
    ),
    BadFile(
        "cut_in_meta_value",
        "cut inside the transfer syntax",
        lambda: _CT[: _META_BYTES - 4],
        "truncated",
    ),
    BadFile(
        "cut_in_meta",
        "cut between two elements of group 0002",
        lambda: _CT[: 132 + 12],
        "truncated",
    ),
    BadFile("cut_after_meta", "cut after group 0002", lambda: _CT[:_META_BYTES], "truncated"),
    BadFile(
        "cut_in_first_tag",
        "cut inside the first tag of the data set",
        lambda: _CT[: _META_BYTES + 3],
        "truncated",
    ),
    BadFile(
        "cut_in_first_value",
        "cut inside the first value",
        lambda: _CT[: _META_BYTES + 12],
        "truncated",
    ),
    BadFile("cut_in_tag", "cut inside a tag", lambda: _CT[: _NAME_AT + 2], "truncated"),
    BadFile("cut_in_vr", "cut inside a VR", lambda: _CT[: _NAME_AT + 5], "truncated"),
    BadFile("cut_in_length", "cut inside a length", lambda: _CT[: _NAME_AT + 7], "truncated"),
    BadFile(
        "cut_after_header", "cut between header and value", lambda: _CT[: _NAME_AT + 8], "truncated"
    ),
    BadFile("cut_in_value", "cut inside a value", lambda: _CT[: _NAME_AT + 14], "truncated"),
    BadFile(
        "cut_in_big_endian_value",
        "cut inside a value, big endian",
        lambda: _BIG_CT[:700],
        "truncated",
    ),
    BadFile(
        "cut_in_implicit_value",
        "cut inside a value, implicit",
        lambda: _IMPLICIT_CT[: _IMPLICIT_CT.index(PATIENT.encode()) + 6],
        "truncated",
    ),
    BadFile(
        "cut_between_elements",
        "cut just where an element ends",
        lambda: _CT[:_PIXELS_AT],
        warnings=_NO_PIXELS,
    ),
    BadFile(
        "cut_in_sequence_header",
        "cut inside the header of a sequence",
        lambda: _CT[: _REQUEST_AT + 10],
        "truncated",
    ),
    BadFile(
        "cut_in_item_header",
        "cut inside the header of an item",
        lambda: _CT[: _REQUEST_AT + 15],
        "truncated",
    ),
    BadFile(
        "cut_in_item",
        "cut inside an element of an item",
        lambda: _CT[: _REQUEST_AT + 30],
        "truncated",
    ),
    BadFile(
        "cut_before_item_end",
        "cut before the delimiter of an item",
        lambda: make_file(undefined(_NAME_IN_ITEM[:-8])),
        "truncated",
    ),
    BadFile(
        "cut_in_item_end",
        "cut inside the delimiter of an item",
        lambda: make_file(undefined(_NAME_IN_ITEM[:-3])),
        "truncated",
    ),
    BadFile(
        "cut_before_sequence_end",
        "cut before the delimiter of a sequence",
        lambda: make_file(undefined(_NAME_IN_ITEM)),
        "truncated",
    ),
    BadFile(
        "cut_in_pixel_header",
        "cut inside the header of Pixel Data",
        lambda: _CT[: _PIXELS_AT + 9],
        "truncated",
    ),
    BadFile(
        "cut_before_pixels",
        "cut before the first pixel",
        lambda: _CT[: _PIXELS_AT + 12],
        "truncated",
    ),
    BadFile(
        "cut_in_pixels", "the last byte of Pixel Data is missing", lambda: _CT[:-1], "truncated"
    ),
    BadFile(
        "cut_in_offset_table",
        "cut inside the offset table",
        lambda: make_jpeg(_FRAGMENTS[:22]),
        "truncated",
    ),
    BadFile(
        "cut_in_fragment_header",
        "cut inside the header of a fragment",
        lambda: make_jpeg(_FRAGMENTS[:-17]),
        "truncated",
    ),
    BadFile(
        "cut_in_fragment", "cut inside a fragment", lambda: make_jpeg(_FRAGMENTS[:-10]), "truncated"
    ),
    BadFile(
        "cut_before_fragments_end",
        "fragments without their delimiter",
        lambda: make_jpeg(_FRAGMENTS[:-8]),
        "truncated",
    ),
    BadFile(
        "cut_in_fragments_end",
        "cut inside the delimiter of the fragments",
        lambda: make_jpeg(_FRAGMENTS[:-1]),
        "truncated",
    ),
)
