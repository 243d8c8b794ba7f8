"""Files whose text is not in the character set that they name, or name one that there is not."""

from __future__ import annotations

from dicomframe.testing.bad_files.parts import PATIENT, BadFile, make_sorted
from dicomframe.testing.samples import element, item, make_file, sequence

_TEXT = 0x00081030
_UNDECODABLE = (f"undecodable_text:{_TEXT:08X}",)
_UNKNOWN_SET = ("invalid_value:00080005",)
_LATIN_1 = element(_TEXT, "LO", b"Gr\xf6\xdfe ")


def _text(name: str, what: str, charset: str, raw: bytes, *warnings: str) -> BadFile:
    """Return a sound file of one text in a character set."""
    put = element(0x00080005, "CS", charset), element(_TEXT, "LO", raw + b" " * (len(raw) % 2))
    return BadFile(name, what, lambda: make_sorted(*put), warnings=warnings)


TEXTS = (
    _text(
        "utf8_invalid",
        "bytes that are no UTF-8",
        "ISO_IR 192",
        b"\xff\xfe" + PATIENT.encode(),
        *_UNDECODABLE,
    ),
    _text(
        "utf8_cut",
        "a character of UTF-8 cut in two",
        "ISO_IR 192",
        "Größe€".encode()[:-1],
        *_UNDECODABLE,
    ),
    _text(
        "utf8_surrogate",
        "half a surrogate pair in UTF-8",
        "ISO_IR 192",
        b"\xed\xa0\x80",
        *_UNDECODABLE,
    ),
    _text(
        "latin1_declared_utf8",
        "declared UTF-8, written ISO 8859-1",
        "ISO_IR 192",
        b"Gr\xf6\xdfe",
        *_UNDECODABLE,
    ),
    _text(
        "utf8_declared_latin1",
        "declared ISO 8859-1, written UTF-8: nobody can tell",
        "ISO_IR 100",
        "Größe".encode(),
    ),
    BadFile(
        "charset_missing",
        "letters past ASCII and no character set",
        lambda: make_sorted(_LATIN_1),
        warnings=_UNDECODABLE,
    ),
    _text(
        "charset_empty",
        "letters past ASCII and an empty character set",
        "",
        b"Gr\xf6\xdfe",
        *_UNDECODABLE,
    ),
    _text(
        "charset_unknown",
        "a character set that nobody knows",
        "KLINGON",
        b"Gr\xf6\xdfe",
        *_UNKNOWN_SET,
    ),
    _text(
        "charset_utf16",
        "a character set that is no superset of ASCII",
        "UTF-16",
        b"abcd",
        *_UNKNOWN_SET,
    ),
    _text(
        "charset_misspelt",
        "a character set that is misspelt and known all the same",
        "ISO-IR 100",
        b"Gr\xf6\xdfe",
        *_UNKNOWN_SET,
    ),
    _text(
        "charset_contradictory",
        "UTF-8, which stands alone, and Japanese by escapes",
        "ISO_IR 192\\ISO 2022 IR 87",
        "Größe".encode(),
    ),
    BadFile(
        "charset_twice",
        "two character sets, of which the first is right",
        lambda: make_sorted(
            element(0x00080005, "CS", "ISO_IR 100"),
            element(0x00080005, "CS", "ISO_IR 192"),
            _LATIN_1,
        ),
        warnings=("duplicate_tag:00080005",),
    ),
    BadFile(
        "charset_late",
        "the character set after the text",
        lambda: make_file(_LATIN_1, element(0x00080005, "CS", "ISO_IR 100")),
        warnings=(*_UNDECODABLE, "tag_order:00080005"),
    ),
    BadFile(
        "charset_of_item",
        "an item that names another character set, and lies",
        lambda: make_sorted(
            element(0x00080005, "CS", "ISO_IR 100"),
            sequence(0x00081140, item(element(0x00080005, "CS", "ISO_IR 192"), _LATIN_1)),
        ),
        warnings=_UNDECODABLE,
    ),
    _text(
        "escape_open",
        "an escape sequence that is not taken back",
        "\\ISO 2022 IR 87",
        b"\x1b$B;3ED",
    ),
    _text(
        "escape_unknown",
        "an escape sequence of a character set that is not named",
        "\\ISO 2022 IR 87",
        b"\x1b$)CSecret",
        *_UNDECODABLE,
    ),
    _text(
        "escape_cut",
        "half of a character behind an escape sequence",
        "\\ISO 2022 IR 87",
        b"\x1b$B;3E",
        *_UNDECODABLE,
    ),
    _text(
        "escape_alone",
        "an escape and nothing behind it",
        "\\ISO 2022 IR 87",
        b"Secret\x1b",
        *_UNDECODABLE,
    ),
)
