"""The value field of one element to the rest of its JSON object (PS3.18 section F.2).

An encoder takes the bytes of the value field and the character set in force and returns what
follows ``"TAG":{"vr":"XX"`` in the DICOM JSON Model, the closing brace included.
"""

from __future__ import annotations

import json
import math
import re
import struct
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from typing import Literal

from dicomframe.dicom.text import Charset

ByteOrder = Literal["little", "big"]
Encoder = Callable[[bytes, Charset], bytes]

NUMBERS_TO_JSON = bytes.maketrans(b"\\", b","), b" "
"""What ``translate`` is given to make JSON of plain numbers, without what stands around them."""

EMPTY = b"}"
"""An empty value: the object holds ``vr`` alone (PS3.18 section F.2.5)."""

_PLAIN = bytes(b for b in range(0x20, 0x7F) if b not in b'"\\=')
_NUMBER = rb" *+-?(?:0|[1-9][0-9]{0,14}+)(?:\.[0-9]++)?+ *+"
_NUMBERS = re.compile(rb"(?:%b(?:\\%b)*+)?+" % (_NUMBER, _NUMBER))
_DECIMAL = re.compile(rb"([+-]?)(?:0*([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))([eE][+-]?[0-9]+)?")
_EXACT = 2**53


class UnfitValue(ValueError):
    """The bytes cannot be a value of the VR, such as three bytes of US."""


def to_json_text(text: str) -> bytes:
    """Return `text` as a JSON string in UTF-8."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")


def encode_inline_binary(raw: bytes, charset: Charset) -> bytes:
    """Encode bytes as ``InlineBinary`` (PS3.18 section F.2.7)."""
    return b',"InlineBinary":"%b"}' % b2a_base64(raw, newline=False) if raw else EMPTY


def get_encoder(vr: str, order: ByteOrder) -> Encoder:
    """Return the encoder of a VR in a byte order; OB and VRs that are unknown are read as UN."""
    return _ENCODERS[order].get(vr, encode_inline_binary)


def are_plain(texts: list[bytes], numbers: bytes) -> bool:
    """Tell whether what encoders make of values without padding is their bytes between the ends.

    Of `numbers` (DS, IS), none empty and a backslash between them, it is what `NUMBERS_TO_JSON`
    makes of them.
    """
    return not b"".join(texts).translate(None, _PLAIN) and bool(_NUMBERS.fullmatch(numbers))


def _encode_title(raw: bytes, charset: Charset) -> bytes:
    """AE: leading and trailing spaces mean nothing."""
    values = [value.strip(" \0") for value in raw.decode("latin-1").split("\\")]
    return _to_value(map(_write_text, values)) if any(values) or len(values) > 1 else EMPTY


def _to_value(values: Iterable[bytes]) -> bytes:
    return b',"Value":[%b]}' % b",".join(values)


def _write_text(value: str) -> bytes:
    return to_json_text(value) if value else b"null"


def _write_name(name: str) -> bytes:
    """Component groups by name, empty groups left out (PS3.18 section F.2.2)."""
    groups = zip(_GROUPS, name.split("=", 2), strict=False)
    members = [b'"%b":%b' % (key, to_json_text(group)) for key, group in groups if group]
    return b"{%b}" % b",".join(members) if members else b"null"


_GROUPS = (b"Alphabetic", b"Ideographic", b"Phonetic")


def _text(
    split: Callable[[bytes, Charset], list[str]],
    write: Callable[[str], bytes] = _write_text,
    ends: tuple[bytes, bytes] = (b'"', b'"'),
) -> Encoder:
    """Make an encoder of text: plain text stands between `ends`, other is split and written."""
    opening, closing = b',"Value":[' + ends[0], ends[1] + b"]}"

    def encode(raw: bytes, charset: Charset) -> bytes:
        raw = raw.rstrip(b" \0")
        if not raw:
            return EMPTY
        if raw.isdigit() or not raw.translate(None, _PLAIN):
            return opening + raw + closing
        return _to_value(map(write, split(raw, charset)))

    PLAIN_ENDS[encode] = opening, closing
    return encode


PLAIN_ENDS: dict[Encoder, tuple[bytes, bytes]] = {}
"""What an encoder of text or numbers puts before a plain value and behind."""

# By the default repertoire, many values.
_ASCII = _text(lambda raw, _: raw.decode("latin-1").split("\\"))
# By character set, many values, of which none ends with spaces.
_TEXTS = _text(
    lambda raw, charset: [value.rstrip(" \0") for value in charset.decode(raw).split("\\")]
)
# One value: a backslash is a character of it.
_LONG_TEXT = _text(lambda raw, charset: [charset.decode(raw)])
_URI = _text(lambda raw, _: [raw.decode("latin-1")])
_NAMES = _text(
    lambda raw, charset: charset.decode(raw, is_name=True).split("\\"),
    _write_name,
    (b'{"Alphabetic":"', b'"}'),
)


def encode_number_text(raw: bytes, charset: Charset) -> bytes:
    """DS, IS: the digits as they stand if they are a number, else the text (F.2.3)."""
    raw = raw.rstrip(b" \0")
    if not raw:
        return EMPTY
    if _NUMBERS.fullmatch(raw):
        return b',"Value":[' + raw.translate(*NUMBERS_TO_JSON) + b"]}"
    return _to_value(map(_number_text, raw.split(b"\\")))


PLAIN_ENDS[encode_number_text] = b',"Value":[', b"]}"


def _number_text(raw: bytes) -> bytes:
    text = raw.strip(b" \0")
    if not text:
        return b"null"
    if match := _DECIMAL.fullmatch(text):
        sign, whole, fraction, bare_fraction, exponent = match.groups(b"")
        number, fraction = sign.strip(b"+") + (whole or b"0"), fraction or bare_fraction
        rest = (b"." + fraction if fraction else b"") + exponent
        # beyond these a JSON reader would lose digits
        if not math.isinf(float(number + rest)) and (rest or -_EXACT <= int(number) <= _EXACT):
            return number + rest
    return to_json_text(text.decode("latin-1"))


def _numbers(form: str, order: ByteOrder, write: Callable[..., str] = str) -> Encoder:
    """AT, FD, FL, SL, SS, SV, UL, US, UV: `form` is that of one value, `write` makes it JSON."""
    value = struct.Struct(("<" if order == "little" else ">") + form)
    size = value.size

    def encode(raw: bytes, charset: Charset) -> bytes:
        if len(raw) == size:
            return b',"Value":[' + write(*value.unpack(raw)).encode() + b"]}"
        if len(raw) % size:
            raise UnfitValue
        if not raw:
            return EMPTY
        texts = [write(*parts) for parts in value.iter_unpack(raw)]
        return b',"Value":[%b]}' % ",".join(texts).encode()

    return encode


def _write_wide(value: int) -> str:
    """SV, UV: beyond 2**53 a JSON reader would lose digits."""
    return str(value) if -_EXACT <= value <= _EXACT else f'"{value}"'


def _write_float(value: float) -> str:
    return repr(value) if math.isfinite(value) else _NOT_FINITE[str(value)]


def _write_tag(group: int, number: int) -> str:
    return f'"{group:04X}{number:04X}"'


_NOT_FINITE = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


def _words(size: int, order: ByteOrder) -> Encoder:
    """OD, OF, OL, OV, OW: bulk data is little endian (PS3.18 section 8.7.3.3)."""
    if order == "little":
        return encode_inline_binary

    def encode(raw: bytes, charset: Charset) -> bytes:
        if len(raw) % size:
            raise UnfitValue
        return encode_inline_binary(swap_words(raw, size), charset)

    return encode


def swap_words(raw: bytes, size: int) -> bytes:
    """Return `raw` with the bytes of each word of `size` bytes in reverse order."""
    swapped = bytearray(len(raw))
    for position in range(size):
        swapped[position::size] = raw[size - 1 - position :: size]
    return bytes(swapped)


def word_bytes(vr: str) -> int:
    """Return the size of a word of `vr` that the byte order turns (PS3.5 section 7.3)."""
    return _WORD_BYTES.get(vr, 1)


_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_WORD_BYTES |= {"AT": 2, "SS": 2, "US": 2, "FL": 4, "SL": 4, "UL": 4, "FD": 8, "SV": 8, "UV": 8}


_FORMS = {"SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q", "FD": "d", "FL": "f"}
_WRITERS = {"q": _write_wide, "Q": _write_wide, "d": _write_float, "f": _write_float}


def _make_encoders(order: ByteOrder) -> dict[str, Encoder]:
    encoders = {"AE": _encode_title, "AT": _numbers("HH", order, _write_tag)}
    encoders |= {"DS": encode_number_text, "IS": encode_number_text, "PN": _NAMES, "UR": _URI}
    encoders |= dict.fromkeys(("AS", "CS", "DA", "DT", "TM", "UI"), _ASCII)
    encoders |= dict.fromkeys(("LO", "SH", "UC"), _TEXTS)
    encoders |= dict.fromkeys(("LT", "ST", "UT"), _LONG_TEXT)
    encoders |= {vr: _numbers(form, order, _WRITERS.get(form, str)) for vr, form in _FORMS.items()}
    encoders |= {vr: _words(word_bytes(vr), order) for vr in ("OD", "OF", "OL", "OV", "OW")}
    return encoders


_ENCODERS = {"little": _make_encoders("little"), "big": _make_encoders("big")}
