"""Files whose sequences, items and delimiters are broken, or too many."""

from __future__ import annotations

from dicomframe.testing.bad_files.parts import (
    FIRST,
    NAME,
    PATIENT,
    BadFile,
    implicit,
    make_between,
    undefined,
)
from dicomframe.testing.samples import (
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    element,
    item,
    make_file,
    sequence,
)

_NAME_IN_ITEM = item(NAME, delimited=True)
_STRAY_ITEM_END, _STRAY_SEQUENCE_END = ("stray_delimiter:FFFEE00D",), ("stray_delimiter:FFFEE0DD",)


def _nest(depth: int, *, delimited: bool) -> bytes:
    body = NAME
    if delimited:
        head, tail = undefined(item(delimited=True)[:8]), ITEM_END + SEQUENCE_END
        return make_between(head * depth + body + tail * depth)
    for _ in range(depth):
        body = element(0x00091140, "SQ", item(body))
    return make_between(body)


def _nest_in_unknown(depth: int) -> bytes:
    inner = implicit(0x00100010, PATIENT)
    for _ in range(depth):
        inner = implicit(0x00081140, item(inner))
    outer = element(0x00081140, "UN", inner[8:])
    for _ in range(depth):
        outer = sequence(0x00081140, item(outer))
    return make_between(outer)


SEQUENCES = (
    BadFile(
        "no_item_end",
        "an item without its delimiter",
        lambda: make_between(undefined(_NAME_IN_ITEM[:-8] + SEQUENCE_END)),
        "malformed",
    ),
    BadFile(
        "no_sequence_end",
        "a sequence without its delimiter, elements after it",
        lambda: make_between(undefined(_NAME_IN_ITEM)),
        "malformed",
    ),
    BadFile(
        "no_inner_sequence_end",
        "an inner sequence without its delimiter",
        lambda: make_between(
            undefined(item(undefined(_NAME_IN_ITEM, 0x00081115), delimited=True) + SEQUENCE_END)
        ),
        "malformed",
    ),
    BadFile(
        "no_delimiter_in_item",
        "a sequence without delimiter in an item of defined length",
        lambda: make_between(sequence(0x00081115, item(undefined(_NAME_IN_ITEM)))),
        "malformed",
    ),
    BadFile(
        "stray_item_end",
        "the delimiter of an item where none is open",
        lambda: make_between(ITEM_END),
        warnings=_STRAY_ITEM_END,
    ),
    BadFile(
        "stray_sequence_end",
        "the delimiter of a sequence where none is open",
        lambda: make_between(SEQUENCE_END),
        warnings=_STRAY_SEQUENCE_END,
    ),
    BadFile(
        "item_end_in_defined_item",
        "a delimiter in an item of defined length",
        lambda: make_between(sequence(0x00081140, item(NAME, ITEM_END))),
        warnings=_STRAY_ITEM_END,
    ),
    BadFile(
        "sequence_end_in_defined_sequence",
        "a delimiter in a sequence of defined length",
        lambda: make_between(sequence(0x00081140, item(NAME), SEQUENCE_END)),
        warnings=_STRAY_SEQUENCE_END,
    ),
    BadFile(
        "two_sequence_ends",
        "a sequence is ended twice",
        lambda: make_between(undefined(_NAME_IN_ITEM + SEQUENCE_END * 2)),
        warnings=_STRAY_SEQUENCE_END,
    ),
    BadFile(
        "two_item_ends",
        "an item is ended twice",
        lambda: make_between(undefined(_NAME_IN_ITEM + ITEM_END + SEQUENCE_END)),
        "malformed",
    ),
    BadFile(
        "item_outside_sequence",
        "an item where an element must begin",
        lambda: make_between(item(NAME)),
        "malformed",
    ),
    BadFile(
        "delimiter_with_length",
        "a delimiter that has a length",
        lambda: make_between(undefined(_NAME_IN_ITEM + SEQUENCE_END[:4] + b"\4\0\0\0abcd")),
        "malformed",
    ),
    BadFile(
        "delimiter_in_big_endian",
        "a big endian delimiter in a little endian file",
        lambda: make_between(undefined(_NAME_IN_ITEM + b"\xff\xfe\xe0\xdd\0\0\0\0")),
        "malformed",
    ),
    BadFile("nested_64", "64 sequences in one another", lambda: _nest(64, delimited=True)),
    BadFile(
        "nested_65", "65 sequences in one another", lambda: _nest(65, delimited=True), "too_large"
    ),
    BadFile(
        "nested_10000",
        "10,000 sequences in one another",
        lambda: _nest(10_000, delimited=True),
        "too_large",
    ),
    BadFile(
        "nested_4000_defined",
        "4,000 sequences of defined length in one another",
        lambda: _nest(4_000, delimited=False),
        "too_large",
    ),
    BadFile(
        "nested_10000_cut",
        "10,000 sequences are opened and none is closed",
        lambda: make_file(FIRST, undefined(item(delimited=True)[:8]) * 10_000),
        "too_large",
    ),
    BadFile(
        "nested_10000_unknown",
        "10,000 UN of undefined length in one another",
        lambda: make_file(
            FIRST,
            undefined(item(delimited=True)[:8], 0x00091001, "UN"),
            (implicit(0x00081140, b"", UNDEFINED) + item(delimited=True)[:8]) * 10_000,
        ),
        "too_large",
    ),
    BadFile(
        "nested_in_unknown",
        "60 sequences, a UN in them, and 60 more in that",
        lambda: _nest_in_unknown(60),
        "too_large",
    ),
    BadFile(
        "items_1000000",
        "1,000,000 empty items: with their sequence 1,000,001 elements",
        lambda: make_between(sequence(0x00081140, item() * 1_000_000)),
        "too_large",
    ),
)
