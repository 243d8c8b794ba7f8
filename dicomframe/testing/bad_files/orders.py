"""Files whose VRs, order of elements, private creators, group lengths or UN are strange."""

from __future__ import annotations

import struct

from dicomframe.testing.bad_files.parts import FIRST, NAME, PATIENT, BadFile, implicit, make_sorted
from dicomframe.testing.samples import (
    SEQUENCE_END,
    UNDEFINED,
    element,
    item,
    make_file,
    sequence,
)

_INVALID_VR = ("invalid_vr:00081010",)
_GROUP_8 = ("group_length:00080000",)
_ODD_TAG = b"\x08\0\x10\x10"
_CREATOR = element(0x00090010, "LO", "SAMPLE_IDEN_01")


def _invalid_vr(vr: bytes, value: bytes = b"abcd", length: int = 4) -> bytes:
    return make_file(FIRST, _ODD_TAG + vr + struct.pack("<H", length) + value, NAME)


_UNKNOWN_ITEM = item(implicit(0x00100010, PATIENT))


VRS = (
    BadFile(
        "vr_zz",
        "a VR that is none, 16 bits of length",
        lambda: _invalid_vr(b"ZZ"),
        warnings=_INVALID_VR,
    ),
    BadFile(
        "vr_zz_long",
        "a VR that is none, 32 bits of length",
        lambda: _invalid_vr(b"ZZ", b"\4\0\0\0abcd", 0),
        warnings=_INVALID_VR,
    ),
    BadFile(
        "vr_small_letters",
        "a VR in small letters",
        lambda: _invalid_vr(b"sh"),
        warnings=_INVALID_VR,
    ),
    BadFile("vr_of_zeros", "a VR of two zeros", lambda: _invalid_vr(b"\0\0"), warnings=_INVALID_VR),
    BadFile(
        "vr_missing",
        "one implicit element in an explicit file",
        lambda: make_file(FIRST, implicit(0x00081010, "abcd"), NAME),
        warnings=_INVALID_VR,
    ),
    BadFile(
        "vr_zz_in_item",
        "a VR that is none in an item",
        lambda: make_sorted(sequence(0x00081140, item(_ODD_TAG + b"ZZ\4\0abcd"))),
        warnings=_INVALID_VR,
    ),
    BadFile(
        "vr_and_length_invalid",
        "a VR that is none and no length that fits",
        lambda: _invalid_vr(b"ZZ", b"abcd", 0x7777),
        "malformed",
    ),
    BadFile(
        "vr_other",
        "SH where PS3.6 says LO",
        lambda: make_sorted(element(0x00100020, "SH", "1")),
        warnings=("vr_mismatch:00100020",),
    ),
    BadFile(
        "vr_binary",
        "OB where PS3.6 says LO",
        lambda: make_sorted(element(0x00100020, "OB", PATIENT)),
        warnings=("vr_mismatch:00100020",),
    ),
    BadFile(
        "vr_sequence_on_text",
        "SQ where PS3.6 says LO",
        lambda: make_sorted(sequence(0x00100020, item(NAME))),
        warnings=("vr_mismatch:00100020",),
    ),
    BadFile(
        "vr_text_on_sequence",
        "LO where PS3.6 says SQ",
        lambda: make_sorted(element(0x00081140, "LO", PATIENT)),
        warnings=("vr_mismatch:00081140",),
    ),
)

ORDERS = (
    BadFile(
        "order_wrong",
        "two elements in the wrong order",
        lambda: make_file(NAME, FIRST),
        warnings=("tag_order:00080060",),
    ),
    BadFile(
        "order_wrong_in_item",
        "two elements of an item in the wrong order",
        lambda: make_sorted(sequence(0x00081140, item(NAME, FIRST))),
        warnings=("tag_order:00080060",),
    ),
    BadFile(
        "twice",
        "an element twice",
        lambda: make_file(FIRST, NAME, NAME),
        warnings=("duplicate_tag:00100010",),
    ),
    BadFile(
        "twice_and_different",
        "an element twice with two values, the first counts",
        lambda: make_file(FIRST, NAME, element(0x00100010, "PN", "Roe")),
        warnings=("duplicate_tag:00100010",),
    ),
    BadFile(
        "twice_in_item",
        "an element twice in an item",
        lambda: make_sorted(sequence(0x00081140, item(NAME, NAME))),
        warnings=("duplicate_tag:00100010",),
    ),
    BadFile(
        "meta_in_data_set",
        "an element of group 0002 in the data set",
        lambda: make_file(FIRST, NAME, element(0x00020010, "UI", "1.2.3")),
        warnings=("tag_order:00020010",),
    ),
    BadFile(
        "group_length_right",
        "group lengths that tell the truth",
        lambda: make_sorted(
            element(0x00080000, "UL", len(FIRST)), element(0x00100000, "UL", len(NAME))
        ),
    ),
    BadFile(
        "group_length_short",
        "a group length that is too small",
        lambda: make_sorted(element(0x00080000, "UL", 4)),
        warnings=_GROUP_8,
    ),
    BadFile(
        "group_length_past_end",
        "a group that is to end behind the file",
        lambda: make_sorted(element(0x00080000, "UL", 0xFFFFFFF0)),
        warnings=_GROUP_8,
    ),
    BadFile(
        "group_length_of_last",
        "the length of the last group is too large",
        lambda: make_sorted(element(0x00100000, "UL", 4000)),
        warnings=("group_length:00100000",),
    ),
    BadFile(
        "group_length_of_two_bytes",
        "a group length of two bytes",
        lambda: make_sorted(element(0x00080000, "US", len(FIRST))),
        warnings=("vr_mismatch:00080000",),
    ),
    BadFile(
        "creators_collide",
        "two private creators for one block, the first counts",
        lambda: make_sorted(
            _CREATOR, element(0x00090010, "LO", "SIEMENS"), element(0x00091001, "UN", PATIENT)
        ),
        warnings=("duplicate_tag:00090010",),
    ),
    BadFile(
        "creators_equal",
        "one private creator for two blocks",
        lambda: make_sorted(
            _CREATOR,
            element(0x00090011, "LO", "SAMPLE_IDEN_01"),
            element(0x00091101, "LO", PATIENT),
        ),
    ),
    BadFile(
        "creator_missing",
        "private elements without a creator",
        lambda: make_sorted(element(0x00091001, "UN", PATIENT)),
    ),
    BadFile(
        "creator_late",
        "a private creator after its elements",
        lambda: make_file(FIRST, element(0x00091001, "UN", PATIENT), _CREATOR),
        warnings=("tag_order:00090010",),
    ),
    BadFile(
        "creator_empty",
        "an empty private creator",
        lambda: make_sorted(element(0x00090010, "LO"), element(0x00091001, "UN", PATIENT)),
    ),
    BadFile(
        "creator_binary",
        "a private creator that is no text",
        lambda: make_sorted(
            element(0x00090010, "LO", b"\0\xff\x80\1"), element(0x00091001, "UN", PATIENT)
        ),
        warnings=("undecodable_text:00090010",),
    ),
    BadFile(
        "unknown_vr_of_known_tag",
        "UN where PS3.6 knows the VR",
        lambda: make_file(FIRST, element(0x00100010, "UN", PATIENT)),
    ),
    BadFile(
        "unknown_sequence",
        "a UN that holds a sequence, with its length",
        lambda: make_sorted(element(0x00081140, "UN", _UNKNOWN_ITEM)),
    ),
    BadFile(
        "unknown_sequence_undefined",
        "a UN of undefined length",
        lambda: make_sorted(
            element(0x00081140, "UN", _UNKNOWN_ITEM + SEQUENCE_END, length=UNDEFINED)
        ),
    ),
    BadFile(
        "unknown_private_sequence",
        "a private UN of undefined length",
        lambda: make_sorted(
            element(0x00091001, "UN", _UNKNOWN_ITEM + SEQUENCE_END, length=UNDEFINED)
        ),
    ),
    BadFile(
        "unknown_explicit",
        "a UN of undefined length, explicit VR inside",
        lambda: make_sorted(element(0x00091001, "UN", item(NAME) + SEQUENCE_END, length=UNDEFINED)),
        "truncated",
    ),
    BadFile(
        "unknown_explicit_defined",
        "a UN with its length, explicit VR inside: it stays binary",
        lambda: make_sorted(element(0x00081140, "UN", item(NAME))),
    ),
    BadFile(
        "unknown_cut_sequence",
        "a UN whose sequence is cut: it stays binary",
        lambda: make_sorted(element(0x00081140, "UN", _UNKNOWN_ITEM[:-2])),
    ),
)
