"""Files whose lengths are odd, too long, or undefined where they may not be."""

from __future__ import annotations

from dicomframe.testing.bad_files.parts import (
    FIRST,
    NAME,
    PATIENT,
    BadFile,
    implicit,
    make_between,
    make_implicit,
    make_jpeg,
    undefined,
)
from dicomframe.testing.samples import (
    UNDEFINED,
    element,
    encapsulated,
    item,
    make_file,
    sequence,
)

_UNREACHED = b"\xfe\xff\xff\xff"


LENGTHS = (
    BadFile(
        "odd_text",
        "text of odd length",
        lambda: make_between(element(0x00080070, "LO", b"abc")),
        warnings=("odd_length:00080070",),
    ),
    BadFile(
        "odd_binary",
        "OB of odd length",
        lambda: make_between(element(0x00091001, "OB", b"abc")),
        warnings=("odd_length:00091001",),
    ),
    BadFile(
        "odd_in_item",
        "text of odd length in an item, an odd sequence around it",
        lambda: make_between(sequence(0x00081140, item(element(0x00080070, "LO", b"abc")))),
        warnings=("odd_length:00081140", "odd_length:00080070"),
    ),
    BadFile(
        "odd_pixels",
        "Pixel Data of odd length",
        lambda: make_file(FIRST, NAME, element(0x7FE00010, "OB", bytes(9))),
        warnings=("odd_length:7FE00010",),
    ),
    BadFile(
        "length_past_end",
        "a text is longer than the file",
        lambda: make_file(FIRST, element(0x00100010, "PN", PATIENT, length=60000)),
        "truncated",
    ),
    BadFile(
        "long_length_past_end",
        "a UT of 4 GiB",
        lambda: make_file(FIRST, element(0x00081190, "UT", PATIENT, length=0xFFFFFFFE)),
        "truncated",
    ),
    BadFile(
        "implicit_length_past_end",
        "a name of 2 GiB, implicit",
        lambda: make_implicit(implicit(0x00100010, PATIENT, 1 << 31)),
        "truncated",
    ),
    BadFile(
        "sequence_past_end",
        "a sequence is longer than the file",
        lambda: make_file(FIRST, element(0x00081140, "SQ", item(NAME), length=99999)),
        "truncated",
    ),
    BadFile(
        "item_past_end",
        "an item is longer than the file",
        lambda: make_file(FIRST, undefined(b"\xfe\xff\0\xe0" + _UNREACHED + NAME)),
        "truncated",
    ),
    BadFile(
        "pixels_past_end",
        "Pixel Data of 4 GiB in a small file",
        lambda: make_file(FIRST, NAME, element(0x7FE00010, "OW", bytes(512), length=0xFFFFFFFE)),
        "truncated",
    ),
    BadFile(
        "fragment_past_end",
        "a fragment of 4 GiB in a small file",
        lambda: make_jpeg(
            undefined(item() + b"\xfe\xff\0\xe0" + _UNREACHED + bytes(64), 0x7FE00010, "OB")
        ),
        "truncated",
    ),
    BadFile(
        "undefined_text",
        "0xFFFFFFFF on a UT",
        lambda: make_between(undefined(PATIENT.encode(), 0x00081190, "UT")),
        "malformed",
    ),
    BadFile(
        "undefined_name",
        "0xFFFF on a PN, which is 65535 bytes",
        lambda: make_file(FIRST, element(0x00100010, "PN", PATIENT, length=0xFFFF)),
        "truncated",
    ),
    BadFile(
        "undefined_implicit_name",
        "0xFFFFFFFF on a PN, implicit",
        lambda: make_implicit(implicit(0x00100010, PATIENT, UNDEFINED)),
        "malformed",
    ),
    BadFile(
        "undefined_number",
        "0xFFFFFFFF on a US, implicit",
        lambda: make_implicit(implicit(0x00280010, b"\1\0", UNDEFINED)),
        "malformed",
    ),
    BadFile(
        "undefined_floats",
        "0xFFFFFFFF on an OF",
        lambda: make_between(undefined(bytes(8), 0x00091001, "OF")),
        "malformed",
    ),
    BadFile(
        "undefined_binary",
        "0xFFFFFFFF on an OB that holds no fragments",
        lambda: make_between(undefined(bytes(64), 0x00091001, "OB")),
        "malformed",
    ),
    BadFile(
        "undefined_pixels",
        "0xFFFFFFFF on native Pixel Data",
        lambda: make_file(FIRST, NAME, undefined(b"\1\2" * 256, 0x7FE00010, "OW")),
        "malformed",
    ),
    BadFile(
        "undefined_unknown",
        "0xFFFFFFFF on a UN that holds no items",
        lambda: make_between(undefined(PATIENT.encode(), 0x00091001, "UN")),
        "malformed",
    ),
    BadFile(
        "element_leaves_item",
        "an element is longer than its item",
        lambda: make_between(sequence(0x00081140, item(NAME[:-4]))),
        "malformed",
    ),
    BadFile(
        "item_leaves_sequence",
        "an item is longer than its sequence",
        lambda: make_between(element(0x00081140, "SQ", item(NAME), length=20)),
        "malformed",
    ),
    BadFile(
        "sequence_leaves_item",
        "a sequence is longer than the item around it",
        lambda: make_between(sequence(0x00081115, item(sequence(0x00081140, item(NAME))[:-6]))),
        "malformed",
    ),
    BadFile(
        "fragments_leave_item",
        "the fragments of an icon leave their item",
        lambda: make_between(sequence(0x00880200, item(encapsulated(b"abcd")[:-8]))),
        "malformed",
    ),
    BadFile(
        "item_of_four_bytes",
        "an item ends inside the first header in it",
        lambda: make_between(sequence(0x00081140, item(NAME[:4]))),
        "malformed",
    ),
    BadFile(
        "sequence_of_four_bytes",
        "a sequence ends inside the header of its item",
        lambda: make_between(element(0x00081140, "SQ", item()[:4])),
        "malformed",
    ),
    BadFile(
        "text_in_sequence",
        "a sequence that holds text",
        lambda: make_between(element(0x00081140, "SQ", PATIENT)),
        "malformed",
    ),
    BadFile(
        "elements_in_sequence",
        "a sequence that holds elements and no item",
        lambda: make_between(sequence(0x00081140, NAME)),
        "malformed",
    ),
    BadFile(
        "zeros_after_item",
        "zeros between item and end of a sequence",
        lambda: make_between(sequence(0x00081140, item(NAME), bytes(8))),
        "malformed",
    ),
)
